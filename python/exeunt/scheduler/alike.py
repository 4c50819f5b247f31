"""Whether a worker is like the machine that asks: versions, sources, files."""

from __future__ import annotations

import hashlib
import importlib.util
import platform
from collections.abc import Mapping
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from exeunt.errors import ExeuntError, InputError, ToolError
from exeunt.files import reason, walk
from exeunt.scheduler.tasks import Needs

NONE = "none"
SOURCES = "the sources of exeunt"
ALWAYS = ("exeunt", "numpy", "pydantic", "dask", "distributed", "cloudpickle")
PARTS = ("", ".quant", ".hls", ".boards", ".zoo")  # which need not lie in one folder
_SHOWN = 12  # characters of a digest


@lru_cache(maxsize=16)
def seen(needs: Needs, session: str = "") -> dict[str, str]:
    """What is here of all that is needed, by its name; kept for one `session`."""
    del session
    found = {"Python": platform.python_version(), SOURCES: sources()}
    for name in dict.fromkeys(ALWAYS + needs.packages):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = NONE
    for name, fact in needs.facts:
        try:
            found[name] = fact()
        except ExeuntError:
            found[name] = NONE
    for name, path in needs.files:
        found[name] = content(path)
    return found


@lru_cache(maxsize=1)
def sources() -> str:
    """Digest of Exeunt's files as they are when it is first asked for, which is what runs."""
    files: dict[str, Path] = {}
    for part in PARTS:
        spec = importlib.util.find_spec(f"exeunt{part}")
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            files |= {f"{part[1:]}/{name}".lstrip("/"): p for name, p in walk(Path(folder))}
    total = hashlib.sha256()
    for name, path in sorted(files.items()):
        if path.suffix != ".md":
            total.update(f"{name}\0{digest(path.read_bytes())}\n".encode())
    return total.hexdigest()[:_SHOWN]


def content(path: Path) -> str:
    """Digest of a file, or of the names and contents of a folder; "none" where there is nothing."""
    if not path.exists():
        return NONE
    total = hashlib.sha256()
    try:
        for name, file in walk(path) if path.is_dir() else [("", path)]:
            total.update(f"{name}\0{digest(file.read_bytes())}\n".encode())
    except OSError as error:
        return reason(error)
    return total.hexdigest()[:_SHOWN]


def digest(data: bytes) -> str:
    """Hex SHA-256."""
    return hashlib.sha256(data).hexdigest()


def compare(
    worker: str, found: Mapping[str, str], wanted: Mapping[str, str], needs: Needs
) -> ExeuntError | None:
    """What is wrong with a worker, in one sentence: the first in which it differs."""
    files = dict(needs.files)
    for name, value in wanted.items():
        got = found.get(name, NONE)
        if got == value:
            continue
        text = f"worker {worker} must have {name} as this machine"
        if name in files:
            return InputError(
                f"{text}, {files[name]} with digest {value}, got {got}: make the folder the same "
                "on both, or start the worker where it is"
            )
        return ToolError(
            f"{text}, {value}, got {got}: install the same on both and start the worker again"
        )
    return None
