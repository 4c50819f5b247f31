"""Percentiles of latencies and rates of exits, with NumPy alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Spread:
    """How values lie: every figure but the mean is one of the values (nearest rank)."""

    count: int
    min: float
    p50: float
    p95: float
    p99: float
    max: float
    mean: float

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "count": self.count,
            "min": self.min,
            "p50": self.p50,
            "p95": self.p95,
            "p99": self.p99,
            "max": self.max,
            "mean": self.mean,
        }


def percentile(ordered: npt.NDArray[Any], percent: float) -> float:
    """The smallest of the ascending values that at least `percent` % of them do not exceed.

    Args:
        ordered: (N,) ascending, N >= 1.
        percent: above 0, at most 100.
    """
    rank = math.ceil(percent / 100 * len(ordered) - 1e-9)
    return float(ordered[max(rank, 1) - 1])


def spread(values: npt.ArrayLike) -> Spread | None:
    """Count, percentiles and mean of (N,) values; None when there are none."""
    ordered = np.sort(np.asarray(values).reshape(-1))
    if not len(ordered):
        return None
    p50, p95, p99 = (percentile(ordered, p) for p in (50, 95, 99))
    first, last = float(ordered[0]), float(ordered[-1])
    return Spread(len(ordered), first, p50, p95, p99, last, float(ordered.mean()))


def by_exit(
    values: npt.NDArray[Any], exits: npt.NDArray[np.integer[Any]], count: int
) -> tuple[Spread | None, ...]:
    """The spread of the values (N,) of each of `count` exits, None where nobody left."""
    return tuple(spread(values[exits == i]) for i in range(count))


def rates(exits: npt.NDArray[np.integer[Any]], count: int) -> tuple[float, ...]:
    """Fraction of the frames (N,) that left at each of `count` exits."""
    found = np.bincount(np.asarray(exits, np.int64), minlength=count)
    return tuple(float(n) / max(1, len(exits)) for n in found)


def quantiles(values: npt.NDArray[Any]) -> list[float]:
    """The values (N,) below which 0, 2, .. 100 % of them lie: a cumulative curve of 51 points."""
    if not len(values):
        return []
    ordered = np.sort(values)
    return [float(ordered[0])] + [percentile(ordered, p) for p in range(2, 101, 2)]


def median(values: npt.ArrayLike) -> float:
    """The middle value; of an even number, the mean of the two in the middle."""
    return float(np.median(np.asarray(values, np.float64)))
