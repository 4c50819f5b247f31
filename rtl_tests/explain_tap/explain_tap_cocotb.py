"""cocotb tests of `ex_explain_tap`: what frames with a slot leave in it, and nothing of others."""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np
from lib.bench import Corner, bench_corners
from lib.observer import Beats
from lib.patterns import gaps
from lib.stream_block import salt
from lib.streams import Cycles

from exeunt.explain.store import Gather, packed, words

FRAMES = 4  # one behind the other


class Line:
    """One corner."""

    def __init__(self, dut: Any, index: int, corner: Corner, cycles: Cycles) -> None:
        self.name = corner.name
        self.gather: Gather
        self.gather, self.slots = corner.data
        self.rng = np.random.default_rng(salt(corner))

        def port(name: str) -> Any:
            return getattr(dut, f"u{index}_{name}")

        slot = max(1, (self.slots - 1).bit_length())
        told = [(port("pass_kept"), 1), (port("pass_slot"), slot)]
        self.passes = Beats(port("pass"), told, cycles, index)
        width = self.gather.lanes * self.gather.bits
        self.beats = Beats(port("take"), [(port("s_data"), width)], cycles, index + 50)
        self.read = {k: port(k) for k in ("r_valid", "r_slot", "r_address", "r_data")}
        self.clear()

    def clear(self) -> None:
        """What is in the slots is not known."""
        self.known: dict[int, list[int]] = {}
        for name in ("r_valid", "r_slot", "r_address"):
            self.read[name].value = 0

    def start(self, first: int, idle: float) -> None:
        """Frames from cycle `first` on, told of before or while those in front of them pass."""
        gather, rng = self.gather, self.rng
        values = rng.integers(0, 1 << gather.bits, (FRAMES, *gather.shape))
        beats = packed(values.reshape(-1, gather.lanes), gather.bits)
        per = len(beats) // FRAMES
        when = first + gaps(len(beats), idle, 4, int(rng.integers(1000)))
        kept, slots = rng.random(FRAMES) < 0.6, rng.integers(0, self.slots, FRAMES)
        starts = when[::per]
        early = np.maximum(starts - rng.integers(1, 9, FRAMES), first - FRAMES)
        told = np.maximum.accumulate(early + np.arange(FRAMES)) - np.arange(FRAMES)
        told = np.minimum(told + np.arange(FRAMES), starts - 1)
        for k in range(FRAMES - 2, -1, -1):  # one a cycle
            told[k] = min(told[k], told[k + 1] - 1)
        rows = [int(a) | int(b) << 1 for a, b in zip(kept, slots, strict=True)]
        self.passes.start(rows, told.tolist())
        self.beats.start(beats, when.tolist())
        found = words(values)
        for k in range(FRAMES):
            if kept[k]:
                self.known[int(slots[k])] = packed(found[k], gather.bits)

    async def check(self, cycles: Cycles) -> None:
        """Every word of every slot that is known."""
        for slot, row in self.known.items():
            for address, want in enumerate(row):
                self.read["r_valid"].value = 1
                self.read["r_slot"].value = slot
                self.read["r_address"].value = address
                await cycles.wait(2)
                got = int(self.read["r_data"].value)
                assert got == want, (
                    f"{self.name}: slot {slot} word {address}: got {got:#x}, expected {want:#x}"
                )
        self.read["r_valid"].value = 0


@cocotb.test()
async def keeps(dut: Any) -> None:
    """Frames with and without slots, one behind the other; in the end a reset between."""
    cycles = Cycles(dut.clk, dut.rst)
    lines = [Line(dut, i, c, cycles) for i, c in enumerate(bench_corners())]
    await cycles.reset()
    for run, idle in enumerate((0.0, 0.3, 0.0, 0.5, 0.0, 0.0)):
        if run == 4:  # somewhere in the frames
            for line in lines:
                line.start(cycles.now + 8, 0.2)
            await cycles.wait(21)
            for line in lines:
                line.passes.start([], [])
                line.beats.start([], [])
                line.clear()
            await cycles.reset()
        for line in lines:
            line.start(cycles.now + 8, idle)
        await cycles.until(lambda: all(x.beats.done for x in lines), 9000, f"run {run}")
        await cycles.wait(3)
        for line in lines:
            await line.check(cycles)
    assert all(line.known for line in lines), "nothing was kept"
