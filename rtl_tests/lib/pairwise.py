"""Pairwise coverage: few parameter sets in which every two values of two parameters meet."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def grid(
    factors: Mapping[str, Sequence[Any]], legal: Callable[[dict[str, Any]], bool] = lambda _: True
) -> list[dict[str, Any]]:
    """Every legal combination, in the order of `factors`, the last one fastest."""
    names = list(factors)
    rows = (dict(zip(names, row, strict=True)) for row in itertools.product(*factors.values()))
    return [row for row in rows if legal(row)]


def pairwise(
    factors: Mapping[str, Sequence[Any]], legal: Callable[[dict[str, Any]], bool] = lambda _: True
) -> list[dict[str, Any]]:
    """A subset of `grid` in which every pair of values that meets in the grid meets; greedy."""
    rows = grid(factors, legal)
    indexed = [
        [
            tuple((n, factors[n].index(row[n])) for n in pair)
            for pair in itertools.combinations(row, 2)
        ]
        for row in rows
    ]
    missing = {pair for pairs in indexed for pair in pairs}
    chosen = []
    while missing:
        gains = [sum(pair in missing for pair in pairs) for pairs in indexed]
        best = gains.index(max(gains))
        missing.difference_update(indexed[best])
        chosen.append(rows[best])
    return chosen
