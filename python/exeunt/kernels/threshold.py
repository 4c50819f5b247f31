"""Thresholds alone, `ex_threshold`: y = bias + #{t : x >= t}."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from exeunt.graph import IntArray, Node, Stream
from exeunt.kernels.kind import Arrays, Fast, Kind, Product
from exeunt.kernels.layer import Fold, Levels, divisors
from exeunt.kernels.lowering import Lowering
from exeunt.kernels.parts import levels
from exeunt.kernels.parts.back import Part, Steps, probe
from exeunt.kernels.parts.fast import Step
from exeunt.kernels.parts.fifo import Cycles
from exeunt.kernels.parts.size import Size
from exeunt.kernels.registry import register


@dataclass(frozen=True)
class Threshold(Node):
    """y = bias + #{t : x >= t}. Array: `thresholds` (C, levels), ascending; PE = lanes."""

    kind: ClassVar[str] = "threshold"
    levels: int = 1
    bias: int = 0


def values(node: Threshold, arrays: Arrays, x: IntArray) -> IntArray:
    """Y = bias + #{t : x >= t} of each element, with the thresholds of its channel.

    Args:
        node: the kernel.
        arrays: `thresholds`, integers (C, levels), ascending.
        x: integers (N, H, W, C) within `node.input.dtype`.

    Returns:
        (N, H, W, C) in the smallest NumPy type for `node.output.dtype`.
    """
    channels = node.input.shape[2]
    flat = np.asarray(x).reshape(-1, channels)
    dtype = node.input.dtype
    y = levels.count(
        flat,
        arrays["thresholds"],
        bias=node.bias,
        output=node.output.dtype,
        low=dtype.min,
        high=dtype.max,
    )
    return y.reshape(-1, *node.output.shape)


def resume(
    node: Threshold, past: Cycles | None, offered: Cycles, ready: Cycles | None = None
) -> tuple[Cycles, Cycles, Cycles]:
    """Transfer cycles of `ex_threshold`; exact, also under stalls.

    Args:
        node: the kernel.
        past: what an earlier call returned as its past; None: the kernel is empty.
        offered: int64 (n,), first cycle in which input word k can be valid; whole frames.
        ready: int64 (m,), first cycle in which output word m is accepted; None: always.

    Returns:
        takes int64 (n,), gives int64 (m,), and the past for the frames that follow.
    """
    return levels.registers(stages(node), past, offered, ready)


def stages(node: Threshold) -> int:
    """Registers of the search, and of what it found."""
    return levels.stages(node.levels) + 1


def steps(
    node: Threshold, arrays: Arrays, dtype: np.dtype[Any], product: Product | None
) -> list[Step]:
    """One lookup; see `Fast.steps`."""
    found = levels.step(
        arrays["thresholds"],
        node.output.elements,
        bias=node.bias,
        output=node.output.dtype,
        span=(node.input.dtype.min, node.input.dtype.max),
        dtype=dtype,
    )
    return [found]


def size(node: Threshold, dsp: bool) -> Size:
    """Comparisons and tables; see `Kind.size`."""
    return levels.size(
        channels=node.input.shape[2],
        pe=node.input.lanes,
        in_bits=node.input.dtype.bits,
        levels=node.levels,
    )


def back(node: Threshold, arrays: Arrays) -> tuple[tuple[Part, ...], ...]:
    """The slope of its steps; see `Kind.back`."""
    ends = np.ones(node.input.shape[2], np.int64)
    low, high = ends * node.input.dtype.min, ends * node.input.dtype.max
    return ((Steps(arrays["thresholds"], low, high, probe(node), node.bias),),)


def foldings(layer: Levels) -> Iterator[Fold]:
    """Any lanes that divide the channels, the same in and out; see `Kind.foldings`."""
    height, width, channels = layer.input
    for lanes in divisors(channels):
        yield Fold(lanes, lanes, period=height * width * (channels // lanes), area=lanes)


def lower(lowering: Lowering, layer: Levels, fold: Fold) -> None:
    """One node; see `Kind.lower`."""
    lowering.add(
        Threshold(
            lowering.label(Threshold.kind),
            Stream(layer.input, layer.source, fold.simd),
            Stream(layer.output, layer.result, fold.pe),
            finn=layer.finn,
            levels=layer.levels,
            bias=layer.bias,
        ),
        layer.arrays,
    )


register(
    Kind(
        node=Threshold,
        values=values,
        resume=resume,
        size=size,
        stages=stages,
        layer=Levels,
        foldings=foldings,
        lower=lower,
        parts=levels.parts,
        fast=Fast(steps=steps),
        back=back,
    )
)
