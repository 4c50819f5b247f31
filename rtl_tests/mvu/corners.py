"""Corners of `ex_mvu`: folds of 1 and more on both sides, 2 to 8 bits, signs, thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from lib.bench import Corner, kernel_corner
from lib.pairwise import grid, pairwise

from exeunt.graph import Integer, Stream
from exeunt.kernels.layer import Style
from exeunt.kernels.mvu import Mvu
from exeunt.kernels.parts.weights import accumulator_range


def corner(
    fold: tuple[int, int, int, int],
    dtype: Integer,
    *,
    weight_bits: int | str = 4,
    levels: int = 0,
    bias: int = 0,
    vectors: tuple[int, int] = (2, 3),
    offset: bool = False,
    groups: tuple[int, int] = (1, 1),
    multiplier: Style = "",
) -> Corner:
    """A matrix of NF * PE rows and SF * SIMD columns, `fold` = (SF, SIMD, NF, PE).

    `groups` = (parts one behind the other, side by side), each with such a matrix.

    Weights include both extremes, those of "1s" and "2s" bits are signs, the accumulators then no
    wider than they must be. Thresholds part the results evenly, one of them is always reached and
    one never.
    """
    sf, simd, nf, pe = fold
    behind, beside = groups
    mw, mh = sf * simd, nf * pe * behind * beside
    sign = "s" if dtype.signed else "u"
    name = f"sf{sf}x{simd}_nf{nf}x{pe}_{sign}{dtype.bits}_w{weight_bits}_l{levels}"
    name += "_o" * offset
    name += f"_{multiplier}" if multiplier else ""
    if groups != (1, 1):
        name += f"_g{behind}x{beside}"
    rng = np.random.default_rng(sum(map(ord, name)))
    bits, signs = int(str(weight_bits)[0]), isinstance(weight_bits, str)
    low = -(1 << (bits - 1))
    weights = rng.integers(low, -low, (mh, mw))
    weights[0], weights[-1, -1] = low, -low - 1
    if signs:
        weights = rng.choice([-1, 1] if bits == 1 else [-1, 0, 1], (mh, mw))
        weights[0] = -1
    bound = int(np.abs(weights).sum(axis=1).max()) * max(-dtype.min, dtype.max)
    accumulator = Integer.covering(-bound - 1, bound)
    if signs:
        least, most = accumulator_range(weights, dtype)
        accumulator = Integer.covering(min(least, -2), max(most, 1))
    arrays = {"weights": weights}
    if offset:  # both extremes of the type are reached
        arrays["offsets"] = rng.integers(-bound, bound, mh)
        accumulator = Integer.covering(-2 * bound - 1, 2 * bound)
    output = accumulator
    if levels:
        output = Integer.covering(bias, bias + levels)
        results = rng.integers(dtype.min, dtype.max + 1, (400, mw)) @ weights.T
        limits = np.quantile(results, np.arange(1, levels + 1) / (levels + 1), axis=0).T
        limits = limits.astype(np.int64)
        limits[0, 0], limits[-1, -1] = -bound - 2, bound + 2
        arrays["thresholds"] = limits
    node = Mvu(
        name,
        Stream((*vectors, mw * behind * beside), dtype, simd * beside),
        Stream((*vectors, mh), output, pe * beside),
        weight_bits=bits,
        signs=signs,
        accumulator=accumulator,
        levels=levels,
        bias=bias,
        offset=offset,
        groups=behind * beside,
        together=beside,
        multiplier=multiplier,
    )
    return kernel_corner(node, arrays)


FACTORS: dict[str, Sequence[Any]] = {
    "fold": (
        (1, 1, 1, 1),
        (1, 9, 4, 2),
        (6, 1, 1, 3),
        (3, 4, 3, 1),
        (1, 12, 1, 4),
        (2, 10, 5, 2),
        (9, 2, 2, 1),
        (2, 17, 2, 3),
        (1, 25, 2, 1),
    ),
    "dtype": (
        Integer(8),
        Integer(2),
        Integer(4),
        Integer(4, signed=True),
        Integer(8, signed=True),
        Integer(3, signed=True),
        Integer(1),
        Integer(2, signed=True),
    ),
    "weight_bits": (2, 4, 8, 3, "1s", "2s"),
    "levels": (0, 15, 3, 6, 255),
}

GROUPS: Sequence[tuple[tuple[int, int, int, int], tuple[int, int]]] = (
    ((3, 2, 2, 1), (4, 1)),  # groups one behind the other
    ((9, 1, 1, 1), (1, 3)),  # all channels of a depthwise convolution at once
    ((9, 1, 1, 2), (3, 2)),  # several of them, two filters each
    ((1, 9, 1, 1), (2, 2)),  # their whole windows
    ((4, 2, 1, 3), (2, 2)),
    ((1, 4, 1, 2), (3, 1)),
    ((1, 12, 2, 1), (2, 1)),
)

CORNERS: list[Corner] = [
    corner((1, 9, 8, 1), Integer(8), levels=15, vectors=(4, 4)),
    corner((4, 9, 2, 8), Integer(4), levels=14, bias=-7),
    corner((7, 4, 1, 10), Integer(4), vectors=(1, 1)),
    corner((7, 4, 1, 10), Integer(4), vectors=(1, 1), offset=True),
    corner((1, 9, 4, 2), Integer(3, signed=True), offset=True),
    corner((3, 12, 5, 1), Integer(8), weight_bits=2, offset=True),
    *(corner(**row) for row in pairwise(FACTORS)),
    *(corner(fold, Integer(4), levels=7, groups=groups) for fold, groups in GROUPS),
    corner((9, 1, 1, 1), Integer(4, signed=True), weight_bits=3, groups=(2, 4)),
    corner((2, 3, 2, 2), Integer(4), offset=True, groups=(3, 1)),
    corner((2, 10, 1, 2), Integer(3), weight_bits=2, groups=(3, 1), levels=4, bias=-2),
    corner((2, 12, 3, 2), Integer(4), levels=3, multiplier="lut"),
    corner((2, 5, 1, 3), Integer(3, signed=True), weight_bits=2, multiplier="lut"),
    corner((3, 1, 2, 2), Integer(8), weight_bits=8, multiplier="lut"),
    corner((2, 12, 3, 2), Integer(4), levels=3, multiplier="dsp"),
    corner((2, 5, 1, 3), Integer(8, signed=True), weight_bits=6, multiplier="dsp"),
    corner((2, 12, 3, 2), Integer(4), levels=3, multiplier="packed"),
    corner((3, 10, 2, 9), Integer(4), multiplier="packed", offset=True),
    corner((3, 1, 2, 3), Integer(8), weight_bits=8, multiplier="packed"),
    corner((2, 5, 1, 10), Integer(2), weight_bits=2, multiplier="packed", levels=3),
    corner((1, 3, 1, 5), Integer(4), weight_bits=3, multiplier="packed", groups=(3, 2)),
    corner((2, 2, 1, 2), Integer(12), weight_bits=8, multiplier="packed"),
    corner((4, 32, 2, 3), Integer(1), weight_bits="1s", levels=1),
    corner((2, 32, 3, 2), Integer(2), weight_bits="2s", levels=3),
    corner((9, 3, 2, 2), Integer(8, signed=True), weight_bits="1s", levels=1),
    corner((3, 4, 1, 5), Integer(1), weight_bits="1s", offset=True),
    corner((3, 11, 1, 5), Integer(2, signed=True), weight_bits="2s", offset=True),
    corner((3, 11, 2, 2), Integer(1, signed=True), weight_bits="1s"),
    corner((2, 3, 2, 2), Integer(2), weight_bits="2s", groups=(3, 1)),
    corner((9, 1, 1, 2), Integer(1), weight_bits="1s", groups=(3, 2), levels=1),
]


def full_grid() -> list[Corner]:
    """The grid of folds, types, weights and levels."""
    factors = {**FACTORS, "dtype": (Integer(3), Integer(3, signed=True)), "levels": (0, 5)}
    return [corner(**row) for row in grid({**factors, "weight_bits": (2, 5, "1s", "2s")})]
