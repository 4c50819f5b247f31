"""`ex_explain_choose` against its reference."""

import pytest
from explain_choose.corners import CORNERS
from lib.bench import run_bench


@pytest.mark.sim
def test_explain_choose() -> None:
    run_bench("explain_choose", CORNERS, "explain_choose.explain_choose_cocotb")
