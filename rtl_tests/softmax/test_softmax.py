"""`ex_softmax` against its criterion."""

import pytest
from lib.score_block import check
from softmax.corners import CORNERS


@pytest.mark.sim
def test_softmax() -> None:
    check("softmax", CORNERS)
