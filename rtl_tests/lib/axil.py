"""A master of AXI4-Lite, which is somebody else's: its signals keep cocotb's types."""

from __future__ import annotations

from typing import Any

from cocotbext.axi import AxiLiteBus, AxiLiteMaster
from lib.quick import typed


def master(dut: Any, prefix: str) -> AxiLiteMaster:
    """Of the port of a bench with that prefix, by `clk` and `rst`."""
    bus = AxiLiteBus.from_prefix(dut, prefix)
    for channel in (bus.write.aw, bus.write.w, bus.write.b, bus.read.ar, bus.read.r):
        for signal in channel._signals.values():
            typed(signal)
    return AxiLiteMaster(bus, dut.clk, dut.rst)
