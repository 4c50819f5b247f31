"""`ex_pool` against its reference."""

import pytest
from lib.bench import check_stream_block
from pool.corners import CORNERS, full_grid


@pytest.mark.sim
def test_pool() -> None:
    check_stream_block("pool", CORNERS)


@pytest.mark.sim
@pytest.mark.slow
def test_pool_full_grid() -> None:
    check_stream_block("pool_grid", full_grid(), seed=2)
