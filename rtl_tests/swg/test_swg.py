"""`ex_swg` and `ex_swg_parallel` against their reference."""

import pytest
from lib.bench import check_stream_block
from swg.corners import CORNERS, full_grid

PARTS = 6


@pytest.mark.sim
def test_swg() -> None:
    check_stream_block("swg", CORNERS)


@pytest.mark.sim
@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_swg_full_grid(part: int) -> None:
    check_stream_block(f"swg_grid_{part}", full_grid(part, PARTS), seed=2 + part)
