"""cocotb tests of `m_edge`: beside every word its bits, in the cycles of a kernel without it."""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np
from edges.corners import mask_of
from lib.bench import Corner, bench_corners
from lib.handles import Joined, from_cycles, stream
from lib.patterns import gaps
from lib.stream_block import bit_strings, random_values, salt
from lib.streams import Cycles, StreamSink, StreamSource, compare

from exeunt.graph import Integer, Stream
from exeunt.kernels import registry

FRAMES = 2


class Line:
    """One corner."""

    def __init__(self, dut: Any, index: int, corner: Corner, cycles: Cycles) -> None:
        self.corner = corner
        assert corner.node is not None
        self.node = corner.node
        width = self.node.output.width

        def port(name: str) -> Any:
            return getattr(dut, f"u{index}_{name}")

        self.source = StreamSource(
            stream(port("s_valid"), port("s_ready"), port("s_data")), "x", cycles
        )
        both = Joined((port("m_data"), width), (port("m_edge"), self.node.output.lanes))
        self.sink = StreamSink(stream(port("m_valid"), port("m_ready"), both), "x", cycles)
        x = random_values(self.node.input, FRAMES, 7 + salt(corner))
        if self.node.kind == "threshold":  # right at the edges
            rng, dtype = np.random.default_rng(index), self.node.input.dtype
            shape = x.shape[1:]
            which = rng.integers(0, 2, shape)
            at = np.where(which, corner.data[:, 1], corner.data[:, 0]) - rng.integers(0, 2, shape)
            x[1] = at.clip(dtype.min, dtype.max)
        out = self.node.output
        (y,) = registry.computed(self.node, corner.arrays, [x])
        mask = mask_of(corner, x)
        self.sent = [int(w, 2) for w in bit_strings(self.node.input, x)]
        bits = bit_strings(Stream(out.shape, Integer(1), out.lanes), mask.astype(np.int64))
        self.wanted = [int(m + w, 2) for m, w in zip(bits, bit_strings(out, y), strict=True)]
        self.share = float(mask.mean())

    def start(self, base: int, idle: float, stall: float, seed: int) -> None:
        """Sends all, with pauses; `times` says when what moves."""
        offered = gaps(len(self.sent), idle, 4, seed + salt(self.corner))
        ready = gaps(len(self.wanted), stall, 5, seed + 1 + salt(self.corner))
        self.source.takes.clear()
        self.sink.clear()
        self.source.idle = from_cycles(self._cycles, (base + offered).tolist(), self.source.takes)
        self.sink.stall = from_cycles(self._cycles, (base + ready).tolist(), self.sink.gives)
        self.source.send(self.sent)
        takes, gives, _ = registry.transfers(self.node, None, [base + offered], [base + ready])
        self.takes, self.gives = takes[0], gives[0]

    _cycles: Cycles


def lines_of(dut: Any) -> tuple[Cycles, list[Line]]:
    """All corners under one clock."""
    cycles = Cycles(dut.clk, dut.rst)
    Line._cycles = cycles
    return cycles, [Line(dut, i, c, cycles) for i, c in enumerate(bench_corners())]


@cocotb.test()
async def edges(dut: Any) -> None:
    """Words, bits and cycles, idles x stalls; in some corners both bits occur."""
    cycles, lines = lines_of(dut)
    await cycles.reset()
    for run, (idle, stall) in enumerate([(0.0, 0.0), (0.4, 0.0), (0.0, 0.4), (0.3, 0.3)]):
        base = cycles.now + 50
        for line in lines:
            line.start(base, idle, stall, 100 * run)
        await cycles.until(
            lambda: all(len(x.sink.words) >= len(x.wanted) for x in lines), 20_000, f"run {run}"
        )
        await cycles.wait(12)
        for line in lines:
            what = f"{line.corner.name}: idle {idle} stall {stall}"
            compare(what, line.sink.words, line.wanted, line.node.output.words)
            compare(f"{what}: takes", line.source.takes, line.takes.tolist())
            compare(f"{what}: gives", line.sink.gives, line.gives.tolist())
    some = [line for line in lines if 0.05 < line.share < 0.95]
    assert 2 * len(some) >= len(lines), "most corners must have bits of both kinds"


@cocotb.test()
async def reset_in_mid_frame(dut: Any) -> None:
    """Behind a reset somewhere in a frame the bits are those of a clean frame."""
    cycles, lines = lines_of(dut)
    await cycles.reset()
    for pause in (9, 31):
        for line in lines:
            line.start(cycles.now + 2, 0.2, 0.3, pause)
        await cycles.wait(pause)
        for line in lines:
            line.source.flush()
        await cycles.reset()
        base = cycles.now + 3
        for line in lines:
            line.start(base, 0.0, 0.0, pause)
        await cycles.until(
            lambda: all(len(x.sink.words) >= len(x.wanted) for x in lines), 20_000, "clean"
        )
        for line in lines:
            what = f"{line.corner.name}: behind a reset at {pause}"
            compare(what, line.sink.words, line.wanted, line.node.output.words)
