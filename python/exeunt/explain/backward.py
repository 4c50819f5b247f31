"""The integer reference of an explanation: maps of many frames at once.

Gradients are k-bit integers. Sums are exact: a static bound says how wide they are. Between layers
they are multiplied by the slope of the quantizer (an unsigned integer of a few bits a channel),
shifted with rounding (halves away from zero), clipped to +-(2**(k - 1) - 1), which is counted, and
set to 0 below the layer's threshold. `real` computes the same without any rounding, in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from exeunt.explain import context as contexts
from exeunt.explain.context import Context
from exeunt.explain.program import Program, Scatter, Shape, Sweep

Numbers = npt.NDArray[Any]
BATCH = 128


@dataclass(frozen=True)
class Rounding:
    """How one sweep rounds.

    Attributes:
        shift: bits that are dropped.
        prune: smallest magnitude that is kept; 0 and 1 keep all.
        mantissas: unsigned integers (C,) that stand for the slope, empty where there is none.
        left: by how many bits each scatter's gradients are shifted up, so that all terms of the
            sum have one scale.
        exponent: a value v stands for the gradient v * 2**exponent of the integer logit.
    """

    shift: int
    prune: int = 0
    mantissas: tuple[int, ...] = ()
    left: tuple[int, ...] = (0,)
    exponent: int = 0


@dataclass(frozen=True)
class Scales:
    """All numbers of an engine beside the program: the width of gradients, and every sweep's."""

    bits: int
    sweeps: tuple[Rounding, ...]

    @property
    def limit(self) -> int:
        """The largest magnitude of a gradient."""
        return (1 << (self.bits - 1)) - 1


@dataclass(frozen=True)
class Maps:
    """What an engine gives for N frames.

    Attributes:
        values: int32 (N, H, W, C), the maps.
        exponent: a value v stands for v * 2**exponent of the integer logit.
        classes: int64 (N,), what each explains.
        saturated: int64 (N,), values that were clipped on the way.
        nonzeros: int64 (streams, N), gradients that are not 0, stream by stream: the class first,
            the map last.
        streams: every stream (N, H, W, C) where asked for.
    """

    values: npt.NDArray[np.int32]
    exponent: int
    classes: npt.NDArray[np.int64]
    saturated: npt.NDArray[np.int64]
    nonzeros: npt.NDArray[np.int64]
    streams: tuple[npt.NDArray[np.int32], ...] = ()


def bound(scatter: Scatter, largest: int) -> int:
    """No sum of a scatter is larger, whichever gradients up to `largest` come."""
    if scatter.weights is None:
        return largest * abs(scatter.factor)
    rows = np.abs(scatter.weights).sum(axis=0).astype(np.int64)  # (KH, KW, C), over rows
    # positions of the kernel that meet in a place: with a stride not all
    return largest * abs(scatter.factor) * int(rows.sum(axis=(0, 1)).max(initial=0))


def _spread(scatter_: Scatter, found: Numbers, sums: Shape) -> Numbers:
    """The transposed convolution: (N, OH, OW, rows) to (N, *sums), same type."""
    weights = scatter_.weights
    assert weights is not None
    (kh, kw), (sh, sw), (dh, dw) = scatter_.kernel, scatter_.stride, scatter_.dilation
    count, oh, ow, rows = found.shape
    height, width, channels = sums
    table = weights.astype(found.dtype)
    if (oh, ow) == (1, 1) and scatter_.pad == (0, 0) and (kh, kw) == sums[:2] and dh == dw == 1:
        flat = found.reshape(count, rows) @ table.reshape(rows, -1)
        return flat.reshape(count, *sums)
    top, left = scatter_.pad
    tall = max((oh - 1) * sh + (kh - 1) * dh + 1, height + top)
    wide = max((ow - 1) * sw + (kw - 1) * dw + 1, width + left)
    total = np.zeros((count, tall, wide, channels), found.dtype)
    flat = found.reshape(-1, rows)
    for ky in range(kh):
        for kx in range(kw):
            part = (flat @ table[:, ky, kx]).reshape(count, oh, ow, channels)
            lines = slice(ky * dh, ky * dh + (oh - 1) * sh + 1, sh)
            columns = slice(kx * dw, kx * dw + (ow - 1) * sw + 1, sw)
            total[:, lines, columns] += part
    return total[:, top : top + height, left : left + width]


