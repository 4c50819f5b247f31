"""The front of many points, and the area behind it."""

from __future__ import annotations

import itertools
import math
import random

import pytest

from exeunt.search.front import Point, cheapest, front, hypervolume, spread


def cloud(seed: int, count: int = 40) -> list[Point]:
    draw = random.Random(seed)
    return [
        Point(i, draw.randint(80, 99) / 100, draw.randint(1, 30), draw.random() < 0.3)
        for i in range(count)
    ]


@pytest.mark.parametrize("seed", range(5))
def test_the_front_is_what_no_point_beats(seed: int):
    points = cloud(seed)
    best = [p for p in points if not any(o.beats(p) for o in points)]
    found = front(points)
    assert {(p.accuracy, p.cost) for p in found} == {(p.accuracy, p.cost) for p in best}
    assert [p.cost for p in found] == sorted({p.cost for p in best})
    for point in found:  # of equal ones the first
        same = [p.number for p in points if (p.accuracy, p.cost) == (point.accuracy, point.cost)]
        assert point.number == min(same)


def test_a_point_does_not_beat_its_equal():
    assert not Point(0, 0.9, 5).beats(Point(1, 0.9, 5))
    assert Point(0, 0.9, 5).beats(Point(1, 0.9, 6))
    assert Point(0, 0.91, 5).beats(Point(1, 0.9, 5))
    assert not Point(0, 0.91, 6).beats(Point(1, 0.9, 5))


@pytest.mark.parametrize("seed", range(5))
def test_the_area_is_that_of_small_squares(seed: int):
    points, floor, worst = cloud(seed, 6), 0.85, 24
    fine = 400
    step = (math.log2(worst) + 1) / fine
    area = 0.0
    for row, column in itertools.product(range(14), range(fine)):
        accuracy, cost = floor + (row + 0.5) / 100, 2 ** (-1 + (column + 0.5) * step)
        if any(p.accuracy >= accuracy and p.cost <= cost for p in points):
            area += step
    assert hypervolume(points, accuracy=floor, cost=worst) == pytest.approx(area, abs=14 * step)


def test_what_is_worse_than_the_reference_counts_nothing():
    good = [Point(0, 0.9, 4)]
    area = hypervolume(good, accuracy=0.8, cost=8)
    assert area == pytest.approx(10.0)
    worse = [Point(1, 0.99, 9), Point(2, 0.7, 1)]
    assert hypervolume([*good, *worse], accuracy=0.8, cost=8) == area
    assert hypervolume([], accuracy=0.8, cost=8) == 0.0


def test_some_of_the_front():
    points = [Point(i, 0.9 + i / 100, 1 + i) for i in range(9)]
    assert [p.number for p in spread(points, 3)] == [0, 4, 8]
    assert spread(points, 20) == points
    assert [p.number for p in spread(points, 1)] == [8]
    assert spread(points, 0) == []


def test_the_cheapest_that_is_accurate_enough():
    points = [Point(0, 0.9, 3), Point(1, 0.95, 5), Point(2, 0.97, 5), Point(3, 0.99, 9)]
    found = cheapest(points, 0.93)
    assert found is not None
    assert found.number == 1
    assert cheapest(points, 0.999) is None
