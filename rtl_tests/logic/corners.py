"""Corners of `ex_logic` in modules of constant matrices: shapes, widths, zeros, signs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from lib.bench import Corner, kernel_corner
from lib.pairwise import grid, pairwise

from exeunt.graph import Integer, Stream
from exeunt.kernels.logic import Logic, graph_of, stage_of
from exeunt.kernels.mvu import extremes


def corner(
    shape: tuple[int, int], bits: int, dtype: Integer, zeros: float, vectors: int = 6
) -> Corner:
    """A random matrix (rows, columns) of weights with so many bits, some of them 0."""
    rows, columns = shape
    rng = np.random.default_rng(rows * 1000 + columns * 10 + bits)
    most = max(1, (1 << (bits - 1)) - 1)
    weights = rng.integers(-most, most + 1, (rows, columns))
    weights[rng.random(weights.shape) < zeros] = 0
    if zeros > 0.8:
        weights[0] = 0  # a row of nothing
        weights[-1] = -np.abs(weights[-1]) - 1
    made = graph_of(weights, dtype)
    low, high = extremes(weights, dtype)
    result = Integer.covering(min(low, -2), max(high, 1))
    sign = "s" if dtype.signed else "u"
    node = Logic(
        f"r{rows}_c{columns}_b{bits}_{sign}{dtype.bits}_z{round(100 * zeros)}",
        Stream((1, vectors, columns), dtype, columns),
        Stream((1, vectors, rows), result, rows),
        stages=stage_of(made.depth) + 1,
        luts=made.luts,
    )
    return kernel_corner(node, {"weights": weights})


FACTORS: dict[str, Sequence[Any]] = {
    "shape": ((1, 1), (3, 5), (8, 9), (10, 16), (5, 1), (16, 27)),
    "bits": (2, 4, 8, 3),
    "dtype": (Integer(4), Integer(8), Integer(1), Integer(5, signed=True)),
    "zeros": (0.0, 0.5, 0.9),
}

CORNERS: list[Corner] = [corner(**row) for row in pairwise(FACTORS)]


def full_grid() -> list[Corner]:
    """All of them."""
    return [corner(**row) for row in grid(FACTORS)]
