"""Corners of `ex_add`: types of both summands, factors, lanes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lib.bench import Corner, kernel_corner
from lib.pairwise import grid, pairwise

from exeunt.graph import Integer, Stream
from exeunt.kernels.add import Add


def label(dtype: Integer) -> str:
    """A type in a corner's name: u4, s8."""
    return f"{'s' if dtype.signed else 'u'}{dtype.bits}"


def signed(value: int) -> str:
    """A number in a corner's name: 3, m3."""
    return f"m{-value}" if value < 0 else str(value)


def node(
    types: tuple[Integer, Integer],
    factors: tuple[int, int],
    *,
    lanes: int = 1,
    pixels: tuple[int, int] = (3, 4),
) -> Add:
    """A sum over pixels of two words each, as narrow as its values allow."""
    shape = (*pixels, 2 * lanes)
    ends = [sorted((f * t.min, f * t.max)) for f, t in zip(factors, types, strict=True)]
    total = Integer.covering(ends[0][0] + ends[1][0], ends[0][1] + ends[1][1])
    name = "_".join(
        (*map(label, types), *(f"f{signed(f)}" for f in factors), f"lanes{lanes}",
         f"{pixels[0]}x{pixels[1]}")
    )  # fmt: skip
    first, other = (Stream(shape, t, lanes) for t in types)
    return Add(name, first, Stream(shape, total, lanes), other=other, factors=factors)


U1, U4, U8, S1, S3, S8 = (
    Integer(1), Integer(4), Integer(8), Integer(1, True), Integer(3, True), Integer(8, True),
)  # fmt: skip

FACTORS: dict[str, Sequence[Any]] = {
    "types": ((U4, U4), (U1, U8), (S8, U4), (U1, U1), (S3, S8), (S1, U8), (U8, S1)),
    "factors": ((1, 1), (2, -3), (-1, 8), (0, 5), (7, 0), (-11, -4), (100, 1)),
    "lanes": (1, 3, 8),
    "pixels": ((3, 4), (1, 1)),
}

CORNERS: list[Corner] = [kernel_corner(node(**row)) for row in pairwise(FACTORS)]
CORNERS.append(kernel_corner(node((Integer(23), Integer(24, True)), (127, -77))))  # 32 bits


def full_grid() -> list[Corner]:
    """All types, factors, lanes and frames."""
    return [kernel_corner(node(**row)) for row in grid(FACTORS)]
