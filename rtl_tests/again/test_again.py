"""`ex_again` against what its header says."""

import pytest
from again.corners import CORNERS
from lib.bench import run_bench


@pytest.mark.sim
def test_again() -> None:
    run_bench("again", CORNERS, "again.again_cocotb")
