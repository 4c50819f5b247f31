"""cocotb tests of `ex_explain_store`: what was written in a slot is read from it, a cycle later."""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge
from lib.bench import Corner, bench_corners
from lib.streams import start_clock

ROUNDS = 1500


class Line:
    """One corner: a model of its memory, and what is read."""

    def __init__(self, dut: Any, index: int, corner: Corner) -> None:
        self.name = corner.name
        self.width, self.words, self.slots, self.wide = (
            int(corner.parameters[k]) for k in ("WIDTH", "WORDS", "SLOTS", "WIDE")
        )
        self.port = {p.name: getattr(dut, f"u{index}_{p.name}") for p in corner.ports}
        self.rng = np.random.default_rng(index)
        self.memory: dict[tuple[int, int], int] = {}
        self.expected: int | None = None  # of r_data, from now on; None: anything
        self.reads = 0

    def value(self, bits: int) -> int:
        """Any number of so many bits."""
        return int.from_bytes(self.rng.bytes((bits + 7) // 8), "little") & ((1 << bits) - 1)

    def drive(self, write: bool, read: bool) -> None:
        """Inputs of the next cycle; a slot is not read at a word that is written."""
        rng, port = self.rng, self.port
        w_slot, r_slot = (int(rng.integers(self.slots)) for _ in range(2))
        row, word = int(rng.integers(self.words // self.wide)), int(rng.integers(self.words))
        data = self.value(self.wide * self.width)
        if write and read and (w_slot, row) == (r_slot, word // self.wide):
            read = False
        for name, value in (("w_valid", write), ("w_slot", w_slot), ("w_address", row),
                            ("w_data", data), ("r_valid", read), ("r_slot", r_slot),
                            ("r_address", word)):  # fmt: skip
            port[name].value = int(value)
        if read:
            self.expected = self.memory.get((r_slot, word))
            self.reads += self.expected is not None
        if write:
            for k in range(self.wide):
                part = data >> (k * self.width) & ((1 << self.width) - 1)
                self.memory[w_slot, row * self.wide + k] = part

    def check(self, cycle: int) -> None:
        """What is read, also as long as nothing else is."""
        if self.expected is not None:
            got = int(self.port["r_data"].value)
            assert got == self.expected, (
                f"{self.name}: cycle {cycle}: got {got:#x}, expected {self.expected:#x}"
            )


@cocotb.test()
async def keeps(dut: Any) -> None:
    """Writes and reads in any cycles, of any slots."""
    edge: RisingEdge = start_clock(dut.clk)
    lines = [Line(dut, i, c) for i, c in enumerate(bench_corners())]
    rng = np.random.default_rng(0)
    for line in lines:
        line.drive(write=False, read=False)
    await edge
    for cycle in range(ROUNDS):
        before = [line.expected for line in lines]
        for line in lines:
            line.drive(write=bool(rng.random() < 0.5), read=bool(rng.random() < 0.5))
        driven = [line.expected for line in lines]
        await edge  # ends the cycle before that of these inputs: what was read then stands there
        for line, old, new in zip(lines, before, driven, strict=True):
            line.expected = old
            line.check(cycle)
            line.expected = new
    assert all(line.reads > 50 for line in lines), "too few reads of words that were written"
