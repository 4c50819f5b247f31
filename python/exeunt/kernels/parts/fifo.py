"""Reference of `ex_fifo`: the same words, one cycle later, at most `depth` of them inside."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

Cycles = npt.NDArray[np.int64]

LONG_AGO = np.int64(-(1 << 40))  # a cycle that delays nothing
MANY = 256  # cycles from which on it pays to see first whether they are in order already


def spaced(cycles: Cycles) -> Cycles:
    """Earliest cycles >= `cycles` of which no two are the same, in order: int64 (n,)."""
    if cycles.size >= MANY and (cycles[1:] > cycles[:-1]).all():
        return cycles.copy()
    places = index(cycles.size)
    found: Cycles = cycles - places
    np.maximum.accumulate(found, out=found)
    found += places
    return found


def index(count: int) -> Cycles:
    """0 to count - 1, int64 (count,), which nobody may change."""
    return _upto(max(count - 1, 0).bit_length())[:count]


@cache
def _upto(bits: int) -> Cycles:
    found = np.arange(1 << bits, dtype=np.int64)
    found.flags.writeable = False
    return found


def times(depth: int, offered: Cycles, ready: Cycles | None = None) -> tuple[Cycles, Cycles]:
    """Transfer cycles of a FIFO with room for `depth` words; exact, also under stalls.

    takes[k] = max(offered[k], takes[k-1] + 1, gives[k-depth] + 1),
    gives[k] = max(takes[k] + 1, gives[k-1] + 1, ready[k]).

    Args:
        depth: words, at least 1.
        offered: int64 (n,), first cycle in which word k can be valid.
        ready: int64 (n,), first cycle in which word k is accepted; None: always.

    Returns:
        takes, gives: int64 (n,).
    """
    offered = np.asarray(offered, np.int64)
    if ready is None and depth >= 2:
        takes = spaced(offered)
        return takes, takes + 1
    if ready is None:  # every word leaves one cycle after it came
        index = 2 * np.arange(offered.size, dtype=np.int64)
        takes = np.maximum.accumulate(offered - index) + index
        return takes, takes + 1
    takes, gives = np.empty_like(offered), np.empty_like(offered)
    last_take = last_give = np.int64(-1)
    for start in range(0, offered.size, depth):  # within `depth` words no word waits for another
        part = slice(start, min(start + depth, offered.size))
        earliest = offered[part].copy()
        if start:
            before = gives[start - depth : start][: earliest.size]
            earliest = np.maximum(earliest, before + 1)
        earliest[0] = max(earliest[0], last_take + 1)
        takes[part] = spaced(earliest)
        earliest = np.maximum(takes[part] + 1, np.asarray(ready, np.int64)[part])
        earliest[0] = max(earliest[0], last_give + 1)
        gives[part] = spaced(earliest)
        last_take, last_give = takes[part][-1], gives[part][-1]
    return takes, gives


def occupancy(takes: Cycles, gives: Cycles) -> int:
    """The most words inside at once when words enter at `takes` and leave at `gives`."""
    inside = np.arange(1, takes.size + 1) - np.searchsorted(gives, takes, side="left")
    return int(inside.max(initial=0))
