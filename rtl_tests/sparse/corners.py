"""Corners of `ex_sparse`: blocks left out in every pattern, lanes apart, shared weights, signs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from lib.bench import Corner, kernel_corner
from lib.pairwise import grid, pairwise

from exeunt.graph import Integer
from exeunt.kernels import sparse
from exeunt.kernels.layer import Fold, Matrix
from exeunt.kernels.mvu import extremes

Pattern = Literal["even", "random", "rows", "none"]


def weights_of(
    rng: np.random.Generator, shape: tuple[int, int], block: int, bits: int, pattern: Pattern,
    zeros: float, book: int = 0, negates: bool = False,
) -> npt.NDArray[np.int64]:  # fmt: skip
    """A matrix (rows, columns): "even" leaves every row as many blocks, "rows" has rows of none."""
    rows, columns = shape
    low = -(1 << (bits - 1))
    weights = rng.integers(low, -low, shape)
    weights[weights == 0] = 1
    if book:
        numbers = rng.choice(np.arange(1, -low), book, replace=False) * rng.choice([-1, 1], book)
        numbers[0] = low
        weights = numbers[rng.integers(0, book, shape)]
        weights[0, :book] = numbers[: min(book, columns)]
    count = columns // block
    left = rng.random((rows, count)) >= zeros
    if pattern == "even":
        keep = max(1, round(count * (1 - zeros)))
        left = rng.random((rows, count)).argsort(axis=1) < keep
    if pattern == "rows":
        left[::2] = False
    if pattern != "none":
        weights = weights * np.repeat(left, block, axis=1)
    if negates:
        weights = weights * rng.choice([-1, 1], (rows, 1))
    return weights


def corner(
    fold: tuple[int, int, int, int, int],
    banks: int,
    dtype: Integer,
    *,
    pattern: Pattern = "even",
    zeros: float = 0.75,
    weight_bits: int = 4,
    book: int = 0,
    negates: bool = False,
    levels: int = 0,
    vectors: tuple[int, int] = (2, 3),
) -> Corner:
    """A matrix of NF * PE rows and SF * LANES columns in blocks, `fold` = (SF, LANES, BLOCK, NF,
    PE).

    `banks` 0: no block is left out. With `book` so many numbers stand for the weights, and zero.
    """
    sf, lanes, block, nf, pe = fold
    sign = "s" if dtype.signed else "u"
    name = (
        f"sf{sf}x{lanes}b{block}_nf{nf}x{pe}k{banks}_{sign}{dtype.bits}_{pattern}{zeros * 100:.0f}"
    )
    name += f"_w{weight_bits}_l{levels}" + f"_c{book}" * bool(book) + "_n" * negates
    rng = np.random.default_rng(sum(map(ord, name)))
    shape = (nf * pe, sf * lanes)
    weights = weights_of(rng, shape, block, weight_bits, pattern, zeros, book, negates)
    least, most = extremes(weights, dtype)
    accumulator = Integer.covering(min(least, -2), max(most, 1))
    arrays = {"weights": weights}
    result, bias = accumulator, -(levels // 2)
    if levels:
        result = Integer.covering(bias, bias + levels)
        results = rng.integers(dtype.min, dtype.max + 1, (400, shape[1])) @ weights.T
        limits = np.quantile(results, np.arange(1, levels + 1) / (levels + 1), axis=0).T
        arrays["thresholds"] = limits.astype(np.int64)
    layer = Matrix(
        (*vectors, shape[1]), dtype, (*vectors, shape[0]), result, columns=shape[1],
        weight_bits=weight_bits, levels=levels, bias=bias, accumulator=accumulator, arrays=arrays,
    )  # fmt: skip
    style = sparse.STYLES[bool(book)]
    node = sparse.built(name, layer, Fold(lanes, pe, multiplier=style, block=block, banks=banks))
    assert not book or node.centroids
    return kernel_corner(dataclasses.replace(node), arrays)


FACTORS: dict[str, Sequence[Any]] = {
    "fold": (
        (1, 1, 1, 1, 1),
        (4, 2, 2, 4, 2),
        (6, 4, 1, 3, 4),
        (3, 12, 4, 2, 2),
        (9, 2, 2, 1, 6),
        (2, 20, 10, 3, 2),
        (12, 1, 1, 5, 3),
    ),
    "spread": (True, False),
    "dtype": (Integer(4), Integer(8), Integer(3, signed=True), Integer(1), Integer(6, signed=True)),
    "pattern": ("even", "random", "rows"),
    "levels": (0, 3, 15),
    "book": (0, 3, 7, 15, 1),
    "negates": (False, True),
}


def row(fold: tuple[int, int, int, int, int], *, spread: bool, **values: Any) -> Corner:
    """A row of the factors: `spread` gives each lane a bank of its own."""
    values["negates"] = values["negates"] and values["book"] in (3, 7)
    bits = 8 if values["book"] else 4
    return corner(fold, fold[4] if spread else 1, weight_bits=bits, **values)


CORNERS: list[Corner] = [
    corner((3, 2, 2, 2, 2), 2, Integer(4)),
    corner((8, 4, 2, 4, 2), 2, Integer(4), pattern="random", zeros=0.5),
    corner((8, 4, 2, 4, 4), 2, Integer(4), pattern="random", zeros=0.8, levels=7),
    corner((16, 1, 1, 6, 4), 4, Integer(8), pattern="random", zeros=0.7, weight_bits=8),
    corner((5, 3, 3, 3, 2), 0, Integer(4), pattern="none", book=7, weight_bits=8, levels=15),
    corner((2, 10, 10, 2, 3), 0, Integer(8), pattern="none", book=8, weight_bits=8, negates=True),
    corner((6, 1, 1, 1, 4), 0, Integer(8, signed=True), pattern="none", book=7, weight_bits=8),
    corner((4, 2, 2, 1, 1), 1, Integer(4), pattern="rows", vectors=(1, 1)),
    *(row(**values) for values in pairwise(FACTORS)),
]


def full_grid() -> list[Corner]:
    """A grid of folds, patterns and codebooks."""
    fewer = {"dtype": (Integer(3), Integer(5, signed=True)), "levels": (0, 5), "negates": (True,)}
    return [row(**values) for values in grid({**FACTORS, **fewer, "book": (0, 6)})]
