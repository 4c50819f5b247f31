"""The core by whole frames: quick and nearly right, where `system` is exact and takes its time.

It knows of every stage when a lone frame moves and how often frames may follow, and from there
plays a sequence of exits with the same buffers, queues and gate as `system`. What two frames in
one stage do to each other word by word it does not know. It serves to choose sizes, which `system`
then confirms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from heapq import heappop, heappush, heapreplace
from typing import Any

import numpy as np

from exeunt import criteria
from exeunt.graph import Accelerator, Dataflow, IntArray, Node, in_a_row
from exeunt.reference import pipeline
from exeunt.reference.pipeline import Cycles
from exeunt.reference.system import ENTRY_DEPTH, STEM_DEPTH, Sizes

RESULT = 2  # cycles from a token that leaves to its result on m_*
KEPT = 2  # cycles from a verdict to the first word of a kept frame
_AGO = -(1 << 40)


@dataclass(frozen=True)
class Stage:
    """A segment with its head: cycles of a lone frame, from its first word's coming in.

    Attributes:
        words: of a frame at the input.
        taken: when the last one is taken.
        shows: when the first word is on offer at the fork.
        gone: when the last one is.
        token: when the decision shows.
        interval: between frames, at least.
    """

    words: int
    taken: int
    shows: int
    gone: int
    token: int
    interval: float


@dataclass(frozen=True)
class Room:
    """What frames wait in.

    Attributes:
        buffers: frames that each frame buffer holds, one for each exit but the last.
        queues: frames that wait before each segment but the first.
        in_flight: most frames inside.
    """

    buffers: tuple[int, ...]
    queues: tuple[int, ...]
    in_flight: int

    @property
    def verdicts(self) -> int:
        """Decisions that may wait for a frame buffer."""
        return max(2, *self.buffers, 2)

    def sizes(self, accelerator: Accelerator) -> Sizes:
        """What the core of an accelerator with this room is built with."""
        outputs = [segment.output.words for segment in accelerator.segments[:-1]]
        inputs = [segment.input.words for segment in accelerator.segments[1:]]
        return Sizes(
            buffers=tuple(b * w for b, w in zip(self.buffers, outputs, strict=True)),
            verdicts=self.verdicts,
            in_flight=self.in_flight,
            entries=(0, *(q * w for q, w in zip(self.queues, inputs, strict=True))),
        )


def stages(accelerator: Accelerator) -> tuple[Stage, ...]:
    """Every stage of an accelerator with sized FIFOs."""
    criterion = criteria.get(accelerator.criterion)
    pairs = zip(accelerator.segments, accelerator.heads, strict=True)
    return tuple(
        _stage(segment, head, 0 if i else ENTRY_DEPTH, criterion.latency(accelerator.logits(i)))
        for i, (segment, head) in enumerate(pairs)
    )


@lru_cache(maxsize=64)
def _stage(segment: Dataflow, head: Dataflow, entry: int, scoring: int) -> Stage:
    stem: tuple[Node | None, ...] = segment.nodes or (None,)
    given = max(1, len(segment.streams))
    moved = (tuple(number + given for number in sources) for sources in head.reads)
    flow = pipeline.flow(
        stem + head.nodes,
        (segment.fifos or (STEM_DEPTH,)) + head.fifos,
        pipeline.back_to_back(segment.input.words, 1),
        reads=(segment.reads or in_a_row(1)) + tuple(moved),
        entry=entry,
        fork=len(stem),
    )
    intervals = [
        pipeline.interval(part.nodes, part.fifos, reads=part.reads) for part in (segment, head)
    ]
    return Stage(
        words=segment.input.words,
        taken=int(flow.takes[0][-1]),
        shows=int(flow.shows[0]),
        gone=int(flow.shows[-1]),
        token=int(flow.leaves[-1]) + scoring + 1,
        interval=max(*intervals, segment.input.words, segment.output.words),
    )


def ideal(parts: Sequence[Stage], exits: IntArray) -> float:
    """Cycles between frames with buffers that never fill: the slowest stage's share of them."""
    return max(float((exits >= i).mean()) * part.interval for i, part in enumerate(parts))


