"""Corners of `ex_width`: ratios up and down, element widths, signs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lib.bench import Corner, kernel_corner
from lib.pairwise import grid, pairwise

from exeunt.graph import Integer, Stream
from exeunt.kernels.width import Width


def node(lanes: tuple[int, int], dtype: Integer, *, words: int = 5) -> Width:
    """A converter from lanes[0] to lanes[1]; a frame is `words` words of the wider stream."""
    shape = (1, words, max(lanes))
    sign = "s" if dtype.signed else "u"
    return Width(
        f"from{lanes[0]}_to{lanes[1]}_{sign}{dtype.bits}_words{words}",
        Stream(shape, dtype, lanes[0]),
        Stream(shape, dtype, lanes[1]),
    )


FACTORS: dict[str, Sequence[Any]] = {
    "lanes": (
        (1, 2),
        (2, 1),
        (1, 3),
        (3, 1),
        (2, 8),
        (8, 2),
        (4, 4),
        (1, 9),
        (9, 1),
        (16, 1),
        (1, 16),
    ),
    "dtype": (Integer(4), Integer(1), Integer(8, signed=True), Integer(3)),
    "words": (5, 1, 32),
}

CORNERS: list[Corner] = [kernel_corner(node(**row)) for row in pairwise(FACTORS)]


def full_grid() -> list[Corner]:
    """All ratios, widths and frame lengths."""
    return [kernel_corner(node(**row)) for row in grid(FACTORS)]
