"""A stream for two readers, `ex_duplicate`: every word appears once on each output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from exeunt.graph import IntArray, Node, Stream
from exeunt.kernels.kind import Arrays, Fast, Kind
from exeunt.kernels.layer import Copies, Fold
from exeunt.kernels.lowering import Lowering
from exeunt.kernels.parts import fork
from exeunt.kernels.parts.back import Part, Same
from exeunt.kernels.parts.fifo import LONG_AGO, Cycles
from exeunt.kernels.parts.size import Size
from exeunt.kernels.registry import register


@dataclass(frozen=True)
class Duplicate(Node):
    """The input twice."""

    kind: ClassVar[str] = "duplicate"

    @property
    def outputs(self) -> tuple[Stream, ...]:
        """The same stream twice."""
        return (self.output, self.output)


def values(node: Duplicate, arrays: Arrays, x: IntArray) -> tuple[IntArray, IntArray]:
    """The input twice.

    Args:
        node: the kernel.
        arrays: none are used.
        x: integers (N, ...).

    Returns:
        x, x.
    """
    return x, x


def resume(
    node: Duplicate,
    past: Cycles | None,
    offered: tuple[Cycles],
    ready: tuple[Cycles | None, Cycles | None],
) -> tuple[tuple[Cycles], tuple[Cycles, Cycles], Cycles]:
    """Transfer cycles, exact also under stalls: see `parts.fork.times`.

    Args:
        node: the kernel.
        past: when the word before these was taken; None: the kernel is empty.
        offered: int64 (n,), first cycle in which input word k can be valid.
        ready: for each output int64 (n,), first cycle in which word k is accepted; None: always.

    Returns:
        (takes,), (gives, gives), each int64 (n,), and the past for the words that follow.
    """
    first = np.array(offered[0], np.int64)
    first[:1] = np.maximum(first[:1], (LONG_AGO if past is None else past[0]) + 1)
    takes, gives0, gives1 = fork.times(first, *ready)
    return (takes,), (gives0, gives1), takes[-1:]


def size(node: Duplicate, dsp: bool) -> Size:
    """Which output has the word already; see `Kind.size`."""
    return Size(5)


def back(node: Duplicate, arrays: Arrays) -> tuple[tuple[Part, ...], ...]:
    """What comes back on both; see `Kind.back`."""
    return ((Same(),),)


def lower(lowering: Lowering, layer: Copies, fold: Fold) -> None:
    """One node; see `Kind.lower`."""
    stream = Stream(layer.input, layer.source, fold.simd)
    lowering.add(Duplicate(lowering.label(Duplicate.kind), stream, stream, finn=layer.finn))


register(
    Kind(
        node=Duplicate,
        values=values,
        resume=resume,
        size=size,
        layer=Copies,
        lower=lower,
        fast=Fast(passes=True),
        back=back,
    )
)
