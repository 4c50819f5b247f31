"""Every deliberate fault can still be put in; what the runner makes of a small tree of its own."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import mutants
import pytest
from faults import MUTANTS, Mutant
from lib import blocks

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: f"{Path(m.file).name}:{m.new}")
def test_place_and_test_are_there(mutant: Mutant):
    assert (ROOT / mutant.file).read_text().count(mutant.old) == 1, f"{mutant.file}: {mutant.old}"
    file, _, name = mutant.test.partition("::")
    assert (ROOT / file).exists(), file  # a folder: all its tests
    if name:
        assert f"def {name.partition('[')[0]}(" in (ROOT / file).read_text(), mutant.test
    if mutant.corners not in ("fast", "all"):
        known = {c.name for c in blocks.corners()[Path(file).parts[1]]}
        assert set(mutant.corners.split(",")) <= known, f"{mutant.corners}: take some of {known}"


def test_no_mutant_is_there_twice():
    assert len({(m.file, m.old, m.new) for m in MUTANTS}) == len(MUTANTS)
    assert [m for m in MUTANTS if m.old == m.new] == []


TREE = {
    "hls/sum.py": "def total(a, b):\n    return a + b\n",
    "rtl_tests/test_sum.py": """
import os, pathlib, runpy
SUM = runpy.run_path("hls/sum.py")["total"]

def test_sum():
    assert SUM(1, 2) == 3

def test_corners():
    assert os.environ["CORNERS"] == "left,right"
    assert SUM(1, 2) == 3

def test_nothing():
    assert SUM(0, 0) == 0

def test_sick():
    assert SUM(1, 1) == 3
""",
}
TEST = "rtl_tests/test_sum.py::test_"
WRONG = ("hls/sum.py", "a + b", "a - b")
SMALL = {
    "caught": Mutant(*WRONG, f"{TEST}sum"),
    "caught with corners": Mutant(*WRONG, f"{TEST}corners", corners="left,right"),
    "survived": Mutant(*WRONG, f"{TEST}nothing"),
    "sick": Mutant(*WRONG, f"{TEST}sick"),
    "no such text": Mutant("hls/sum.py", "a * b", "a - b", f"{TEST}sum"),
    "no such file": Mutant("hls/difference.py", "a", "b", f"{TEST}sum"),
    "does not build": Mutant("hls/sum.py", "a + b", "a +", f"{TEST}sum"),
}


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # it starts sooner
    for name, text in TREE.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_what_becomes_of_a_mutant(tree: Path, capsys: pytest.CaptureFixture[str]):
    outcomes = mutants.attempt_all(list(SMALL.values()), tree)
    found = {name: o.why for name, o in zip(SMALL, outcomes, strict=True)}
    assert found.pop("sick").startswith("without it the test fails too: ")
    assert "No such file or directory" in found.pop("no such file")
    assert found == {
        "caught": "",
        "caught with corners": "",
        "survived": "the test passes",
        "no such text": "'a * b' must occur once in hls/sum.py, got 0",
        "does not build": "it does not build",
    }
    assert {name: (tree / name).read_text() for name in TREE} == TREE
    capsys.readouterr()
    assert mutants.report(outcomes, float("inf")) == 1
    table = capsys.readouterr().out
    assert "sum.py: a + b -> a - b" in table
    assert "SURVIVED: the test passes" in table
    assert table.endswith("mutants: 2 of 7 caught\n")
    assert mutants.report(outcomes[:2], float("inf")) == 0


def test_a_test_without_end_is_no_answer(tree: Path):
    hangs = tree / "rtl_tests" / "test_hangs.py"
    hangs.write_text("import os, time\nos.fork()\ntime.sleep(600)\n")
    mutant = Mutant(*WRONG, "rtl_tests/test_hangs.py")
    begun = time.monotonic()
    ended = mutants.Copy(tree, tree / "copy").run(mutant, 1.5)
    assert time.monotonic() - begun < 60, "a child of the test was waited for"
    assert ended == (-1, "no end after 1.5 s")
    assert mutants.judge(mutant, *ended) == "no end after 1.5 s"
    assert mutants.judge(dataclasses.replace(mutant, hangs=True), *ended) == ""


def test_the_whole_has_a_time_limit(tree: Path, capsys: pytest.CaptureFixture[str]):
    begun = time.monotonic()
    outcomes = mutants.attempt_all([SMALL["caught"]], tree, minutes=0.0)
    assert [o.why for o in outcomes] == ["not tried"]
    assert time.monotonic() - begun < 2
    assert mutants.report(outcomes, 8.0) == 1
    assert (
        "mutants: all must be tried within 8 minutes, got 1 of 1 left: give more with --minutes, "
        "or make a test faster"
    ) in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["ex_nothing"],
            "files must be part of a file name with a fault, got 'ex_nothing': see --list",
        ),
        (["--minutes", "0"], "workers and minutes must be above 0, got 2 and 0"),
        (["--workers", "0"], "workers and minutes must be above 0, got 0 and inf"),
    ],
)
def test_bad_arguments(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as caught:
        mutants.main(arguments)
    assert caught.value.code == 2
    assert said in capsys.readouterr().err


def test_faults_are_listed(capsys: pytest.CaptureFixture[str]):
    assert mutants.main(["ex_fifo", "--list"]) == 0
    assert capsys.readouterr().out.startswith("hls/rtl/ex_fifo.sv: ")
