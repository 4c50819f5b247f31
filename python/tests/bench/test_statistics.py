"""Percentiles are values that were seen, and rates are fractions of all."""

from __future__ import annotations

import numpy as np
import pytest

from exeunt.bench import statistics


def test_percentiles_are_nearest_rank():
    values = np.arange(1, 101)[::-1]
    found = statistics.spread(values)
    assert (found.p50, found.p95, found.p99) == (50, 95, 99)
    assert (found.count, found.min, found.max, found.mean) == (100, 1, 100, 50.5)
    assert statistics.spread([7]).to_json() == {
        "count": 1, "min": 7, "p50": 7, "p95": 7, "p99": 7, "max": 7, "mean": 7
    }  # fmt: skip
    assert statistics.spread([]) is None


@pytest.mark.parametrize("percent", [1, 37.5, 50, 95, 99, 99.9, 100])
@pytest.mark.parametrize("count", [1, 2, 3, 10, 359])
def test_percentile_by_counting(percent, count):
    ordered = np.sort(np.random.default_rng(count).integers(0, 50, count))
    value = statistics.percentile(ordered, percent)
    enough = [v for v in ordered if (ordered <= v).mean() >= percent / 100 - 1e-12]
    assert value == min(enough)


def test_by_exit_and_rates():
    values, exits = np.array([5, 1, 9, 3]), np.array([0, 0, 2, 0])
    first, second, third = statistics.by_exit(values, exits, 3)
    assert (first.count, first.p50, third.max) == (3, 3, 9)
    assert second is None
    assert statistics.rates(exits, 4) == (0.75, 0.0, 0.25, 0.0)


def test_quantiles_rise_from_least_to_most():
    values = np.random.default_rng(0).normal(size=77)
    curve = statistics.quantiles(values)
    assert len(curve) == 51
    assert curve == sorted(curve)
    assert (curve[0], curve[-1]) == (values.min(), values.max())
    assert statistics.quantiles(values[:0]) == []
