"""A pool, `ex_pool`: maximum or sum over windows that do not overlap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np

from exeunt.graph import IntArray, Node, Stream
from exeunt.kernels.kind import Arrays, Kind
from exeunt.kernels.layer import Fold, Pooling, Reduction, Windows, divisors
from exeunt.kernels.lowering import Lowering
from exeunt.kernels.parts import accumulate
from exeunt.kernels.parts.accumulate import Function
from exeunt.kernels.parts.back import Part, Tiles
from exeunt.kernels.parts.fifo import Cycles
from exeunt.kernels.parts.size import Size
from exeunt.kernels.registry import register


@dataclass(frozen=True)
class Pool(Node):
    """Non-overlapping pool: (H, W, C) -> (H // KH, W // KW, C), max or sum; the rest is dropped."""

    kind: ClassVar[str] = "pool"
    function: Function = "max"
    kernel: tuple[int, int] = (2, 2)


def values(node: Pool, arrays: Arrays, x: IntArray) -> IntArray:
    """Output tensors y[oy][ox][c] = f over ky < KH, kx < KW of x[oy*KH + ky][ox*KW + kx][c].

    Args:
        node: function and kernel; rows and columns that fill no window are dropped.
        arrays: none are used.
        x: integers (N, ...), a frame's elements in stream order, within node.input.dtype.

    Returns:
        integers (N, *node.output.shape); type of x for a maximum, int64 for a sum (int32
        where it is wide enough).
    """
    kh, kw = node.kernel
    oh, ow, _ = node.output.shape
    x = np.asarray(x).reshape(-1, *node.input.shape)
    if node.function == "sum":
        x = x.astype(np.int32 if node.output.dtype.bits < 32 else np.int64)
    combine = np.maximum if node.function == "max" else np.add
    for axis, size, count in ((1, kh, oh), (2, kw, ow)):
        places = [slice(k, count * size, size) for k in range(size)]
        parts = [x[:, place] if axis == 1 else x[:, :, place] for place in places]
        x = parts[0].copy() if size == 1 else combine(parts[0], parts[1])
        for part in parts[2:]:
            combine(x, part, out=x)
    return x


@cache
def _completing(node: Pool) -> IntArray:
    """The words of a frame that complete an output word, ascending."""
    kh, kw = node.kernel
    oh, ow, channels = node.output.shape
    folds = channels // node.input.lanes
    rows = np.arange(oh) * kh + kh - 1
    columns = np.arange(ow) * kw + kw - 1
    pixels = rows[:, None] * node.input.shape[1] + columns
    return (pixels[..., None] * folds + np.arange(folds)).ravel()


def resume(
    node: Pool, past: Cycles | None, offered: Cycles, ready: Cycles | None = None
) -> tuple[Cycles, Cycles, Cycles]:
    """Transfer cycles, exact also under stalls: the last pixel of each window produces outputs.

    Args:
        node: kernel and shapes.
        past: what an earlier call returned as its past; None: the kernel is empty.
        offered: int64 (n,), first cycle in which input word k can be valid; whole frames.
        ready: int64 (m,), first cycle in which output word m is accepted; None: always.

    Returns:
        takes int64 (n,), gives int64 (m,), and the past for the frames that follow.
    """
    starts = np.arange(0, len(offered), node.input.words)[:, None]
    return accumulate.resume(past, offered, (starts + _completing(node)).ravel(), ready)


def size(node: Pool, dsp: bool) -> Size:
    """A row of partial results; see `Kind.size`."""
    return accumulate.size(node.output, node.output.words // node.output.shape[0])


def back(node: Pool, arrays: Arrays) -> tuple[tuple[Part, ...], ...]:
    """To the largest of a window, or to all of it; see `Kind.back`."""
    return ((Tiles(node.function, node.kernel),),)


def foldings(layer: Pooling) -> Iterator[Fold]:
    """Any lanes that divide the channels, the same in and out; see `Kind.foldings`."""
    height, width, channels = layer.input
    for lanes in divisors(channels):
        words = height * width * (channels // lanes)
        if layer.window is None or layer.window.tiles:
            yield Fold(lanes, lanes, period=words, area=lanes)
            continue
        size = layer.window.kernel[0] * layer.window.kernel[1]
        words = max(words, layer.vectors * size * (channels // lanes))
        yield Fold(lanes, lanes, window=lanes, period=words, area=2 * lanes)


def lower(lowering: Lowering, layer: Pooling, fold: Fold) -> None:
    """One node where windows tile the map, else what reduces windows or the map."""
    if layer.window is not None and layer.window.tiles:
        lowering.add(
            Pool(
                lowering.label(Pool.kind),
                Stream(layer.input, layer.source, fold.simd),
                Stream(layer.output, layer.result, fold.pe),
                finn=layer.finn,
                function=layer.function,
                kernel=layer.window.kernel,
            )
        )
        return
    shape, count, finn = layer.input, layer.input[0] * layer.input[1], layer.finn
    if layer.window is not None:
        count, finn = layer.window.kernel[0] * layer.window.kernel[1], layer.finn[-1:]
        shape = (*layer.output[:2], count * layer.input[2])
        windows = Windows(
            layer.input, layer.source, shape, layer.source, window=layer.window,
            finn=layer.finn[:-1],
        )  # fmt: skip
        lowering.lower(windows, Fold(fold.window, fold.window))
    lowering.lower(
        Reduction(
            shape, layer.source, layer.output, layer.result, function=layer.function, count=count,
            finn=finn,
        ),
        Fold(fold.simd, fold.pe),
    )  # fmt: skip


register(
    Kind(
        node=Pool,
        values=values,
        resume=resume,
        size=size,
        layer=Pooling,
        foldings=foldings,
        lower=lower,
        back=back,
    )
)
