"""Corners of `ex_pool`: every pair of functions, types, sizes, kernels and lanes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lib.bench import Corner, kernel_corner
from lib.pairwise import grid, pairwise

from exeunt.graph import Integer, Stream
from exeunt.kernels.parts.accumulate import Function
from exeunt.kernels.pool import Pool


def node(
    function: Function,
    dtype: Integer,
    size: tuple[int, int],
    *,
    kernel: tuple[int, int] = (2, 2),
    lanes: tuple[int, int] = (1, 1),
) -> Pool:
    """A pool over (channels, lanes) = `lanes`."""
    (h, w), (kh, kw), (channels, width) = size, kernel, lanes
    sign = "s" if dtype.signed else "u"
    out = dtype
    if function == "sum":
        out = Integer.covering(dtype.min * kh * kw, dtype.max * kh * kw)
    return Pool(
        f"{function}_{sign}{dtype.bits}_{h}x{w}x{channels}_k{kh}{kw}_lanes{width}",
        Stream((h, w, channels), dtype, width),
        Stream((h // kh, w // kw, channels), out, width),
        function=function,
        kernel=kernel,
    )


def legal(row: dict[str, Any]) -> bool:
    """Whether a window lies inside the frame."""
    return bool(row["kernel"][0] <= row["size"][0] and row["kernel"][1] <= row["size"][1])


FACTORS: dict[str, Sequence[Any]] = {
    "function": ("max", "sum"),
    "dtype": (Integer(2), Integer(4), Integer(4, signed=True), Integer(8), Integer(7, signed=True)),
    "size": ((4, 4), (8, 6), (7, 5), (3, 9)),
    "kernel": ((2, 2), (3, 3), (1, 1), (3, 2), (2, 4)),
    "lanes": ((1, 1), (4, 4), (4, 2), (6, 1)),
}

CORNERS: list[Corner] = [
    kernel_corner(n)
    for n in (
        node("max", Integer(4), (14, 14), lanes=(4, 2)),
        node("sum", Integer(4), (4, 4), kernel=(4, 4), lanes=(8, 4)),
        *(node(**row) for row in pairwise(FACTORS, legal)),
    )
]


def full_grid() -> list[Corner]:
    """The grid of functions, signs, sizes, kernels and lanes."""
    factors = {**FACTORS, "dtype": (Integer(3), Integer(3, signed=True))}
    return [kernel_corner(node(**row)) for row in grid(factors, legal)]
