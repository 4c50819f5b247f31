"""`ex_rules` against its reference."""

import pytest
from lib.bench import run_bench
from rules.corners import IN_ORDER, LOOKS


@pytest.mark.sim
def test_rules() -> None:
    run_bench("rules", IN_ORDER, "rules.rules_cocotb")


@pytest.mark.sim
def test_looks() -> None:
    run_bench("rules_looks", LOOKS, "rules.looks_cocotb")
