"""cocotb tests of `ex_rules`: values, exact cycles, which rule fired, and what the bus changes."""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np
from lib.bench import Corner, bench_corners
from lib.handles import from_cycles
from lib.streams import Cycles, StreamSink, StreamSource, compare
from rules.corners import A_AT, A_FIRED, A_RULES, A_WORD

from exeunt.graph import Integer, Stream
from exeunt.packing import pack
from exeunt.reference.rules import rule_times
from exeunt.rules import NONE, Condition, Modification, Rule, RuleSet, offset
from exeunt.rules.unit import Unit

FRAMES = 14


class Line:
    """One corner with its source, sink and bus."""

    def __init__(self, dut: Any, index: int, corner: Corner, cycles: Cycles) -> None:
        self.name, self.unit, self.rules = corner.name, corner.data.unit, corner.data.rules
        self.stream = Stream(self.unit.shape, Integer(8), self.unit.lanes)
        self.source = StreamSource(dut, f"u{index}_s", cycles)
        self.sink = StreamSink(dut, f"u{index}_m", cycles)
        self.write, self.address, self.wdata, self.rdata = (
            getattr(dut, f"u{index}_{name}") for name in ("write", "address", "wdata", "rdata")
        )
        self.clear_port = getattr(dut, f"u{index}_clear")
        for name in ("place_free", "place", "verdict_valid", "verdict_again", "verdict_info"):
            getattr(dut, f"u{index}_{name}").value = 0
        for port in (self.write, self.address, self.wdata, self.clear_port):
            port.value = 0

    def frames(self, seed: int, count: int = FRAMES) -> np.ndarray:
        """Frames of every kind, on which rules differ: dark, bright, sparse, slanted, empty."""
        rng = np.random.default_rng(seed)
        h, w, _ = self.unit.shape
        made = rng.integers(0, 256, (count, *self.unit.shape))
        made[::3] //= rng.integers(1, 8)
        made[1::4][rng.random(made[1::4].shape) < 0.7] = 0
        slanted = np.abs(np.arange(w)[None, :, None] - np.arange(h)[:, None, None]) > 1
        made[2::5] *= ~slanted
        made[3::5] *= ~slanted[:, ::-1]
        made[5::7] = 0
        return made.astype(np.uint8)

    def words(self, frames: np.ndarray) -> list[int]:
        return [int.from_bytes(w.tobytes(), "little") for w in pack(self.stream, frames)]

    def clear(self) -> None:
        self.source.takes.clear()
        self.sink.clear()


async def store(lines: list[Line], cycles: Cycles, address: int, words: list[int]) -> None:
    """One write to every line."""
    for line, word in zip(lines, words, strict=True):
        line.write.value, line.address.value, line.wdata.value = 1, address, word
    await cycles.wait()
    for line in lines:
        line.write.value = 0


async def read(lines: list[Line], cycles: Cycles, address: int) -> list[int]:
    for line in lines:
        line.address.value = address
    await cycles.wait(2)
    return [int(line.rdata.value) for line in lines]


async def counts(lines: list[Line], cycles: Cycles) -> list[list[int]]:
    """How often each rule fired, rule 0 first."""
    most = max(line.unit.rules for line in lines)
    found: list[list[int]] = [[] for _ in lines]
    for rule in range(most + 1):
        await store(lines, cycles, A_AT, [min(rule, x.unit.rules) for x in lines])
        await cycles.wait()
        got = await read(lines, cycles, A_FIRED)
        for line, kept, value in zip(lines, found, got, strict=True):
            if rule <= line.unit.rules:
                kept.append(value)
    return found


def pauses(kind: str, count: int, rng: np.random.Generator) -> np.ndarray:
    """Cycles, relative to the start, from which word k may move."""
    if kind == "never":
        return np.zeros(count, np.int64)
    probability, longest = {"some": (0.3, 3), "long": (0.02, 90)}[kind]
    waits = (rng.random(count) < probability) * rng.integers(1, longest + 1, count)
    return np.arange(count) + np.cumsum(
        waits
    )  # slower than a word a cycle, so that each one counts


