"""What a kernel kind answers: the only way in which everybody else knows it.

A kind's module makes a `Kind` of its functions and hands it to `registry.register`. Every function
takes a node of the kind first. What is said here is of nodes with one stream in and one out. Of a
kind that joins or copies streams `values` and `resume` take and give tuples instead: one tensor
for each input and each output, one `offered` and `takes` for each input, one `ready` and `gives`
for each output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from exeunt.graph import IntArray, Node
from exeunt.kernels.layer import Fold, Layer, Style
from exeunt.kernels.parts.back import Part
from exeunt.kernels.parts.fast import Step
from exeunt.kernels.parts.size import Size

Arrays: TypeAlias = Mapping[str, IntArray]
Values: TypeAlias = Callable[[Any, Arrays, Any], Any]
Resume: TypeAlias = Callable[[Any, Any, Any, Any], Any]
Product: TypeAlias = "Callable[[IntArray, np.dtype[Any]], Step]"


def never(node: Node) -> bool:
    """Of a kind that makes no use of what stands in front of it."""
    return False


@dataclass(frozen=True)
class Fast:
    """How `exeunt.reference.prepared` computes a node quicker than by `values`; all is optional.

    Its tensors are floats (n, elements of a frame) that hold integers exactly.
    """

    steps: Callable[[Any, Arrays, np.dtype[Any], Product | None], list[Step]] | None = None
    """(node, arrays, float type, product of the node in front) -> what to do, in turn."""

    bound: Callable[[Any, Arrays], int] | None = None
    """(node, arrays) -> the largest magnitude that occurs inside, beyond that of the output."""

    product: Callable[[Any, IntArray, np.dtype[Any]], Step] | None = None
    """(node, W as (rows, columns), float type) -> W x for each vector x that the node would give,
    made of what the node takes; the node itself is then left out."""

    passes: bool = False
    """The elements of a frame leave as they came: nothing is done, and the nodes on both sides see
    each other."""

    takes_product: Callable[[Any], bool] = never
    """(node) -> whether `steps` makes use of the product of the node in front, if that has one."""


@dataclass(frozen=True)
class Effort:
    """What a node does in a frame.

    Attributes:
        period: cycles from frame to frame when it never waits.
        multiplies: multiplications.
        multipliers: multiplications in one cycle.
        weight_bits: bits of all its weights.
    """

    period: int
    multiplies: int = 0
    multipliers: int = 0
    weight_bits: int = 0


def passing(node: Node) -> Effort:
    """The effort of a node that takes and gives a word a cycle."""
    return Effort(max(node.input.words, node.output.words))


def one(node: Node) -> int:
    """The registers of a node whose word out leaves a cycle after the last one in that it needs."""
    return 1


@dataclass(frozen=True)
class Kind:
    """A kernel kind.

    Attributes:
        node: class of its nodes; `node.kind` is the kind's name.
        values: (node, arrays, x) -> y, the integers that it computes for frames x (N, ...) of
            integers, or of floats that hold integers; y is (N, *node.output.shape).
        resume: (node, past, offered, ready) -> (takes, gives, past): when our RTL takes and gives
            each word of whole frames, behind those that an earlier call returned a past of (None:
            the first); see `exeunt.reference.pipeline`. A past is an array of cycles, always as
            long, of which those that lie `pipeline.SETTLED` cycles or more before the next word
            comes delay nothing any more, however long ago.
        size: (node, dsp) -> what it takes on xc7; `dsp`: multipliers may become DSPs.
        effort: (node) -> cycles and multiplications of a frame.
        stages: (node) -> cycles from the last word in that an output word needs to that word, when
            the node never waits.
        parts: (**parameters of a corner in rtl_tests/cost_sizes.jsonl) -> number of each part,
            which the LUT model is fitted to; None: its size is not fitted.
        layer: class of the layers that become nodes of the kind; None: no layer does.
        styles: of the folds that do; kinds that implement the same layers have different ones.
        foldings: (layer) -> every folding that the kind supports, in order of preference; None:
            the kind is only ever part of another layer.
        lower: (lowering, folded layer, fold) appends its nodes, see `lowering.Lowering`.
        fast: how the prepared reference computes it.
        back: (node, arrays) -> for each input the parts between it and the output (every output, if
            there are several), which an explanation goes back through; None: none can.
    """

    node: type[Node]
    values: Values
    resume: Resume
    size: Callable[[Any, bool], Size]
    effort: Callable[[Any], Effort] = passing
    stages: Callable[[Any], int] = one
    parts: Callable[..., dict[str, float]] | None = None
    layer: type[Layer] | None = None
    styles: tuple[Style, ...] = ("",)
    foldings: Callable[[Any], Iterator[Fold]] | None = None
    lower: Callable[[Any, Any, Fold], None] | None = None
    fast: Fast = Fast()
    back: Callable[[Any, Arrays], tuple[tuple[Part, ...], ...]] | None = None
