"""`ex_explain_encode` against its reference."""

import pytest
from explain_encode.corners import CORNERS
from lib.bench import run_bench


@pytest.mark.sim
def test_explain_encode() -> None:
    run_bench("explain_encode", CORNERS, "explain_encode.explain_encode_cocotb")