def done(lines: list[Line], counts: list[int]) -> bool:
    return all(len(x.sink.words) >= count for x, count in zip(lines, counts, strict=True))


@cocotb.test()
async def exact(dut: Any) -> None:
    """Idles x stalls: every value, every cycle, every count."""
    cycles = Cycles(dut.clk, dut.rst)
    lines = [Line(dut, i, c, cycles) for i, c in enumerate(bench_corners())]
    await cycles.reset()
    seen = [np.zeros(line.unit.rules + 1, int) for line in lines]
    kinds = ("never", "some", "long")
    for seed, (idle, stall) in enumerate([(a, b) for a in kinds for b in kinds]):
        rng = np.random.default_rng(seed)
        base = cycles.now + 3
        expected = []
        for line, total in zip(lines, seen, strict=True):
            frames = line.frames(seed)
            out, which = line.rules.look(frames, 0)
            np.add.at(total, which - NONE, 1)
            words = line.words(frames)
            offered = base + pauses(idle, len(words), rng)
            ready = base + pauses(stall, len(words), rng)
            line.clear()
            line.source.idle = from_cycles(cycles, offered.tolist(), line.source.takes)
            line.sink.stall = from_cycles(cycles, ready.tolist(), line.sink.gives)
            line.source.send(words)
            expected.append((line.words(out), rule_times(line.unit, offered, ready)))
        await cycles.until(
            lambda e=expected: done(lines, [len(words) for words, _ in e]), 60000,
            f"idle {idle} stall {stall}",
        )  # fmt: skip
        await cycles.wait(4)
        for line, (words, (takes, gives)) in zip(lines, expected, strict=True):
            what = f"{line.name} idle {idle} stall {stall}"
            compare(what, line.sink.words, words, line.unit.beats)
            compare(f"{what}: taken in cycle", line.source.takes, takes.tolist(), line.unit.beats)
            compare(f"{what}: given in cycle", line.sink.gives, gives.tolist(), line.unit.beats)
    for line, total, got in zip(lines, seen, await counts(lines, cycles), strict=True):
        compare(f"{line.name}: fired", got, total.tolist())
        rare = [k for k, n in enumerate(total) if k and not n]
        assert not rare, f"{line.name}: rules {rare} never fired, so they are not tested"


@cocotb.test()
async def cleared_in_mid_frame(dut: Any) -> None:
    """Clear does what a reset does, and leaves the rules off."""
    cycles = Cycles(dut.clk, dut.rst)
    lines = [Line(dut, i, c, cycles) for i, c in enumerate(bench_corners())]
    await cycles.reset()
    await store(lines, cycles, A_RULES, [0] * len(lines))
    for line in lines:
        line.source.send(line.words(line.frames(4)))
    await cycles.wait(70)
    for line in lines:
        line.source.flush()
        line.clear_port.value = 1
    cycles.in_reset = True
    await cycles.wait(2)
    for line in lines:
        line.clear_port.value = 0
    cycles.in_reset = False
    expected = []
    for line, got in zip(lines, await read(lines, cycles, A_RULES), strict=True):
        assert not got & 1, line.name
        line.clear()
        expected.append(line.words(line.frames(6, 4)))
        line.source.send(expected[-1])
    await cycles.until(lambda: done(lines, [len(words) for words in expected]), 20000, "cleared")
    for line, words in zip(lines, expected, strict=True):
        compare(f"{line.name} after clear", line.sink.words, words, line.unit.beats)


