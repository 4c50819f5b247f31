"""`ex_looks` against its reference."""

import pytest
from lib.bench import run_bench
from looks.corners import CORNERS


@pytest.mark.sim
def test_looks() -> None:
    run_bench("looks", CORNERS, "looks.looks_cocotb")