def scatter(
    gradients: Numbers,
    term: Scatter,
    sums: Shape,
    ways: Mapping[int, npt.NDArray[np.int64]] | None = None,
    dtype: Any = np.float64,
) -> Numbers:
    """What a scatter adds to a map of sums that is 0.

    Args:
        gradients: (N, H, W, C), the stream.
        term: the scatter.
        sums: shape of the map.
        ways: places of the largest inputs, where the term has routes.
        dtype: float type that holds every sum.

    Returns:
        (N, *sums) of `dtype`.
    """
    found = gradients[..., term.first : term.first + term.rows].astype(dtype)
    for route in term.routes:
        place = (ways or {})[route.tensor]
        y, x, inside = contexts.targets(route, place)
        routed = np.zeros((len(found), *route.shape), dtype)
        frames = np.broadcast_to(np.arange(len(found))[:, None, None, None], y.shape)
        channels = np.broadcast_to(np.arange(found.shape[3]), y.shape)
        kept = inside & (found != 0)
        np.add.at(routed, (frames[kept], y[kept], x[kept], channels[kept]), found[kept])
        found = routed
    if term.factor != 1:
        found = found * term.factor
    return found if term.weights is None else _spread(term, found, sums)


def _read(sweep: Sweep, sums: Numbers) -> Numbers:
    """The sums in the shape of the sweep: (N, *sweep.shape)."""
    if sweep.spread == (1, 1):
        return sums.reshape(len(sums), *sweep.shape)
    (sy, sx), (height, width, _) = sweep.spread, sweep.shape
    found = sums.repeat(sy, axis=1).repeat(sx, axis=2)[:, :height, :width]
    missing = (height - found.shape[1], width - found.shape[2])
    return np.pad(found, ((0, 0), (0, missing[0]), (0, missing[1]), (0, 0)))


def products(
    sweep: Sweep, rounding: Rounding, sums: npt.NDArray[np.int64], context: Context
) -> npt.NDArray[np.int64]:
    """What a sweep shifts: sums times slope and pixel, 0 where the mask is; int64."""
    found = _read(sweep, sums)
    if rounding.mantissas:
        found = found * np.asarray(rounding.mantissas, np.int64)
    if sweep.pixels:
        found = found * context.images.reshape(found.shape).astype(np.int64)
    passing = contexts.passing(sweep, context)
    if passing is not None:
        found = np.where(passing, found, 0)
    return np.maximum(found, 0) if sweep.positive else found