@cocotb.test()
async def reset_in_mid_frame(dut: Any) -> None:
    """After a reset no beat of before is left, counts are 0, rules are on and words stay."""
    cycles = Cycles(dut.clk, dut.rst)
    lines = [Line(dut, i, c, cycles) for i, c in enumerate(bench_corners())]
    await cycles.reset()
    for cut in (3, 40, 151):
        for line in lines:
            line.source.send(line.words(line.frames(cut)))
        await store(lines, cycles, A_RULES, [0] * len(lines))
        await cycles.wait(cut)
        for line in lines:
            line.source.flush()
        await cycles.reset()
        for line in lines:
            line.clear()
        assert [sum(c) for c in await counts(lines, cycles)] == [0] * len(lines)
        for line, got in zip(lines, await read(lines, cycles, A_RULES), strict=True):
            assert got == line.unit.tables << 16 | line.unit.rules << 8 | 1, line.name
        expected = []
        for line in lines:
            frames = line.frames(cut + 1, 4)
            expected.append(line.words(line.rules.look(frames, 0)[0]))
            line.source.send(line.words(frames))
        await cycles.until(
            lambda e=expected: done(lines, [len(words) for words in e]), 20000, f"reset at {cut}"
        )
        for line, words in zip(lines, expected, strict=True):
            compare(f"{line.name} after reset", line.sink.words, words, line.unit.beats)


@cocotb.test()
async def off(dut: Any) -> None:
    """With the rules off frames leave as they came; which frames are, the last beat says."""
    cycles = Cycles(dut.clk, dut.rst)
    lines = [Line(dut, i, c, cycles) for i, c in enumerate(bench_corners())]
    await cycles.reset()
    await store(lines, cycles, A_RULES, [0] * len(lines))
    expected = []
    for line in lines:
        frames = line.frames(5, 6)
        line.source.send(line.words(frames)[: 3 * line.unit.beats])
        expected.append(line.words(np.concatenate([frames[:3], line.rules.look(frames[3:], 0)[0]])))
    await cycles.until(lambda: all(x.source.done() for x in lines), 20000, "three frames")
    await store(lines, cycles, A_RULES, [1] * len(lines))
    for line in lines:
        line.source.send(line.words(line.frames(5, 6))[3 * line.unit.beats :])
    await cycles.until(lambda: done(lines, [len(w) for w in expected]), 20000, "rules off and on")
    for line, words in zip(lines, expected, strict=True):
        compare(f"{line.name} off, then on", line.sink.words, words, line.unit.beats)


def another(unit: Unit) -> RuleSet:
    """Other rules that a unit can be given."""
    change = Modification(
        dx=int(unit.moves and unit.shape[1] > 1),
        shear=-7 * unit.shears,
        border=(0, 0, 0, int(unit.borders and unit.shape[1] > 1)),
        table=offset(9) if unit.tables > 1 else None,
    )
    asked: tuple[Condition, ...] = ()
    if unit.statistics & 1:
        asked = (Condition("mean", ">=", 600),)
    elif unit.statistics >> 6 & 1:
        asked = (Condition("slant", "<", 1),)
    return RuleSet(unit.shape, (Rule(asked, change),), ink=unit.ink, edge=unit.edge)


@cocotb.test()
async def other_words(dut: Any) -> None:
    """Conditions, words and tables written over the bus are those that count."""
    cycles = Cycles(dut.clk, dut.rst)
    lines = [Line(dut, i, c, cycles) for i, c in enumerate(bench_corners())]
    await cycles.reset()
    for line in lines:
        line.rules = another(line.unit)
        for space, words in line.unit.words(line.rules).items():
            await store([line], cycles, A_AT, [space << 16])
            for word in words:
                await store([line], cycles, A_WORD, [word])
            (got,) = await read([line], cycles, A_AT)
            assert got == space << 16 | len(words), f"{line.name}: at {got:#x}"
    expected = []
    for line in lines:
        frames = line.frames(8)
        expected.append(line.words(line.rules.look(frames, 0)[0]))
        line.source.send(line.words(frames))
    await cycles.until(lambda: done(lines, [len(w) for w in expected]), 20000, "other words")
    for line, words in zip(lines, expected, strict=True):
        compare(f"{line.name} other words", line.sink.words, words, line.unit.beats)
