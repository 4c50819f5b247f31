"""Cycles behind the heads: what an exit does with a frame, and the one stream of results.

`exeunt.reference.system` composes the whole core of them; every rule is one that the header of
ex_decide.sv, ex_route.sv, ex_frame_buffer.sv or ex_merge.sv states.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from exeunt.reference import pipeline
from exeunt.reference.controller import Places
from exeunt.reference.pipeline import Cycles

RESULT_DEPTH = 2  # results that wait for the merge, at each exit
AGO = -(1 << 40)


class Merge:
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

    def peek(self, count: int) -> int | None:
        """When the `count`-th of the results so far leaves, if there are as many; 0: at once.

        The cycle after it is told, in which the next frame may come.
        """
        if count <= self._total:
            return self._cycle + 2 if count > 0 and count == self._total else 0
        found = self._waiting()[count - self._total - 1 : count - self._total]
        return found[0][0] + 2 if found else None

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
