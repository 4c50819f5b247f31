"""`ex_explain` against its reference."""

import dataclasses
from pathlib import Path

import pytest
from explain import bulk
from explain.corners import CORNERS
from explain.engines import case
from lib.bench import run_bench

from exeunt.explain.program import METHODS


@pytest.mark.sim
def test_explain() -> None:
    run_bench("explain", CORNERS, "explain.explain_cocotb")


@pytest.mark.sim
def test_bulk_finds_what_differs(tmp_path: Path) -> None:
    """No word and no cycle of any method and exit; with other weights, some."""
    made = case("three exits", METHODS, 8, 4, 0.02)
    program = bulk.build(made.engine, tmp_path)
    for key, frames in made.contexts.items():
        steps = made.programs[key]
        found = bulk.check(program, made.engine, key, steps, frames)
        assert (found.packets, found.words, found.accesses) == (0, 0, False)
        assert bulk.check(program, made.engine, key, steps, frames, stall=40).packets == 0
    other = dict(made.engine.tables)
    other["WEIGHT_FILE"] = [word ^ 1 for word in other["WEIGHT_FILE"]]
    program = bulk.build(dataclasses.replace(made.engine, tables=other), tmp_path / "other")
    key = ("saliency", 2)
    wrong = bulk.check(program, made.engine, key, made.programs[key], made.contexts[key])
    assert wrong.packets > 0
    assert wrong.accesses
