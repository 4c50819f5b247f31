"""Cycle reference of the whole core for a given sequence of exits, without simulating a clock.

Segments and heads come from `pipeline.flow`; this module adds what the controller does between
them: admission, fork, score, verdict, frame buffer, results. Every rule is the one that the block's
header states (hls/rtl/ex_tag.sv, ex_decide.sv, ex_route.sv, ex_frame_buffer.sv, ex_merge.sv; the
score's latency is the criterion's).

Nothing that happens to a frame depends on a later one, so the frames are taken in turn. A chain
forgets: some of the last frames, given to an empty chain, bring it into the state it is in. So it
is solved for a short window of frames, which must do again what they did, word for word; and a
window that was seen before (all cycles counted from its own start) need not be solved again.
"""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from exeunt import criteria
from exeunt.graph import Accelerator, Chain, IntArray
from exeunt.reference import pipeline
from exeunt.reference.pipeline import Cycles

ENTRY_DEPTH = 2
SHORTEST, LONGEST = 2, 8  # frames of a window
BLOCKED = 3  # frames of a window behind a frame that waited for its buffer
_NEVER_BINDS = np.int64(-(1 << 40))


@dataclass(frozen=True)
class Sizes:
    """What the core was built with.

    `buffers`: words of each frame buffer; `verdicts`: verdicts queued; `in_flight`: most frames
    inside; `entries[i]`: words that wait before segment i.
    """

    buffers: tuple[int, ...]
    verdicts: int
    in_flight: int
    entries: tuple[int, ...] = (0,) * 8

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Sizes:
        """The sizes that the manifest `data` of a compiled folder has."""
        return cls(
            buffers=tuple(data["buffers"]),
            verdicts=int(data["decision_depth"]),
            in_flight=int(data["in_flight"]),
            entries=tuple(data["entries"]),
        )


@dataclass(frozen=True)
class Prediction:
    """Cycles of N frames; cycle 0 is the first in which the source offers a beat.

    `accepts`: int64 (N,), transfer of each frame's first beat.
    `decides[i]`: int64, decision of each frame that reaches exit i, in order.
    `results`: int64 (N,), transfer of each frame's result on m_*, by frame.
    `reported`: int64 (N,), the latency field of each result.
    `gives[node]`: int64, transfers of the node's output words.
    `guesses`: frames met by a chain whose state no window explained in full; the cycles from
    there on may be off by a little.
    """

    accepts: Cycles
    decides: tuple[Cycles, ...]
    results: Cycles
    reported: Cycles
    gives: dict[str, Cycles]
    guesses: int = 0

    @property
    def cycles(self) -> int:
        """Cycles from the first beat to the last result, both included."""
        return int(self.results.max() - self.accepts[0]) + 1 if len(self.results) else 0


@dataclass(frozen=True)
class _Frame:
    """One frame in a chain: when its words come in, are on offer at the fork, leave each node.

    `offered`: when its words could come in. `hold`: when the frame buffer had room for each word,
    where that came too late; else far past. `last`: when the last beat of its logits is taken.
    `taken`: when the first kernel takes its words. `fresh`: the chain was empty before.
    """

    offered: Cycles
    hold: Cycles
    enters: Cycles
    shows: Cycles
    gives: tuple[Cycles, ...]
    last: int
    taken: Cycles
    fresh: bool = False

    @property
    def end(self) -> int:
        """The last cycle in which the frame does anything in the chain."""
        return max(self.last, int(self.shows[-1]), int(self.hold[-1]))

    def does_as(self, other: _Frame, later: int) -> bool:
        """Whether every word moves as in `other`, `later` cycles later."""
        mine = (self.enters, self.shows, *self.gives)
        theirs = (other.enters, other.shows, *other.gives)
        return all(np.array_equal(a, b + later) for a, b in zip(mine, theirs, strict=True))


def _moved(hold: Cycles, cycles: int) -> Cycles:
    return np.where(hold == _NEVER_BINDS, hold, hold + cycles)


