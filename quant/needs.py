"""What a machine must have in common with this one to train the same networks."""

from __future__ import annotations

from pathlib import Path

import torch

from exeunt.config.tree import Config
from exeunt.files import code_files
from exeunt.scheduler import Needs

PACKAGES = ("torch", "brevitas", "scipy", "scikit-learn", "captum")


def needs(config: Config, data_dir: Path) -> Needs:
    """Versions, and the files that a config names, with equal contents at the same places.

    `data_dir` is an absolute path. What torch computes with counts too: sums of floats in another
    order are other sums.
    """
    files: list[tuple[str, Path]] = []
    if config.data.dataset != "digits" or config.data.format not in (None, "digits"):
        files.append(("the data set", data_dir / config.data.dataset))
    if config.model.file is not None:
        own = [config.model.file]
        if config.model.kind == "python":
            own = code_files(config.model.file)
        files += [(f"the network's {p.name}", p) for p in (*own, *map(Path, config.model.files))]
    for key in ("start", "rules"):
        given = getattr(config.train, key)
        if given:
            files.append((f"train.{key}", Path(given)))
    return Needs(PACKAGES, tuple(files), (("vector instructions of torch", vectors),))


def vectors() -> str:
    """The instruction set that torch uses on this processor, such as AVX2."""
    return str(torch.backends.cpu.get_cpu_capability())
