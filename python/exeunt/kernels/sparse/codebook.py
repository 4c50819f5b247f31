"""Weights that few numbers stand for: their codebook, and products by digits of the input."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from exeunt.graph import IntArray, Integer

MOST = 16  # numbers of a codebook
KEY_BITS = 5  # of index and digit, which one LUT6 adds to a sum


@dataclass(frozen=True)
class Codebook:
    """A matrix by a codebook: weights = numbers[indices] * signs[:, None].

    Attributes:
        numbers: ascending.
        indices: uint8 (rows, columns).
        signs: int8 (rows,), 1 or -1.
    """

    numbers: tuple[int, ...]
    indices: npt.NDArray[np.uint8]
    signs: npt.NDArray[np.int8]

    @property
    def negates(self) -> bool:
        """Whether any row is times -1."""
        return bool((self.signs < 0).any())


def of(weights: IntArray) -> Codebook | None:
    """The codebook of a matrix (rows, columns), None where more than MOST numbers stand for it.

    Rows are times -1 where that makes an index shorter: a batch norm with a negative factor turns
    the sign of its row when it becomes thresholds.
    """
    table = np.asarray(weights, np.int64)
    return _of(table.tobytes(), table.shape)


@lru_cache(maxsize=64)
def _of(table: bytes, shape: tuple[int, int]) -> Codebook | None:
    weights = np.frombuffer(table, np.int64).reshape(shape)
    signs = np.ones(len(weights), np.int8)
    found = set(np.unique(weights).tolist())
    turned, other = _turned(weights)
    if index_bits(len(other)) < index_bits(len(found)):
        found, signs = other, turned
    if len(found) > MOST:
        return None
    book = np.array(sorted(found), np.int64)
    indices = np.searchsorted(book, weights * signs[:, None])
    return Codebook(tuple(book.tolist()), indices.astype(np.uint8), signs)


def _turned(weights: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int8], set[int]]:
    """A sign for each row with which they share more numbers, and those."""
    rows = [frozenset(np.unique(row).tolist()) for row in weights]
    signs, book = np.ones(len(rows), np.int8), set[int]()
    for k in sorted(range(len(rows)), key=lambda k: (-len(rows[k]), k)):
        minus = {-value for value in rows[k]}
        if len(book | minus) < len(book | rows[k]):
            signs[k] = -1
            book |= minus
        else:
            book |= rows[k]
        if len(book) > MOST:
            break
    return signs, book


def index_bits(count: int) -> int:
    """Bits of an index into a codebook of so many numbers."""
    return max(1, (count - 1).bit_length())


def digit_bits(count: int, source: Integer) -> int:
    """Bits of a digit of the input beside an index into a codebook of so many numbers."""
    return max(1, min(source.bits, KEY_BITS - index_bits(count)))


def digits(count: int, source: Integer) -> int:
    """Digits of an input."""
    return -(-source.bits // digit_bits(count, source))


def number_bits(book: tuple[int, ...], source: Integer) -> int:
    """Bits of a number of the codebook times a digit, in two's complement."""
    return Integer.covering(min(*book, -1), max(*book, 0)).bits + digit_bits(len(book), source)


def tables(book: tuple[int, ...], source: Integer) -> int:
    """TABLES of `ex_sparse`: each number times each digit, then each signed digit; a one above."""
    digit, bits = digit_bits(len(book), source), number_bits(book, source)
    places = 1 << index_bits(len(book))
    result = position = 0
    for signed in (False, True):
        for value in (*book, *(0 for _ in range(places - len(book)))):
            for d in range(1 << digit):
                factor = d - (1 << digit) if signed and d >> (digit - 1) else d
                result |= ((value * factor) & ((1 << bits) - 1)) << position
                position += bits
    return result | 1 << position