def rounded(
    found: npt.NDArray[np.int64], shift: int, limit: int, prune: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Shifted, clipped and pruned, and how many of each frame were clipped.

    Args:
        found: int64 (N, ...).
        shift: bits that are dropped, halves away from zero.
        limit: largest magnitude.
        prune: what is smaller in magnitude becomes 0.

    Returns:
        int32 (N, ...) and int64 (N,).
    """
    size = np.abs(found)
    if shift:
        size = (size + (1 << (shift - 1))) >> shift
    beyond = size > limit
    size = np.minimum(size, limit)
    if prune > 1:
        size = np.where(size < prune, 0, size)
    count = beyond.reshape(len(found), -1).sum(axis=1, dtype=np.int64)
    return (np.sign(found) * size).astype(np.int32), count


def start(classes: npt.NDArray[np.int64], known: int) -> npt.NDArray[np.int32]:
    """The first stream: 1 at the class, int32 (N, 1, 1, classes)."""
    found = np.zeros((len(classes), 1, 1, known), np.int32)
    found[np.arange(len(classes)), 0, 0, classes] = 1
    return found


def sums(
    sweep: Sweep, rounding: Rounding, streams: list[npt.NDArray[np.int32]], context: Context
) -> npt.NDArray[np.int64]:
    """The map of sums of a sweep, int64 (N, *sweep.sums); exact."""
    total = np.zeros((len(context), *sweep.sums), np.int64)
    for term, left in zip(sweep.scatters, rounding.left, strict=True):
        largest = int(np.abs(streams[term.stream]).max(initial=0))
        most = bound(term, largest)
        assert most < 1 << 52, f"{sweep.name}: beyond the integers of a float64"
        dtype = np.float32 if most < 1 << 24 else np.float64
        part = scatter(streams[term.stream], term, sweep.sums, context.ways, dtype)
        total += part.astype(np.int64) << left
    return total


def cam(program: Program, context: Context, classes: npt.NDArray[np.int64]) -> Numbers:
    """Grad-CAM before it is shifted, int64 (N, H, W, 1), >= 0."""
    features = program.features
    assert features is not None
    chosen = np.asarray(features.weights, np.float64)[classes]  # (N, C)
    levels = context.streams[features.tensor].astype(np.float64)
    found = np.einsum("nhwc,nc->nhw", levels, chosen)
    return np.maximum(np.rint(found), 0).astype(np.int64)[..., None]


def maps(
    program: Program,
    scales: Scales,
    context: Context,
    classes: npt.NDArray[np.int64],
    *,
    streams: bool = False,
) -> Maps:
    """The maps of all frames of a context.

    Args:
        program: of one exit and method.
        scales: of that program.
        context: see `context.forward`.
        classes: int64 (N,), what each map explains.
        streams: also keep every stream of gradients.
    """
    found = [start(classes, program.classes)]
    saturated = np.zeros(len(context), np.int64)
    if program.features is not None:
        (one,) = scales.sweeps
        values, beyond = rounded(cam(program, context, classes), one.shift, scales.limit, one.prune)
        found.append(values)
        saturated += beyond
    for sweep, rounding in zip(program.sweeps, scales.sweeps, strict=False):
        whole = products(sweep, rounding, sums(sweep, rounding, found, context), context)
        values, beyond = rounded(whole, rounding.shift, scales.limit, rounding.prune)
        found.append(values)
        saturated += beyond
    nonzeros = [np.count_nonzero(s.reshape(len(s), -1), axis=1) for s in found]
    return Maps(
        found[-1],
        scales.sweeps[-1].exponent,
        classes,
        saturated,
        np.stack(nonzeros).astype(np.int64),
        tuple(found) if streams else (),
    )


def real(
    program: Program,
    context: Context,
    classes: npt.NDArray[np.int64],
    slope: Callable[[Sweep], npt.NDArray[np.float64] | None] = lambda sweep: sweep.slope,
) -> npt.NDArray[np.float64]:
    """The maps without any rounding, float64 (N, H, W, C): gradients of the integer logit.

    Args:
        program: of one exit and method.
        context: see `context.forward`.
        classes: int64 (N,), what each map explains.
        slope: what a sweep multiplies by, float64 (C,).
    """
    if program.features is not None:
        return cam(program, context, classes).astype(np.float64)
    found: list[Numbers] = [start(classes, program.classes).astype(np.float64)]
    for sweep in program.sweeps:
        total = np.zeros((len(context), *sweep.sums))
        for term in sweep.scatters:
            total += scatter(found[term.stream], term, sweep.sums, context.ways)
        values = _read(sweep, total)
        factors = slope(sweep)
        if factors is not None:
            values = values * factors
        if sweep.pixels:
            values = values * context.images.reshape(values.shape)
        passing = contexts.passing(sweep, context)
        if passing is not None:
            values = np.where(passing, values, 0.0)
        found.append(np.maximum(values, 0.0) if sweep.positive else values)
    return np.asarray(found[-1])
