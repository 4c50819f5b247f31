"""`ex_hold` against its integer reference."""

import pytest
from hold.corners import CORNERS
from lib.bench import run_bench


@pytest.mark.sim
def test_hold() -> None:
    run_bench("hold", CORNERS, "hold.hold_cocotb")
