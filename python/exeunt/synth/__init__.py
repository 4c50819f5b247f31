"""`exeunt synth`: LUT, FF, DSP and BRAM of a compiled run folder, counted by Yosys."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from exeunt.progress import Progress, silent

if TYPE_CHECKING:
    from exeunt.config.tree import Config


def synth(config: Config, run_dir: Path, *, progress: Progress = silent) -> list[dict[str, Any]]:
    """The synth step; see `exeunt.synth.step.synth`, which is imported when it is run."""
    from exeunt.synth import step

    return step.synth(config, run_dir, progress=progress)


def expected(config: Config, run_dir: Path) -> float:
    """Seconds that the step is likely to take; see `exeunt.synth.step.expected`."""
    from exeunt.synth import step

    return step.expected(config, run_dir)
