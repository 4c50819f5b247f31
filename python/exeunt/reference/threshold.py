"""Reference of `ex_threshold`: y = bias + #{t : x >= t}, by lookup table where the range allows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from exeunt.graph import IntArray, Integer, Threshold
from exeunt.reference.fifo import Cycles, spaced

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


def values(node: Threshold, arrays: Mapping[str, IntArray], x: IntArray) -> IntArray:
    """Y = bias + #{t : x >= t} of each element, with the thresholds of its channel.

    Args:
        node: the kernel.
        arrays: `thresholds`, integers (C, levels), ascending.
        x: integers (N, H, W, C) within `node.input.dtype`.

    Returns:
        (N, H, W, C) in the smallest NumPy type for `node.output.dtype`.
    """
    channels = node.input.shape[2]
    flat = np.asarray(x).reshape(-1, channels)
    dtype = node.input.dtype
    y = count(
        flat,
        arrays["thresholds"],
        bias=node.bias,
        output=node.output.dtype,
        low=dtype.min,
        high=dtype.max,
    )
    return y.reshape(-1, *node.output.shape)


def pipeline(depth: int, offered: Cycles, ready: Cycles | None) -> tuple[Cycles, Cycles]:
    """Transfer cycles of `depth` registers in a row that close up on stall; exact.

    takes[k] = max(offered[k], takes[k-1] + 1, gives[k-depth]),
    gives[k] = max(takes[k] + depth, gives[k-1] + 1, ready[k]).

    Args:
        depth: registers, at least 1.
        offered: int64 (n,), first cycle in which word k can be valid.
        ready: int64 (n,), first cycle in which word k is accepted; None: always.

    Returns:
        takes, gives: int64 (n,).
    """
    if ready is None:
        takes = spaced(np.asarray(offered, np.int64))
        return takes, takes + depth
    takes = np.empty(len(offered), np.int64)
    gives = np.empty(len(offered), np.int64)
    last_take = last_give = np.int64(-1)
    for start in range(0, len(offered), depth):  # within `depth` words no word waits for another
        part = slice(start, min(start + depth, len(offered)))
        earliest = np.array(offered[part], np.int64)
        if start:
            earliest = np.maximum(earliest, gives[start - depth : start][: earliest.size])
        earliest[0] = max(earliest[0], last_take + 1)
        takes[part] = spaced(earliest)
        earliest = np.maximum(takes[part] + depth, np.asarray(ready[part], np.int64))
        earliest[0] = max(earliest[0], last_give + 1)
        gives[part] = spaced(earliest)
        last_take, last_give = takes[part][-1], gives[part][-1]
    return takes, gives


def times(node: Threshold, offered: Cycles, ready: Cycles | None = None) -> tuple[Cycles, Cycles]:
    """Transfer cycles of `ex_threshold`; exact, also under stalls.

    Args:
        node: the kernel.
        offered: int64 (n,), first cycle in which input word k can be valid.
        ready: int64 (n,), first cycle in which output word k is accepted; None: always.

    Returns:
        takes, gives: int64 (n,).
    """
    return pipeline(stages(node.levels) + 1, offered, ready)
