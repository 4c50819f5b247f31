"""Levels: y = bias + #{t : x >= t}, by lookup table where the range allows, and their search."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from exeunt.errors import InputError
from exeunt.graph import IntArray, Integer
from exeunt.kernels.parts.fast import Floats, Scratch, Step, exact
from exeunt.kernels.parts.fifo import LONG_AGO, Cycles, spaced
from exeunt.kernels.parts.size import Size, lut, rom

SMALL_TABLE = 4  # words of a table that the comparison behind it absorbs
COMPARED = 3  # up to so many thresholds are compared one by one
TABLE_ENTRIES = 1 << 24  # above this many (channel, value) pairs, search instead


def stages(levels: int) -> int:
    """Comparisons of the binary search: ceil(log2(levels + 1))."""
    return int(levels).bit_length()


def narrow(dtype: Integer) -> np.dtype[np.integer]:
    """The smallest NumPy type that holds `dtype`."""
    size = next(s for s in (8, 16, 32, 64) if dtype.bits <= s)
    return np.dtype(f"{'i' if dtype.signed else 'u'}{size // 8}")


def table(
    thresholds: IntArray, low: int, high: int, bias: int, dtype: np.dtype[np.integer]
) -> npt.NDArray[np.integer]:
    """Y for every channel and every x from `low` to `high`.

    Args:
        thresholds: integers (C, levels), ascending.
        low: smallest x.
        high: largest x.
        bias: y below the first threshold.
        dtype: type of the result.

    Returns:
        `dtype` (C, high - low + 1); y = table[channel, x - low].
    """
    channels, _ = thresholds.shape
    span = high - low + 1
    first = np.clip(thresholds.astype(np.int64) - low, 0, span)  # x - low from which it counts
    steps = np.zeros((channels, span + 1), np.int16)
    np.add.at(steps, (np.arange(channels)[:, None], first), 1)
    return (np.cumsum(steps[:, :span], axis=1, dtype=np.int32) + bias).astype(dtype)


def count(
    x: IntArray, thresholds: IntArray, *, bias: int, output: Integer, low: int, high: int
) -> IntArray:
    """Y = bias + #{t : x >= t}.

    Args:
        x: integers (n, C) from `low` to `high`.
        thresholds: integers (C, levels), ascending.
        bias: y below the first threshold.
        output: type of y.
        low: no x is smaller.
        high: no x is larger.

    Returns:
        (n, C) in the smallest NumPy type for `output`.
    """
    channels, dtype = x.shape[1], narrow(output)
    if x.size:
        low, high = max(low, int(x.min())), min(high, int(x.max()))
    if channels * (high - low + 1) <= TABLE_ENTRIES:
        flat = table(thresholds, low, high, bias, dtype).reshape(-1)
        span = high - low + 1
        offset = (np.arange(channels, dtype=np.int64) * span - low).astype(np.int32)
        return flat.take(x.astype(np.int32) + offset)
    y = np.empty(x.shape, dtype)
    for c in range(channels):
        y[:, c] = np.searchsorted(thresholds[c], x[:, c], side="right") + bias
    return y


def registers(
    depth: int, past: Cycles | None, offered: Cycles, ready: Cycles | None
) -> tuple[Cycles, Cycles, Cycles]:
    """Transfer cycles of `depth` registers in a row that close up on stall; exact.

    takes[k] = max(offered[k], takes[k-1] + 1, gives[k-depth]),
    gives[k] = max(takes[k] + depth, gives[k-1] + 1, ready[k]).

    Args:
        depth: registers, at least 1.
        past: int64 (depth + 1,), when the last `depth` words left and the last one entered.
        offered: int64 (n,), first cycle in which word k can be valid.
        ready: int64 (n,), first cycle in which word k is accepted; None: always.

    Returns:
        takes, gives: int64 (n,), and the past for what follows.
    """
    past = np.full(depth + 1, LONG_AGO, np.int64) if past is None else past
    earliest = np.array(offered, np.int64)
    earliest[:1] = np.maximum(earliest[:1], past[-1:] + 1)
    gives = np.concatenate([past[:-1], np.full(len(earliest), LONG_AGO)])
    while True:  # each rule for all words at once, until all hold
        takes = spaced(np.maximum(earliest, gives[: len(earliest)]))
        leaves = takes + depth if ready is None else np.maximum(takes + depth, ready)
        leaves[:1] = np.maximum(leaves[:1], past[-2:-1] + 1)
        leaves = spaced(leaves)
        gives[depth:] = leaves
        if (takes >= gives[: len(earliest)]).all():
            return takes, leaves, np.append(gives[len(earliest) :], takes[-1:])


class _Table:
    """Y = bias + #{t : x >= t} by one table of all channels."""

    def __init__(
        self,
        thresholds: IntArray,
        elements: int,
        *,
        bias: int,
        output: Integer,
        span: tuple[int, int],
        dtype: np.dtype[Any],
    ) -> None:
        low, high = span
        channels, size = len(thresholds), high - low + 1
        steps = table(thresholds, low, high, bias, narrow(output))
        self._table = steps.astype(dtype).reshape(-1)
        self._offset = np.tile(np.arange(channels) * size - low, elements // channels).astype(dtype)
        self._index = Scratch((elements,), np.intp)
        self._y = Scratch((elements,), dtype)

    def __call__(self, x: Floats) -> Floats:
        """(n, elements) -> (n, elements)."""
        index, y = self._index(len(x)), self._y(len(x))
        np.add(x, self._offset, out=index, casting="unsafe")
        self._table.take(index, out=y, mode="clip")  # in range; "clip" writes straight into y
        return y


class _Compared:
    """Y = bias + #{t : x >= t}, threshold by threshold."""

    def __init__(
        self, thresholds: IntArray, elements: int, *, bias: int, dtype: np.dtype[Any]
    ) -> None:
        rows = thresholds.T.astype(dtype)  # (levels, C)
        self._thresholds = np.tile(rows, (1, elements // len(thresholds)))
        self._bias = bias
        self._reached = Scratch((elements,), bool)
        self._count = Scratch((elements,), np.uint8)
        self._y = Scratch((elements,), dtype)

    def __call__(self, x: Floats) -> Floats:
        """(n, elements) -> (n, elements)."""
        reached, count, y = self._reached(len(x)), self._count(len(x)), self._y(len(x))
        np.greater_equal(x, self._thresholds[0], out=count.view(bool))
        for row in self._thresholds[1:]:
            np.greater_equal(x, row, out=reached)
            count += reached.view(np.uint8)
        np.copyto(y, count)
        if self._bias:
            y += self._bias
        return y


def step(
    thresholds: IntArray,
    elements: int,
    *,
    bias: int,
    output: Integer,
    span: tuple[int, int],
    dtype: np.dtype[Any],
) -> Step:
    """The levels as a step of the prepared reference.

    Args:
        thresholds: integers (C, levels), ascending.
        elements: of a frame, a multiple of C.
        bias: y below the first threshold.
        output: type of y.
        span: smallest and largest x.
        dtype: float type of x and y.
    """
    low, high = span
    if thresholds.shape[1] <= COMPARED and np.abs(thresholds).max() < exact(dtype):
        return _Compared(thresholds, elements, bias=bias, dtype=dtype)
    if len(thresholds) * (high - low + 1) < TABLE_ENTRIES:
        return _Table(thresholds, elements, bias=bias, output=output, span=span, dtype=dtype)

    def search(x: Floats) -> Floats:
        flat = x.reshape(-1, len(thresholds)).astype(np.int64)
        y = count(flat, thresholds, bias=bias, output=output, low=low, high=high)
        return y.reshape(len(x), -1).astype(dtype)

    return search


def parts(*, channels: int, pe: int, in_bits: int, levels: int) -> dict[str, float]:
    """The parts of a threshold kernel, by name.

    "compare": bits compared over lanes and stages, "rom": words of 64 bits of thresholds, "table":
    bits of words from tables that do not vanish in the comparison, "lane": stages of all lanes.
    """
    depth = stages(levels)
    depths = [(channels // pe) << j for j in range(depth)]
    in_logic = [d for d in depths if not rom(d, in_bits + 1)]
    word = pe * (in_bits + 1)
    return {
        "compare": pe * depth * in_bits,
        "rom": word * sum(in_logic) / 64,
        "table": word * sum(d > SMALL_TABLE for d in in_logic),
        "lane": pe * depth,
        "one": 1,
    }


@lru_cache(maxsize=1 << 14)
def size(*, channels: int, pe: int, in_bits: int, levels: int) -> Size:
    """Thresholds: `levels` (1 to 255) a channel, `pe` channels a word.

    Raises:
        InputError: lanes that do not divide the channels.
    """
    if pe < 1 or channels % pe:
        raise InputError(f"PE must divide the {channels} channels, got {pe}: choose a divisor")
    blocks = pe * sum(rom((channels // pe) << j, in_bits + 1) for j in range(stages(levels)))
    found = parts(channels=channels, pe=pe, in_bits=in_bits, levels=levels)
    return Size(lut("threshold", found), 0, blocks)
