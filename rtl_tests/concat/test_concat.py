"""`ex_concat` against its reference."""

import pytest
from concat.corners import CORNERS, full_grid
from lib.bench import check_stream_block


@pytest.mark.sim
def test_concat() -> None:
    check_stream_block("concat", CORNERS)


@pytest.mark.sim
@pytest.mark.slow
def test_concat_full_grid() -> None:
    check_stream_block("concat_grid", full_grid(), seed=2)
