"""`ex_maximum` against its criterion."""

import pytest
from lib.score_block import check
from maximum.corners import CORNERS


@pytest.mark.sim
def test_maximum() -> None:
    check("maximum", CORNERS)
