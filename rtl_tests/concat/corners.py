"""Corners of `ex_concat`: types and words of both parts, factors, lanes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from add.corners import S1, S3, S8, U1, U4, U8, label, signed
from lib.bench import Corner, kernel_corner
from lib.pairwise import grid, pairwise

from exeunt.graph import Integer, Stream
from exeunt.kernels.concat import Concat


def node(
    types: tuple[Integer, Integer],
    factors: tuple[int, int],
    words: tuple[int, int],
    *,
    lanes: int = 1,
    pixels: tuple[int, int] = (3, 4),
) -> Concat:
    """`words` words of each part in a pixel, the type as narrow as its values allow."""
    ends = [e * f for f, t in zip(factors, types, strict=True) for e in (t.min, t.max)]
    result = Integer.covering(min(ends), max(ends))
    name = "_".join(
        (*map(label, types), *(f"f{signed(f)}" for f in factors), *(f"w{w}" for w in words),
         f"lanes{lanes}", f"{pixels[0]}x{pixels[1]}")
    )  # fmt: skip
    first, other = (
        Stream((*pixels, w * lanes), t, lanes) for w, t in zip(words, types, strict=True)
    )
    output = Stream((*pixels, sum(words) * lanes), result, lanes)
    return Concat(name, first, output, other=other, factors=factors)


FACTORS: dict[str, Sequence[Any]] = {
    "types": ((U4, U4), (U1, U8), (S8, U4), (U1, U1), (S3, S8), (S1, U8), (U8, S1)),
    "factors": ((1, 1), (2, -3), (-1, 8), (0, 5), (7, 0), (100, 1)),
    "words": ((1, 1), (1, 3), (3, 1), (4, 4), (5, 2), (2, 6)),
    "lanes": (1, 3, 8),
    "pixels": ((3, 4), (1, 1)),
}

CORNERS: list[Corner] = [kernel_corner(node(**row)) for row in pairwise(FACTORS)]


def full_grid() -> list[Corner]:
    """All words and lanes with every third pair of types and factors."""
    return [kernel_corner(node(**row)) for row in grid(FACTORS)[::3]]
