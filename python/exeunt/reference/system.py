"""Cycle reference of the whole core for a given sequence of exits, without simulating a clock.

Segments and heads come from `pipeline.flow`; this module adds what the controller does between
them: admission, fork, score, verdict, frame buffer, results. Every rule is the one that the block's
header states (hls/rtl/ex_tag.sv, ex_decide.sv, ex_route.sv, ex_frame_buffer.sv, ex_merge.sv; what
the score block does, `exeunt.criteria.Criterion` promises).

Nothing that happens to a frame depends on a later one, so the frames are taken in turn, each to its
exit. What a chain remembers of the frames before is carried along (`pipeline.Past`), so the result
is exact. A frame that a chain meets in a state in which it met one before, all cycles counted from
the frame's own start, moves as that one did and is not solved again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from exeunt import criteria
from exeunt.graph import Accelerator, Dataflow, IntArray, Node, in_a_row
from exeunt.kernels.parts.fifo import LONG_AGO
from exeunt.reference import pipeline
from exeunt.reference.controller import Places
from exeunt.reference.pipeline import Cycles
from exeunt.reference.rules import RuleUnit
from exeunt.rules import unit

ENTRY_DEPTH = 2  # words before segment 0
STEM_DEPTH = 2  # words behind a segment without kernels
RESULT_DEPTH = 2  # results that wait for the merge, at each exit
_AGO = int(LONG_AGO)


@dataclass(frozen=True)
class Sizes:
    """What the core was built with.

    `buffers`: words of each frame buffer; `verdicts`: verdicts queued; `in_flight`: most frames
    inside; `entries[i]`: words that wait before segment i;
    `slots`: frames that the rule unit keeps.
    """

    buffers: tuple[int, ...]
    verdicts: int
    in_flight: int
    entries: tuple[int, ...] = (0,) * 8
    slots: int = unit.SLOTS

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Sizes:
        """The sizes that the manifest `data` of a compiled folder has."""
        return cls(
            buffers=tuple(data["buffers"]),
            verdicts=int(data["decision_depth"]),
            in_flight=int(data["in_flight"]),
            entries=tuple(data["entries"]),
            slots=int(data["rules"]["unit"]["slots"]) if "rules" in data else unit.SLOTS,
        )


@dataclass(frozen=True)
class Prediction:
    """Cycles of N frames; cycle 0 is the first in which the source offers a beat.

    `accepts`: int64 (N,), transfer of each frame's first beat.
    `decides[i]`: int64, decision of each frame that reaches exit i, in order.
    `results`: int64 (N,), transfer of each frame's result on m_*, by frame.
    `reported`: int64 (N,), the latency field of each result.
    `gives[node]`: int64, transfers of the node's output words.
    """

    accepts: Cycles
    decides: tuple[Cycles, ...]
    results: Cycles
    reported: Cycles
    gives: dict[str, Cycles]

    @property
    def cycles(self) -> int:
        """Cycles from the first beat to the last result, both included."""
        return int(self.results.max() - self.accepts[0]) + 1 if len(self.results) else 0


@dataclass(frozen=True)
class _Frame:
    """One frame in a chain, all cycles counted from `start`.

    `enters`: when its words come in; `taken`: when the first kernel takes them; `shows`: when they
    are on offer at the fork; `gives`: when they leave each kernel; `leaves`: when the beats of its
    logits are taken. `past`: what the chain remembers then.
    """

    start: int
    enters: Cycles
    taken: Cycles
    shows: Cycles
    gives: tuple[Cycles, ...]
    leaves: Cycles
    past: pipeline.Past


class _Line:
    """A segment and its head, which take frames in turn.

    `entry`: words of a FIFO before the first kernel; `queue`: the same, for whole frames.
    """

    def __init__(
        self, segment: Dataflow, head: Dataflow, *, entry: int, queue: int, gives: bool
    ) -> None:
        stem: tuple[Node | None, ...] = segment.nodes or (None,)
        self._nodes = stem + head.nodes
        self._fifos = (segment.fifos or (STEM_DEPTH,)) + head.fifos
        given = max(1, len(segment.streams))
        moved = (tuple(number + given for number in sources) for sources in head.reads)
        self._reads = (segment.reads or in_a_row(1)) + tuple(moved)
        self._fork = len(stem)
        self._words, self._beats = segment.output.words, head.output.words
        self._entry = entry
        self._queue = queue
        self._gives = gives
        self._before: _Frame | None = None
        self._taken: list[Cycles] = []
        self._kept: list[tuple[int, tuple[Cycles, ...]]] = []
        self._known: dict[bytes, _Frame] = {}

    def next(self, offered: Cycles, place: int, waits: Sequence[tuple[int, int]]) -> _Frame:
        """How the next frame moves; `take` makes it so.

        Args:
            offered: int64 (input words,), first cycle in which each can be valid.
            place: first cycle in which the frame buffer has a place for it.
            waits: (from, before) which cycles a score waits, so that no beat of logits is taken.
        """
        enters = self._enqueue(offered) if self._queue else None
        words = (offered if enters is None else enters + 1).copy()
        before, past = self._before, None
        if before is not None:
            ahead = before.enters if self._entry else before.taken
            words[0] = max(int(words[0]), before.start + int(ahead[-1]) + 1)
        words = pipeline.in_order(words)
        start = int(words[0])
        words -= start
        if (
            before is not None
            and before.past.cycles.max() > start - before.start - pipeline.SETTLED
        ):
            past = before.past.seen_from(start - before.start)
        found = self._flow(words, past, None, None)
        hold = ready = None
        if start + found.shows[0] < place:
            hold = np.full(self._words, LONG_AGO, np.int64)
            hold[0] = place - start
            found = self._flow(words, past, hold, None)
        for begin, end in waits:
            (beats,) = ((found.leaves >= begin - start) & (found.leaves < end - start)).nonzero()
            if len(beats):
                ready = np.full(self._beats, LONG_AGO, np.int64) if ready is None else ready.copy()
                ready[beats[0]] = end - start
                found = self._flow(words, past, hold, ready)
        found = dataclasses.replace(found, start=start)
        return found if enters is None else dataclasses.replace(found, enters=enters - start)

    def take(self, frame: _Frame) -> None:
        """Let the next frame move so."""
        self._before = frame
        if self._queue:
            self._taken.append(frame.start + frame.taken)
            del self._taken[: -(self._queue // len(frame.taken) + 1)]
        if self._gives:
            self._kept.append((frame.start, frame.gives))

    def given(self) -> dict[str, Cycles]:
        """When each kernel gave its words, by name."""
        found, stream = {}, 0
        for node in self._nodes:
            if node is not None:
                parts = [start + gives[stream] for start, gives in self._kept]
                found[node.name] = np.concatenate([np.zeros(0, np.int64), *parts])
            stream += 1 if node is None else len(node.outputs)
        return found

    def _flow(
        self,
        offered: Cycles,
        past: pipeline.Past | None,
        hold: Cycles | None,
        ready: Cycles | None,
    ) -> _Frame:
        """The frame with these words behind this past; as before, if it came before."""
        parts = (offered, None if past is None else past.cycles, hold, ready)
        key = b"|".join(b"" if p is None else p.tobytes() for p in parts)
        if key not in self._known:
            flow = pipeline.flow(
                self._nodes, self._fifos, offered, reads=self._reads, entry=self._entry,
                fork=self._fork, past=past, hold=hold, ready=ready,
            )  # fmt: skip
            self._known[key] = _Frame(
                0, flow.enters, flow.takes[0], flow.shows, flow.gives if self._gives else (),
                flow.leaves, flow.past,
            )  # fmt: skip
        return self._known[key]

    def _enqueue(self, offered: Cycles) -> Cycles:
        """When each word of the next frame enters the FIFO before the first kernel."""
        if not self._taken:
            return pipeline.in_order(offered)
        gone = np.concatenate(self._taken)
        first = len(gone) - self._queue  # word of `gone` whose room the next word takes
        room = np.full(len(offered), LONG_AGO, np.int64)
        skip = max(0, -first)
        if skip < len(offered):
            room[skip:] = gone[first + skip : first + len(offered)] + 1
        return pipeline.in_order(np.maximum(offered, room))


class _Merge:
    """When results leave on m_*: each cycle the highest exit whose FIFO shows one.

    `entered[e]`: when results entered the FIFO of exit e. Those that wait are looked at anew each
    time, since the result of a later frame may overtake them.
    """

    def __init__(self, exits: int) -> None:
        self.entered: list[list[int]] = [[] for _ in range(exits)]
        self._read: list[list[int]] = [[] for _ in range(exits)]  # left their FIFO for certain
        self._total = 0
        self._cycle = -1  # of the last one that did

    def _waiting(self) -> list[tuple[int, int]]:
        """(cycle in which it leaves its FIFO, exit) of every result that waits, in order."""
        waits = [c[len(r) :] for c, r in zip(self.entered, self._read, strict=True)]
        heads = [0] * len(waits)
        cycle, found = self._cycle, []
        for _ in range(sum(map(len, waits))):
            shown = [(c[heads[e]] + 1, e) for e, c in enumerate(waits) if heads[e] < len(c)]
            cycle = max(cycle + 1, min(shown)[0])
            exit_ = max(e for at, e in shown if at <= cycle)
            heads[exit_] += 1
            found.append((cycle, exit_))
        return found

    def left(self, count: int) -> int:
        """When the `count`-th result leaves on m_*; later frames' results come after that."""
        for cycle, exit_ in self._waiting()[: count - self._total]:
            self._read[exit_].append(cycle)
            self._cycle = cycle
            self._total += 1
        return self._cycle + 1

    def enter(self, exit_: int, shown: int) -> int:
        """A token shows a result from cycle `shown` on: when the FIFO of its exit takes it."""
        before = len(self.entered[exit_]) - RESULT_DEPTH  # the one whose room it takes
        entered = shown
        if before >= 0:
            read = self._read[exit_]
            if before >= len(read):
                read = read + [cycle for cycle, e in self._waiting() if e == exit_]
            entered = max(shown, read[before] + 1)
        self.entered[exit_].append(entered)
        return entered

    def results(self) -> list[Cycles]:
        """When each result leaves on m_*, by exit."""
        self.left(sum(map(len, self.entered)))
        return [np.array(r, np.int64) + 1 for r in self._read]


