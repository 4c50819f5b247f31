"""`ex_fork` against its reference."""

import pytest
from fork.corners import CORNERS
from lib.bench import run_bench


@pytest.mark.sim
def test_fork() -> None:
    run_bench("fork", CORNERS, "fork.fork_cocotb")
