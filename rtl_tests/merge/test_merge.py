"""`ex_merge` against its reference."""

import pytest
from lib.bench import run_bench
from merge.corners import CORNERS


@pytest.mark.sim
def test_merge() -> None:
    run_bench("merge", CORNERS, "merge.merge_cocotb")
