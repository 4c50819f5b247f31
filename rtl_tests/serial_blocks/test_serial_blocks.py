"""The blocks of the serial shell by themselves."""

import pytest
from lib.bench import SHELL, run_bench
from serial_blocks.corners import CORNERS


@pytest.mark.sim
def test_serial_blocks() -> None:
    modules = ("serial_blocks_cocotb", "map_ring_cocotb", "packet_tx_cocotb")
    run_bench("serial_blocks", CORNERS, ",".join(f"serial_blocks.{name}" for name in modules))


def test_every_block_has_a_corner() -> None:
    tested = {c.module for c in CORNERS}
    assert tested | {"ex_serial_shell"} == {p.stem for p in SHELL.glob("*.sv")}
