"""cocotb test of the shell before its first clock edge; all registers begin at 0."""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.triggers import Timer, ValueChange


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def line_is_idle(dut: Any) -> None:
    """tx is high without a clock, through the reset, and after it: a low level is a start bit."""
    dut.clk.value, dut.rst.value, dut.rx.value = 0, 0, 1
    lows: list[str] = []

    async def watch() -> None:
        while True:
            await ValueChange(dut.tx)
            lows.append(f"tx is {dut.tx.value}")

    await Timer(1, "ns")
    assert int(dut.tx.value) == 1, "the line is low at power-up"
    cocotb.start_soon(watch())
    for rst, count in ((0, 3), (1, 5), (0, 400)):
        dut.rst.value = rst
        for _ in range(count):
            dut.clk.value = 1
            await Timer(5, "ns")
            dut.clk.value = 0
            await Timer(5, "ns")
            assert int(dut.tx.value) == 1, f"the line is low with rst {rst}"
    assert not lows, lows
