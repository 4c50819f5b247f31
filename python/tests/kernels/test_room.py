"""A kernel kind is one room: nothing else names it, and a new one is four files and no edit."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from exeunt.kernels import registry

ROOT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).parent


def overlay(target: Path) -> dict[str, str]:
    """A copy of the tree with the four new places of negate; the environment to import it in."""
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for folder in ("python/exeunt", "hls", "rtl_tests"):
        shutil.copytree(ROOT / folder, target / folder, ignore=ignored)
    for name in ("pyproject.toml",):
        shutil.copy(ROOT / name, target / name)
    added = [
        p for p in (HERE / "negate").rglob("*") if p.is_file() and "__pycache__" not in p.parts
    ]
    places = {p if p.parts[-3] != "rtl_tests" else p.parent for p in added}
    assert len(places) <= 4  # three files and a folder of tests
    for path in added:
        place = target / path.relative_to(HERE / "negate")
        assert not place.exists(), f"{place} would be changed, not added"
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)
    package = target / "path" / "exeunt"
    package.mkdir(parents=True)
    for path in (target / "python" / "exeunt").iterdir():
        (package / path.name).symlink_to(path)
    (package / "hls").symlink_to(target / "hls")
    return {**os.environ, "PYTHONPATH": str(target / "path"), "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.mark.sim
def test_a_new_kind_is_four_files(tmp_path: Path) -> None:
    """Added to a copy of the tree it has values, cycles and a cost, survives JSON, is compiled and
    simulated bit for bit and cycle for cycle, and stands in the report and in the table of kinds.
    """
    tree = tmp_path / "tree"
    environment = overlay(tree)

    def python(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments], cwd=tree, env=environment, text=True, capture_output=True
        )
        assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
        return done.stdout

    told = json.loads(python(str(HERE / "trial.py"), str(tmp_path / "run")).splitlines()[-1])
    assert told.pop("kinds") == sorted([*registry.kinds(), "negate"])
    assert told == {
        "round_trip": True,
        "negated": True,
        "wrong": 0,
        "error": 0.0,
        "costs_more": True,
        "multipliers": True,
        "sources": ["rtl/ex_negate.sv"],
        "report": True,
        "docs": [
            "| negate | The sign turned: y = offset - x of each element. | `ex_negate` | `LANES` "
            "`IN_BITS` `IN_SIGNED` `OUT_BITS` `OFFSET` | - |"
        ],
    }
    python("-m", "pytest", "-q", "-p", "no:cacheprovider", "rtl_tests/negate")
