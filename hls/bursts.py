"""Room for bursts, by playing the exits of real frames instead of by a guess.

Frames that go on come in bursts. What they wait in (frame buffers, queues, the frames in flight),
and how much faster than on average later stages must be, follows from a sequence of exits. It is
played quickly, by whole frames (`exeunt.reference.frames`), to choose; then by the cycle reference.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from exeunt.cost import control
from exeunt.cost.totals import KEPT
from exeunt.errors import InputError
from exeunt.graph import Accelerator
from exeunt.kernels.parts.size import Size, fifo
from exeunt.optimise.problem import waiting
from exeunt.reference import frames, system
from exeunt.reference.frames import Room, Stage, pace

if TYPE_CHECKING:
    from exeunt.config.compile import Compile

Exits = npt.NDArray[np.int64]

PERCENTILES = (50, 95, 99)  # of the latency
PLAYED = 5000  # frames, at most
WORK = 3 << 20  # words that kernels move in frames solved by the cycle reference, for one play
HARD = 200  # frames that all stay to the end
BURST = 100  # frames that come by their exits, the early ones first
RANDOM = 2000  # frames where calibration left no order
ENOUGH = 1.01  # cycles between frames over the fewest that there could be
STEPS = (*range(1, 9), 10, 12, 16)  # frames that a buffer or a queue may hold
FLIGHTS = (4, 8, 16, 32, 64)
LEAST = 2  # frames in a buffer: one may come while the decision on the other is awaited
FASTER = 1.1  # by which a stage that frames wait for is made faster, step by step
MOST_SPARE = 4.0
PLACE_LUT = 12  # of a further frame in a buffer, as Yosys counts them
BLOCK_LUT = 150  # that a block of 18 kbit is worth: there are as many times more of them
BLOCK_BITS = 18 << 10
RAISED = 4  # steps from a room that whole frames take for large enough
CLOSE = 1.002  # for the exact pace, which whole frames foretell
BUFFERS, QUEUES, FLIGHT, SPARE = 4, KEPT, 16, 1.5  # where nothing is known of the exits


@dataclass(frozen=True)
class Given:
    """What the config fixes; None: to be found.

    Attributes:
        buffers: frames in each frame buffer.
        in_flight: most frames inside.
        headroom: of later stages.
    """

    buffers: int | None = None
    in_flight: int | None = None
    headroom: float | None = None

    @classmethod
    def of(cls, section: Compile) -> Given:
        """What the section [compile] fixes."""
        return cls(section.buffer_frames, section.in_flight, section.headroom)

    def usual(self, exits: int) -> Room:
        """The room where nothing is known of the exits."""
        return Room(
            (self.buffers or BUFFERS,) * (exits - 1), (QUEUES,) * (exits - 1),
            self.in_flight or FLIGHT,
        )  # fmt: skip


@dataclass(frozen=True)
class Played:
    """A sequence as the cycle reference played it.

    Attributes:
        exits: int64 (N,), of the frames played.
        found: their cycles.
        ideal: cycles between frames if nobody ever waited.
    """

    exits: Exits
    found: system.Prediction = field(repr=False)
    ideal: float

    @cached_property
    def pace(self) -> float:
        """Cycles between frames."""
        return pace(self.found.accepts)


def rates(reach: Sequence[float] | None, exits: int) -> list[float]:
    """Fraction of the frames that leaves at each exit; None: all leave at the last one."""
    shares = [1.0] * exits if reach is None else [min(1.0, r) for r in reach]
    return [a - b for a, b in zip(shares, [*shares[1:], 0.0], strict=True)]


def sequence(text: str | None, reach: Sequence[float] | None, exits: int) -> Exits:
    """The exits that are played, int64 (at most PLAYED,).

    Args:
        text: exits of frames in the order in which they come, a digit each; None: that many as
            `reach` says, in random order.
        reach: fraction of the frames that reach each exit; None: all reach all.
        exits: how many there are.

    Raises:
        InputError: an exit that there is not.
    """
    if not text:
        counts = np.round(np.array(rates(reach, exits)) * RANDOM).astype(int)
        found = np.repeat(np.arange(exits, dtype=np.int64), counts)
        np.random.default_rng(0).shuffle(found)
        return found
    known = "01234567"[:exits]
    wrong = next((c for c in str(text) if c not in known), None)
    if wrong is not None:
        raise InputError(
            f"sequence of exits.json must be a text of exits 0 to {exits - 1}, a digit each, got "
            f"{wrong!r} in it: calibrate again, or take it out"
        )
    return np.array([int(c) for c in text[:PLAYED]], np.int64)


def percentile(cycles: Sequence[int], leaves: Sequence[float], part: int) -> int:
    """Latency that `part` % of the frames keep, by latency and rate of each exit."""
    reached = 0.0
    for latency, rate in sorted(zip(cycles, leaves, strict=True)):
        reached += rate
        if reached >= part / 100 - 1e-9:
            return latency
    return max(cycles)


def percentiles(latency: npt.NDArray[np.int64]) -> dict[str, float]:
    """PERCENTILES of latencies, each that of a frame."""
    return {f"p{p}": float(np.percentile(latency, p, method="higher")) for p in PERCENTILES}


def size(accelerator: Accelerator, room: Room) -> Size:
    """What waiting frames take beyond the queue of each later segment and the usual controller."""
    exits = len(accelerator.heads)
    total = Size(control.shared(exits, room.in_flight) - control.shared(exits))
    for segment, buffer, queue in zip(
        accelerator.segments[1:], room.buffers, room.queues, strict=True
    ):
        held = waiting(segment.input, buffer, queue)
        usual = fifo(segment.input.width, segment.input.words * QUEUES)
        lut = held.lut - usual.lut + PLACE_LUT * (buffer - BUFFERS)
        total += Size(lut, 0, held.bram18 - usual.bram18)
    return total


def play(
    accelerator: Accelerator,
    exits: Exits,
    room: Room,
    *,
    known: system.Known | None = None,
    parts: Sequence[Stage] | None = None,
    spacing: float = 0.0,
    words: int = WORK,
) -> Played:
    """The exits as the cycle reference plays them, as many as the work allows.

    Args:
        accelerator: with sized FIFOs.
        exits: int64 (N,).
        room: what frames wait in.
        known: what earlier plays of the accelerator found.
        parts: its stages.
        spacing: cycles between the frames of the source; 0: all are there at once.
        words: the work, see `exeunt.reference.system.Known`.
    """
    found = system.predict(
        accelerator, exits, sizes=room.sizes(accelerator), gives=False, known=known,
        spacing=spacing, words=words,
    )  # fmt: skip
    some = exits[: len(found.accepts)]
    ideal = frames.ideal(parts or frames.stages(accelerator), some[len(some) // 4 :])
    return Played(some, found, ideal)  # of the frames that `pace` counts


def largest(exits: int, given: Given) -> Room:
    """The most room that is tried."""
    return Room(
        (given.buffers or STEPS[-1],) * (exits - 1), (STEPS[-1],) * (exits - 1),
        given.in_flight or FLIGHTS[-1],
    )  # fmt: skip


def smallest(
    accelerator: Accelerator,
    exits: Exits,
    *,
    given: Given = Given(),
    wanted: float = 0.0,
    blocks: int | None = None,
    known: system.Known | None = None,
    parts: Sequence[Stage] | None = None,
) -> tuple[Room, Played]:
    """The least room with which frames come as quickly as is wanted, and how they do.

    It is found from the largest one down, a step at a time, until with every further step frames
    would be further apart than is wanted, and than ENOUGH times as far as in the largest room.

    Args:
        accelerator: with sized FIFOs.
        exits: int64 (N,), which are played.
        given: what the config fixes.
        wanted: cycles between frames; 0: the fewest.
        blocks: of 18 kbit that frames may wait in; None: any number.
        known: what earlier plays of the accelerator found.
        parts: its stages.
    """
    parts = frames.stages(accelerator) if parts is None else parts
    known = system.Known() if known is None else known
    paces = frames.Paces(parts, exits)
    least = paces.of(largest(len(parts), given))
    limit = max(wanted, least * ENOUGH)
    tight = limit
    rooms: list[Room] = []
    while True:
        room = _descended(accelerator, paces, given, tight, blocks)
        if room in rooms:
            return _raised(accelerator, parts, exits, room, given, limit, blocks, known)
        rooms.append(room)
        found = play(accelerator, exits, room, known=known, parts=parts)
        same = pace(frames.play(parts, found.exits, room))  # what whole frames say of the same
        reached = paces.of(room) * (found.pace / same if same else 1.0)
        if reached <= limit * CLOSE:
            return room, found
        tight = max(least, tight * limit / reached)


@dataclass(frozen=True)
class Fit:
    """Room for an accelerator, and how frames do with it.

    Attributes:
        accelerator: with sized FIFOs.
        parts: its stages.
        room: what frames wait in.
        played: how they do.
        known: what plays of the accelerator found.
    """

    accelerator: Accelerator
    parts: tuple[Stage, ...]
    room: Room
    played: Played
    known: system.Known = field(repr=False)


@dataclass(frozen=True)
class Case:
    """What is to be played, and what the config fixes.

    Attributes:
        exits: int64 (N,), of frames in the order in which they come.
        reach: fraction of all frames that reach each exit; None: nothing is known of that.
        stages: number of exits.
        given: what the config fixes.
    """

    exits: Exits = field(repr=False)
    reach: Sequence[float] | None
    stages: int
    given: Given

    @classmethod
    def of(
        cls, section: Compile, text: str | None, reach: Sequence[float] | None, stages: int
    ) -> Case:
        """The case of a config and of what calibration left, see `sequence`.

        Raises:
            InputError: an exit that there is not.
        """
        return cls(sequence(text, reach, stages), reach, stages, Given.of(section))

    @property
    def blind(self) -> bool:
        """Whether the exits of real frames say nothing, or not all (frames looked at again)."""
        return self.stages > 1 and (self.reach is None or self.reach[0] > 1)

    @property
    def start(self) -> float:
        """The head room to begin with."""
        if self.given.headroom is not None:
            return self.given.headroom
        return SPARE if self.blind else 1.0

    def fit(
        self, accelerator: Accelerator, *, wanted: float = 0.0, blocks: int | None = None
    ) -> Fit:
        """The room for an accelerator, see `smallest`; as usual where nothing is known."""
        parts, known = frames.stages(accelerator), system.Known()
        if self.blind:
            room = self.given.usual(self.stages)
            played = play(accelerator, self.exits, room, known=known, parts=parts)
        else:
            room, played = smallest(
                accelerator, self.exits, given=self.given, wanted=wanted, blocks=blocks,
                known=known, parts=parts,
            )  # fmt: skip
        return Fit(accelerator, parts, room, played, known)

    def headroom(self, fit: Fit, goal: float | None) -> tuple[float, ...] | None:
        """Head room with which frames might come every `goal` cycles; None: no more is needed."""
        fixed = self.blind or self.given.headroom is not None or self.stages == 1
        if fixed or goal is None or self.reach is None or fit.played.pace <= goal * ENOUGH:
            return None
        usual = self.given.usual(self.stages)
        return headroom(fit.parts, self.exits, room=usual, goal=goal, reach=self.reach)


def spaced(fit: Fit, case: Case, spacing: float) -> dict[str, float]:
    """Percentiles of the latency of frames that come every `spacing` cycles, in order."""
    found = play(
        fit.accelerator, case.exits, fit.room, known=fit.known, parts=fit.parts, spacing=spacing
    )
    return percentiles(found.found.reported)


def told(fit: Fit, case: Case) -> dict[str, Any]:
    """`compile.bursts` of report.json: room, and how frames do with it, also at their worst."""
    exits, last = fit.played.exits, case.stages - 1
    sorted_parts = [np.sort(exits[at : at + BURST]) for at in range(0, len(exits), BURST)]
    worst = {"hard": np.full(HARD, last, np.int64), "bursts": np.concatenate(sorted_parts)}
    goal = max(part.interval * float((exits >= i).mean()) for i, part in enumerate(fit.parts))
    shares = [float((exits >= i).mean()) for i in range(case.stages)]
    return {
        "buffers": list(fit.room.buffers),
        "queues": list(fit.room.queues),
        "in_flight": fit.room.in_flight,
        "size": dataclasses.asdict(size(fit.accelerator, fit.room)),
        "intervals": [part.interval for part in fit.parts],
        "headroom": [
            goal / (part.interval * share) if share else None
            for part, share in zip(fit.parts, shares, strict=True)
        ],
        "frames": len(exits),
        "cycles_per_image": fit.played.pace,
        "ideal": fit.played.ideal,
        "of_ideal": fit.played.ideal / fit.played.pace if fit.played.pace else 1.0,
        "found": not case.blind,
        "worst": {name: _worst(fit, some) for name, some in worst.items() if case.stages > 1},
    }


def _worst(fit: Fit, exits: Exits) -> dict[str, float]:
    found = play(
        fit.accelerator, exits, fit.room, known=fit.known, parts=fit.parts, words=WORK // 3
    )
    return {"frames": len(found.exits), "cycles_per_image": found.pace, "ideal": found.ideal}


def headroom(
    parts: Sequence[Stage],
    exits: Exits,
    *,
    room: Room,
    goal: float,
    reach: Sequence[float],
) -> tuple[float, ...]:
    """How much faster than on average each stage must be to take frames as quickly as is wanted.

    A step at a time the stage is made faster that helps most.

    Args:
        parts: the stages as they are.
        exits: int64 (N,), which are played.
        room: what frames wait in.
        goal: cycles between frames.
        reach: fraction of the frames that reach each exit.
    """
    now = list(parts)
    reached = pace(frames.play(now, exits, room))
    while reached > goal * ENOUGH:
        tried = []
        for i in range(1, len(now)):
            faster = dataclasses.replace(now[i], interval=now[i].interval / FASTER)
            if goal / max(faster.interval * reach[i], 1e-9) <= MOST_SPARE:
                some = [*now[:i], faster, *now[i + 1 :]]
                tried.append((pace(frames.play(some, exits, room)), i, faster))
        if not tried or min(tried)[0] >= reached:
            break
        reached, which, faster = min(tried, key=lambda t: t[:2])
        now[which] = faster
    return tuple(
        1.0 if i == 0 or not reach[i] else max(1.0, goal / (part.interval * reach[i]))
        for i, part in enumerate(now)
    )


def _descended(
    accelerator: Accelerator, paces: frames.Paces, given: Given, limit: float, blocks: int | None
) -> Room:
    """From the largest room down: first what costs least speed for what it saves."""
    room = largest(len(accelerator.heads), given)
    now = paces.of(room)
    while True:
        best: tuple[float, int, float] | None = None
        over = blocks is not None and size(accelerator, room).bram18 > blocks
        worth, smaller = _worth(accelerator, room), _near(room, given, -1)
        saved = [worth - _worth(accelerator, s) + 1 for s in smaller]
        for i in sorted(range(len(smaller)), key=lambda i: -saved[i]):  # the likely ones first
            most = math.inf if over and smaller[i].in_flight == room.in_flight else limit
            if best is not None and saved[i] > 0:  # slower than that it is no better
                most = min(most, now * (1 - 1e-4 + best[0] * saved[i]) + 1e-6)
            reached = paces.of(smaller[i], limit=most)
            if reached <= most:
                loss = (reached / now - 1 + 1e-4) / saved[i]
                best = min(best or (loss, i, reached), (loss, i, reached))
        if best is None:
            return room
        room, now = smaller[best[1]], best[2]


def _worth(accelerator: Accelerator, room: Room) -> float:
    """LUT that a room is worth: its memories by their bits, whatever blocks they end up in."""
    bits = 0
    for segment, *held in zip(accelerator.segments[1:], room.buffers, room.queues, strict=True):
        bits += sum(held) * segment.input.words * segment.input.width
    return BLOCK_LUT * bits / BLOCK_BITS + size(accelerator, room).lut


def _raised(
    accelerator: Accelerator,
    parts: Sequence[Stage],
    exits: Exits,
    room: Room,
    given: Given,
    limit: float,
    blocks: int | None,
    known: system.Known,
) -> tuple[Room, Played]:
    """The room, larger by the steps that help by the cycle reference until that is enough."""
    found = play(accelerator, exits, room, known=known, parts=parts)
    for _ in range(RAISED):
        if found.pace <= limit * CLOSE:
            break
        tried = [
            (play(accelerator, exits, larger, known=known, parts=parts), larger)
            for larger in _near(room, given, 1)
            if blocks is None or size(accelerator, larger).bram18 <= blocks
        ]
        better, larger = min(tried, key=lambda t: t[0].pace, default=(found, room))
        if better.pace >= found.pace:
            break
        found, room = better, larger
    return room, found


def _near(room: Room, given: Given, step: int) -> list[Room]:
    """Every room with one thing a step smaller (-1) or larger (1)."""
    found = []
    for i in range(len(room.buffers)):
        if given.buffers is None:
            for more in _stepped(room.buffers[i], STEPS[LEAST - 1 :], step):
                found.append(dataclasses.replace(room, buffers=_with(room.buffers, i, more)))
        for more in _stepped(room.queues[i], STEPS, step):
            found.append(dataclasses.replace(room, queues=_with(room.queues, i, more)))
    if given.in_flight is None:
        for more in _stepped(room.in_flight, FLIGHTS, step):
            found.append(dataclasses.replace(room, in_flight=more))
    return found


def _stepped(value: int, steps: Sequence[int], step: int) -> list[int]:
    index = steps.index(value) + step
    return [steps[index]] if 0 <= index < len(steps) else []


def _with(values: tuple[int, ...], index: int, value: int) -> tuple[int, ...]:
    return (*values[:index], value, *values[index + 1 :])
