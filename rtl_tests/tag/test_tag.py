"""`ex_tag` against a model of its contract."""

import pytest
from lib.bench import run_bench
from tag.corners import CORNERS


@pytest.mark.sim
def test_tag() -> None:
    run_bench("tag", CORNERS, "tag.tag_cocotb")
