"""A reduction, `ex_reduce`: maximum or sum over each `count` successive vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from exeunt.graph import IntArray, Node, Stream
from exeunt.kernels.kind import Arrays, Kind
from exeunt.kernels.layer import Fold, Reduction
from exeunt.kernels.lowering import Lowering
from exeunt.kernels.parts import accumulate
from exeunt.kernels.parts.accumulate import Function
from exeunt.kernels.parts.back import Part, Vectors
from exeunt.kernels.parts.fifo import Cycles
from exeunt.kernels.parts.size import Size
from exeunt.kernels.registry import register


@dataclass(frozen=True)
class Reduce(Node):
    """Max or sum over each `count` successive C-vectors: a global pool, or a pool of windows.

    C = output D; the input has count * H' * W' vectors of C elements for an output (H', W', C).
    """

    kind: ClassVar[str] = "reduce"
    function: Function = "max"
    count: int = 1


def values(node: Reduce, arrays: Arrays, x: IntArray) -> IntArray:
    """Output tensors y[g][c] = f over j < count of x[g * count + j][c].

    Args:
        node: function and count.
        arrays: none are used.
        x: integers (N, ...), a frame's elements in stream order, within node.input.dtype.

    Returns:
        integers (N, *node.output.shape); type of x for a maximum, int64 for a sum (int32
        where it is wide enough).
    """
    channels = node.output.shape[2]
    x = np.asarray(x)
    groups = x.reshape(len(x), -1, node.count, channels)
    if node.function == "max":
        y = groups[:, :, 0]
        for j in range(1, node.count):
            y = np.maximum(y, groups[:, :, j])
    else:
        y = groups.sum(axis=2, dtype=np.int32 if node.output.dtype.bits < 32 else np.int64)
    return np.asarray(y).reshape(-1, *node.output.shape)


def resume(
    node: Reduce, past: Cycles | None, offered: Cycles, ready: Cycles | None = None
) -> tuple[Cycles, Cycles, Cycles]:
    """Transfer cycles, exact also under stalls: the beats of each last vector produce outputs.

    Args:
        node: count and shapes.
        past: what an earlier call returned as its past; None: the kernel is empty.
        offered: int64 (n,), first cycle in which input word k can be valid; whole groups.
        ready: int64 (m,), first cycle in which output word m is accepted; None: always.

    Returns:
        takes int64 (n,), gives int64 (m,), and the past for the frames that follow.
    """
    folds = node.output.shape[2] // node.input.lanes
    group = folds * node.count
    starts = np.arange(0, len(offered), group)[:, None]
    completing = (starts + np.arange(group - folds, group)).ravel()
    return accumulate.resume(past, offered, completing, ready)


def size(node: Reduce, dsp: bool) -> Size:
    """One partial result for each channel; see `Kind.size`."""
    return accumulate.size(node.output, node.output.shape[2] // node.output.lanes)


def back(node: Reduce, arrays: Arrays) -> tuple[tuple[Part, ...], ...]:
    """To the largest of the vectors, or to all of them; see `Kind.back`."""
    return ((Vectors(node.function, node.count),),)


def lower(lowering: Lowering, layer: Reduction, fold: Fold) -> None:
    """One node; see `Kind.lower`."""
    lowering.add(
        Reduce(
            lowering.label(Reduce.kind),
            Stream(layer.input, layer.source, fold.simd),
            Stream(layer.output, layer.result, fold.pe),
            finn=layer.finn,
            function=layer.function,
            count=layer.count,
        )
    )


register(
    Kind(
        node=Reduce,
        values=values,
        resume=resume,
        size=size,
        layer=Reduction,
        lower=lower,
        back=back,
    )
)
