"""Tools that are WebAssembly: each is compiled once, before it runs for the first time.

A YoWASP tool compiles itself at its first run, for about half a minute, and writes the result into
a cache that later runs map into memory. Two first runs at once can kill each other: one writes the
file that the other has mapped.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path

from exeunt.errors import ToolError
from exeunt.files import cache_folder

PREFIX = "yowasp-"
LOCK = ".exeunt.lock"


def folder() -> Path:
    """Where compiled tools are kept: $YOWASP_CACHE_DIR, or YoWASP in the user's cache folder."""
    return cache_folder("YOWASP_CACHE_DIR", "YoWASP")


def prepare(program: Path) -> None:
    """Have `program` compile itself, one process at a time; nothing to do for any other tool.

    Call it before the tool is run, most of all before it is run several times at once.

    Raises:
        ToolError: it does not start.
    """
    if program.name.startswith(PREFIX):
        _prepare(program, folder())


@cache
def _prepare(program: Path, kept: Path) -> None:
    kept.mkdir(parents=True, exist_ok=True)
    with (kept / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            done = subprocess.run(
                [str(program), "--version"],
                env={**os.environ, "YOWASP_CACHE_DIR": str(kept)},
                capture_output=True,
                text=True,
                errors="replace",
                stdin=subprocess.DEVNULL,
            )
        except OSError as error:
            raise ToolError(
                f"{program.name} must start, got {error.strerror} from {program}: install it again"
            ) from None
    if done.returncode != 0:
        said = " / ".join(done.stderr.strip().splitlines()[-2:])[-200:]
        raise ToolError(
            f"{program.name} must start, got exit code {done.returncode} and {said!r}: delete "
            f"{kept} and try again"
        )


def version(program: Path, package: str = "") -> str:
    """Of a tool: its Python package's version, else the first line that it says itself.

    Args:
        program: the tool.
        package: that a YoWASP tool comes from, when it is not called like the tool.
    """
    if program.name.startswith(PREFIX):
        try:
            return metadata.version(package or program.name)
        except metadata.PackageNotFoundError:
            pass
    try:
        done = subprocess.run(
            [str(program), "--version"], capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
    except OSError:
        return "unknown"
    return next(iter((done.stdout + done.stderr).strip().splitlines()), "unknown")
