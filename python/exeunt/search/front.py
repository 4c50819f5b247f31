"""Points that no other point is better than, and how much they leave behind them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Point:
    """One network.

    Attributes:
        number: of its trial.
        accuracy: 0..1, more is better.
        cost: above 0, less is better.
        single: it has one exit.
    """

    number: int
    accuracy: float
    cost: float
    single: bool = False

    def beats(self, other: Point) -> bool:
        """Whether it is at least as good in both, and better in one."""
        return (
            self.accuracy >= other.accuracy
            and self.cost <= other.cost
            and (self.accuracy, self.cost) != (other.accuracy, other.cost)
        )


def front(points: Iterable[Point]) -> list[Point]:
    """The points that none beats, cheapest first; of equal ones the first."""
    found: list[Point] = []
    for point in sorted(points, key=lambda p: (p.cost, -p.accuracy, p.number)):
        if not found or point.accuracy > found[-1].accuracy:
            found.append(point)
    return found


def hypervolume(points: Iterable[Point], *, accuracy: float, cost: float) -> float:
    """The area that the points leave behind them, up to a worst accuracy and a worst cost.

    Accuracy counts in points of a hundred, cost in factors of two.
    """
    area, best = 0.0, accuracy
    for point in front(p for p in points if p.accuracy > accuracy and p.cost < cost):
        area += 100 * (point.accuracy - best) * math.log2(cost / point.cost)
        best = point.accuracy
    return area


def spread(points: Sequence[Point], count: int) -> list[Point]:
    """`count` of the points, the first and the last among them, the others evenly between."""
    if count >= len(points):
        return list(points)
    if count < 2:
        return list(points[len(points) - count :])
    step = (len(points) - 1) / (count - 1)
    return [points[round(i * step)] for i in range(count)]


def cheapest(points: Iterable[Point], accuracy: float) -> Point | None:
    """The cheapest point that is at least as accurate, None when there is none."""
    enough = [p for p in points if p.accuracy >= accuracy]
    return min(enough, key=lambda p: (p.cost, p.number), default=None)
