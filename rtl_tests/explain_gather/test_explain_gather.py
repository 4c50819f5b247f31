"""`ex_explain_gather` against its reference."""

import pytest
from explain_gather.corners import CORNERS
from lib.bench import run_bench


@pytest.mark.sim
def test_explain_gather() -> None:
    run_bench("explain_gather", CORNERS, "explain_gather.explain_gather_cocotb")
