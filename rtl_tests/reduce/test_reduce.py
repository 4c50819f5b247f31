"""`ex_reduce` against its reference."""

import pytest
from lib.bench import check_stream_block
from reduce.corners import CORNERS, full_grid


@pytest.mark.sim
def test_reduce() -> None:
    check_stream_block("reduce", CORNERS)


@pytest.mark.sim
@pytest.mark.slow
def test_reduce_full_grid() -> None:
    check_stream_block("reduce_grid", full_grid(), seed=2)
