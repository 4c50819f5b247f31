"""The core by whole frames: quick and nearly right, where `system` is exact and takes its time.

It knows of every stage when a lone frame moves and how often frames may follow, and from there
plays a sequence of exits with the same buffers, queues and gate as `system`. What two frames in
one stage do to each other word by word it does not know. It serves to choose sizes, which `system`
then confirms.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from exeunt import criteria
from exeunt.graph import Accelerator, IntArray, Node, in_a_row
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
    found = []
    for i, (segment, head) in enumerate(zip(accelerator.segments, accelerator.heads, strict=True)):
        stem: tuple[Node | None, ...] = segment.nodes or (None,)
        given = max(1, len(segment.streams))
        moved = (tuple(number + given for number in sources) for sources in head.reads)
        flow = pipeline.flow(
            stem + head.nodes,
            (segment.fifos or (STEM_DEPTH,)) + head.fifos,
            pipeline.back_to_back(segment.input.words, 1),
            reads=(segment.reads or in_a_row(1)) + tuple(moved),
            entry=0 if i else ENTRY_DEPTH,
            fork=len(stem),
        )
        intervals = [
            pipeline.interval(part.nodes, part.fifos, reads=part.reads) for part in (segment, head)
        ]
        found.append(
            Stage(
                words=segment.input.words,
                taken=int(flow.takes[0][-1]),
                shows=int(flow.shows[0]),
                gone=int(flow.shows[-1]),
                token=int(flow.leaves[-1]) + criterion.latency(accelerator.logits(i)) + 1,
                interval=max(*intervals, segment.input.words, segment.output.words),
            )
        )
    return tuple(found)


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


def play(parts: Sequence[Stage], exits: IntArray, room: Room) -> Cycles:
    """When the first beat of each frame is taken if there always is one, about: int64 (N,).

    Args:
        parts: the stages.
        exits: int64 (N,), the exit that each frame takes.
        room: what frames wait in.
    """
    count = len(parts)
    begun = [float(_AGO)] * count  # when the last frame of each stage began
    places = [[float(_AGO)] * b for b in room.buffers]  # when the places become free, ascending
    queued: list[list[float]] = [[] for _ in room.queues]  # when frames had left the queue
    given = [float(_AGO)] * count  # when the last kept frame had left the buffer
    inside: list[float] = []  # when results leave
    accepts = np.empty(len(exits), np.int64)
    for n, last in enumerate(exits.tolist()):
        offered = 0.0
        if len(inside) >= room.in_flight:
            offered = heapq.heappop(inside) + 1
        for i in range(last + 1):
            part = parts[i]
            start = max(offered, begun[i] + part.interval)
            if i + 1 < count:
                free = places[i][0] + 1
                if last > i or free <= start + part.token:  # else it is dropped before it came
                    start = max(start, free - part.shows)
            begun[i] = start
            if i == 0:
                accepts[n] = start
            else:
                queue, depth = queued[i - 1], room.queues[i - 1]
                taken = start + part.taken
                queue.append(taken)
                left = max(offered + part.words - 1, given[i] + part.words)
                if depth == 0:
                    left = max(left, taken)
                elif len(queue) > depth:
                    left = max(left, queue[-depth - 1] + 1)
                given[i] = left
                del places[i - 1][0]
                heapq.heappush(places[i - 1], left)
            token = start + part.token
            if last == i:
                heapq.heappush(inside, token + RESULT)
                if i + 1 < count:
                    del_at = max(token, start + part.shows + 1)
                    if places[i][0] + 1 <= del_at:
                        heapq.heapreplace(places[i], del_at)
            elif i + 1 < count:
                offered = max(token, start + part.shows, given[i + 1]) + KEPT
    return accepts
