"""Two streams pixel by pixel one behind the other, `ex_concat`: the channels of both."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from exeunt.graph import IntArray
from exeunt.kernels.kind import Arrays, Kind
from exeunt.kernels.layer import Concatenation, Fold
from exeunt.kernels.parts import joining, levels
from exeunt.kernels.parts.back import Channels, Part
from exeunt.kernels.parts.fifo import Cycles
from exeunt.kernels.parts.joining import Joined
from exeunt.kernels.parts.size import Size, occupied, scaled
from exeunt.kernels.registry import register


@dataclass(frozen=True)
class Concat(Joined):
    """The channels of `input` times factors[0], then those of `other` times factors[1]."""

    kind: ClassVar[str] = "concat"

    @property
    def words(self) -> tuple[int, int]:
        """Words of each part in a pixel."""
        return self.input.shape[2] // self.input.lanes, self.other.shape[2] // self.other.lanes


def values(node: Concat, arrays: Arrays, x: tuple[IntArray, IntArray]) -> IntArray:
    """The channels of both.

    Args:
        node: the kernel.
        arrays: none are used.
        x: two tensors of integers (N, ...), or of floats that hold integers.

    Returns:
        (N, *node.output.shape).
    """
    return np.concatenate(node.scaled(x), axis=3)


def resume(
    node: Concat,
    past: Cycles | None,
    offered: tuple[Cycles, Cycles],
    ready: tuple[Cycles | None],
) -> tuple[tuple[Cycles, Cycles], tuple[Cycles], Cycles]:
    """Transfer cycles, exact also under stalls: one register behind the two in turn.

    Args:
        node: the kernel.
        past: what an earlier call returned as its past; None: the kernel is empty.
        offered: for each input int64 (n,), first cycle in which word k can be valid.
        ready: int64 (m,), first cycle in which output word m is accepted; None: always.

    Returns:
        takes of each input, (gives,), and the past for the words that follow.
    """
    first, second = node.words
    tables = [np.asarray(o).reshape(-1, w) for o, w in zip(offered, (first, second), strict=True)]
    both = np.concatenate(tables, axis=1)
    takes, gives, past = levels.registers(1, past, both.ravel(), ready[0])
    table = takes.reshape(both.shape)
    return (table[:, :first].ravel(), table[:, first:].ravel()), (gives,), past


def size(node: Concat, dsp: bool) -> Size:
    """Products and a multiplexer a lane, and a counter; see `Kind.size`."""
    bits = node.output.dtype.bits
    terms = [(s.dtype, f) for s, f in zip(node.inputs, node.factors, strict=True)]
    first, other = (occupied(dtype, factor, bits) for dtype, factor in terms)
    chosen = len(range(max(first.start, other.start), min(first.stop, other.stop)))
    found = Size(2 + (sum(node.words) - 1).bit_length())
    for _ in range(node.output.lanes):
        found += sum((scaled(dtype, factor, dsp) for dtype, factor in terms), Size(chosen))
    return found


def back(node: Concat, arrays: Arrays) -> tuple[tuple[Part, ...], ...]:
    """Channels of its own, times its factor; see `Kind.back`."""
    first, second = node.input.shape[2], node.other.shape[2]
    return (
        (Channels(0, first, node.factors[0]),),
        (Channels(first, second, node.factors[1]),),
    )


def foldings(layer: Concatenation) -> Iterator[Fold]:
    """Any lanes that divide the channels of both; see `Kind.foldings`."""
    return joining.foldings(layer, math.gcd(layer.input[2], layer.other[2]))


register(
    Kind(
        node=Concat,
        values=values,
        resume=resume,
        size=size,
        layer=Concatenation,
        foldings=foldings,
        lower=joining.lower(Concat),
        back=back,
    )
)
