"""A criterion is one room: nothing else knows its name, and a new one is four files."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from exeunt import criteria, registers
from exeunt.config import tree
from exeunt.errors import InputError

ROOT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).parent
FOLDERS = ("python/exeunt", "quant", "hls", "boards", "examples")
SUFFIXES = (".py", ".sv", ".svh", ".j2", ".toml", ".ipynb", ".cpp", ".tcl")
HOMONYMS = {
    # the objective of an explanation: what a heat map explains, not when a frame leaves
    "margin": {
        "python/exeunt/config/compress.py",
        "quant/attribution/_passes.py",
        "quant/attribution/methods.py",
        "quant/compress/choice.py",
    }
}


def files_that_name(name: str, root: Path = ROOT) -> set[str]:
    """Files in which a criterion is named as one: its module, its block, or its name in quotes."""
    word = re.compile(rf"\bex_{name}\b|\bcriteria\.{name}\b|criteria import .*\b{name}\b"
                      rf"|[\"']{name}[\"']")  # fmt: skip
    found = set()
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in SUFFIXES and word.search(path.read_text(encoding="utf-8")):
                found.add(path.relative_to(root).as_posix())
    return found


@pytest.mark.parametrize("name", criteria.names())
def test_nothing_outside_its_room_names_a_criterion(name: str):
    room = {f"python/exeunt/criteria/{name}.py", f"hls/rtl/ex_{name}.sv"}
    assert files_that_name(name) - HOMONYMS.get(name, set()) == room
    assert (ROOT / "rtl_tests" / name / "corners.py").is_file()


def test_a_name_elsewhere_is_found(tmp_path: Path):
    (tmp_path / "quant").mkdir()
    (tmp_path / "quant" / "a.py").write_text('KIND = "margin"\n')
    (tmp_path / "quant" / "b.py").write_text("from exeunt.criteria import margin\n")
    (tmp_path / "quant" / "c.py").write_text("margin = 3\n")
    assert files_that_name("margin", tmp_path) == {"quant/a.py", "quant/b.py"}


def test_whoever_decides_says_by_which_criterion():
    """The default is for tests: a caller that forgets the criterion would be wrong for others."""
    asked = {"controller.decide", "calibrate_exits", "scores", "scores_of", "leave", "OnnxRuntime"}
    asked.add("measure.Subject")
    silent, seen = [], 0
    for folder in ("python/exeunt", "quant"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and ast.unparse(node.func) in asked:
                    seen += 1
                    if "criterion" not in ast.unparse(node):
                        silent.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert seen > 10
    assert silent == []


def test_codes_are_the_register_map_s():
    found = [criteria.get(name) for name in criteria.names()]
    assert [c.code for c in found] == sorted({c.code for c in found})
    assert found[0].code == registers.BY_NAME["criterion"].reset
    text = registers.BY_NAME["criterion"].text
    assert all(f"{c.code}: {c.name}, {c.score}" in text for c in found)


def test_an_unknown_criterion_is_refused():
    known = " or ".join(f'"{name}"' for name in criteria.names())
    with pytest.raises(InputError) as caught:
        criteria.get("majority")
    assert str(caught.value) == (
        f"the exit criterion must be {known}, got 'majority': change calibrate.criterion and "
        "calibrate again"
    )
    text = tree.to_toml(tree.load("digits"))
    with pytest.raises(InputError) as caught:
        tree.parse(text.replace('criterion = "margin"', 'criterion = "margins"'), where="c.toml")
    assert str(caught.value) == (
        f"config c.toml: calibrate.criterion must be {known}, got 'margins', or did you mean "
        "'margin'?: change it"
    )


def overlay(target: Path) -> dict[str, str]:
    """A copy of the tree with the four files of peak; the environment in which it is imported."""
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for folder in ("python/exeunt", "quant", "hls", "rtl_tests/lib"):
        shutil.copytree(ROOT / folder, target / folder, ignore=ignored)
    for name in ("pyproject.toml", "rtl_tests/conftest.py"):
        shutil.copy(ROOT / name, target / name)
    added = [p for p in (HERE / "peak").rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    assert len(added) == 4
    for path in added:
        place = target / path.relative_to(HERE / "peak")
        assert not place.exists(), f"{place} would be changed, not added"
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)
    package = target / "path" / "exeunt"
    package.mkdir(parents=True)
    for path in (target / "python" / "exeunt").iterdir():
        (package / path.name).symlink_to(path)
    for name in ("quant", "hls"):
        (package / name).symlink_to(target / name)
    return {**os.environ, "PYTHONPATH": str(target / "path"), "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.mark.sim
def test_a_new_criterion_is_four_files(tmp_path: Path):
    """Added to a copy of the tree it is known to the config, trained for, calibrated, compiled,
    simulated bit for bit and cycle for cycle, in the registers and in the report."""
    environment = overlay(tmp_path / "tree")

    def python(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path / "tree", env=environment, text=True,
            capture_output=True,
        )  # fmt: skip
        assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
        return done.stdout

    told = json.loads(python(str(HERE / "trial.py"), str(tmp_path / "run")).splitlines()[-1])
    assert told.pop("names") == [*criteria.names(), "peak"]
    assert min(told.pop("left")) > 10, "images must leave at every exit, or this shows little"
    assert told == {
        "calibrated": [True] * 4,
        "wrong": 0,
        "error": 0.0,
        "as_the_default": False,
        "processor": [True, True],
        "manifest": ["peak"] * 3,
        "registers": [15, 15],
        "register": f"{criteria.text()}; 15: peak, the largest logit",
        "report": True,
        "sources": ["rtl/ex_peak.sv"],
    }
    python("-m", "pytest", "-q", "-p", "no:cacheprovider", "rtl_tests/peak")
