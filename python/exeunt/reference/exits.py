"""Cycles behind the heads: what an exit does with a frame, and the one stream of results.

`exeunt.reference.system` composes the whole core of them; every rule is one that the header of
ex_decide.sv, ex_route.sv, ex_frame_buffer.sv or ex_merge.sv states.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from exeunt.reference import pipeline
from exeunt.reference.controller import Places
from exeunt.reference.pipeline import Cycles

AGO = -(1 << 40)


class Merge:
    """When results leave on m_*: each cycle the result of the highest exit that shows one enters.

    That is also the one whose frame was sent first, so that what enters later never comes first.
    `entered[e]`: when results of exit e entered, in order.
    """

    def __init__(self, exits: int) -> None:
        self.entered: list[list[int]] = [[] for _ in range(exits)]
        self._taken: set[int] = set()  # cycles in which one entered
        self._order: list[int] = []  # the same in order

    def left(self, count: int) -> int:
        """When the `count`-th result leaves on m_*; later frames' results come after that."""
        return self._order[count - 1] + 2

    def peek(self, count: int) -> int | None:
        """When the `count`-th of the results so far leaves, if there are as many; 0: at once.

        The cycle after it is told, in which the next frame may come.
        """
        if count <= 0:
            return 0
        return self._order[count - 1] + 3 if count <= len(self._order) else None

    def enter(self, exit_: int, shown: int) -> int:
        """A token shows a result from cycle `shown` on: when it is taken."""
        entered = shown
        while entered in self._taken:
            entered += 1
        self._taken.add(entered)
        bisect.insort(self._order, entered)
        self.entered[exit_].append(entered)
        return entered

    def results(self) -> list[Cycles]:
        """When each result leaves on m_*, by exit."""
        return [np.array(entered, np.int64) + 2 for entered in self.entered]


@dataclass
class Exit:
    """What is behind a head: the decision, and the frame buffer that obeys it.

    `scoring`: cycles from the last beat of a frame's logits to its score. `waits`: from which cycle
    and before which the last scores had to wait; the score block stands still meanwhile.
    """

    scoring: int
    places: Places | None  # None where words never wait for a place, see ex_look_buffer
    verdicts: int
    waits: list[tuple[int, int]] = field(default_factory=list)
    decides: list[int] = field(default_factory=list)
    _scored: int = AGO  # when the last score was taken
    _token: int = AGO  # when the last token left
    _popped: list[int] = field(default_factory=list)  # when the last verdicts were taken
    _put: int = AGO  # when the last word came
    _read: int = AGO  # when the last word of a kept frame was read, and left
    _given: int = AGO

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

    def forward(self, offers: Cycles, enters: Cycles) -> int:
        """The kept frame was taken at `enters`: a word is read when the one before it is taken.

        When the last one is, its place becomes free: that cycle.
        """
        earliest = offers - 1
        earliest[1:] = np.maximum(earliest[1:], enters[:-1])
        self._read = int(pipeline.in_order(earliest)[-1])
        self._given = int(enters[-1])
        if self.places is not None:
            self.places.take(self._read)
        return self._read
