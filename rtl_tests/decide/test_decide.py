"""`ex_decide` against its reference."""

import pytest
from decide.corners import CORNERS
from lib.bench import run_bench


@pytest.mark.sim
def test_decide() -> None:
    run_bench("decide", CORNERS, "decide.decide_cocotb")
