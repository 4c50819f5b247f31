"""Cycle reference of the whole core for a given sequence of exits, without simulating a clock.

Segments and heads come from `pipeline.flow`; this module adds what the controller does between
them: admission, fork, score, verdict, frame buffer, results. Every rule is the one that the block's
header states (hls/rtl/ex_tag.sv, ex_decide.sv, ex_route.sv, ex_frame_buffer.sv, ex_look_buffer.sv,
ex_merge.sv; what the score block does, `exeunt.criteria.Criterion` promises).

Nothing that happens to a frame depends on a later one, so the frames are taken in turn, each to its
exit. What a chain remembers of the frames before is carried along (`pipeline.Past`), so the result
is exact. A frame that a chain meets in a state in which it met one before, all cycles counted from
the frame's own start, moves as that one did and is not solved again.
"""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from exeunt import criteria
from exeunt.graph import Accelerator, Dataflow, IntArray, Node, in_a_row
from exeunt.kernels.parts.fifo import LONG_AGO
from exeunt.reference import pipeline
from exeunt.reference.controller import Places
from exeunt.reference.exits import Exit, Merge
from exeunt.reference.looks import Made
from exeunt.reference.pipeline import Cycles
from exeunt.reference.rules import RuleUnit
from exeunt.rules import unit

