"""`ex_peak` against its criterion."""

import pytest
from lib.score_block import check
from peak.corners import CORNERS


@pytest.mark.sim
def test_peak() -> None:
    check("peak", CORNERS)
