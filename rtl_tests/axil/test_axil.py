"""`ex_axil` against a small memory behind its register bus, driven by an AXI-Lite master."""

import pytest
from axil.corners import CORNERS
from lib.bench import run_bench


@pytest.mark.sim
def test_axil() -> None:
    run_bench("axil", CORNERS, "axil.axil_cocotb")
