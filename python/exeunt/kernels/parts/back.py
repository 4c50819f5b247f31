"""How a gradient goes back through a node: the few parts that every kind is made of.

A kind says for each of its inputs which parts lie between it and the output, in the order of the
data. `exeunt.explain` walks them backwards; it knows these parts and no kind.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, Union

from exeunt.graph import IntArray, Integer, Node, Stream
from exeunt.kernels.parts.accumulate import Function


@dataclass(frozen=True)
class Same:
    """Every element times `factor`, in the same order, perhaps as another shape."""

    factor: int = 1


@dataclass(frozen=True)
class Channels:
    """Every element times `factor`, as the channels `first` and on of the output."""

    first: int
    count: int
    factor: int = 1


@dataclass(frozen=True)
class Product:
    """y = W x of every vector.

    `weights` are integers (rows, columns), 0 where a row does not see a column; each of `groups`
    equal parts of the rows sees columns of its own.
    """

    weights: IntArray = field(repr=False, compare=False)
    groups: int = 1


@dataclass(frozen=True)
class Steps:
    """y = bias + #{t : x >= t}, with `thresholds` (C, levels) of each channel, ascending.

    No x is below `low[c]` or above `high[c]`, int64 (C,): what lies outside is never reached.
    `probe` is the same node with two thresholds a channel, which says where between them x is.
    """

    thresholds: IntArray = field(repr=False, compare=False)
    low: IntArray = field(repr=False, compare=False)
    high: IntArray = field(repr=False, compare=False)
    probe: Node
    bias: int = 0


@dataclass(frozen=True)
class Windows:
    """Every window of a zero-padded map as one vector, ordered (block, ky, kx, c)."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    pad: tuple[int, int, int, int]  # top, left, bottom, right
    dilation: tuple[int, int]
    blocks: int


@dataclass(frozen=True)
class Tiles:
    """Maximum or sum over windows that tile the map; what fills no window is dropped."""

    function: Function
    kernel: tuple[int, int]


@dataclass(frozen=True)
class Vectors:
    """Maximum or sum over each `count` successive vectors."""

    function: Function
    count: int


Part: TypeAlias = Union[Same, Channels, Product, Steps, Windows, Tiles, Vectors]  # noqa: UP007


def probe(node: Any) -> Node:
    """A node with fields `levels` and `bias` as one with two thresholds and levels 0, 1 and 2."""
    output = Stream(node.output.shape, Integer(2), node.output.lanes)
    found: Node = replace(node, levels=2, bias=0, output=output)
    return found
