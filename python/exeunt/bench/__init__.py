"""Benchmark: what the accelerator does, against the same network on the processor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exeunt.config.tree import Config


def bench(config: Config, run_dir: Path, **options: Any) -> None:
    """The bench step; see `exeunt.bench.step.bench`, which is imported when it is run."""
    from exeunt.bench import step

    step.bench(config, run_dir, **options)
