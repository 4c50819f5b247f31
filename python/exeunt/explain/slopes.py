"""The line that a quantizer rounds, read off its thresholds.

A layer and the quantizer behind it, batch norm and scales included, are one table of thresholds:
y = bias + #{t : x >= t}. Where a quantizer rounds a line, its thresholds stand at equal distances,
and the slope of y over x is one over that distance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from exeunt.errors import InputError
from exeunt.kernels.parts.back import Steps

TOLERANCE = 0.5  # steps by which a threshold may stand beside the line
ROUNDED = 1.0  # and besides: thresholds are rounded up to integers
NEAR = 0.25  # a ReLU that begins so near behind an integer begins there: often that is 0


@dataclass(frozen=True)
class Line:
    """The line that a quantizer rounds and clips.

    Attributes:
        slope: float64 (C,), levels that y rises when x rises by 1, all >= 0.
        edges: int64 (C, 2), where the line begins and ends: a gradient passes where
            edges[c][0] <= x < edges[c][1]. A ReLU begins behind the place where the line is 0, half
            a step below its first threshold; anything else where it rounds to its lowest level.
    """

    slope: npt.NDArray[np.float64]
    edges: npt.NDArray[np.int64]


def line(steps: Steps, name: str) -> Line:
    """The line behind the thresholds of a quantizer.

    Thresholds that no x reaches are left out: compilers cut them. A channel that reaches none is
    constant: slope 0, and nothing passes. Of one that reaches a single one no distance is known,
    and its line ends behind the last x that occurs.

    Args:
        steps: the quantizer.
        name: of its node.

    Raises:
        InputError: thresholds that do not lie on a line: what they stand for has no single slope.
    """
    table = np.asarray(steps.thresholds, np.int64)
    relu = rectified(steps)
    slope = np.zeros(len(table))
    edges = np.zeros((len(table), 2), np.int64)
    for channel, row in enumerate(table):
        low, high = int(steps.low[channel]), int(steps.high[channel])
        which = np.flatnonzero((row > low) & (row <= high))
        if not len(which):
            continue
        reached = row[which]
        if len(which) == 1:
            step, origin = float(high - reached[0] + 1), float(reached[0])
        else:
            step, origin = _fitted(reached)
        off = float(np.abs(reached - origin - step * (which - which[0])).max())
        if off > TOLERANCE * step + ROUNDED:
            raise InputError(
                f"thresholds of {name} must lie on a line to be explained by gradients, got "
                f"channel {channel} where one is {off / step:.1f} steps beside it: use ReLU or no "
                "function in front of that quantizer, or grad-cam"
            )
        slope[channel] = 1 / step
        zero = origin - step * (which[0] + 1)  # where the line would cross level bias - 1/2
        begin = np.floor(zero + 0.5 * step + NEAR) + 1 if relu else np.ceil(zero)
        end = np.ceil(zero + (len(row) + 1) * step)
        begin, end = min(begin, row[0]), max(end, row[-1])  # what lies between these is on the line
        edges[channel] = np.clip((begin, end), low, high + 1)
    return Line(slope, edges)


def _fitted(reached: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Distance of thresholds (n,), n > 1, and the first one, before they were rounded up.

    The middle of all distances d with which ceil(a + k d) gives them; where there is none, since
    they do not lie on a line, that of the first and the last.
    """
    k = np.arange(len(reached))
    i, j = np.triu_indices(len(reached), 1)
    apart, rise = j - i, reached[j] - reached[i]
    most, least = float(((rise + 1) / apart).min()), float(((rise - 1) / apart).max())
    step = (most + least) / 2 if least <= most else float(rise[len(reached) - 2]) / k[-1]
    step = max(step, 1 / len(reached))
    rest = reached - step * k
    return step, float(rest.min() + rest.max() - 1) / 2


def rectified(steps: Steps) -> bool:
    """Whether a ReLU is part of a quantizer: it turns negative numbers to 0 or more."""
    return steps.bias >= 0 and bool((np.asarray(steps.low) < 0).any())


def mantissas(found: npt.NDArray[np.float64], bits: int) -> tuple[npt.NDArray[np.int64], int]:
    """Slopes as m * 2**-exponent with unsigned m of `bits` bits, and one exponent for all.

    Args:
        found: float64 (C,), >= 0.
        bits: of the largest m.

    Returns:
        m int64 (C,), and the exponent.
    """
    largest = float(found.max(initial=0.0))
    if largest == 0.0:
        return np.zeros(len(found), np.int64), 0
    exponent = bits - int(np.floor(np.log2(largest))) - 1
    if round(largest * 2.0**exponent) >= 1 << bits:
        exponent -= 1
    return np.rint(found * 2.0**exponent).astype(np.int64), exponent
