"""`ex_maximum` against its criterion."""

import pytest
from maximum.corners import CORNERS
from lib.score_block import check


@pytest.mark.sim
def test_maximum() -> None:
    check("maximum", CORNERS)
