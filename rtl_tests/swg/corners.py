"""Corners of `ex_swg` and `ex_swg_parallel`: every pair of sizes, kernels, strides, paddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lib.bench import Corner, kernel_corner
from lib.pairwise import grid, pairwise

from exeunt.graph import Integer, Stream
from exeunt.kernels.swg import Swg
from exeunt.window import extent

INT4 = Integer(4)


def paddings(kernel: tuple[int, int]) -> dict[str, tuple[int, int, int, int]]:
    """Top, left, bottom, right: none, as much as keeps the size, uneven, as much as is allowed.

    `kernel` is what a window reaches over.
    """
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
    dilation: tuple[int, int] = (1, 1),
    blocks: int = 1,
) -> Swg:
    """A sliding window over (channels, SIMD) = `lanes`, in blocks where these divide."""
    channels, simd = lanes
    (h, w), (kh, kw), (sh, sw) = size, kernel, stride
    eh, ew = extent(kernel, dilation)
    top, left, bottom, right = paddings((eh, ew))[pad]
    oh, ow = (h + top + bottom - eh) // sh + 1, (w + left + right - ew) // sw + 1
    depth = kh * kw * channels
    kind = "parallel" if parallel else "serial"
    sign = "s" if dtype.signed else "u"
    return Swg(
        f"{kind}_{h}x{w}x{channels}_k{kh}{kw}_s{sh}{sw}_{pad}_simd{simd}_{sign}{dtype.bits}"
        f"_d{dilation[0]}{dilation[1]}_b{blocks}",
        Stream((h, w, channels), dtype, channels if parallel else simd),
        Stream((oh, ow, depth), dtype, depth if parallel else simd),
        kernel=kernel,
        stride=stride,
        pad=(top, left, bottom, right),
        parallel=parallel,
        dilation=dilation,
        blocks=blocks,
    )


def legal(row: dict[str, Any]) -> bool:
    """Whether the kernel lies inside the padded frame, and the padding inside the next row."""
    channels, simd = row["lanes"]
    if channels % row.get("blocks", 1) or (
        not row["parallel"] and channels // row.get("blocks", 1) % simd
    ):
        return False
    (kh, kw), (h, w) = extent(row["kernel"], row.get("dilation", (1, 1))), row["size"]
    top, left, bottom, right = paddings((kh, kw))[row["pad"]]
    return kh <= h + top + bottom and kw <= w + left + right and not (row["parallel"] and right > w)


FACTORS: dict[str, Sequence[Any]] = {
    "size": ((3, 3), (8, 8), (5, 7), (6, 2)),
    "kernel": ((3, 3), (1, 1), (2, 2), (5, 5), (2, 3)),
    "stride": ((1, 1), (2, 2), (1, 2), (3, 3)),
    "pad": ("same", "none", "uneven", "full"),
    "lanes": ((1, 1), (4, 2), (4, 4), (3, 1)),
    "dtype": (Integer(2), Integer(4, signed=True), Integer(8)),
}
SPREAD: dict[str, Sequence[Any]] = {  # windows with holes, channels in blocks
    "size": ((8, 8), (5, 7)),
    "kernel": ((3, 3), (2, 3)),
    "stride": ((1, 1), (2, 1), (3, 3)),
    "pad": ("same", "none", "full"),
    "lanes": ((4, 2), (4, 1), (4, 4)),
    "dilation": ((2, 2), (1, 3), (1, 1)),
    "blocks": (1, 2, 4),
}


def _nodes(*, parallel: bool) -> list[Swg]:
    factors = {**FACTORS, "parallel": (parallel,)}
    if parallel:
        factors["lanes"] = ((1, 1), (4, 4), (3, 3))
    spread = {**SPREAD, "parallel": (parallel,)}
    if parallel:
        spread["lanes"] = ((4, 4),)
    return [node(**row) for f in (factors, spread) for row in pairwise(f, legal)]


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
    node((6, 7), (3, 3), pad="same", lanes=(8, 2), blocks=2),
    node((7, 6), (3, 3), pad="same", lanes=(4, 1), blocks=4, dilation=(2, 2)),
    node((7, 6), (3, 3), pad="same", lanes=(4, 4), blocks=4, dilation=(2, 2), parallel=True),
]

CORNERS: list[Corner] = [
    kernel_corner(n)
    for n in {n.name: n for n in (*NAMED, *_nodes(parallel=False), *_nodes(parallel=True))}.values()
]


def full_grid(part: int, parts: int) -> list[Corner]:
    """Part `part` of `parts` of the grid of sizes, kernels, strides and paddings, both modules."""
    small = {"lanes": ((2, 1),), "dtype": (Integer(3),), "parallel": (False, True)}
    rows = grid({**FACTORS, **small}, legal)
    rows += grid({**SPREAD, "lanes": ((4, 2), (4, 4)), "parallel": (False, True)}, legal)
    return [kernel_corner(node(**row)) for row in rows[part::parts]]
