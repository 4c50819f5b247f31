"""A criterion is one room: nothing else knows its name, and a new one is four files."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from types import ModuleType

import pytest

from exeunt import criteria, registers
from exeunt.config import tree
from exeunt.errors import InputError

ROOT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).parent
HOMONYMS = {
    # the objective of an explanation: what a heat map explains, not when a frame leaves
    "margin": {
        "python/exeunt/config/compress.py",
        "quant/attribution/_passes.py",
        "quant/attribution/methods.py",
        "quant/compress/choice.py",
    }
}


def naming(name: str) -> str:
    """What matches where a criterion is named as one: its module, its block, its name in quotes."""
    return rf"\bex_{name}\b|\bcriteria\.{name}\b|criteria import .*\b{name}\b|[\"']{name}[\"']"


@pytest.mark.parametrize("name", criteria.names())
def test_nothing_outside_its_room_names_a_criterion(name: str, rooms: ModuleType):
    room = {f"python/exeunt/criteria/{name}.py", f"hls/rtl/ex_{name}.sv"}
    assert rooms.files_with(naming(name)) - HOMONYMS.get(name, set()) == room
    assert (ROOT / "rtl_tests" / name / "corners.py").is_file()


def test_a_name_elsewhere_is_found(tmp_path: Path, rooms: ModuleType):
    (tmp_path / "quant").mkdir()
    (tmp_path / "quant" / "a.py").write_text('KIND = "margin"\n')
    (tmp_path / "quant" / "b.py").write_text("from exeunt.criteria import margin\n")
    (tmp_path / "quant" / "c.py").write_text("margin = 3\n")
    assert rooms.files_with(naming("margin"), tmp_path) == {"quant/a.py", "quant/b.py"}


def test_whoever_decides_says_by_which_criterion():
    """The defaults are for tests: a caller that forgets the criterion, or the scales that some
    criteria need, would be wrong for others."""
    asked = {"controller.decide", "calibrate_exits", "scores", "scores_of", "leave", "OnnxRuntime"}
    asked.add("measure.Subject")
    silent, seen, homonym = [], 0, "quant/compress/criteria.py"  # scores of filters
    for folder in ("python/exeunt", "quant"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if path == ROOT / homonym:
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and ast.unparse(node.func) in asked:
                    seen += 1
                    if not all(word in ast.unparse(node) for word in ("criterion", "scales")):
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


@pytest.mark.sim
def test_a_new_criterion_is_four_files(tmp_path: Path, rooms: ModuleType):
    """Added to a copy of the tree it is known to the config, trained for, calibrated, compiled,
    simulated bit for bit and cycle for cycle, in the registers and in the report."""
    python = rooms.copy_with(HERE / "peak", tmp_path / "tree").python
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
        "memories": {f"rtl/score{i}_bonus.hex": f"{n}\n" for i, n in enumerate(("20", "0c", "04"))},
    }
    python("-m", "pytest", "-q", "-p", "no:cacheprovider", "rtl_tests/peak")
