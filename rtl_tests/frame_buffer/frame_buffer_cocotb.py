"""cocotb tests of `ex_frame_buffer`: kept frames and only they come out, in exact cycles."""

from __future__ import annotations

import random
from itertools import repeat
from typing import Any

import cocotb
import numpy as np
from lib.bench import Corner, bench_corners
from lib.handles import from_cycles, stream
from lib.streams import Cycles, StreamSink, StreamSource, compare

from exeunt.reference.controller import buffer_times

FRAMES = 24


class Line:
    """One corner with its source, verdicts and sink."""

    def __init__(self, dut: Any, index: int, corner: Corner, cycles: Cycles) -> None:
        self.name = corner.name
        self.width, self.frame, self.depth = (int(v) for v in corner.parameters.values())
        self.source = StreamSource(dut, f"u{index}_s", cycles)
        self.sink = StreamSink(dut, f"u{index}_m", cycles)
        valid, ready, keep = (
            getattr(dut, f"u{index}_decide_{name}") for name in ("valid", "ready", "keep")
        )
        self.verdicts = StreamSource(stream(valid, ready, keep), "x", cycles)


def keeps(pattern: str, rng: np.random.Generator) -> np.ndarray:
    n = np.arange(FRAMES)
    return {
        "all": n >= 0,
        "none": n < 0,
        "alternating": n % 2 == 0,
        "bursts": n // 5 % 2 == 0,
        "random": rng.random(FRAMES) < 0.5,
    }[pattern]


def pauses(kind: str, count: int, rng: np.random.Generator) -> np.ndarray:
    """Cycles, relative to the start, from which word k may move."""
    if kind == "never":
        return np.zeros(count, np.int64)
    probability, longest = {"some": (0.3, 3), "long": (0.1, 30)}[kind]
    return np.cumsum((rng.random(count) < probability) * rng.integers(1, longest + 1, count))


@cocotb.test()
async def exact(dut: Any) -> None:
    """Every keep pattern x idles x stalls x late and early verdicts: words and cycles."""
    cycles = Cycles(dut.clk, dut.rst)
    lines = [Line(dut, i, c, cycles) for i, c in enumerate(bench_corners())]
    await cycles.reset()
    kinds = ("never", "some", "long")
    scenarios = [
        (pattern, idle, stall, late)
        for pattern in ("all", "none", "alternating", "bursts", "random")
        for idle, stall, late in random.Random(len(pattern)).sample(
            [(a, b, c) for a in kinds for b in kinds for c in kinds], 6
        )
    ] + [(p, "never", "never", "never") for p in ("all", "none", "alternating")]
    for seed, (pattern, idle, stall, late) in enumerate(scenarios):
        rng = np.random.default_rng(seed)
        base = cycles.now + 3
        expected = []
        for line in lines:
            keep = keeps(pattern, rng)
            words = rng.integers(0, 1 << min(line.width, 62), (FRAMES, line.frame))
            offered = base + pauses(idle, words.size, rng)
            verdicts = base + pauses(late, FRAMES, rng)
            if seed % 2:  # a verdict some time after its frame, not in one go with the first
                verdicts = verdicts + np.arange(FRAMES) * (line.frame + rng.integers(0, 3))
            ready = base + pauses(stall, int(keep.sum()) * line.frame, rng)
            kept = words[keep].reshape(-1).tolist()
            for port in (line.source.takes, line.verdicts.takes):
                port.clear()
            line.sink.clear()
            line.source.idle = from_cycles(cycles, offered.tolist(), line.source.takes)
            line.verdicts.idle = from_cycles(cycles, verdicts.tolist(), line.verdicts.takes)
            line.sink.stall = from_cycles(cycles, ready.tolist(), line.sink.gives)
            line.source.send(words.reshape(-1).tolist())
            line.verdicts.send(int(k) for k in keep)
            times = buffer_times(line.frame, line.depth, offered, verdicts, keep, ready=ready)
            expected.append((kept, times))

        def done(expected: list = expected) -> bool:
            return all(
                line.source.done() and line.verdicts.done() and len(line.sink.words) >= len(kept)
                for line, (kept, _) in zip(lines, expected, strict=True)
            )

        await cycles.until(done, 6000, f"{pattern} idle {idle} stall {stall} verdicts {late}")
        await cycles.wait(4)
        for line, (kept, times) in zip(lines, expected, strict=True):
            what = f"{line.name} keep {pattern} idle {idle} stall {stall} verdicts {late}"
            compare(what, line.sink.words, kept, line.frame)
            got = (line.source.takes, line.verdicts.takes, line.sink.gives)
            names = ("words taken in cycle", "verdicts taken in cycle", "words given in cycle")
            for g, e, name in zip(got, times, names, strict=True):
                compare(f"{what}: {name}", g, e.tolist())


