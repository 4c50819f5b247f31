"""The deploy package: one archive with all that a board needs to run the network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exeunt.config.tree import Config


def deploy(config: Config, run_dir: Path, **options: Any) -> None:
    """The deploy step; see `exeunt.deploy.step.deploy`, which is imported when it is run."""
    from exeunt.deploy import step

    step.deploy(config, run_dir, **options)