def pace(accepts: Cycles) -> float:
    """Cycles between frames by when their first beats were taken, once the accelerator is full.

    Args:
        accepts: int64 (N,), ascending; at least one.
    """
    full = accepts[len(accepts) // 4 :]
    return float(full[-1] - full[0]) / max(1, len(full) - 1)


def play(parts: Sequence[Stage], exits: IntArray, room: Room, *, limit: float = math.inf) -> Cycles:
    """When the first beat of each frame is taken if there always is one, about: int64 (N,).

    Args:
        parts: the stages.
        exits: int64 (N,), the exit that each frame takes.
        room: what frames wait in.
        limit: a pace; where it is plain that frames come further apart, fewer than N are told.
    """
    count, frames, most = len(parts), len(exits), room.in_flight
    begun = [float(_AGO)] * count  # when the last frame of each stage began
    places = [[float(_AGO)] * b for b in room.buffers]  # heaps: when the places become free
    given = [float(_AGO)] * count  # when the last kept frame had left the buffer
    inside: list[float] = []  # when results leave
    accepts: list[float] = []
    later = [_later(i, part, places, room) for i, part in enumerate(parts) if i]
    ways = [later[:last] for last in range(count)]
    first, ahead, only = parts[0], [*places, []][0], count == 1
    interval, decides, shows = first.interval, first.token, first.shows
    start = float(_AGO)
    quarter, latest = frames // 4, math.inf
    for n, last in enumerate(exits.tolist()):
        offered = heappop(inside) + 1 if len(inside) >= most else 0.0
        start += interval
        if offered > start:
            start = offered
        if not only:
            free = ahead[0] + 1
            if free - shows > start and (last or free <= start + decides):
                start = free - shows  # else it is dropped before it came
        accepts.append(start)
        if n == quarter:  # where `pace` begins
            latest = start + limit * (1 + 1e-9) * (frames - 1 - quarter) + 2
        elif start + (frames - 1 - n) * interval > latest:
            break
        token, shown = start + decides, start + shows
        for i, every, tokens, showing, taking, words, own, here, queue, depth in ways[last]:
            offered = token if token > shown else shown
            left = given[i]
            if left > offered:
                offered = left
            offered += KEPT
            began = begun[i] + every
            if offered > began:
                began = offered
            token = began + tokens
            if here:
                free = here[0] + 1
                if free - showing > began and (last > i or free <= token):
                    began = free - showing
                    token = began + tokens
            begun[i] = began
            shown = began + showing
            queue.append(began + taking)
            offered -= 1
            if offered > left:
                left = offered
            left += words
            if len(queue) > depth:
                free = queue[-depth - 1] + 1 if depth else queue[-1]
                if free > left:
                    left = free
            given[i] = left
            heapreplace(own, left)
        heappush(inside, token + RESULT)
        if last + 1 < count:
            gone = token if token > shown else shown + 1
            if places[last][0] + 1 <= gone:
                heapreplace(places[last], gone)
    return np.array(accepts, float).astype(np.int64)


def _later(index: int, part: Stage, places: list[list[float]], room: Room) -> tuple[Any, ...]:
    """A stage behind a frame buffer, what holds its frames, and when those had left its queue."""
    here = places[index] if index < len(places) else []
    return (
        index, part.interval, part.token, part.shows, part.taken, part.words, places[index - 1],
        here, [], room.queues[index - 1],
    )  # fmt: skip


class Paces:
    """Cycles between frames in different rooms, each of which is played once.

    Args:
        parts: the stages.
        exits: int64 (N,), the exit that each frame takes.
    """

    def __init__(self, parts: Sequence[Stage], exits: IntArray) -> None:
        self._parts, self._exits = parts, exits
        self._found: dict[Room, float] = {}
        self._above: dict[Room, float] = {}  # more than this

    def of(self, room: Room, *, limit: float = math.inf) -> float:
        """Cycles between frames; infinite where they are more than `limit`, perhaps."""
        if room not in self._found:
            if limit <= self._above.get(room, -math.inf):
                return math.inf
            accepts = play(self._parts, self._exits, room, limit=limit)
            if len(accepts) < len(self._exits):
                self._above[room] = limit
                return math.inf
            self._found[room] = pace(accepts)
        return self._found[room]
