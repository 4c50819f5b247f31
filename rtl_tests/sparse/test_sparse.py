"""Scheduled matrix-vector units against their reference."""

import pytest
from lib.bench import check_stream_block
from sparse.corners import CORNERS, full_grid


@pytest.mark.sim
def test_sparse() -> None:
    check_stream_block("sparse", CORNERS)


@pytest.mark.sim
@pytest.mark.slow
def test_sparse_full_grid() -> None:
    check_stream_block("sparse_full", full_grid(), frames=2)
