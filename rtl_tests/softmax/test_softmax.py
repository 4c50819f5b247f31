"""`ex_softmax` against its criterion."""

import pytest
from softmax.corners import CORNERS
from lib.score_block import check


@pytest.mark.sim
def test_softmax() -> None:
    check("softmax", CORNERS)
