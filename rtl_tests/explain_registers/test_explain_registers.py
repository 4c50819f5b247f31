"""`ex_explain_registers` against the register map."""

import pytest
from explain_registers.corners import CORNERS
from lib.bench import run_bench


@pytest.mark.sim
def test_explain_registers() -> None:
    run_bench("explain_registers", CORNERS, "explain_registers.explain_registers_cocotb")
