"""`ex_look_buffer` against its reference."""

import pytest
from lib.bench import run_bench
from look_buffer.corners import CORNERS


@pytest.mark.sim
def test_look_buffer() -> None:
    run_bench("look_buffer", CORNERS, "look_buffer.look_buffer_cocotb")
