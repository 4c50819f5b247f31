"""`ex_explain_store` against a table."""

import pytest
from explain_store.corners import CORNERS
from lib.bench import run_bench


@pytest.mark.sim
def test_explain_store() -> None:
    run_bench("explain_store", CORNERS, "explain_store.explain_store_cocotb")
