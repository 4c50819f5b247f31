"""cocotb tests of `ex_explain_pool`: way, bit and level of every largest input, and when."""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np
from lib.bench import Corner, bench_corners
from lib.observer import Beats, Written
from lib.patterns import gaps
from lib.stream_block import random_values, salt
from lib.streams import Cycles, compare

from exeunt.explain.context import gathered, winners
from exeunt.explain.program import Route
from exeunt.explain.store import packed, told, way_bits
from exeunt.kernels import registry
from exeunt.kernels.pool import Pool

FRAMES = 3


class Line:
    """One corner."""

    def __init__(self, dut: Any, index: int, corner: Corner, cycles: Cycles) -> None:
        self.name, self.salt = corner.name, salt(corner)
        assert isinstance(corner.data, Pool)
        self.node = corner.data

        def port(name: str) -> Any:
            return getattr(dut, f"u{index}_{name}")

        stream = self.node.input
        data = [(port("s_data"), stream.width), (port("s_mask"), stream.lanes)]
        self.beats = Beats(port("take"), data, cycles, index)
        handles = [port(k) for k in ("m_way", "m_mask", "m_data")]
        self.written = Written(port("m_valid"), handles, cycles)

    def start(self, first: int, idle: float, seed: int) -> None:
        """Frames from cycle `first` on."""
        node, stream, rng = self.node, self.node.input, np.random.default_rng(seed + self.salt)
        x = random_values(stream, FRAMES, seed + self.salt)
        masks = rng.random(x.shape) < 0.5
        route = Route(0, stream.shape, node.kernel, node.kernel, (0, 0, 0, 0))
        bits, lanes = stream.dtype.bits, stream.lanes
        levels = packed((x & ((1 << bits) - 1)).reshape(-1, lanes), bits)
        beside = packed(masks.astype(np.int64).reshape(-1, lanes), 1)
        beats = [a | b << stream.width for a, b in zip(levels, beside, strict=True)]
        when = first + gaps(len(beats), idle, 5, seed + self.salt)
        self.written.clear()
        self.beats.start(beats, when.tolist())
        ways = winners(route, x)
        inside = gathered((route,), {0: ways}, masks)
        (largest,) = registry.computed(node, {}, [x])
        self.columns = {
            "way": packed(ways.reshape(-1, lanes), way_bits(node.kernel)),
            "mask": packed(inside.astype(np.int64).reshape(-1, lanes), 1),
            "data": packed(
                (np.asarray(largest, np.int64) & ((1 << bits) - 1)).reshape(-1, lanes), bits
            ),
        }
        self.when = told(route, lanes, when)

    def check(self, what: str) -> None:
        """Every beat and its cycle."""
        for k, (name, column) in enumerate(self.columns.items()):
            got = [row[k] for row in self.written.rows]
            compare(f"{self.name}: {what}: {name}", got, column, self.node.output.words)
        compare(f"{self.name}: {what}: cycle", self.written.when, self.when.tolist())


@cocotb.test()
async def tells(dut: Any) -> None:
    """Beats in every cycle and with pauses."""
    cycles = Cycles(dut.clk, dut.rst)
    lines = [Line(dut, i, c, cycles) for i, c in enumerate(bench_corners())]
    await cycles.reset()
    for run, idle in enumerate((0.0, 0.0, 0.4)):
        for line in lines:
            line.start(cycles.now + 3, idle, run)
        await cycles.until(lambda: all(x.beats.done for x in lines), 9000, f"run {run}")
        await cycles.wait(5)
        for line in lines:
            line.check(f"run {run} idle {idle}")


@cocotb.test()
async def reset_in_mid_frame(dut: Any) -> None:
    """Wherever a reset comes, the next beat is the first of a frame."""
    cycles = Cycles(dut.clk, dut.rst)
    lines = [Line(dut, i, c, cycles) for i, c in enumerate(bench_corners())]
    await cycles.reset()
    for run, pause in enumerate((4, 9, 23, 38)):
        for line in lines:
            line.start(cycles.now + 2, 0.1, run)
        await cycles.wait(pause)
        for line in lines:
            line.beats.start([], [])
        await cycles.reset()
        for line in lines:
            line.start(cycles.now + 2, 0.0, run)
        await cycles.until(lambda: all(x.beats.done for x in lines), 9000, f"run {run}")
        await cycles.wait(5)
        for line in lines:
            line.check(f"behind a reset at {pause}")