class _Line:
    """A segment and its head, which take frames in turn.

    `guesses` counts the frames for which no window explained what the frames before did; they are
    predicted from a window that comes close.
    """

    def __init__(self, segment: Chain, head: Chain, *, entry: int = 0, queue: int = 0) -> None:
        self._nodes = segment.nodes + head.nodes
        self._fifos = segment.fifos + head.fifos
        self._fork = len(segment.nodes)
        self._entry = entry
        self._queue = queue
        self._past: list[_Frame] = []
        self._taken: list[Cycles] = []
        self._known: dict[bytes, list[_Frame]] = {}
        self.guesses = 0

    def take(self, offered: Cycles, room: Cycles) -> _Frame:
        """The next frame.

        Args:
            offered: int64 (input words,), first cycle in which each can be valid.
            room: int64 (segment's output words,), first cycle in which the frame buffer has room.
        """
        enters = None
        if self._queue:
            enters = self._enqueue(offered)
            offered = enters + 1
        if self._past:
            if self._past[-1].end + 1 < offered[0]:
                self._past.clear()
            elif not self._entry:
                offered = np.maximum(offered, int(self._past[-1].taken[-1]) + 1)
        free = np.full(len(room), _NEVER_BINDS, np.int64)
        window, later = self._window()
        found = self._solve(window, later, offered, free)
        if (found.shows < room).any():
            found = self._solve(window, later, offered, np.where(found.shows < room, room, free))
        self._past.append(found)
        del self._past[:-LONGEST]
        if enters is not None:
            self._taken.append(found.taken)
            del self._taken[: -(self._queue // len(offered) + 1)]
            return dataclasses.replace(found, enters=enters)
        return found

    def _enqueue(self, offered: Cycles) -> Cycles:
        """When each word of the next frame enters the FIFO before the first kernel."""
        if not self._taken:
            return pipeline.in_order(offered)
        gone = np.concatenate(self._taken)
        first = len(gone) - self._queue
        room = np.full(len(offered), _NEVER_BINDS, np.int64)
        skip = max(0, -first)
        if skip < len(offered):
            room[skip:] = gone[first + skip : first + len(offered)] + 1
        return pipeline.in_order(np.maximum(offered, room))

    def _solve(
        self, window: list[tuple[Cycles, Cycles]], later: int, offered: Cycles, hold: Cycles
    ) -> _Frame:
        """The frame behind a window, all of whose cycles are `later` in truth."""
        start = int(window[0][0][0] if window else offered[0] - later)
        arriving = np.maximum(offered - later, start)
        frames = [*window, (arriving, _moved(hold, -later))]
        found = self._flow(frames, start)[-1]
        shift = start + later
        return _Frame(
            offered, hold, found.enters + shift, found.shows + shift,
            tuple(g + shift for g in found.gives), found.last + shift, found.taken + shift,
            not window,
        )  # fmt: skip

    def _flow(self, frames: list[tuple[Cycles, Cycles]], start: int) -> list[_Frame]:
        """Frames (offered, hold) that an empty chain takes in turn, counted from `start`."""
        offered = np.concatenate([o for o, _ in frames]) - start
        hold = _moved(np.concatenate([h for _, h in frames]), -start)
        key = offered.tobytes() + hold.tobytes()
        known = self._known.get(key)
        if known is not None:
            return known
        binds = bool((hold != _NEVER_BINDS).any())
        flow = pipeline.flow(
            self._nodes, self._fifos, offered, entry=self._entry, fork=self._fork,
            hold=hold if binds else None,
        )  # fmt: skip
        count = len(frames)
        opened, held, enters, shows, taken = (
            a.reshape(count, -1) for a in (offered, hold, flow.enters, flow.shows, flow.takes[0])
        )
        gives = [g.reshape(count, -1) for g in flow.gives]
        last = flow.leaves.reshape(count, -1)[:, -1]
        known = [
            _Frame(
                opened[n], held[n], enters[n], shows[n], tuple(g[n] for g in gives),
                int(last[n]), taken[n],
            )
            for n in range(count)
        ]  # fmt: skip
        self._known[key] = known
        return known

    def _window(self) -> tuple[list[tuple[Cycles, Cycles]], int]:
        """Frames that bring an empty chain into the state it is in now, but for a delay.

        Returns:
            (offered, hold) of some of the last frames, and the delay.
        """
        if not self._past:
            return [], 0
        last = self._past[-1]
        if last.fresh:
            return [(last.offered, last.hold)], 0
        blocked = any((f.hold != _NEVER_BINDS).any() for f in self._past[-LONGEST:])
        depth = SHORTEST
        while self._entry and not blocked and depth <= len(self._past):
            past = self._past[-depth:]
            if past[0].fresh:
                return [(f.offered, f.hold) for f in past], 0
            begin = int(past[0].enters[0])
            window = [(np.maximum(f.offered, begin), f.hold) for f in past]
            found = self._flow(window, begin)
            delay = last.last - found[-1].last
            pairs = list(zip(past, found, strict=True))[-SHORTEST:]
            if all(f.does_as(g, delay) for f, g in pairs):
                return window, delay - begin
            depth *= 2
        self.guesses += 1
        if (last.hold != _NEVER_BINDS).any():  # the hold says when; what came before matters little
            past = self._past[-BLOCKED:]
            begin = int(past[0].enters[0] if self._entry else past[0].offered[0])
            return [(np.maximum(f.offered, begin), f.hold) for f in past], 0
        asap = np.zeros(len(last.offered), np.int64)
        free = np.full(len(last.hold), _NEVER_BINDS, np.int64)
        window = [(asap, free)] * SHORTEST
        return window, last.last - self._flow(window, 0)[-1].last


@dataclass
class _Exit:
    """What is behind a head: the decision, and the frame buffer that obeys it.

    `scoring`: cycles from the last beat of a frame's logits to its score.
    """

    scoring: int
    words: int
    places: int  # words of the frame buffer; 0 at the last exit, which has none
    verdicts: int
    token: int = -1
    free_from: int = -1
    last_read: int = -1
    last_taken: int = -1
    popped: list[int] = field(default_factory=list)
    freed: list[Cycles] = field(default_factory=list)  # of the frames that fill the buffer
    decides: list[int] = field(default_factory=list)
    results: list[int] = field(default_factory=list)

    def room(self) -> Cycles:
        """When the frame buffer has room for each word of the next frame."""
        room = np.full(self.words, _NEVER_BINDS, np.int64)
        if not self.places or not self.freed:
            return room
        freed = np.concatenate(self.freed)
        first = len(freed) - self.places  # word of `freed` whose place the next word takes
        skip = max(0, -first)
        if skip < self.words:
            room[skip:] = freed[first + skip : first + self.words] + 1
        return room

    def decide(self, frame: _Frame, keep: bool) -> int:
        """The verdict; the cycle in which the frame buffer takes it."""
        shown = max(frame.last + self.scoring, self.token) + 1
        self.token = shown
        if not keep:
            self.results.append(shown)
        cycle = shown
        if self.places:
            if len(self.popped) >= self.verdicts:
                self.token = max(shown, self.popped[-self.verdicts] + 1)
            cycle = max(self.token + 1, self.free_from)
            self.popped.append(cycle)
        self.decides.append(self.token)
        return cycle

    def drop(self, frame: _Frame, cycle: int) -> None:
        """The frame buffer moves its read pointer over the frame."""
        written = max(int(frame.shows[-1]), int(frame.hold[-1]))
        self.free_from = max(cycle, written) + 1
        self._release(np.full(self.words, cycle, np.int64))

    def offers(self, frame: _Frame, cycle: int) -> Cycles:
        """First cycle in which each word of a kept frame is on offer to the next segment."""
        earliest = np.maximum(np.maximum(frame.shows, frame.hold), cycle) + 1
        earliest[0] = max(int(earliest[0]), self.last_read + 1, self.last_taken)
        return pipeline.in_order(earliest) + 1

    def forward(self, offers: Cycles, enters: Cycles) -> None:
        """The kept frame was taken at `enters`: a word is read when the one before it is taken."""
        earliest = offers - 1
        earliest[1:] = np.maximum(earliest[1:], enters[:-1])
        read = pipeline.in_order(earliest)
        self.free_from = self.last_read = int(read[-1])
        self.last_taken = int(enters[-1])
        self._release(read)

    def _release(self, freed: Cycles) -> None:
        self.freed.append(freed)
        del self.freed[: -(-(-self.places // self.words) + 1)]


def _merge(entered: Sequence[Sequence[int]]) -> list[Cycles]:
    """When each result leaves on m_*, by exit, for results that enter their FIFOs at `entered`.

    A FIFO shows a result from the cycle after it entered; each cycle the highest exit that shows
    one puts it into the output register, from which it leaves a cycle later.
    """
    left = [np.empty(len(c), np.int64) for c in entered]
    heads = [0] * len(entered)
    cycle = -1
    for _ in range(sum(len(c) for c in entered)):
        waiting = [(entered[e][k] + 1, e) for e, k in enumerate(heads) if k < len(entered[e])]
        cycle = max(cycle + 1, min(waiting)[0])
        exit_ = max(e for at, e in waiting if at <= cycle)
        left[exit_][heads[exit_]] = cycle + 1
        heads[exit_] += 1
    return left


def predict(
    accelerator: Accelerator, exits: IntArray, *, sizes: Sizes, gives: bool = True
) -> Prediction:
    """Cycles of every frame when the source always has a beat and the sink always takes.

    Args:
        accelerator: the compiled graph.
        exits: int64 (N,), the exit each frame takes.
        sizes: what the core was built with.
        gives: also keep the transfers of every node, for every frame.
    """
    count = len(accelerator.segments)
    words = accelerator.segments[0].input.words
    lines = [
        _Line(segment, head, queue=sizes.entries[i])
        if i
        else _Line(segment, head, entry=ENTRY_DEPTH)
        for i, (segment, head) in enumerate(
            zip(accelerator.segments, accelerator.heads, strict=True)
        )
    ]
    criterion = criteria.get(accelerator.criterion)
    behind = [
        _Exit(
            criterion.latency(accelerator.logits(i)),
            s.output.words,
            sizes.buffers[i] if i + 1 < count else 0,
            sizes.verdicts,
        )
        for i, s in enumerate(accelerator.segments)
    ]
    accepts = np.empty(len(exits), np.int64)
    left: list[int] = []  # cycles in which results leave, ascending
    kept: list[list[tuple[Cycles, ...]]] = [[] for _ in lines]
    gate = 0  # from which on a frame may come in; the source has always had it on offer
    for n, exit_ in enumerate(exits.tolist()):
        if n >= sizes.in_flight:
            gate = max(gate, left[n - sizes.in_flight] + 1)
        offered = np.full(words, gate, np.int64)
        for i in range(exit_ + 1):
            frame = lines[i].take(offered, behind[i].room())
            if gives:
                kept[i].append(frame.gives)
            if i == 0:
                accepts[n] = frame.enters[0]
            else:
                behind[i - 1].forward(offered, frame.enters)
            cycle = behind[i].decide(frame, i < exit_)
            if i < exit_:
                offered = behind[i].offers(frame, cycle)
            elif behind[i].places:
                behind[i].drop(frame, cycle)
        bisect.insort(left, behind[exit_].results[-1] + 2)
    results = np.empty(len(exits), np.int64)
    for i, cycles in enumerate(_merge([b.results for b in behind])):
        results[exits == i] = cycles
    given: dict[str, Cycles] = {}
    for segment, head, found in zip(accelerator.segments, accelerator.heads, kept, strict=True):
        for k, node in enumerate(segment.nodes + head.nodes):
            parts = [frame[k] for frame in found]
            given[node.name] = np.concatenate(parts) if parts else np.zeros(0, np.int64)
    decides = tuple(np.array(b.decides, np.int64) for b in behind)
    guesses = sum(line.guesses for line in lines)
    return Prediction(accepts, decides, results, results - 1 - accepts, given, guesses)
