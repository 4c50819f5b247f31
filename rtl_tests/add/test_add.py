"""`ex_add` against its reference."""

import pytest
from add.corners import CORNERS, full_grid
from lib.bench import check_stream_block


@pytest.mark.sim
def test_add() -> None:
    check_stream_block("add", CORNERS)


@pytest.mark.sim
@pytest.mark.slow
def test_add_full_grid() -> None:
    check_stream_block("add_grid", full_grid(), seed=2)
