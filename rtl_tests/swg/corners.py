"""Corners of `ex_swg` and `ex_swg_parallel`: every pair of sizes, kernels, strides, paddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lib.bench import Corner, kernel_corner
from lib.pairwise import grid, pairwise

from exeunt.graph import Integer, Stream
from exeunt.kernels.swg import Swg

INT4 = Integer(4)


def paddings(kernel: tuple[int, int]) -> dict[str, tuple[int, int, int, int]]:
    """Top, left, bottom, right: none, as much as keeps the size, uneven, as much as is allowed."""
    kh, kw = kernel
    return {
        "none": (0, 0, 0, 0),
        "same": ((kh - 1) // 2, (kw - 1) // 2, kh // 2, kw // 2),
        "uneven": (0, (kw - 1) // 2, kh - 1, 0),
        "full": (kh - 1, kw - 1, kh - 1, kw - 1),
    }


def node(
    size: tuple[int, int],
    kernel: tuple[int, int],
    *,
    stride: tuple[int, int] = (1, 1),
    pad: str = "none",
    lanes: tuple[int, int] = (1, 1),
    dtype: Integer = INT4,
    parallel: bool = False,
) -> Swg:
    """A sliding window over (channels, SIMD) = `lanes`."""
    channels, simd = lanes
    (h, w), (kh, kw), (sh, sw) = size, kernel, stride
    top, left, bottom, right = paddings(kernel)[pad]
    oh, ow = (h + top + bottom - kh) // sh + 1, (w + left + right - kw) // sw + 1
    depth = kh * kw * channels
    kind = "parallel" if parallel else "serial"
    sign = "s" if dtype.signed else "u"
    return Swg(
        f"{kind}_{h}x{w}x{channels}_k{kh}{kw}_s{sh}{sw}_{pad}_simd{simd}_{sign}{dtype.bits}",
        Stream((h, w, channels), dtype, channels if parallel else simd),
        Stream((oh, ow, depth), dtype, depth if parallel else simd),
        kernel=kernel,
        stride=stride,
        pad=(top, left, bottom, right),
        parallel=parallel,
    )


def legal(row: dict[str, Any]) -> bool:
    """Whether the kernel lies inside the padded frame, and the padding inside the next row."""
    (kh, kw), (h, w) = row["kernel"], row["size"]
    top, left, bottom, right = paddings(row["kernel"])[row["pad"]]
    return kh <= h + top + bottom and kw <= w + left + right and not (row["parallel"] and right > w)


FACTORS: dict[str, Sequence[Any]] = {
    "size": ((3, 3), (8, 8), (5, 7), (6, 2)),
    "kernel": ((3, 3), (1, 1), (2, 2), (5, 5), (2, 3)),
    "stride": ((1, 1), (2, 2), (1, 2), (3, 3)),
    "pad": ("same", "none", "uneven", "full"),
    "lanes": ((1, 1), (4, 2), (4, 4), (3, 1)),
    "dtype": (Integer(2), Integer(4, signed=True), Integer(8)),
}


def _nodes(*, parallel: bool) -> list[Swg]:
    factors = {**FACTORS, "parallel": (parallel,)}
    if parallel:
        factors["lanes"] = ((1, 1), (4, 4), (3, 3))
    return [node(**row) for row in pairwise(factors, legal)]


NAMED = [
    node((28, 28), (3, 3), pad="same", dtype=Integer(8), parallel=True),
    node((8, 8), (3, 3), pad="same", dtype=Integer(8), parallel=True),
    node((12, 12), (5, 5), pad="same", dtype=Integer(8), parallel=True),
    node((8, 8), (3, 3), pad="same", lanes=(8, 4)),
    node((14, 14), (3, 3), pad="none", lanes=(2, 2)),
    node((5, 1), (3, 1), pad="same", parallel=True),
    node((1, 9), (1, 3), pad="same", parallel=True),
    node((4, 3), (7, 7), pad="same", parallel=True),
    node((1, 1), (1, 1), lanes=(2, 2), parallel=True),
    node((1, 9), (1, 3), pad="full"),
]

CORNERS: list[Corner] = [
    kernel_corner(n)
    for n in {n.name: n for n in (*NAMED, *_nodes(parallel=False), *_nodes(parallel=True))}.values()
]


def full_grid(part: int, parts: int) -> list[Corner]:
    """Part `part` of `parts` of the grid of sizes, kernels, strides and paddings, both modules."""
    rows = grid(
        {**FACTORS, "lanes": ((2, 1),), "dtype": (Integer(3),), "parallel": (False, True)}, legal
    )
    return [kernel_corner(node(**row)) for row in rows[part::parts]]
