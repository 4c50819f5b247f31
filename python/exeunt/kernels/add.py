"""The sum of two streams, `ex_add`: y = p a + q b, element by element."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from exeunt.graph import IntArray
from exeunt.kernels.kind import Arrays, Kind
from exeunt.kernels.layer import Addition, Fold
from exeunt.kernels.parts import joining, levels
from exeunt.kernels.parts.back import Part, Same
from exeunt.kernels.parts.fifo import Cycles
from exeunt.kernels.parts.joining import Joined
from exeunt.kernels.parts.size import Size, digits, in_dsp, occupied, scaled
from exeunt.kernels.registry import register


@dataclass(frozen=True)
class Add(Joined):
    """y = factors[0] * a + factors[1] * b of elements a of `input` and b of `other`."""

    kind: ClassVar[str] = "add"


def values(node: Add, arrays: Arrays, x: tuple[IntArray, IntArray]) -> IntArray:
    """The sum.

    Args:
        node: the kernel.
        arrays: none are used.
        x: two tensors of integers (N, ...), or of floats that hold integers.

    Returns:
        (N, *node.output.shape).
    """
    first, other = node.scaled(x)
    return first + other


def resume(
    node: Add,
    past: Cycles | None,
    offered: tuple[Cycles, Cycles],
    ready: tuple[Cycles | None],
) -> tuple[tuple[Cycles, Cycles], tuple[Cycles], Cycles]:
    """Transfer cycles, exact also under stalls: both inputs are taken in the same cycle.

    Args:
        node: the kernel.
        past: what an earlier call returned as its past; None: the kernel is empty.
        offered: for each input int64 (n,), first cycle in which word k can be valid.
        ready: int64 (n,), first cycle in which output word k is accepted; None: always.

    Returns:
        (takes, takes), (gives,), each int64 (n,), and the past for the words that follow.
    """
    takes, gives, past = levels.registers(1, past, np.maximum(*offered), ready[0])
    return (takes, takes), (gives,), past


def size(node: Add, dsp: bool) -> Size:
    """A sum a lane, of rows where a factor has several digits; see `Kind.size`."""
    bits = node.output.dtype.bits
    terms = [(s.dtype, f) for s, f in zip(node.inputs, node.factors, strict=True)]
    blocks = sum(in_dsp(dtype, factor) for dtype, factor in terms) if dsp else 0
    rows = sum(digits(factor) for _, factor in terms)
    first, other = (occupied(dtype, factor, bits) for dtype, factor in terms)
    negative = min(node.factors) < 0
    if blocks or not all(node.factors):  # a DSP adds as well
        found = 0 if blocks else sum(scaled(dtype, factor, dsp).lut for dtype, factor in terms)
    elif rows > 2:
        narrow = max(dtype.bits for dtype, _ in terms)
        wide = negative or any(dtype.signed for dtype, _ in terms)
        found = (2 * rows - 3) * (2 * bits if wide else bits + narrow) // 4
    else:
        end = bits if negative else min(first.stop, other.stop)
        found = max(0, end - max(first.start, other.start))
    return Size(5 + node.output.lanes * found, node.output.lanes * blocks)


def back(node: Add, arrays: Arrays) -> tuple[tuple[Part, ...], ...]:
    """Each times its factor; see `Kind.back`."""
    return tuple((Same(factor),) for factor in node.factors)


def foldings(layer: Addition) -> Iterator[Fold]:
    """Any lanes that divide the channels, the same in and out; see `Kind.foldings`."""
    return joining.foldings(layer, layer.output[2])


register(
    Kind(
        node=Add,
        values=values,
        resume=resume,
        size=size,
        layer=Addition,
        foldings=foldings,
        lower=joining.lower(Add),
        back=back,
    )
)
