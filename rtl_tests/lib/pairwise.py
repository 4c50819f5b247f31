"""Pairwise coverage: few parameter sets in which every two values of two parameters meet."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np


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
    values = {n: list(of) for n, of in factors.items()}
    numbers: dict[Any, int] = {}  # of each pair that meets in the grid
    met = [
        [
            numbers.setdefault(pair, len(numbers))
            for pair in itertools.combinations([(n, values[n].index(v)) for n, v in row.items()], 2)
        ]
        for row in rows
    ]
    pairs = np.array(met, np.int64).reshape(len(rows), -1)
    missing = np.ones(len(numbers), bool)
    chosen = []
    while missing.any():
        best = int(missing[pairs].sum(axis=1).argmax())
        missing[pairs[best]] = False
        chosen.append(rows[best])
    return chosen
