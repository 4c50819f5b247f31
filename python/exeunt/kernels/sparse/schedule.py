"""What a schedule visits: of each row of a matrix the blocks that are not all zeros."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from exeunt.graph import IntArray

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Lengths:
    """How long the words of an output take, and how far lanes are apart.

    Attributes:
        words: steps from the end of each word of a vector to the end of the next one.
        queue: words that may be incomplete at once, a power of two.
    """

    words: tuple[int, ...]
    queue: int

    @property
    def steps(self) -> int:
        """Of a vector."""
        return sum(self.words)


def used(weights: IntArray, block: int) -> npt.NDArray[np.bool_]:
    """Whether each block of `block` columns of each row has a weight: bool (rows, blocks)."""
    return np.asarray((np.asarray(weights).reshape(len(weights), -1, block) != 0).any(axis=2))


def seen(blocks: npt.NDArray[np.bool_], pe: int, banks: int) -> npt.NDArray[np.bool_]:
    """Blocks that the lanes of each bank visit for each word: bool (words, banks, blocks).

    Args:
        blocks: as of `used`.
        pe: lanes; row r is the work of lane r % pe.
        banks: of lanes side by side that see the same block.
    """
    rows, count = blocks.shape
    return np.asarray(blocks.reshape(rows // pe, banks, pe // banks, count).any(axis=2))


def ends(visits: npt.NDArray[np.bool_]) -> Counts:
    """The step in which each bank ends each of its rows, int64 (words, banks).

    A row takes a step at least; a bank that would be done early idles in its last row.
    """
    found = np.cumsum(np.maximum(visits.sum(axis=2), 1), axis=0) - 1
    found[-1] = found[-1].max()
    return np.asarray(found, np.int64)


def lengths(visits: npt.NDArray[np.bool_]) -> Lengths:
    """The lengths of a schedule, by what is visited (see `seen`)."""
    finished = ends(visits)
    complete = finished.max(axis=1)
    words = tuple(int(n) for n in np.diff(complete, prepend=-1))
    if (finished == complete[:, None]).all():
        return Lengths(words, 1)
    moments = np.unique(finished)
    given = np.searchsorted(complete, moments, "right")
    kept = np.isin(moments, complete) - given  # the word that is given now is still there
    most = max(int((np.searchsorted(bank, moments, "right") + kept).max()) for bank in finished.T)
    return Lengths(words, max(2, 1 << (most - 1).bit_length()))


def visited(visits: npt.NDArray[np.bool_]) -> tuple[Counts, Counts]:
    """(row, block) of each bank in each step, int64 (steps, banks); block -1: nothing to do."""
    finished = ends(visits)
    words, banks, _ = visits.shape
    steps = int(finished[-1, 0]) + 1
    rows, blocks = np.zeros((steps, banks), np.int64), np.full((steps, banks), -1, np.int64)
    for bank in range(banks):
        start = 0
        for word in range(words):
            (found,) = np.nonzero(visits[word, bank])
            stop = int(finished[word, bank]) + 1
            rows[start:stop, bank] = word
            blocks[start : start + len(found), bank] = found
            start = stop
    return rows, blocks
