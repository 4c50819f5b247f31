"""A pool, `ex_pool`: maximum or sum over windows that do not overlap."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np

from exeunt.graph import IntArray, Node
from exeunt.kernels.kind import Arrays, Kind
from exeunt.kernels.parts import accumulate
from exeunt.kernels.parts.accumulate import Function
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
    y = x[:, : oh * kh : kh, : ow * kw : kw].copy()
    for ky in range(kh):
        for kx in range(kw):
            part = x[:, ky : oh * kh : kh, kx : ow * kw : kw]
            if ky == kx == 0:
                continue
            if node.function == "max":
                np.maximum(y, part, out=y)
            else:
                y += part
    return y


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


def times(node: Pool, offered: Cycles, ready: Cycles | None = None) -> tuple[Cycles, Cycles]:
    """Transfer cycles, exact also under stalls: the last pixel of each window produces outputs.

    Args:
        node: kernel and shapes.
        offered: int64 (n,), first cycle in which input word k can be valid; whole frames.
        ready: int64 (m,), first cycle in which output word m is accepted; None: always.

    Returns:
        takes int64 (n,), gives int64 (m,).
    """
    starts = np.arange(0, len(offered), node.input.words)[:, None]
    return accumulate.times(offered, (starts + _completing(node)).ravel(), ready)


def size(node: Pool, dsp: bool) -> Size:
    """A row of partial results; see `Kind.size`."""
    return accumulate.size(node.output, node.output.words // node.output.shape[0])


register(Kind(node=Pool, values=values, times=times, size=size))