@dataclass
class _Exit:
    """What is behind a head: the decision, and the frame buffer that obeys it.

    `scoring`: cycles from the last beat of a frame's logits to its score. `waits`: from which cycle
    and before which the last scores had to wait; the score block stands still meanwhile.
    """

    scoring: int
    places: Places | None  # None at the last exit, which has no frame buffer
    verdicts: int
    waits: list[tuple[int, int]] = field(default_factory=list)
    decides: list[int] = field(default_factory=list)
    _scored: int = _AGO  # when the last score was taken
    _token: int = _AGO  # when the last token left
    _popped: list[int] = field(default_factory=list)  # when the last verdicts were taken
    _put: int = _AGO  # when the last word came
    _read: int = _AGO  # when the last word of a kept frame was read, and left
    _given: int = _AGO

    def decide(self, last: int, meta: int, result: Callable[[int], int] | None) -> tuple[int, int]:
        """The decision on a frame.

        Args:
            last: cycle in which the last beat of its logits is taken.
            meta: first cycle in which its metadata is there.
            result: of a frame that leaves: cycle of the token -> when its result is taken.

        Returns:
            when the token shows, and the first cycle in which the frame buffer sees its verdict.
        """
        score = last + self.scoring
        for begin, end in self.waits:
            if begin <= score and last < end:
                score += end - max(begin, last + 1)
        self._scored = max(score, self._scored + 1, self._token, meta)
        self.waits = [w for w in self.waits if w[1] > last]
        if self._scored > score:
            self.waits.append((score, self._scored))
        shown = queued = self._scored + 1
        if self.places is not None and len(self._popped) >= self.verdicts:
            queued = max(shown, self._popped[-self.verdicts] + 1)
        self._token = max(queued, result(shown) if result else shown)
        self.decides.append(self._token)
        return shown, queued + 1

    def early(self, verdict: int) -> int | None:
        """When a frame that is dropped goes before it has come, since no place is free."""
        assert self.places is not None, "only before the last exit"
        cycle = max([verdict, self._put + 1, *(c + 1 for c in self._popped[-1:])])
        return cycle if cycle < self.places.free else None

    def judge(self, verdict: int, puts: Cycles, early: int | None) -> int:
        """When the frame buffer takes the verdict on the frame whose words come at `puts`."""
        cycle = max([verdict, int(puts[0]) + 1, *(c + 1 for c in self._popped[-1:])])
        self._popped.append(cycle if early is None else early)
        del self._popped[: -self.verdicts]
        self._put = int(puts[-1])
        return self._popped[-1]

    def offers(self, puts: Cycles, cycle: int) -> Cycles:
        """First cycle in which each word of a kept frame is on offer to the next segment."""
        earliest = np.maximum(puts, cycle) + 1
        earliest[0] = max(int(earliest[0]), self._read + 1, self._given)
        return pipeline.in_order(earliest) + 1

    def forward(self, offers: Cycles, enters: Cycles) -> None:
        """The kept frame was taken at `enters`: a word is read when the one before it is taken."""
        assert self.places is not None, "only before the last exit"
        earliest = offers - 1
        earliest[1:] = np.maximum(earliest[1:], enters[:-1])
        self._read = int(pipeline.in_order(earliest)[-1])
        self._given = int(enters[-1])
        self.places.take(self._read)


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
    core = _Core(accelerator, sizes, gives=gives)
    accepts = np.array([core.take(exit_) for exit_ in exits.tolist()], np.int64)
    results = np.empty(len(exits), np.int64)
    for i, cycles in enumerate(core.merge.results()):
        results[exits == i] = cycles
    given: dict[str, Cycles] = {}
    for line in core.lines:
        given |= line.given()
    decides = tuple(np.array(b.decides, np.int64) for b in core.exits)
    return Prediction(accepts, decides, results, results - 1 - accepts, given)


