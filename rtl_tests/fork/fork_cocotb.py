"""cocotb tests of `ex_fork`: both branches get every word once, in the cycles of the reference."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import cocotb
import numpy as np
from lib.bench import bench_corners
from lib.patterns import always, bernoulli, bursts
from lib.streams import Cycles, StreamSink, StreamSource, compare

from exeunt.kernels.parts.fork import times

PATTERNS: dict[str, Callable[[int], Iterator[bool]]] = {
    "always": lambda seed: always(),
    "half": lambda seed: bernoulli(0.5, seed),
    "bursts": lambda seed: bursts(6, seed),
}


@cocotb.test()
async def copies(dut: Any) -> None:
    """Every idle pattern x stall pattern x stall pattern, with a reset in between."""
    cycles = Cycles(dut.clk, dut.rst)
    lines = []
    for i, corner in enumerate(bench_corners()):
        source = StreamSource(dut, f"u{i}_s", cycles)
        sinks = [StreamSink(dut, f"u{i}_m{b}", cycles) for b in (0, 1)]
        lines.append((corner, source, sinks, corner.parameters["WIDTH"]))
    await cycles.reset()
    for seed, (idle, stall0, stall1) in enumerate(product(PATTERNS, repeat=3)):
        sent = {}
        for corner, source, sinks, width in lines:
            sent[corner.name] = [random.Random(seed).getrandbits(int(width)) for _ in range(40)]
            source.idle = PATTERNS[idle](seed)
            source.takes.clear()
            for sink, stall in zip(sinks, (stall0, stall1), strict=True):
                sink.stall = PATTERNS[stall](seed + 50 + len(sink.name))
                sink.clear()
            source.send(sent[corner.name])
        await cycles.until(lambda: all(s.done() for _, s, _, _ in lines), 2000, "fork")
        for corner, source, sinks, _ in lines:
            for sink in sinks:
                what = f"{corner.name} {sink.name} idle {idle} stalls {stall0}, {stall1}"
                compare(what, sink.words, sent[corner.name])
            last = [max(a, b) for a, b in zip(sinks[0].gives, sinks[1].gives, strict=True)]
            compare(f"{corner.name} taken", source.takes, last)
            if idle == stall0 == stall1 == "always":
                expected = times(np.full(40, source.takes[0]))
                for got, cycle in zip(
                    (source.takes, sinks[0].gives, sinks[1].gives), expected, strict=True
                ):
                    compare(f"{corner.name} cycle", got, cycle.tolist())


@cocotb.test()
async def cycles_and_reset(dut: Any) -> None:
    """Exact cycles with branches that accept late; a reset forgets a half delivered word."""
    cycles = Cycles(dut.clk, dut.rst)
    rng = np.random.default_rng(3)
    for i, corner in enumerate(bench_corners()):
        source = StreamSource(dut, f"u{i}_s", cycles)
        sinks = [StreamSink(dut, f"u{i}_m{b}", cycles) for b in (0, 1)]
        await cycles.reset()
        # A word that only branch 0 has taken when the reset comes is not remembered.
        sinks[1].stall = iter([False] * 10_000)
        source.send([1])
        await cycles.wait(6)
        assert sinks[0].words == [1], f"{corner.name}: branch 0 got {sinks[0].words}, expected [1]"
        source.flush()
        sinks[0].clear()
        await cycles.reset()
        base = cycles.now + 3
        gap = [rng.integers(0, 3, 30) for _ in range(3)]
        offered, ready0, ready1 = (base + np.cumsum(g) for g in gap)
        expected = times(offered, ready0, ready1)
        for sink, ready in zip(sinks, (ready0, ready1), strict=True):
            sink.stall = _from_cycles(cycles, ready, sink.gives)
        source.idle = _from_cycles(cycles, offered, source.takes)
        source.send([k & 1 for k in range(30)])
        await cycles.until(source.done, 1000, corner.name)
        for got, cycle in zip(
            (source.takes, sinks[0].gives, sinks[1].gives), expected, strict=True
        ):
            compare(f"{corner.name} cycle", got, cycle.tolist())


def _from_cycles(cycles: Cycles, first: Any, done: list[int]) -> Iterator[bool]:
    """A pattern that goes for word k from cycle first[k] on."""
    while True:
        yield len(done) < len(first) and cycles.now + 1 >= first[len(done)]
