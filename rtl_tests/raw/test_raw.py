"""`ex_raw` against its reference."""

import pytest
from lib.bench import run_bench
from raw.corners import CORNERS


@pytest.mark.sim
def test_raw() -> None:
    run_bench("raw", CORNERS, "raw.raw_cocotb")
