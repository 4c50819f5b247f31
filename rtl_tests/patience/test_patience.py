"""`ex_patience` against its criterion."""

import pytest
from lib.carry_block import check
from patience.corners import CORNERS


@pytest.mark.sim
def test_patience() -> None:
    check("patience", CORNERS)
