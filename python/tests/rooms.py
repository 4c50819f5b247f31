"""What the tests of rooms share: who names a kind, and a copy of the tree with a new kind in it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("python/exeunt", "quant", "hls", "boards", "examples")
OBJECTS = "build/rtl_tests/objects"  # of the Verilator runtime, kept by rtl_tests/lib/bench.py
SUFFIXES = (".py", ".sv", ".svh", ".j2", ".toml", ".ipynb", ".cpp", ".h", ".tcl")


def files_with(word: str, root: Path = ROOT) -> set[str]:
    """Files of the product in which a regular expression matches; JSON is measured, not written."""
    return {
        path.relative_to(root).as_posix()
        for folder in FOLDERS
        for path in (root / folder).rglob("*")
        if path.suffix in SUFFIXES and re.search(word, path.read_text(encoding="utf-8"))
    }


@dataclass(frozen=True)
class Copy:
    """A copy of the tree in which Python imports what is there."""

    folder: Path

    def python(self, *arguments: str) -> str:
        """What a run of Python in the copy prints."""
        environment = {"PYTHONPATH": str(self.folder / "path"), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            [sys.executable, *arguments], cwd=self.folder, env={**os.environ, **environment},
            text=True, capture_output=True,
        )  # fmt: skip
        assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
        return done.stdout


def copy_with(added: Path, folder: Path) -> Copy:
    """A copy of the tree in `folder` with the files in `added`: four places at most, no edit."""
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("python/exeunt", "quant", "hls", "rtl_tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", folder)
    files = [p for p in added.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    assert len({p.parent if p.parts[-3] == "rtl_tests" else p for p in files}) <= 4
    for path in files:
        place = folder / path.relative_to(added)
        assert not place.exists(), f"{place} would be changed, not added"
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)
    package = folder / "path" / "exeunt"  # the import name's folders, as the install has them
    package.mkdir(parents=True)
    for path in [*(folder / "python" / "exeunt").iterdir(), folder / "quant", folder / "hls"]:
        (package / path.name).symlink_to(path)
    (ROOT / OBJECTS).mkdir(parents=True, exist_ok=True)
    (folder / OBJECTS).parent.mkdir(parents=True)
    (folder / OBJECTS).symlink_to(ROOT / OBJECTS)
    return Copy(folder)
