"""`ex_explain_slots` against its reference."""

import pytest
from explain_slots.corners import CORNERS
from lib.bench import run_bench


@pytest.mark.sim
def test_explain_slots() -> None:
    run_bench("explain_slots", CORNERS, "explain_slots.explain_slots_cocotb")
