"""`ex_rules` against its reference."""

import pytest
from lib.bench import run_bench
from rules.corners import CORNERS


@pytest.mark.sim
def test_rules() -> None:
    run_bench("rules", CORNERS, "rules.rules_cocotb")
