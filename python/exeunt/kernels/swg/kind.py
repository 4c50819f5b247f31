"""The sliding window, `ex_swg` and `ex_swg_parallel`: windows with zero padding."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from exeunt.graph import IntArray, Stream
from exeunt.kernels.kind import Arrays, Fast, Kind
from exeunt.kernels.layer import Fold, Windows, divisors
from exeunt.kernels.lowering import Lowering
from exeunt.kernels.parts import back as parts
from exeunt.kernels.parts.fifo import Cycles
from exeunt.kernels.parts.size import Size, lutrams, ram
from exeunt.kernels.registry import register
from exeunt.kernels.swg import bands, parallel, serial
from exeunt.kernels.swg.node import Swg


def values(node: Swg, arrays: Arrays, x: IntArray) -> IntArray:
    """Output tensors y[oy][ox][b][ky][kx][c] = x[oy*SH - PT + ky*DH][ox*SW - PL + kx*DW][b][c].

    Args:
        node: kernel, stride, dilation, padding and blocks of channels; outside of the frame x is 0.
        arrays: none are used.
        x: integers (N, ...), a frame's elements in stream order.

    Returns:
        integers (N, *node.output.shape), same type as x.
    """
    h, w, channels = node.input.shape
    oh, ow, _ = node.output.shape
    (kh, kw), (sh, sw) = node.kernel, node.stride
    top, left, bottom, right = node.pad
    x = np.asarray(x).reshape(-1, h, w, channels)
    if any(node.pad):
        x = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    part = (node.blocks, channels // node.blocks)
    y = np.empty((len(x), oh, ow, node.blocks, kh, kw, part[1]), x.dtype)
    for ky in range(kh):
        for kx in range(kw):
            top, left = ky * node.dilation[0], kx * node.dilation[1]
            seen = x[:, top : top + oh * sh : sh, left : left + ow * sw : sw]
            y[:, :, :, :, ky, kx] = seen.reshape(len(x), oh, ow, *part)
    return y.reshape(len(x), oh, ow, kh * kw * channels)


def resume(
    node: Swg, past: Cycles | None, offered: Cycles, ready: Cycles | None = None
) -> tuple[Cycles, Cycles, Cycles]:
    """Transfer cycles, exact also under stalls; see `serial` and `parallel`.

    Args:
        node: kernel, stride, padding and shapes.
        past: what an earlier call returned as its past; None: the kernel is empty.
        offered: int64 (n,), first cycle in which input word k can be valid; whole frames.
        ready: int64 (m,), first cycle in which output word m is accepted; None: always.

    Returns:
        takes int64 (n,), gives int64 (m,), and the past for the frames that follow.
    """
    timing = parallel if node.parallel else serial
    offered = np.asarray(offered, np.int64).reshape(-1, node.input.words)
    accepts = None if ready is None else np.asarray(ready, np.int64).reshape(len(offered), -1)
    takes, gives = [], []
    after = np.zeros(0, np.int64)
    for frame, words in enumerate(offered):
        taken, given, after = timing.frame(
            node, past, words, None if accepts is None else accepts[frame]
        )
        takes.append(taken)
        gives.append(given)
        past = after
    return np.concatenate(takes), np.concatenate(gives), after


def period(node: Swg) -> int:
    """Cycles from frame to frame when input and output never wait."""
    if node.parallel:
        oh = node.output.shape[0]
        return max(node.input.words, oh * parallel.columns(node))
    return max(node.input.words, node.output.words)


def size(node: Swg, dsp: bool) -> Size:
    """Serial: counters and a ring of rows; parallel: rows in shift registers, the window in FF.

    Where there is padding every element that may lie in it is masked.
    """
    _, width, channels = node.input.shape
    lanes = node.input.lanes
    kernel, stride = node.extent, node.stride
    row = width * (channels // lanes)
    words = (kernel[0] - 1 + stride[0]) * row + (kernel[1] + 1) * (channels // lanes)
    masked = node.output.width if any(node.pad) else 0
    if node.parallel:
        masked -= masked // (node.kernel[0] * node.kernel[1])
        bits = node.input.width
        return Size(100 + (kernel[0] - 1) * bits * math.ceil(row / 32) + bits + masked)
    blocks = ram(words, node.input.width)
    memory = 0 if blocks else 4 * lutrams(words, node.input.width)
    return Size((160 if blocks else round(190 + 0.6 * memory)) + masked, 0, blocks)


def back(node: Swg, arrays: Arrays) -> tuple[tuple[parts.Part, ...], ...]:
    """The windows themselves; see `Kind.back`."""
    found = parts.Windows(node.kernel, node.stride, node.pad, node.dilation, node.blocks)
    return ((found,),)


def foldings(layer: Windows) -> Iterator[Fold]:
    """Serial, any lanes that divide the channels; then the whole window a beat, where it can be."""
    assert layer.window is not None
    height, width, channels = layer.input
    size = layer.window.kernel[0] * layer.window.kernel[1]
    pixels = height * width
    for lanes in divisors(channels // layer.blocks):
        words = max(pixels, layer.vectors * size)
        yield Fold(lanes, lanes, period=words * (channels // lanes))
    if layer.window.pad[3] <= width:  # the padding on the right must lie within one row
        period = max(pixels, layer.vectors)
        yield Fold(channels, size * channels, parallel=True, period=period)


def lower(lowering: Lowering, layer: Windows, fold: Fold) -> None:
    """One node; see `Kind.lower`."""
    assert layer.window is not None
    lowering.add(
        Swg(
            lowering.label(Swg.kind),
            Stream(layer.input, layer.source, fold.simd),
            Stream(layer.output, layer.result, fold.pe),
            finn=layer.finn,
            kernel=layer.window.kernel,
            stride=layer.window.stride,
            pad=layer.window.pad,
            parallel=fold.parallel,
            dilation=layer.window.dilation,
            blocks=layer.blocks,
        )
    )


def stages(node: Swg) -> int:
    """Of a word, or of a whole window."""
    return 3 if node.parallel else 2


register(
    Kind(
        node=Swg,
        values=values,
        resume=resume,
        size=size,
        stages=stages,
        layer=Windows,
        foldings=foldings,
        lower=lower,
        fast=Fast(product=bands.product),
        back=back,
    )
)
