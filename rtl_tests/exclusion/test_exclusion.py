"""`ex_exclusion` against its criterion."""

import pytest
from exclusion.corners import CORNERS
from lib.carry_block import check


@pytest.mark.sim
def test_exclusion() -> None:
    check("exclusion", CORNERS)
