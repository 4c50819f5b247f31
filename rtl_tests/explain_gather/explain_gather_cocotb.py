"""cocotb tests of `ex_explain_gather`: every word, its address and the cycle of its write."""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np
from lib.bench import Corner, bench_corners
from lib.observer import Beats, Written
from lib.patterns import gaps
from lib.stream_block import salt
from lib.streams import Cycles, compare

from exeunt.explain.store import GROUP, Gather, packed, words

FRAMES = 3


class Line:
    """One corner."""

    def __init__(self, dut: Any, index: int, corner: Corner, cycles: Cycles) -> None:
        self.name, self.salt = corner.name, salt(corner)
        assert isinstance(corner.data, Gather)
        self.gather = corner.data

        def port(name: str) -> Any:
            return getattr(dut, f"u{index}_{name}")

        width = self.gather.lanes * self.gather.bits
        self.beats = Beats(port("take"), [(port("s_data"), width)], cycles, index)
        handles = [port(k) for k in ("w_last", "w_address", "w_data")]
        self.written = Written(port("w_valid"), handles, cycles)

    def start(self, first: int, frames: int, idle: float, seed: int) -> None:
        """So many frames from cycle `first` on."""
        gather, rng = self.gather, np.random.default_rng(seed + self.salt)
        values = rng.integers(0, 1 << gather.bits, (frames, *gather.shape))
        beats = packed(values.reshape(-1, gather.lanes), gather.bits)
        when = first + gaps(len(beats), idle, 5, seed + self.salt)
        self.written.clear()
        self.beats.start(beats, when.tolist())
        found = words(values).reshape(-1, gather.lanes_of_word)
        wide = packed(found, gather.bits)
        size = gather.words // gather.wide
        self.rows = []
        for k in range(len(wide) // gather.wide):
            word = sum(
                w << (i * gather.width)
                for i, w in enumerate(wide[k * gather.wide : (k + 1) * gather.wide])
            )
            self.rows.append((int(k % size == size - 1), k % size, word))
        self.when = gather.writes(when)

    def check(self, what: str) -> None:
        """Rows and cycles."""
        for k, name in enumerate(("last", "address", "word")):
            compare(f"{self.name}: {what}: {name}", [r[k] for r in self.written.rows],
                    [r[k] for r in self.rows], len(self.rows) // FRAMES)  # fmt: skip
        compare(f"{self.name}: {what}: cycle", self.written.when, self.when.tolist())


@cocotb.test()
async def gathers(dut: Any) -> None:
    """Beats in every cycle and with pauses: words, addresses and cycles."""
    cycles = Cycles(dut.clk, dut.rst)
    lines = [Line(dut, i, c, cycles) for i, c in enumerate(bench_corners())]
    await cycles.reset()
    for run, idle in enumerate((0.0, 0.0, 0.3, 0.7)):
        for line in lines:
            line.start(cycles.now + 3, FRAMES, idle, run)
        await cycles.until(lambda: all(x.beats.done for x in lines), 9000, f"run {run}")
        await cycles.wait(6)
        for line in lines:
            line.check(f"idle {idle}")
    assert any(x.gather.lanes > GROUP for x in lines), "no corner writes several words at once"


@cocotb.test()
async def reset_in_mid_frame(dut: Any) -> None:
    """Wherever a reset comes, the next beat is the first of a frame."""
    cycles = Cycles(dut.clk, dut.rst)
    lines = [Line(dut, i, c, cycles) for i, c in enumerate(bench_corners())]
    await cycles.reset()
    for run, pause in enumerate((3, 4, 5, 6, 7, 11, 18)):
        for line in lines:
            line.start(cycles.now + 2, FRAMES, 0.1, run)
        await cycles.wait(pause)
        for line in lines:
            line.beats.start([], [])
        await cycles.reset()
        for line in lines:
            line.start(cycles.now + 2, FRAMES, 0.0, run)
        await cycles.until(lambda: all(x.beats.done for x in lines), 9000, f"run {run}")
        await cycles.wait(6)
        for line in lines:
            line.check(f"behind a reset at {pause}")