ENTRY_DEPTH = 2  # words before segment 0
STEM_DEPTH = 2  # words behind a segment without kernels
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
    `sends`: (frame, how many looks were before) in the order in which segment 0 gets them; empty
    where every frame is looked at once.
    """

    accepts: Cycles
    decides: tuple[Cycles, ...]
    results: Cycles
    reported: Cycles
    gives: dict[str, Cycles]
    sends: tuple[tuple[int, int], ...] = ()

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


class Known:
    """How frames of one accelerator moved before, so that nothing is solved twice.

    Sizes and exits may differ from one prediction to the next. `words`: those that kernels gave in
    all frames solved so far, which is what takes time.
    """

    def __init__(self) -> None:
        self._lines: dict[tuple[int, bool], dict[bytes, _Frame]] = {}
        self.words = 0

    def of(self, line: int, gives: bool) -> dict[bytes, _Frame]:
        """Of one segment and head, with the transfers of its kernels or without."""
        return self._lines.setdefault((line, gives), {})


class _Line:
    """A segment and its head, which take frames in turn.

    `entry`: words of a FIFO before the first kernel; `queue`: the same, for whole frames.
    """

    def __init__(
        self,
        segment: Dataflow,
        head: Dataflow,
        *,
        entry: int,
        queue: int,
        gives: bool,
        index: int,
        known: Known,
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
        self._known, self._solved = known, known.of(index, gives)

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
        if key not in self._solved:
            flow = pipeline.flow(
                self._nodes, self._fifos, offered, reads=self._reads, entry=self._entry,
                fork=self._fork, past=past, hold=hold, ready=ready,
            )  # fmt: skip
            self._known.words += sum(map(len, flow.gives))
            self._solved[key] = _Frame(
                0, flow.enters, flow.takes[0], flow.shows, flow.gives if self._gives else (),
                flow.leaves, flow.past,
            )  # fmt: skip
        return self._solved[key]

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


def predict(
    accelerator: Accelerator,
    exits: IntArray,
    *,
    sizes: Sizes,
    looks: Made | None = None,
    gives: bool = True,
    spacing: float = 0.0,
    known: Known | None = None,
    words: int | None = None,
) -> Prediction:
    """Cycles of every frame when the source always has a beat and the sink always takes.

    Args:
        accelerator: the compiled graph.
        exits: int64 (N,), the exit each frame takes.
        sizes: what the core was built with.
        looks: how often each frame is looked at again, and might be; None: never.
        gives: also keep the transfers of every node, for every frame.
        spacing: cycles between the frames of the source, of which each is there when its time has
            come or later; 0: all are there at once. Not with looks.
        known: what earlier predictions of this accelerator found.
        words: of frames solved, as `Known` counts them, after which frames are left out; None: all
            are played. Not with looks.
    """
    known = Known() if known is None else known
    most = None if words is None else known.words + words
    core = _Core(accelerator, sizes, gives=gives, spacing=spacing, known=known)
    taken: list[int] = []
    if looks is not None:
        taken = core.look(exits, looks)
    else:
        for exit_ in exits.tolist():
            if most is not None and known.words > most:
                break
            taken.append(core.take(exit_))
    accepts = np.array(taken, np.int64)
    results = np.empty(len(taken), np.int64)
    for order, cycles in zip(core.order, core.merge.results(), strict=True):
        results[order] = cycles
    given: dict[str, Cycles] = {}
    for line in core.lines:
        given |= line.given()
    decides = tuple(np.array(b.decides, np.int64) for b in core.exits)
    sends = tuple(core.sends)
    return Prediction(accepts, decides, results, results - 1 - accepts, given, sends)


class _Core:
    """The whole core, which takes frames in turn."""

    def __init__(
        self, accelerator: Accelerator, sizes: Sizes, *, gives: bool, spacing: float, known: Known
    ) -> None:
        pairs = list(zip(accelerator.segments, accelerator.heads, strict=True))
        criterion = criteria.get(accelerator.criterion)
        self._looks = accelerator.rules is not None and len(accelerator.rules.looks) > 0
        self.lines = [
            _Line(
                segment, head, gives=gives, index=i, known=known,
                entry=0 if i else ENTRY_DEPTH, queue=sizes.entries[i] if i else 0,
            )
            for i, (segment, head) in enumerate(pairs)
        ]  # fmt: skip
        self.exits = [
            Exit(
                criterion.latency(accelerator.logits(i)),
                Places(sizes.buffers[i] // segment.output.words)
                if self._looks <= i < len(pairs) - 1 else None,
                sizes.verdicts,
            )
            for i, (segment, _) in enumerate(pairs)
        ]  # fmt: skip
        # with further looks: when places are free, and the words of first looks are in theirs
        places = sizes.buffers[0] // pairs[0][0].output.words if self._looks else 0
        self._free = [_AGO] * places
        self._puts: dict[int, Cycles] = {}
        self._carried = [  # cycles from a score that is taken to the word at the next exit
            None if criterion.carry is None else criterion.carry.delay(accelerator.logits(i)) + 1
            for i in range(len(pairs))
        ]
        self.merge = Merge(len(pairs))
        self._sizes = sizes
        self._words = accelerator.segments[0].input.words
        self.sends: list[tuple[int, int]] = []
        self.order: list[list[int]] = [[] for _ in pairs]  # frames as they leave, by exit
        self._rules: RuleUnit | None = None
        if accelerator.rules is not None:
            lanes = accelerator.segments[0].input.lanes
            built = unit.Unit.of(accelerator.rules, lanes=lanes, slots=sizes.slots)
            self._rules = RuleUnit(built)
            self._last = -1  # when the last frame's last beat was taken
        self._frames = 0
        self._spacing = spacing

    def take(self, exit_: int) -> int:
        """The next frame, which leaves at `exit_`; when its first beat is taken."""
        inside = self._sizes.in_flight
        self._frames += 1
        gate = self.merge.left(self._frames - inside) + 1 if self._frames > inside else 0
        gate = max(gate, int((self._frames - 1) * self._spacing))
        if self._rules is None:
            enters, _ = self._through(exit_, np.full(self._words, gate, np.int64), None)
            return int(enters[0])
        begins = self._rules.begins()
        assert begins is not None, "frames are sent in order"
        self._rules.fill()
        accepted, self._last = self._arrives(self._rules, gate, begins)
        judged = self._rules.judged(self._last)
        self._rules.ends = judged + 1
        _, shown = self._rules.send(judged + 1)
        enters, _ = self._through(exit_, shown + np.arange(self._words), self._last + 2)
        self._rules.release(self._rules.give(shown, enters))
        return accepted

    def look(self, exits: IntArray, looks: Made) -> list[int]:
        """All frames, which are looked at as often as that; when their first beats are taken.

        What is sent next is what entered the unit's queue first: a frame that is judged and has a
        place, or one that is to be looked at again, whose verdict is known when it was sent. A
        frame comes in when its slot is free and as many results have left as must; while that, or
        its place, hangs on a verdict that is not known yet, the looks that wait are first.
        """
        rules, words = self._rules, self._words
        assert rules is not None, "only with rules"
        accepts: list[int] = []
        waiting: list[tuple[int, int, int]] = []  # cycle of the verdict, frame, look
        again: set[int] = set()  # these cycles
        while len(accepts) < len(exits) or waiting:
            new = None
            gate = self.merge.peek(len(accepts) + 1 - self._sizes.in_flight)
            begins = rules.begins()
            if len(accepts) < len(exits) and gate is not None and begins is not None and self._free:
                accepted, last = self._arrives(rules, gate, begins)
                new = max(rules.judged(last) + 1, self._free[0] + 1)
                while new in again:
                    new += 1
            if waiting and (new is None or waiting[0][0] < new):
                entered, frame, number = heapq.heappop(waiting)
            else:
                assert new is not None, "a frame waits for nothing"
                entered, frame, number = new, len(accepts), 0
                self._last, rules.ends, self._frames = last, new + 1, frame
                accepts.append(accepted)
                heapq.heappop(self._free)
                rules.fill()
            start, shown = rules.send(entered + 1)
            self.sends.append((frame, number))
            more, once_more = number < int(looks.most[frame]), number < int(looks.made[frame])
            self._frames = frame + 1
            enters, token = self._through(
                0 if once_more else int(exits[frame]), shown + np.arange(words), start + 1,
                again=once_more, first=number == 0,
            )  # fmt: skip
            read = rules.give(shown, enters)
            if once_more:
                heapq.heappush(waiting, (token, frame, number + 1))
                again.add(token)
            else:
                rules.release(token if more else read)
        return accepts

    def _arrives(self, rules: RuleUnit, gate: int, begins: int) -> tuple[int, int]:
        """When the first and the last beat of the next frame are taken, from cycle `gate` on."""
        accepted = max(gate, self._last + 1, begins)
        last = max(accepted + self._words - 1, rules.ends)
        return accepted if self._words > 1 else last, last

    def _through(
        self,
        exit_: int,
        offered: Cycles,
        meta: int | None,
        *,
        again: bool = False,
        first: bool = True,
    ) -> tuple[Cycles, int]:
        """The next frame into segment 0 and on to the exit where it leaves.

        Args:
            exit_: that exit.
            offered: int64 (words,), first cycle in which each of its words can be valid.
            meta: first cycle in which its metadata is there; None: by its last word.
            again: it stays at exit 0 and is sent once more.
            first: this is its first look.

        Returns:
            when its words enter, and when the token of exit 0 leaves.
        """
        carried: list[tuple[int, int]] = []  # when the frame's first logits wait for its word
        entered, token = offered, 0
        for i in range(exit_ + 1):
            line, here, keep = self.lines[i], self.exits[i], i < exit_
            place = here.places.free if here.places else _AGO
            waits = carried + here.waits
            frame = line.next(offered, place, waits)
            enters = frame.start + frame.enters
            if i > 0:
                freed = self.exits[i - 1].forward(offered, enters)
                if i == 1 and self._looks:
                    heapq.heappush(self._free, freed)
            shown, verdict = here.decide(
                frame.start + int(frame.leaves[-1]),
                int(enters[-1]) + 2 if meta is None else meta,
                None if keep or again else partial(self.merge.enter, i),
            )
            if again:
                token = here.decides.pop()
            elif i == 0:
                token = here.decides[-1]
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
            elif i == 0 and self._looks:
                if first:
                    self._puts[self._frames - 1] = frame.start + frame.shows
                if not again:
                    puts = self._puts.pop(self._frames - 1)
                    if keep:
                        offered = here.offers(puts, shown)
                    else:
                        heapq.heappush(self._free, shown)
            line.take(frame)
            if i == 0:
                entered = frame.start + frame.enters
        if not again:
            self.order[exit_].append(self._frames - 1)
        return entered, token
