"""`ex_explain_pool` against `exeunt.explain.context`."""

import pytest
from explain_pool.corners import CORNERS
from lib.bench import run_bench


@pytest.mark.sim
def test_explain_pool() -> None:
    run_bench("explain_pool", CORNERS, "explain_pool.explain_pool_cocotb")
