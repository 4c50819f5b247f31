"""`ex_width` against its reference."""

import pytest
from lib.bench import check_stream_block
from width.corners import CORNERS, full_grid


@pytest.mark.sim
def test_width() -> None:
    check_stream_block("width", CORNERS)


@pytest.mark.sim
@pytest.mark.slow
def test_width_full_grid() -> None:
    check_stream_block("width_grid", full_grid(), seed=2)
