"""What a block that watches a stream is tested with: beats in given cycles, and what it writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from lib.streams import Cycles


class Beats:
    """Beats in given cycles, and anything in between: only `take` says which count.

    Args:
        take: the handle of take.
        data: the handles beside it and their widths, as one word, the first one lowest.
        cycles: steps it.
        seed: of what stands there in between.
    """

    def __init__(
        self, take: Any, data: Sequence[tuple[Any, int]], cycles: Cycles, seed: int
    ) -> None:
        self._take, self._data, self._cycles = take, data, cycles
        self._rng = np.random.default_rng(seed)
        self._words: list[int] = []
        self._when: list[int] = []
        self._next = 0
        take.value = 0
        cycles.add(self._step)

    def start(self, words: Sequence[int], when: Sequence[int]) -> None:
        """From now on word k is taken in cycle when[k]; those before are forgotten."""
        self._words, self._when, self._next = list(words), list(when), 0

    @property
    def done(self) -> bool:
        """Whether all were taken."""
        return self._next == len(self._when)

    def _step(self, cycle: int) -> None:
        take = self._next < len(self._when) and self._when[self._next] == cycle + 1
        take = take and not self._cycles.in_reset
        self._take.value = int(take)
        if take:
            word = self._words[self._next]
            self._next += 1
        for handle, width in self._data:
            if take:
                handle.value, word = word & ((1 << width) - 1), word >> width
            else:
                handle.value = int.from_bytes(self._rng.bytes((width + 7) // 8), "little") & (
                    (1 << width) - 1
                )


class Written:
    """What stands beside a valid, cycle by cycle: `rows` of values and `when`."""

    def __init__(self, valid: Any, handles: Sequence[Any], cycles: Cycles) -> None:
        self._valid, self._handles, self._cycles = valid, handles, cycles
        self.rows: list[tuple[int, ...]] = []
        self.when: list[int] = []
        cycles.add(self._step)

    def clear(self) -> None:
        """Forgets what was seen."""
        self.rows.clear()
        self.when.clear()

    def _step(self, cycle: int) -> None:
        if not self._cycles.in_reset and int(self._valid.value):
            self.rows.append(tuple(int(h.value) for h in self._handles))
            self.when.append(cycle)
