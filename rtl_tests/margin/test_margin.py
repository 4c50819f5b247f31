"""`ex_margin` against its criterion."""

import pytest
from lib.score_block import check
from margin.corners import CORNERS


@pytest.mark.sim
def test_margin() -> None:
    check("margin", CORNERS)
