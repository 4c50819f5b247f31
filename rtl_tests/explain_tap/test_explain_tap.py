"""`ex_explain_tap`: context words from a stream to a read port."""

import pytest
from explain_tap.corners import CORNERS
from lib.bench import run_bench


@pytest.mark.sim
def test_explain_tap() -> None:
    run_bench("explain_tap", CORNERS, "explain_tap.explain_tap_cocotb")