class _Core:
    """The whole core, which takes frames in turn."""

    def __init__(self, accelerator: Accelerator, sizes: Sizes, *, gives: bool) -> None:
        pairs = list(zip(accelerator.segments, accelerator.heads, strict=True))
        criterion = criteria.get(accelerator.criterion)
        self.lines = [
            _Line(
                segment, head, gives=gives,
                entry=0 if i else ENTRY_DEPTH, queue=sizes.entries[i] if i else 0,
            )
            for i, (segment, head) in enumerate(pairs)
        ]  # fmt: skip
        self.exits = [
            _Exit(
                criterion.latency(accelerator.logits(i)),
                Places(sizes.buffers[i] // segment.output.words) if i + 1 < len(pairs) else None,
                sizes.verdicts,
            )
            for i, (segment, _) in enumerate(pairs)
        ]
        self._carried = [  # cycles from a score that is taken to the word at the next exit
            None if criterion.carry is None else criterion.carry.delay(accelerator.logits(i)) + 1
            for i in range(len(pairs))
        ]
        self.merge = _Merge(len(pairs))
        self._sizes = sizes
        self._words = accelerator.segments[0].input.words
        self._rules: RuleUnit | None = None
        if accelerator.rules is not None:
            lanes = accelerator.segments[0].input.lanes
            built = unit.Unit.of(accelerator.rules, lanes=lanes, slots=sizes.slots)
            self._rules = RuleUnit(built)
            self._last = -1  # when the last frame's last beat was taken
        self._frames = 0

    def take(self, exit_: int) -> int:
        """The next frame, which leaves at `exit_`; when its first beat is taken."""
        inside = self._sizes.in_flight
        self._frames += 1
        gate = self.merge.left(self._frames - inside) + 1 if self._frames > inside else 0
        offered = np.full(self._words, gate, np.int64)
        accepted = meta = 0
        if self._rules is not None:
            offered, accepted, meta = self._modify(self._rules, gate)
        ruled = int(offered[0])
        carried: list[tuple[int, int]] = []  # when the frame's first logits wait for its word
        for i in range(exit_ + 1):
            line, here, keep = self.lines[i], self.exits[i], i < exit_
            place = here.places.free if here.places else _AGO
            waits = carried + here.waits
            frame = line.next(offered, place, waits)
            enters = frame.start + frame.enters
            if i == 0 and self._rules is None:
                accepted, meta = int(enters[0]), int(enters[-1]) + 2
            if i > 0:
                self.exits[i - 1].forward(offered, enters)
            shown, verdict = here.decide(
                frame.start + int(frame.leaves[-1]),
                meta,
                None if keep else partial(self.merge.enter, i),
            )
            meta = shown + 1
            delay = self._carried[i]
            if delay is not None:
                carried = [(_AGO, shown - 1 + delay)]
            if here.places:
                early = None if keep else here.early(verdict)
                if early is not None:
                    place = early + 1
                    frame = line.next(offered, place, waits)
                puts = frame.start + frame.shows
                puts[0] = max(int(puts[0]), place)
                cycle = here.judge(verdict, puts, early)
                if keep:
                    offered = here.offers(puts, cycle)
                elif early is None:
                    here.places.take(cycle)
            line.take(frame)
            if i == 0 and self._rules is not None:
                self._rules.give(ruled, frame.start + frame.enters)
        return accepted

    def _modify(self, rules: RuleUnit, gate: int) -> tuple[Cycles, int, int]:
        """The next frame in the rule unit, whose first beat may be taken from cycle `gate` on.

        Returns:
            first cycle in which each word can be valid, when the first beat is taken, and the first
            cycle in which the frame's metadata is there.
        """
        accepted = max(gate, self._last + 1, rules.begins)
        self._last = max(accepted + self._words - 1, rules.ends)
        accepted = accepted if self._words > 1 else self._last
        shown = rules.judge(self._last)
        return shown + np.arange(self._words), accepted, self._last + 2
