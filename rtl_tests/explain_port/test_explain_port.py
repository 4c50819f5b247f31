"""`ex_explain_port` against its reference."""

import pytest
from explain_port.corners import CORNERS
from lib.bench import run_bench


@pytest.mark.sim
def test_explain_port() -> None:
    run_bench("explain_port", CORNERS, "explain_port.explain_port_cocotb")
