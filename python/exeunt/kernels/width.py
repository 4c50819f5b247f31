"""A width converter, `ex_width`: the same elements in the same order, other lanes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from exeunt.graph import IntArray, Node, Stream
from exeunt.kernels.kind import Arrays, Fast, Kind
from exeunt.kernels.layer import Fold, Lanes
from exeunt.kernels.lowering import Lowering
from exeunt.kernels.parts import accumulate
from exeunt.kernels.parts.back import Part, Same
from exeunt.kernels.parts.fifo import Cycles, spaced
from exeunt.kernels.parts.size import Size, converter
from exeunt.kernels.registry import register


@dataclass(frozen=True)
class Width(Node):
    """Width converter: the same elements, other lanes; one of the two divides the other."""

    kind: ClassVar[str] = "width"


def values(node: Width, arrays: Arrays, x: IntArray) -> IntArray:
    """Output tensors: the input, reshaped.

    Args:
        node: the converter.
        arrays: none are used.
        x: integers (N, ...), a frame's elements in stream order.

    Returns:
        integers (N, *node.output.shape), same type as x.
    """
    return np.asarray(x).reshape(-1, *node.output.shape)


def resume(
    node: Width, past: Cycles | None, offered: Cycles, ready: Cycles | None = None
) -> tuple[Cycles, Cycles, Cycles]:
    """Transfer cycles, exact also under stalls.

    Up by R: the R-th word of a group produces the output word, see `accumulate.resume`. Down by
    R: input word k enters when the last part of word k-1 leaves or has left, and its parts leave
    one by one from the next cycle on.

    Args:
        node: the converter.
        past: what an earlier call returned as its past; None: the kernel is empty.
        offered: int64 (n,), first cycle in which input word k can be valid; whole frames.
        ready: int64 (m,), first cycle in which output word m is accepted; None: always.

    Returns:
        takes int64 (n,), gives int64 (m,), and the past for the frames that follow.
    """
    offered = np.asarray(offered, np.int64)
    if node.output.lanes >= node.input.lanes:
        ratio = node.output.lanes // node.input.lanes
        return accumulate.resume(past, offered, np.arange(ratio - 1, offered.size, ratio), ready)
    ratio = node.input.lanes // node.output.lanes
    earliest = np.zeros(offered.size * ratio, np.int64)
    if ready is not None:
        earliest[:] = ready
    earliest[::ratio] = np.maximum(earliest[::ratio], offered + 1)
    takes = offered.copy()
    if past is not None:
        takes[0] = max(takes[0], past[0])
        earliest[0] = max(earliest[0], past[0] + 1)
    gives = spaced(earliest)
    takes[1:] = np.maximum(offered[1:], gives[ratio - 1 : -1 : ratio])
    return takes, gives, gives[-1:]


def size(node: Width, dsp: bool) -> Size:
    """A register, of which a word is selected or which is shifted into; see `Kind.size`."""
    return converter(node.input.width, node.output.width)


def back(node: Width, arrays: Arrays) -> tuple[tuple[Part, ...], ...]:
    """The same elements; see `Kind.back`."""
    return ((Same(),),)


def lower(lowering: Lowering, layer: Lanes, fold: Fold) -> None:
    """One converter; see `Kind.lower`."""
    source = Stream(layer.input, layer.source, fold.simd)
    result = Stream(layer.output, layer.result, fold.pe)
    lowering.add(Width(lowering.label(Width.kind), source, result, finn=layer.finn))


register(
    Kind(
        node=Width,
        values=values,
        resume=resume,
        size=size,
        layer=Lanes,
        lower=lower,
        fast=Fast(passes=True),
        back=back,
    )
)
