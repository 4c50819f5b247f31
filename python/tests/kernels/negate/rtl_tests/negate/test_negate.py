"""`ex_negate` against its reference."""

import pytest
from lib.bench import check_stream_block
from negate.corners import CORNERS


@pytest.mark.sim
def test_negate() -> None:
    check_stream_block("negate", CORNERS)