@cocotb.test()
async def drop_is_one_cycle(dut: Any) -> None:
    """Verdicts that drop frames which have arrived are taken one a cycle, whatever their length."""
    cycles = Cycles(dut.clk, dut.rst)
    lines = [Line(dut, i, c, cycles) for i, c in enumerate(bench_corners())]
    await cycles.reset()
    for line in lines:
        line.source.send([1] * line.frame * (line.depth // line.frame))
    await cycles.until(lambda: all(x.source.done() for x in lines), 200, "filling")
    for line in lines:
        line.verdicts.send([0] * (line.depth // line.frame))
    await cycles.until(lambda: all(x.verdicts.done() for x in lines), 200, "dropping")
    for line in lines:
        steps = np.diff(line.verdicts.takes).tolist()
        assert steps == [1] * len(steps), f"{line.name}: drops were {steps} cycles apart"
        assert not line.sink.words, f"{line.name}: dropped words came out"


@cocotb.test()
async def drop_while_full(dut: Any) -> None:
    """With all places kept and stalled, frames are dropped before they come, one after another."""
    cycles = Cycles(dut.clk, dut.rst)
    lines = [Line(dut, i, c, cycles) for i, c in enumerate(bench_corners())]
    await cycles.reset()
    for line in lines:
        line.sink.stall = repeat(False)
        # the register behind the memory holds a word, so a frame of one word leaves its place
        line.kept = line.depth // line.frame + (line.frame == 1)
        line.verdicts.send([1] * line.kept + [0, 0])
        line.source.send([1] * line.frame * line.kept)
    await cycles.wait(max(x.depth for x in lines) + 9)
    for line in lines:
        got = len(line.verdicts.takes)
        assert got == line.kept + 1, f"{line.name}: took {got} verdicts, expected {line.kept + 1}"
        line.source.send([0] * line.frame * 2 + [1] * line.frame)
        line.verdicts.send([1])
    await cycles.wait(2 * max(x.frame for x in lines) + 9)
    for line in lines:
        got = len(line.source.takes)
        assert got == line.frame * (line.kept + 2), f"{line.name}: took {got} words"
        line.sink.stall = repeat(True)
    await cycles.wait(2 * max(x.depth for x in lines) + 9)
    for line in lines:
        compare(line.name, line.sink.words, [1] * line.frame * (line.kept + 1), line.frame)


@cocotb.test()
async def drops_pass_a_frame_that_waits(dut: Any) -> None:
    """Behind one kept frame that cannot leave, any number of frames come, are dropped and gone."""
    cycles = Cycles(dut.clk, dut.rst)
    every = [Line(dut, i, c, cycles) for i, c in enumerate(bench_corners())]
    await cycles.reset()
    lines = [line for line in every if line.depth > line.frame]
    assert lines, "no corner holds more than a frame"
    for line in lines:
        line.sink.stall = repeat(False)
        line.source.send(([1] * line.frame) + [0] * line.frame * FRAMES)
        line.verdicts.send([1] + [0] * FRAMES)
    await cycles.until(
        lambda: all(x.source.done() and x.verdicts.done() for x in lines),
        (FRAMES + 4) * max(x.frame + 2 for x in lines),
        "dropping behind a frame that waits",
    )
    for line in lines:
        assert not line.sink.words, f"{line.name}: words came out of a stalled buffer"
        line.sink.stall = repeat(True)
    await cycles.wait(max(x.frame for x in lines) + 9)
    for line in lines:
        compare(line.name, line.sink.words, [1] * line.frame)


@cocotb.test()
async def full_is_backpressure_and_reset_empties(dut: Any) -> None:
    """DEPTH words fit and no more; after a reset the buffer is empty and in step."""
    cycles = Cycles(dut.clk, dut.rst)
    lines = [Line(dut, i, c, cycles) for i, c in enumerate(bench_corners())]
    await cycles.reset()
    for line in lines:
        line.source.send([1] * (line.depth + 5))
    await cycles.wait(max(x.depth for x in lines) + 12)
    for line in lines:
        assert len(line.source.takes) == line.depth, (
            f"{line.name}: took {len(line.source.takes)} words undecided, expected {line.depth}"
        )
        line.verdicts.send([1])
    await cycles.wait(3)  # in the middle of forwarding
    for line in lines:
        line.source.flush()
        line.verdicts.flush()
    await cycles.reset()
    for line in lines:
        line.sink.clear()
        line.source.send([0] * line.frame)
        line.verdicts.send([1])
    await cycles.wait(2 * max(x.frame for x in lines) + 9)
    for line in lines:
        compare(f"{line.name} after reset", line.sink.words, [0] * line.frame)
