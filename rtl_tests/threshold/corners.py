"""Corners of `ex_threshold`: 1 to 8 bits out, odd numbers of levels, folds, signs, bias."""

from __future__ import annotations

import numpy as np
from lib.bench import Corner, kernel_corner

from exeunt.graph import Integer, Stream
from exeunt.kernels.threshold import Threshold


def corner(
    name: str,
    *,
    bits: int,
    signed: bool,
    levels: int,
    channels: int,
    lanes: int,
    bias: int = 0,
    out_bits: int | None = None,
    pixels: tuple[int, int] = (4, 5),
) -> Corner:
    """One corner with random ascending thresholds, some of them beyond the input's range."""
    source, dtype = np.random.default_rng(len(name) + levels), Integer(bits, signed)
    output = Integer.covering(bias, bias + levels)
    if out_bits is not None:
        output = Integer(out_bits, output.signed)
    shape = (*pixels, channels)
    node = Threshold(
        name,
        Stream(shape, dtype, lanes),
        Stream(shape, output, lanes),
        levels=levels,
        bias=bias,
    )
    wide = source.integers(dtype.min - 2, dtype.max + 4, (channels, levels))
    return kernel_corner(node, {"thresholds": np.sort(wide, axis=1)})


CORNERS = [
    corner("one_level", bits=8, signed=False, levels=1, channels=1, lanes=1),
    corner("two_levels", bits=5, signed=True, levels=2, channels=2, lanes=1),
    corner("two_bits", bits=6, signed=True, levels=3, channels=4, lanes=4),
    corner("odd_levels", bits=9, signed=True, levels=5, channels=6, lanes=2),
    corner("three_folds", bits=12, signed=True, levels=7, channels=9, lanes=3, bias=-4),
    corner("four_bits", bits=16, signed=True, levels=15, channels=8, lanes=8),
    corner("four_folded", bits=14, signed=True, levels=15, channels=8, lanes=2, bias=-8),
    corner("narrow_signed", bits=11, signed=True, levels=14, channels=4, lanes=1, bias=-7),
    corner("wider_out", bits=8, signed=False, levels=9, channels=3, lanes=3, out_bits=8),
    corner("five_bits", bits=8, signed=False, levels=31, channels=2, lanes=2),
    corner("six_bits", bits=17, signed=True, levels=63, channels=5, lanes=1),
    corner("seven_bits", bits=20, signed=True, levels=100, channels=2, lanes=1, bias=-50),
    corner("eight_bits", bits=24, signed=True, levels=255, channels=2, lanes=2),
    corner("eight_signed", bits=10, signed=True, levels=255, channels=3, lanes=1, bias=-128),
    corner("wide_input", bits=32, signed=True, levels=6, channels=2, lanes=2),
    corner("more_levels_than_values", bits=2, signed=False, levels=15, channels=2, lanes=1),
    corner("many_lanes", bits=10, signed=True, levels=3, channels=24, lanes=12),
]
