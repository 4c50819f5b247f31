"""`ex_frame_buffer` against its reference."""

import pytest
from frame_buffer.corners import CORNERS
from lib.bench import run_bench


@pytest.mark.sim
def test_frame_buffer() -> None:
    run_bench("frame_buffer", CORNERS, "frame_buffer.frame_buffer_cocotb")
