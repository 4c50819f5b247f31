"""Corners of `ex_reduce`: every pair of functions, types, counts, lanes and groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lib.bench import Corner, kernel_corner
from lib.pairwise import grid, pairwise

from exeunt.graph import Integer, Stream
from exeunt.kernels.parts.accumulate import Function
from exeunt.kernels.reduce import Reduce


def node(
    function: Function,
    dtype: Integer,
    *,
    count: int = 4,
    lanes: tuple[int, int] = (1, 1),
    groups: tuple[int, int] = (1, 1),
) -> Reduce:
    """Groups of `count` vectors over (channels, lanes) = `lanes`, groups as (rows, columns)."""
    (h, w), (channels, width) = groups, lanes
    sign = "s" if dtype.signed else "u"
    out = dtype
    if function == "sum":
        out = Integer.covering(dtype.min * count, dtype.max * count)
    return Reduce(
        f"{function}_{sign}{dtype.bits}_n{count}_{h}x{w}x{channels}_lanes{width}",
        Stream((h, w, count * channels), dtype, width),
        Stream((h, w, channels), out, width),
        function=function,
        count=count,
    )


FACTORS: dict[str, Sequence[Any]] = {
    "function": ("max", "sum"),
    "dtype": (Integer(2), Integer(4), Integer(4, signed=True), Integer(8), Integer(7, signed=True)),
    "count": (4, 1, 2, 9, 49),
    "lanes": ((1, 1), (4, 4), (4, 2), (6, 1)),
    "groups": ((1, 1), (2, 3)),
}

CORNERS: list[Corner] = [kernel_corner(node(**row)) for row in pairwise(FACTORS)]


def full_grid() -> list[Corner]:
    """The grid of functions, signs, counts, lanes and groups."""
    factors = {**FACTORS, "dtype": (Integer(3), Integer(3, signed=True))}
    return [kernel_corner(node(**row)) for row in grid(factors)]
