"""Cycles of the rule unit (hls/rtl/ex_rules.sv): when it takes a frame's beats and gives them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from exeunt.rules.unit import Unit

Cycles = npt.NDArray[np.int64]
_AGO = -(1 << 40)


class RuleUnit:
    """A rule unit that takes one frame after another.

    For each frame in turn: `begins`, then `judge` with the beats taken, then `give` with the cycles
    in which its beats were taken from the output.
    """

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._freed = [_AGO] * unit.slots  # when the last frames' last beats were read
        self._judged = _AGO
        self._tail: list[tuple[int, int]] = []  # when the last words were shown, and given

    @property
    def begins(self) -> int:
        """First cycle in which the next frame's first beat can be taken."""
        return self._freed[0] + 1

    @property
    def ends(self) -> int:
        """First cycle in which the next frame's last beat can be taken."""
        return self._judged + 1

    def judge(self, last: int) -> int:
        """When the first beat shows of the frame whose last beat is taken in this cycle."""
        self._judged = last + self._unit.judging
        start = max(self._judged + 1, self._freed[-1])
        cycle = self._next(start + 1)
        for _ in range(self._unit.stages - 1):
            cycle = self._next(cycle + 1)
        return cycle + 1

    def give(self, shown: int, given: Cycles) -> None:
        """The frame that `judge` told to show then had its beats taken in these cycles."""
        tail = given[-2:].tolist()
        begins = [shown, *(given[:-1] + 1).tolist()][-2:]
        self._tail = [*self._tail, *zip(begins, tail, strict=True)][-2:]
        cycle = int(begins[-1]) - 1
        for _ in range(self._unit.stages - 1):
            cycle = self._before(cycle - 1)
        self._freed = [*self._freed[1:], cycle]

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
    """Cycles in which ex_rules takes and gives beats.

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
        for k in range(first, first + beats):
            last = max(int(offered[k]), last + 1)
            if k == first:
                last = max(last, block.begins)
            if k + 1 == first + beats:
                last = max(last, block.ends)
            takes[k] = last
        given = shown = block.judge(last)
        for k in range(first, first + beats):
            given = max(given, given if ready is None else int(ready[k]))
            gives[k] = given
            given += 1
        block.give(shown, gives[first : first + beats])
    return takes, gives
