"""Reference of `ex_swg` and `ex_swg_parallel`: sliding windows with zero padding."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from exeunt.graph import IntArray, Swg
from exeunt.reference import swg_parallel, swg_serial
from exeunt.reference.fifo import Cycles


def values(node: Swg, arrays: Mapping[str, IntArray], x: IntArray) -> IntArray:
    """Output tensors y[oy][ox][(ky * KW + kx) * C + c] = x[oy*SH - PT + ky][ox*SW - PL + kx][c].

    Args:
        node: kernel, stride and padding; outside of the frame x is 0.
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
    y = np.empty((len(x), oh, ow, kh, kw, channels), x.dtype)
    for ky in range(kh):
        for kx in range(kw):
            y[:, :, :, ky, kx] = x[:, ky : ky + oh * sh : sh, kx : kx + ow * sw : sw]
    return y.reshape(len(x), oh, ow, kh * kw * channels)


def times(node: Swg, offered: Cycles, ready: Cycles | None = None) -> tuple[Cycles, Cycles]:
    """Transfer cycles, exact also under stalls; see `swg_serial` and `swg_parallel`.

    Args:
        node: kernel, stride, padding and shapes.
        offered: int64 (n,), first cycle in which input word k can be valid; whole frames.
        ready: int64 (m,), first cycle in which output word m is accepted; None: always.

    Returns:
        takes int64 (n,), gives int64 (m,).
    """
    timing = swg_parallel if node.parallel else swg_serial
    return timing.times(node, np.asarray(offered, np.int64), ready)


def period(node: Swg) -> int:
    """Cycles from frame to frame when input and output never wait."""
    if node.parallel:
        oh = node.output.shape[0]
        return max(node.input.words, oh * swg_parallel.columns(node))
    return max(node.input.words, node.output.words)
