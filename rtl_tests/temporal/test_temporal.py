"""`ex_temporal` against its criterion."""

import pytest
from lib.score_block import check
from temporal.corners import CORNERS


@pytest.mark.sim
def test_temporal() -> None:
    check("temporal", CORNERS)
