"""A kernel kind is one room: nothing else names it, and a new one is four files and no edit."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from exeunt.kernels import registry

ROOT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).parent
FOLDERS = ("python/exeunt", "quant", "hls", "boards", "examples")
SUFFIXES = (".py", ".sv", ".svh", ".j2", ".toml", ".ipynb", ".cpp", ".h", ".tcl")
ROOM = re.compile(
    r"(python/exeunt/kernels/(finn/)?|hls/back/kernels/(finn/)?|hls/(rtl|templates)/ex_(finn_)?)"
    r"(?P<kind>[a-z]+)[_./]"
)
HOMONYMS = {
    # the threshold of an exit: a register, and a field of the manifest
    "threshold": {
        "hls/back/stitch.py", "python/exeunt/manifest.py", "python/exeunt/reference/modelled.py",
        "python/exeunt/registers.py", "python/exeunt/report/overview.py",
        "python/exeunt/runtime/description.py", "python/exeunt/runtime/device.py",
        "python/exeunt/simulate/bulk.py", "python/exeunt/simulate/run.py",
    },
    # a layer of a config
    "pool": {
        "python/exeunt/config/sentences.py", "python/exeunt/config/tree.py",
        "python/exeunt/cost/layers.py", "quant/compress/precision.py",
    },
    # bits of a stream's word, a field of the manifest
    "width": {
        "boards/ecp5.py", "boards/vivado_project.py", "python/exeunt/manifest.py",
        "python/exeunt/runtime/pynq.py", "python/exeunt/simulate/simulated.py",
        "python/exeunt/simulate/worker.py",
    },
}  # fmt: skip
INSIDE = {
    # one kind's hardware is made of another's, or the same part is in both
    "threshold": {
        "hls/back/kernels/levels.py", "hls/back/kernels/mvu.py", "hls/rtl/ex_mvu.sv",
        "python/exeunt/kernels/parts/levels.py",
    },
    "pool": {"hls/rtl/ex_accumulate.sv"},
    "reduce": {"hls/back/kernels/pool.py", "hls/rtl/ex_accumulate.sv"},
}  # fmt: skip


def files_that_name(name: str, root: Path = ROOT) -> set[str]:
    """Files in which a kind is named as one: its module, its block, or its name in quotes."""
    word = re.compile(
        rf"\bex_{name}(_\w+)?\b|\bkernels\.(finn\.)?{name}\b"
        rf"|kernels(\.finn)? import [^\n]*\b{name}\b|[\"']{name}[\"']"
    )
    found = set()
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in SUFFIXES and word.search(path.read_text(encoding="utf-8")):
                found.add(path.relative_to(root).as_posix())
    return found


@pytest.mark.parametrize("name", registry.kinds())
def test_nothing_outside_its_room_names_a_kind(name: str) -> None:
    """What a kind is made of is not outside; measured tables (JSON) are not read."""
    named = files_that_name(name) - HOMONYMS.get(name, set())
    outside = set()
    for file in named:
        room = ROOM.match(file)
        if room is None or room["kind"] != name:
            outside.add(file)
    assert outside == INSIDE.get(name, set())
    assert f"hls/rtl/ex_{name}.sv" in named
    assert (ROOT / "rtl_tests" / name / "corners.py").is_file()


def test_a_name_elsewhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "hls").mkdir()
    (tmp_path / "hls" / "a.py").write_text('if node.kind == "mvu":\n    pass\n')
    (tmp_path / "hls" / "b.py").write_text("from exeunt.kernels.mvu import Mvu\n")
    (tmp_path / "hls" / "c.py").write_text("from exeunt.kernels import mvu, swg\n")
    (tmp_path / "hls" / "d.py").write_text("mvu = 3\n")
    assert files_that_name("mvu", tmp_path) == {"hls/a.py", "hls/b.py", "hls/c.py"}
    assert files_that_name("swg", tmp_path) == {"hls/c.py"}


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
