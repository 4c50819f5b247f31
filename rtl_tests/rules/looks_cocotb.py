"""cocotb tests of `ex_rules` with further looks: which are made, what they see, exact cycles."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

import cocotb
import numpy as np
from lib.bench import Corner, bench_corners
from lib.handles import from_cycles
from lib.streams import Cycles, compare
from rules.corners import A_RULES
from rules.rules_cocotb import Line, counts, pauses, store

from exeunt.reference.looks import there
from exeunt.reference.rules import RuleUnit

FRAMES = 12
AGAIN = 0.7  # of the verdicts


@dataclass
class Told:
    """What the desk saw and did: cycles of grants, starts and verdicts."""

    grants: list[tuple[int, int]] = field(default_factory=list)  # cycle, place; by frame
    starts: list[tuple[int, int]] = field(default_factory=list)  # cycle, m_info
    verdicts: dict[int, tuple[int, bool]] = field(default_factory=dict)  # by number of the look
    barred: set[int] = field(default_factory=set)  # cycles in which no place is free


class Desk:
    """Gives places and verdicts, as the buffer behind segment 0 and exit 0 do."""

    def __init__(self, dut: Any, index: int, corner: Corner, line: Line, cycles: Cycles) -> None:
        self.line, self._cycles = line, cycles
        self._ports = {
            name: getattr(dut, f"u{index}_{name}")
            for name in (
                "m_info_valid", "m_info", "place_free", "place_take", "place", "verdict_valid",
                "verdict_again", "verdict_info",
            )
        }  # fmt: skip
        self.places = int(corner.parameters["PLACES"])
        self.place_bits = max(1, (self.places - 1).bit_length())
        self.slot_bits = max(1, (line.unit.slots - 1).bit_length())
        self.late: Iterator[int] = repeat(0)  # cycles that a verdict takes
        self.open: Iterator[bool] = repeat(True)  # whether a free place is shown
        self.rng = np.random.default_rng(0)
        self.told = Told()
        self.forget()
        cycles.add(self._step)

    def forget(self) -> None:
        """All places are free, no look is open."""
        self.told = Told()
        self._free = list(range(self.places))
        self._open: list[tuple[int, int, int]] = []  # number of the look, its info, its delay
        self._ports["verdict_valid"].value = 0
        self._ports["place_free"].value = 0
        self._shown = False

    def split(self, info: int) -> tuple[bool, int, int, int]:
        """more, look, place and slot of an m_info."""
        who = self.place_bits + self.slot_bits
        place = info >> self.slot_bits & (1 << self.place_bits) - 1
        return bool(info >> who + 2), info >> who & 3, place, info & (1 << self.slot_bits) - 1

    def done(self, frames: int) -> bool:
        """Whether so many frames came, and no look at any of them is open."""
        told = self.told
        sent = sum(1 for _, info in told.starts if self.split(info)[1] == 0)
        return sent == frames and not self._open and len(self._free) == self.places

    def _step(self, cycle: int) -> None:
        port = self._ports
        if self._cycles.in_reset:
            return
        if self._shown and int(port["place_take"].value):
            self.told.grants.append((cycle, self._free.pop(0)))
        if int(port["m_info_valid"].value):
            info = int(port["m_info"].value)
            self._open.append((len(self.told.starts), info, next(self.late)))
            self.told.starts.append((cycle, info))
        port["verdict_valid"].value = 0
        answered = self._answer(cycle)
        # a place that is free in the very cycle of a verdict: both want the queue then
        self._shown = bool(self._free) and (next(self.open) or answered)
        port["place_free"].value = int(self._shown)
        if self._free:
            port["place"].value = self._free[0]
        if not self._shown:
            self.told.barred.add(cycle + 1)

    def _answer(self, cycle: int) -> bool:
        """The verdict, in the next cycle, of one look that has gone whole, if there is one."""
        beats = self.line.unit.beats
        for entry in list(self._open):
            number, info, delay = entry
            gone = (number + 1) * beats
            gives = self.line.sink.gives
            if len(gives) < gone or cycle < gives[gone - 1] + delay:
                continue
            more, _, place, _ = self.split(info)
            self._open.remove(entry)
            again = more and bool(self.rng.random() < AGAIN)
            if not again:
                self._free.append(place)
            if not more:
                continue
            self._ports["verdict_valid"].value = 1
            self._ports["verdict_again"].value = int(again)
            who = self.place_bits + self.slot_bits
            self._ports["verdict_info"].value = info & (1 << who + 2) - 1
            self.told.verdicts[number] = (cycle + 1, again)
            return True
        return False


@dataclass(frozen=True)
class Expected:
    """What a unit does with frames, given what the desk did: cycles, words and rules by look."""

    takes: list[int]
    gives: list[int]
    words: list[int]
    starts: list[tuple[int, bool, int, int]]  # cycle, more, look, place
    grants: list[int]
    fired: np.ndarray


def expected(
    line: Line, told: Told, frames: np.ndarray, offered: np.ndarray, ready: np.ndarray
) -> Expected:
    """By the contract of ex_rules, look after look in the order of its queue.

    A frame is queued when it is judged and has a place, a further look by its verdict, and one look
    starts when the last beat of the one before is read.
    """
    unit, beats = line.unit, line.unit.beats
    block = RuleUnit(unit)
    looked = there(line.rules, frames)  # (looks, N)
    ways = [[0, *(k + 1 for k in range(len(looked)) if looked[k, f])] for f in range(len(frames))]
    seen = [line.rules.look(frames, k) for k in range(len(looked) + 1)]
    first = np.cumsum([1, *(len(rules) for _, rules in line.rules.lists)])
    takes: list[int] = []
    found = Expected(takes, [], [], [], [], np.zeros(unit.rules + 1, int))
    again = {cycle for cycle, once_more in told.verdicts.values() if once_more}
    waiting: list[tuple[int, int, int]] = []  # cycle of the verdict, frame, place in its ways
    came = 0
    while came < len(frames) or waiting:
        new, began = None, block.begins()
        if came < len(frames) and began is not None:
            taken, last = [], takes[-1] if takes else -1
            for k in range(beats):
                last = max(last + 1, int(offered[came * beats + k]), began if k == 0 else 0)
                last = max(last, block.ends) if k + 1 == beats else last
                taken.append(last)
            new = block.judged(last) + 1
            while new in again or new in told.barred:
                new += 1
        if waiting and (new is None or waiting[0][0] < new):
            entered, frame, step = heapq.heappop(waiting)
        else:
            assert new is not None, f"{line.name}: a frame waits for nothing"
            entered, frame, step = new, came, 0
            block.fill()
            block.ends = new + 1
            takes += taken
            found.grants.append(new)
            came += 1
        start, shown = block.send(entered + 1)
        look, more = ways[frame][step], step + 1 < len(ways[frame])
        number = len(found.starts)
        found.starts.append((start, more, look, told.grants[frame][1]))
        given, cycle = [], shown
        for k in range(beats):
            cycle = max(cycle, int(ready[number * beats + k]))
            given.append(cycle)
            cycle += 1
        read = block.give(shown, np.array(given))
        found.gives.extend(given)
        views, which = seen[look]
        found.words.extend(line.words(views[frame : frame + 1]))
        found.fired[0 if which[frame] < 0 else first[look] + which[frame]] += 1
        if not more:
            block.release(read)
            continue
        judged, once_more = told.verdicts[number]
        if once_more:
            heapq.heappush(waiting, (judged, frame, step + 1))
        else:
            block.release(judged)
    return found


def late(kind: str, rng: np.random.Generator) -> Iterator[int]:
    """How many cycles each verdict takes."""
    while True:
        yield 0 if kind == "never" else int(rng.integers(1, {"some": 4, "long": 120}[kind]))


def shown(kind: str, rng: np.random.Generator) -> Iterator[bool]:
    """In which cycles a free place is shown."""
    while True:
        yield kind == "never" or bool(rng.random() < {"some": 0.7, "long": 0.1}[kind])


def desks(dut: Any) -> tuple[Cycles, list[Desk]]:
    """The clock, and every corner with its drivers."""
    cycles = Cycles(dut.clk, dut.rst)
    corners = bench_corners()
    found = [Desk(dut, i, c, Line(dut, i, c, cycles), cycles) for i, c in enumerate(corners)]
    return cycles, found


@cocotb.test()
async def exact(dut: Any) -> None:
    """Idles x stalls x late verdicts: every look, what it sees, every cycle, every count."""
    cycles, found = desks(dut)
    await cycles.reset()
    seen = [np.zeros(d.line.unit.rules + 1, int) for d in found]
    kinds = ("never", "some", "long")
    for seed, (idle, stall, slow) in enumerate(
        [(a, b, c) for a in kinds for b in kinds for c in kinds]
    ):
        rng = np.random.default_rng(seed)
        base = cycles.now + 3
        given = []
        for desk in found:
            line = desk.line
            frames = line.frames(seed, FRAMES)
            words = line.words(frames)
            offered = base + pauses(idle, len(words), rng)
            ready = base + pauses(stall, len(words) * (line.unit.looks + 1), rng)
            line.clear()
            desk.forget()
            desk.rng, desk.late, desk.open = rng, late(slow, rng), shown(slow, rng)
            line.source.idle = from_cycles(cycles, offered.tolist(), line.source.takes)
            line.sink.stall = from_cycles(cycles, ready.tolist(), line.sink.gives)
            line.source.send(words)
            given.append((frames, offered, ready))
        what = f"idle {idle} stall {stall} verdicts {slow}"
        await cycles.until(lambda: all(d.done(FRAMES) for d in found), 60000, what)
        await cycles.wait(4)
        for desk, total, (frames, offered, ready) in zip(found, seen, given, strict=True):
            line, told = desk.line, desk.told
            wanted = expected(line, told, frames, offered, ready)
            total += wanted.fired
            here, beats = f"{line.name} {what}", line.unit.beats
            starts = [(cycle, *desk.split(info)[:3]) for cycle, info in told.starts]
            assert starts == wanted.starts, f"{here}: got looks {starts}, not {wanted.starts}"
            compare(here, line.sink.words, wanted.words, beats)
            compare(f"{here}: taken in cycle", line.source.takes, wanted.takes, beats)
            compare(f"{here}: given in cycle", line.sink.gives, wanted.gives, beats)
            compare(f"{here}: place in cycle", [cycle for cycle, _ in told.grants], wanted.grants)
    for desk, total, got in zip(
        found, seen, await counts([d.line for d in found], cycles), strict=True
    ):
        compare(f"{desk.line.name}: fired", got, total.tolist())
        rare = [k for k, n in enumerate(total) if k and not n]
        first = len(desk.line.rules.rules)
        nothing = [
            k + 1
            for k, rule in enumerate(desk.line.rules.every)
            if k >= first and rule.modification.nothing  # that look is left out
        ]
        assert rare == nothing, f"{desk.line.name}: rules {rare} fired never, only {nothing} may"


@cocotb.test()
async def off(dut: Any) -> None:
    """With the rules off a frame is looked at once, as it came."""
    cycles, found = desks(dut)
    await cycles.reset()
    lines = [d.line for d in found]
    await store(lines, cycles, A_RULES, [0] * len(lines))
    for line in lines:
        line.source.send(line.words(line.frames(5, 6)))
    await cycles.until(lambda: all(d.done(6) for d in found), 20000, "rules off")
    for desk in found:
        line = desk.line
        compare(f"{line.name} off", line.sink.words, line.words(line.frames(5, 6)), line.unit.beats)
        assert [desk.split(info)[:2] for _, info in desk.told.starts] == [(False, 0)] * 6, line.name


@cocotb.test()
async def cut_short(dut: Any) -> None:
    """After a reset, and after a clear, no frame is inside: not in a slot, nor before a verdict."""
    cycles, found = desks(dut)
    await cycles.reset()
    for number, cut in enumerate((3, 61, 190, 400)):
        for desk in found:
            desk.late = repeat(90)
            desk.line.source.send(desk.line.words(desk.line.frames(cut)))
        await cycles.wait(cut)
        for desk in found:
            desk.line.source.flush()
        if number % 2:
            for desk in found:
                desk.line.clear_port.value = 1
            cycles.in_reset = True
            for desk in found:
                desk.forget()
            await cycles.wait(2)
            for desk in found:
                desk.line.clear_port.value = 0
            cycles.in_reset = False
        else:
            for desk in found:
                desk.forget()
            await cycles.reset()
        given = []
        for desk in found:
            desk.late, desk.rng = repeat(0), np.random.default_rng(cut)
            desk.line.clear()
            given.append(desk.line.frames(cut + 1, 6))
            desk.line.source.send(desk.line.words(given[-1]))
        await cycles.until(lambda: all(d.done(6) for d in found), 20000, f"cut at {cut}")
        for desk, frames in zip(found, given, strict=True):
            line = desk.line
            words: list[int] = []
            inside, came = {}, 0  # place -> frame
            for _, info in desk.told.starts:
                _, look, place, _ = desk.split(info)
                if look == 0:
                    inside[place], came = came, came + 1
                seen = frames[inside[place]][None]
                words += line.words(line.rules.look(seen, look)[0])
            compare(f"{line.name} cut at {cut}", line.sink.words, words, line.unit.beats)
