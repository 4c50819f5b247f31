"""Parts of a simulation as tasks for other machines: a design goes out, traces come home."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory

from exeunt import manifest as manifests
from exeunt.errors import ToolError
from exeunt.manifest import Manifest
from exeunt.scheduler import Needs
from exeunt.simulate import verilator

READS = ("design", verilator.LIBRARY)


def needs() -> Needs:
    """What must be the same on a machine that simulates."""
    return Needs(packages=("scipy",), facts=(("Verilator", found),))


def found() -> str:
    """The version of Verilator.

    Raises:
        ToolError: it or g++ is missing.
    """
    where = verilator.find()
    try:
        return metadata.version("verilator")
    except metadata.PackageNotFoundError:
        return where.program.name


@contextmanager
def packed(manifest: Manifest, library: Path) -> Iterator[Path]:
    """A folder with what a task needs of a design: links to its files and to its compiled model."""
    with TemporaryDirectory(prefix="exeunt-") as scratch:
        folder = Path(scratch)
        for name in (manifests.NAME, *manifest.data["files"]):
            link = folder / "design" / name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to((manifest.folder / name).absolute())
        (folder / verilator.LIBRARY).symlink_to(library.absolute())
        yield folder


def unpacked(manifest: Manifest, folder: Path, processor: str) -> tuple[Manifest, Path]:
    """The design in the folder of a task, and its model, compiled again for another processor.

    Args:
        manifest: as it was where it was packed.
        folder: of the task.
        processor: of the machine that compiled the model.

    Raises:
        ToolError: Verilator or g++ failed.
    """
    mine = dataclasses.replace(manifest, folder=folder / "design")
    if verilator.processor() == processor:
        return mine, folder / verilator.LIBRARY
    cache = verilator.runtime_cache() / "models"
    try:
        return mine, verilator.build(mine, cache=cache, jobs=1)
    except OSError as error:
        raise ToolError(
            f"{cache} must be writable for a model of this processor, got {error.strerror}: set "
            "EXEUNT_CACHE to a folder that is"
        ) from None
