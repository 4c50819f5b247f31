"""Bulk simulation of the RTL as a compiled shared library."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from exeunt.progress import Progress, silent
from exeunt.scheduler import HERE, Machines

if TYPE_CHECKING:
    from exeunt.config.tree import Config


def simulate(
    config: Config,
    run_dir: Path,
    *,
    progress: Progress = silent,
    waves: str = "",
    frame: int | None = None,
    machines: Machines = HERE,
) -> None:
    """The simulate step; see `exeunt.simulate.run.simulate`, which is imported when it is run."""
    from exeunt.simulate import run

    run.simulate(
        config, run_dir, progress=progress, wave_kind=waves, frame=frame, machines=machines
    )
