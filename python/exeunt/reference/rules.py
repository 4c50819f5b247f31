"""Cycles of the rule unit (hls/rtl/ex_rules.sv): when it takes a frame's beats and gives them."""

from __future__ import annotations

import heapq

import numpy as np
import numpy.typing as npt

from exeunt.rules.unit import Unit

Cycles = npt.NDArray[np.int64]
_AGO = -(1 << 40)


class RuleUnit:
    """A rule unit: its slots, and what is sent, one frame after another.

    `ends`: first cycle in which the next frame's last beat can be taken.
    """

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._free = [_AGO] * unit.slots  # a heap: when those were let go that no frame has
        self.ends = _AGO
        self._read = _AGO  # when the last beat that was sent was read
        self._tail: list[tuple[int, int]] = []  # when the last words were shown, and given

    def begins(self) -> int | None:
        """First cycle in which the next frame's first beat can be taken, if it is known."""
        return self._free[0] + 1 if self._free else None

    def fill(self) -> None:
        """The next frame takes the slot that was let go first."""
        heapq.heappop(self._free)

    def release(self, cycle: int) -> None:
        """A slot is let go in this cycle."""
        heapq.heappush(self._free, cycle)

    def judged(self, last: int) -> int:
        """When the frame is judged whose last beat is taken in this cycle."""
        return last + self._unit.judging

    def send(self, earliest: int) -> tuple[int, int]:
        """When a frame starts that may from a cycle on, and when its first beat shows then."""
        start = max(earliest, self._read)
        cycle = self._next(start + 1)
        for _ in range(self._unit.stages - 1):
            cycle = self._next(cycle + 1)
        return start, cycle + 1

    def give(self, shown: int, given: Cycles) -> int:
        """The frame that shows then had its beats taken in these cycles; when its last was read."""
        tail = given[-2:].tolist()
        begins = [shown, *(given[:-1] + 1).tolist()][-2:]
        self._tail = [*self._tail, *zip(begins, tail, strict=True)][-2:]
        cycle = int(begins[-1]) - 1
        for _ in range(self._unit.stages - 1):
            cycle = self._before(cycle - 1)
        self._read = cycle
        return cycle

    def _next(self, cycle: int) -> int:
        """The first cycle from this one on in which no word waits on the output."""
        for shown, given in self._tail:
            cycle = given if shown <= cycle < given else cycle
        return cycle

    def _before(self, cycle: int) -> int:
        """The last cycle up to this one in which no word waits on the output."""
        for shown, given in reversed(self._tail):
            cycle = shown - 1 if shown <= cycle < given else cycle
        return cycle


def rule_times(unit: Unit, offered: Cycles, ready: Cycles | None = None) -> tuple[Cycles, Cycles]:
    """Cycles in which ex_rules without further looks takes and gives beats.

    Args:
        unit: what it is built with.
        offered: int64 (N * beats,), first cycle in which each beat can be valid.
        ready: int64 (N * beats,), first cycle in which each beat is accepted; None: at once.

    Returns:
        takes int64 (N * beats,), gives int64 (N * beats,).
    """
    takes, gives = np.empty(len(offered), np.int64), np.empty(len(offered), np.int64)
    block, beats, last = RuleUnit(unit), unit.beats, _AGO
    for first in range(0, len(offered), beats):
        begins = block.begins()
        assert begins is not None, "frames are sent in order"
        block.fill()
        for k in range(first, first + beats):
            last = max(int(offered[k]), last + 1)
            if k == first:
                last = max(last, begins)
            if k + 1 == first + beats:
                last = max(last, block.ends)
            takes[k] = last
        judged = block.judged(last)
        block.ends = judged + 1
        _, shown = block.send(judged + 1)
        given = shown
        for k in range(first, first + beats):
            given = max(given, given if ready is None else int(ready[k]))
            gives[k] = given
            given += 1
        block.release(block.give(shown, gives[first : first + beats]))
    return takes, gives
