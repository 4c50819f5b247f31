"""Folded layers as kernels: the nodes of a chain, for the compiler, the cost model and samples."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from exeunt.graph import IntArray, Node, Stream
from exeunt.kernels import registry
from exeunt.kernels.layer import Fold, Lanes, Layer, Shape


def converters(lanes_out: int, lanes_in: int, elements: int) -> tuple[int, ...]:
    """Lanes behind each width converter between two streams of `elements` a frame."""
    if lanes_out == lanes_in:
        return ()
    if lanes_out % lanes_in == 0 or lanes_in % lanes_out == 0:
        return (lanes_in,)
    wide = math.lcm(lanes_out, lanes_in)
    if elements % wide == 0:
        return (wide, lanes_in)
    return (math.gcd(lanes_out, lanes_in), lanes_in)


class Lowering:
    """Collects the nodes of one chain.

    Args:
        name: of the chain, the prefix of its nodes' names.
        stream: what enters; afterwards what the last node gives.
        fused: thresholds are part of the matrix in front of them.
    """

    def __init__(self, name: str, stream: Stream, *, fused: bool = True) -> None:
        self.name = name
        self.stream = stream
        self.fused = fused
        self.nodes: list[Node] = []
        self.arrays: dict[str, IntArray] = {}  # by "<node>.<array>"
        self._counts: Counter[str] = Counter()

    def label(self, kind: str) -> str:
        """The next free name for a node of `kind`."""
        label = f"{self.name}_{kind}{self._counts[kind]}"
        self._counts[kind] += 1
        return label

    def add(self, node: Node, arrays: Mapping[str, IntArray] | None = None) -> None:
        """Append a node that takes the current stream."""
        assert self.stream.carries(node.input), (self.stream, node)
        self.nodes.append(node)
        self.stream = node.output
        for key, value in (arrays or {}).items():
            self.arrays[f"{node.name}.{key}"] = value

    def adapt(self, shape: Shape, lanes: int, finn: tuple[str, ...] = ()) -> None:
        """Bring the stream to `lanes` elements a beat, as `shape` where the lanes divide its D."""
        elements = self.stream.elements
        for step in converters(self.stream.lanes, lanes, elements):
            source = self.stream
            target = shape if shape[2] % step == 0 else source.shape
            if target[2] % step:
                target = (1, 1, elements)
            layer = Lanes(source.shape, source.dtype, target, source.dtype, finn=finn)
            registry.lower(self, layer, Fold(source.lanes, step))

    def lower(self, layer: Layer, fold: Fold) -> None:
        """Append the nodes of a layer, with width converters in front where it needs them."""
        self.adapt(layer.input, fold.lanes_in, layer.finn)
        registry.lower(self, layer, fold)


def lower(
    name: str,
    layers: Sequence[Layer],
    folds: Sequence[Fold],
    *,
    source: Stream | None = None,
    fused: bool = True,
) -> Lowering:
    """A whole chain.

    Args:
        name: of the chain.
        layers: in stream order.
        folds: one per layer.
        source: the stream that enters; None lets the first layer choose its lanes.
        fused: thresholds are part of the matrix in front of them.
    """
    if source is None:
        source = Stream(layers[0].input, layers[0].source, folds[0].lanes_in)
    found = Lowering(name, source, fused=fused)
    for layer, fold in zip(layers, folds, strict=True):
        found.lower(layer, fold)
    return found
