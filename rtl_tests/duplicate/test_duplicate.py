"""`ex_duplicate` against its reference."""

import pytest
from duplicate.corners import CORNERS
from lib.bench import check_stream_block


@pytest.mark.sim
def test_duplicate() -> None:
    check_stream_block("duplicate", CORNERS)
