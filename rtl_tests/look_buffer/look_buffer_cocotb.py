"""cocotb tests of `ex_look_buffer`: first looks of kept frames come out, in exact cycles."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat
from types import SimpleNamespace
from typing import Any

import cocotb
import numpy as np
from lib.bench import Corner, bench_corners
from lib.handles import Joined, from_cycles, stream
from lib.streams import Cycles, StreamSink, StreamSource, compare

from exeunt.reference.controller import View, look_buffer_times

FRAMES = 30
PAUSES = {"never": (0.0, 1), "some": (0.3, 3), "long": (0.1, 30)}


@dataclass(frozen=True)
class Plan:
    """What a corner is given: `words` of each view, whether it is a further look."""

    asked: np.ndarray
    views: list[View]
    words: list[np.ndarray]
    further: list[bool]


class Places:
    """Takes places in cycles that `stall` allows; which one is free first may change meanwhile."""

    def __init__(self, free: Any, take: Any, place: Any, cycles: Cycles) -> None:
        self._ports, self._cycles = (free, take, place), cycles
        self.stall: Iterator[bool] = repeat(True)
        self.words: list[int] = []
        self.gives: list[int] = []
        take.value = 0
        cycles.add(self._step)

    def clear(self) -> None:
        self.words.clear()
        self.gives.clear()

    def _step(self, cycle: int) -> None:
        free, take, place = self._ports
        if self._cycles.in_reset:
            take.value = 0
            return
        if int(free.value) and int(take.value):
            self.words.append(int(place.value))
            self.gives.append(cycle)
        take.value = int(next(self.stall))


class Line:
    """One corner with its source, the word beside it, verdicts, places and sink."""

    def __init__(self, dut: Any, index: int, corner: Corner, cycles: Cycles) -> None:
        self.name = corner.name
        self.width, self.frame, depth = (int(v) for v in corner.parameters.values())
        self.places = depth // self.frame
        self.bits = max(1, (self.places - 1).bit_length())

        def of(name: str) -> Any:
            return getattr(dut, f"u{index}_{name}")

        self.source = StreamSource(dut, f"u{index}_s", cycles)
        self.info = StreamSource(dut, f"u{index}_info", cycles)
        self.sink = StreamSink(dut, f"u{index}_m", cycles)
        self.place = Places(of("place_free"), of("place_take"), of("place"), cycles)
        verdict = Joined((of("verdict_keep"), 1), (of("verdict_place"), self.bits))
        always = SimpleNamespace(value=1)
        self.verdicts = StreamSource(stream(of("verdict_valid"), always, verdict), "x", cycles)

    def clear(self) -> None:
        for port in (self.source, self.info, self.verdicts):
            port.takes.clear()
        for sink in (self.sink, self.place):
            sink.clear()

    def give(self, cycles: Cycles, plan: Plan, ready: np.ndarray) -> list[tuple[str, Any, Any]]:
        """Send a plan; what is got, and what is expected of it, by what it is."""
        given, which, gives = look_buffer_times(self.places, plan.asked, plan.views, ready=ready)
        at = dict(zip(dict.fromkeys(v.frame for v in plan.views), which.tolist(), strict=True))
        offered = np.concatenate([v.words for v in plan.views])
        ended = [v for v in plan.views if v.verdict is not None]
        first = {
            v.frame: w
            for v, w, f in zip(plan.views, plan.words, plan.further, strict=True)
            if not f
        }
        kept = [first[v.frame] for v in ended if v.keep]
        self.clear()
        self.source.idle = from_cycles(cycles, offered.tolist(), self.source.takes)
        self.verdicts.idle = from_cycles(
            cycles, [v.verdict for v in ended if v.verdict is not None], self.verdicts.takes
        )
        self.place.stall = from_cycles(cycles, plan.asked.tolist(), self.place.gives)
        self.sink.stall = from_cycles(cycles, ready.tolist(), self.sink.gives)
        # the word beside a view is there with its first word, or waits behind the view before
        self.info.idle = from_cycles(cycles, [int(v.words[0]) for v in plan.views], self.info.takes)
        self.source.send(np.concatenate(plan.words).tolist())
        self.info.send(
            int(f) << self.bits | at[v.frame] for v, f in zip(plan.views, plan.further, strict=True)
        )
        self.verdicts.send(at[v.frame] << 1 | int(v.keep) for v in ended)
        ends = [int(v.words[-1]) for v in plan.views]
        return [
            ("places", self.place.words, which.tolist()),
            ("places taken in cycle", self.place.gives, given.tolist()),
            ("words", self.sink.words, np.concatenate([np.zeros(0, int), *kept]).tolist()),
            ("words given in cycle", self.sink.gives, gives.tolist()),
            ("words taken in cycle", self.source.takes, offered.tolist()),
            ("looks taken in cycle", self.info.takes, ends),
            ("verdicts in cycle", self.verdicts.takes, [v.verdict for v in ended]),
        ]  # fmt: skip


def pauses(kind: str, count: int, rng: np.random.Generator) -> np.ndarray:
    """Cycles that words wait beyond one each."""
    probability, longest = PAUSES[kind]
    return np.cumsum((rng.random(count) < probability) * rng.integers(1, longest + 1, count))


def plan(
    line: Line, base: int, rng: np.random.Generator, *, idle: str, stay: float, keep: float,
    looks: int, ready: np.ndarray,
) -> Plan:  # fmt: skip
    """Frames and looks in an order in which they may come, with verdicts soon and late."""
    views: list[View] = []
    words: list[np.ndarray] = []
    further: list[bool] = []
    asked: list[int] = []
    waiting: list[tuple[int, int, int]] = []  # frame, looks made, from when on
    verdict, end, frame, asking = base, base, 0, base
    while frame < FRAMES or waiting:
        again = bool(waiting) and (
            frame == FRAMES or len(waiting) == line.places or rng.random() < 0.6
        )
        if again:
            number, made, begin = waiting.pop(0)
        else:
            number, made = frame, 0
            frame += 1
            asking = max(asking, end - int(rng.integers(0, 9))) + int(rng.integers(0, 3))
            asked.append(asking)
            trial = View(number, np.array([end + 1] * line.frame), None)
            given, _, _ = look_buffer_times(
                line.places, np.array(asked), [*views, trial], ready=ready
            )
            asking = int(given[-1])
            begin = asking + 1
        begin = max(begin, end + 1) + int(rng.integers(0, 3)) * (idle != "never")
        come = begin + np.arange(line.frame) + pauses(idle, line.frame, rng)
        end = int(come[-1])
        # at the latest some cycles after the last word, at the earliest one after the first
        early = rng.random() < 0.3
        verdict = max(verdict + 1, int(come[0]) + 1 if early else end + int(rng.integers(1, 12)))
        more = made < looks and rng.random() < stay
        kept = not more and bool(rng.random() < keep)
        if more:
            waiting.append((number, made + 1, verdict + int(rng.integers(1, 4))))
        views.append(View(number, come, None if more else verdict, kept))
        words.append(rng.integers(0, 1 << min(line.width, 62), line.frame))
        further.append(made > 0)
    return Plan(np.array(asked), views, words, further)


@cocotb.test()
async def exact(dut: Any) -> None:
    """Idles x stalls x how many stay, are kept and looked at again: words and cycles."""
    cycles = Cycles(dut.clk, dut.rst)
    lines = [Line(dut, i, c, cycles) for i, c in enumerate(bench_corners())]
    await cycles.reset()
    kinds = [(0, 1.0, 0), (0, 0.5, 0), (1, 1.0, 2), (0.6, 0.4, 2), (0.5, 0, 1), (0.3, 0.7, 3)]
    cases = [
        (idle, stall, *kind)
        for idle in PAUSES
        for stall in PAUSES
        for kind in random.Random(len(idle) + len(stall)).sample(kinds, 4)
    ]
    for seed, (idle, stall, stay, keep, looks) in enumerate(cases):
        rng = np.random.default_rng(seed)
        base = cycles.now + 3
        expected = []
        for line in lines:
            count = FRAMES * line.frame
            ready = base + np.arange(count) * (stall != "never") + pauses(stall, count, rng)
            made = plan(line, base, rng, idle=idle, stay=stay, keep=keep, looks=looks, ready=ready)
            expected.append((line, line.give(cycles, made, ready)))
        what = f"idle {idle} stall {stall} stay {stay} keep {keep}"
        await cycles.until(
            lambda e=expected: all(len(got) >= len(want) for _, rows in e for _, got, want in rows),
            60000, what,
        )  # fmt: skip
        await cycles.wait(4)
        for line, rows in expected:
            for name, got, want in rows:
                compare(f"{line.name} {what}: {name}", got, want)


@cocotb.test()
async def further_looks_pass_while_all_is_taken(dut: Any) -> None:
    """With every place taken and m stalled, any number of further looks come and are gone."""
    cycles = Cycles(dut.clk, dut.rst)
    lines = [Line(dut, i, c, cycles) for i, c in enumerate(bench_corners())]
    await cycles.reset()
    for line in lines:
        line.sink.stall = repeat(False)
        line.source.send([1] * line.frame * line.places + [0] * line.frame * FRAMES)
        line.info.send([*range(line.places), *([1 << line.bits] * FRAMES)])
    await cycles.until(
        lambda: all(x.source.done() for x in lines),
        (FRAMES + 12) * max(x.frame + 2 for x in lines), "further looks",
    )  # fmt: skip
    for line in lines:
        assert line.place.words == list(range(line.places)), line.name
        line.verdicts.send([p << 1 | 1 for p in reversed(range(line.places))])
    await cycles.wait(max(x.places for x in lines) + 9)
    for line in lines:
        held = int(line.frame == 1)  # the register behind the memory has a frame of one word
        assert len(line.place.words) == line.places + held, f"{line.name}: a place too early"
        line.sink.stall = repeat(True)
    await cycles.wait(max(x.frame * x.places for x in lines) + 9)
    for line in lines:
        compare(line.name, line.sink.words, [1] * line.frame * line.places, line.frame)


@cocotb.test()
async def reset_empties(dut: Any) -> None:
    """After a reset in mid-frame all places are free and nothing of before comes out."""
    cycles = Cycles(dut.clk, dut.rst)
    lines = [Line(dut, i, c, cycles) for i, c in enumerate(bench_corners())]
    await cycles.reset()
    for line in lines:
        line.source.send([1] * (line.frame * line.places + line.frame // 2))
        line.info.send([*range(line.places), 1 << line.bits])
        line.verdicts.idle = repeat(True)
    await cycles.wait(max(x.frame * x.places for x in lines) + 9)
    for line in lines:
        line.verdicts.send([1])
    await cycles.wait(3)  # in the middle of forwarding
    for line in lines:
        for port in (line.source, line.info, line.verdicts):
            port.flush()
    await cycles.reset()
    for line in lines:
        line.clear()
    await cycles.wait(max(x.places for x in lines) + 4)
    for line in lines:
        assert not line.sink.words, f"{line.name}: words of before the reset"
        assert line.place.words == list(range(line.places)), f"{line.name}: {line.place.words}"
        line.source.send([0] * line.frame)
        line.info.send([0])
    await cycles.until(lambda: all(x.source.done() for x in lines), 200, "a frame")
    for line in lines:
        line.verdicts.send([1])
    await cycles.wait(max(x.frame for x in lines) + 9)
    for line in lines:
        compare(f"{line.name} after reset", line.sink.words, [0] * line.frame)
