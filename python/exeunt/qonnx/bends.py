"""Functions that rise and fall in front of a quantizer: one count of thresholds less another.

Thresholds can only count upwards. So the sums stand there twice, one half counts the steps upwards,
the other those downwards, and a matrix takes the difference of each pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from exeunt.errors import InputError
from exeunt.qonnx.integers import IntArray, Matrix, Tensor, Threshold
from exeunt.qonnx.plain import Node
from exeunt.qonnx.quantizer import Quantizer
from exeunt.qonnx.ranges import PLAIN, Operations, summed
from exeunt.qonnx.tables import MAX_LEVELS, Function, numbers, row
from exeunt.window import Window

BITS = 16  # of the integers of which a function may rise and fall
TRIED = 20  # bits of integers of which a function is tried one by one
_SINGLE = Window((1, 1), (1, 1), (0, 0, 0, 0))


def values(
    function: Function,
    quantizer: Quantizer,
    low: IntArray,
    high: IntArray,
    shape: tuple[int, ...],
    *,
    label: str,
) -> list[IntArray] | None:
    """What the quantizer gives for every integer of each row; None where each rises or falls.

    Args:
        function: of which it is not known that it rises or falls alone.
        quantizer: scale and zero point in the coordinates of the integers.
        low: int64 (rows,) or (1,), the smallest integer that there is.
        high: int64 (rows,) or (1,), the largest.
        shape: () for one function, (C,) or (H, W, C): what a row is.
        label: what messages call the quantizer.

    Raises:
        InputError: too many integers, or a function that differs from pixel to pixel.
    """
    span = int(high.max()) - int(low.min())
    if span >= 1 << TRIED:
        raise _too_many(label, low, high)
    count = int(np.prod(shape, dtype=np.int64))
    low, high = np.broadcast_to(low, (count,)), np.broadcast_to(high, (count,))
    function = function.rows(shape)
    scale = np.broadcast_to(row(np.asarray(quantizer.scale, np.float64), shape), (count, 1))
    zero = np.asarray(float(quantizer.zero.reshape(-1)[0]))
    found, bent = [], False
    for k in range(count):
        n = np.arange(low[k], high[k] + 1, dtype=np.float64)[None]
        here = numbers(function.row(k), n, label)
        levels = quantizer.levels(here, scale=scale[k], zero=zero)[0]
        levels = -levels if scale[k] < 0 else levels
        steps = np.diff(levels)
        bent = bent or bool((steps > 0).any() and (steps < 0).any())
        if bent and span >= 1 << BITS:
            raise _too_many(label, low, high)
        if span < 1 << BITS:
            found.append(levels.astype(np.int64))
    if bent and len(shape) == 3:
        raise InputError(
            f"{label} must quantize one function for each channel where it rises and falls but has "
            "others from pixel to pixel; quantize in front of it"
        )
    return found if bent else None


def _too_many(label: str, low: IntArray, high: IntArray) -> InputError:
    return InputError(
        f"{label} must be a table of at most {BITS} bits where it may rise and fall but takes "
        f"integers from {int(low.min())} to {int(high.max())}; quantize in front of it"
    )


def difference(
    made: Operations,
    node: Node,
    base: str,
    tables: Sequence[IntArray],
    low: IntArray,
    *,
    name: str,
) -> None:
    """Add the operations that give `tables` of the integers of `base`, as the tensor `name`.

    Args:
        made: the network so far; grows.
        node: the quantizer.
        base: what it takes.
        tables: for all channels, or for each, the result for every integer from `low` on.
        low: int64 (channels,) or (1,).
        name: of the result.

    Raises:
        InputError: more steps than a kernel has thresholds.
    """
    base = made.signed(node, base, PLAIN)
    source = made.tensors[base]
    channels = source.shape[2]
    low = np.broadcast_to(low, (len(tables),))
    start = max(int(t[0]) for t in tables)  # from which all channels count
    up = [_steps(t, int(n), 1, start) for t, n in zip(tables, low, strict=True)]
    down = [_steps(t, int(n), -1, start) for t, n in zip(tables, low, strict=True)]
    rows = [s for half in (up, down) for s in (half if len(half) > 1 else half * channels)]
    most = max(1, *(len(s) for s in rows))
    if most > MAX_LEVELS:
        raise InputError(
            f"{node.label} must take at most {MAX_LEVELS} steps upwards and as many downwards but "
            f"takes {most}; use fewer bits"
        )
    never = source.high + 1
    thresholds = np.array([[*s, *[never] * (most - len(s))] for s in rows], np.int64)
    maker, eye = made.found.get(base), np.eye(channels, dtype=np.int64)
    single = Matrix(node.label, source, source, eye[:, None, None, :], _SINGLE)
    once = maker if isinstance(maker, Matrix) else single
    order = _twice(channels, once.groups)
    weights, window = np.concatenate([once.weights] * 2)[order], once.window
    padding = window is not None and any(window.pad)
    shape = (*source.shape[:2], 2 * channels)
    wide = summed(f"{name}.twice", shape, weights, once.source, padding=padding)
    made.add(replace(once, label=node.label, result=wide, weights=weights))
    counted = Tensor(f"{name}.counts", wide.shape, 0, most)
    made.add(Threshold(node.label, wide, counted, thresholds[order]))
    weights = np.concatenate([eye, -eye], axis=1)[:, order][:, None, None, :]
    less = summed(f"{name}.difference", source.shape, weights, counted, padding=False)
    made.add(Matrix(node.label, counted, less, weights, _SINGLE))
    first, last = min(int(t.min()) for t in tables), max(int(t.max()) for t in tables)
    result = Tensor(name, source.shape, first, last)
    levels = np.arange(first + 1, last + 1)[None] - start
    made.add(Threshold(node.label, less, result, levels, first))


def _twice(channels: int, groups: int) -> IntArray:
    """Which of all channels and all of them again come one after the other: both of a group."""
    halves = np.arange(2 * channels).reshape(2, groups, -1)
    return halves.transpose(1, 0, 2).ravel()


def _steps(table: IntArray, low: int, sign: int, start: int) -> list[int]:
    """The integers from which a table is one higher (`sign` 1) or lower (-1), ascending.

    Below the smallest one it is taken to be `start`.
    """
    rises = np.maximum(sign * np.diff(table, prepend=start), 0)
    return [int(n) for n in np.repeat(low + np.arange(len(table)), rises)]
