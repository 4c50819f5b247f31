"""Folded layers as kernels: a segment or head, for the compiler, the cost model and samples."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from exeunt.graph import ENTRY, Dataflow, IntArray, Node, Stream
from exeunt.kernels import registry
from exeunt.kernels.layer import Copies, Fold, Lanes, Layer, Shape


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
    """Collects the nodes of one segment or head.

    Args:
        name: of the segment or head, the prefix of its nodes' names.
        stream: what enters; afterwards what the last node gives.
        fused: thresholds are part of the matrix in front of them.
    """

    def __init__(self, name: str, stream: Stream, *, fused: bool = True) -> None:
        self.name = name
        self.stream = stream
        self.fused = fused
        self.nodes: list[Node] = []
        self.reads: list[tuple[int, ...]] = []
        self.arrays: dict[str, IntArray] = {}  # by "<node>.<array>"
        self._counts: Counter[str] = Counter()
        self._streams: list[Stream] = []
        self._taken: tuple[int, ...] = (ENTRY,)  # what the next node takes, `stream` the first

    def label(self, kind: str) -> str:
        """The next free name for a node of `kind`."""
        label = f"{self.name}_{kind}{self._counts[kind]}"
        self._counts[kind] += 1
        return label

    def add(self, node: Node, arrays: Mapping[str, IntArray] | None = None) -> None:
        """Append a node that takes the current stream, or those that were brought together."""
        assert self.stream.carries(node.input), (self.stream, node)
        self.nodes.append(node)
        self.reads.append(self._taken)
        self._taken = (len(self._streams),)
        self._streams += node.outputs
        self.stream = node.output
        for key, value in (arrays or {}).items():
            self.arrays[f"{node.name}.{key}"] = value

    def adapt(self, shape: Shape, lanes: int, finn: tuple[str, ...] = ()) -> None:
        """Bring the stream to `lanes` elements a beat, as `shape` where the lanes divide its D."""
        elements = self.stream.elements
        assert elements == math.prod(shape), f"{self.name}: {self.stream} is not {shape}"
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

    def copies(self, count: int) -> list[tuple[int, Stream]]:
        """The current stream for so many readers: their streams, with numbers."""
        found = []
        for _ in range(count - 1):
            source = self.stream
            layer = Copies(source.shape, source.dtype, source.shape, source.dtype)
            registry.lower(self, layer, Fold(source.lanes, source.lanes))
            (first,) = self._taken
            found.append((first, source))
            self._taken, self.stream = (first + 1,), source
        return [*found, (self._taken[0], self.stream)]

    def join(self, layer: Layer, fold: Fold, arms: Sequence[tuple[int, Stream]]) -> None:
        """Append the nodes of a layer that takes streams of any place, by their numbers."""
        taken = []
        for (number, stream), (shape, _) in zip(arms, layer.inputs, strict=True):
            self._taken, self.stream = (number,), stream
            self.adapt(shape, fold.lanes_in, layer.finn)
            taken.append((self._taken[0], self.stream))
        self._taken, self.stream = tuple(number for number, _ in taken), taken[0][1]
        registry.lower(self, layer, fold)

    def dataflow(self, source: Stream) -> Dataflow:
        """All that was collected, with FIFOs of two words until they are sized."""
        depths = (2,) * len(self._streams)
        return Dataflow(self.name, source, tuple(self.nodes), depths, tuple(self.reads))


def lower(
    name: str,
    layers: Sequence[Layer],
    folds: Sequence[Fold],
    *,
    source: Stream | None = None,
    fused: bool = True,
) -> tuple[Dataflow, dict[str, IntArray]]:
    """A whole segment or head and its arrays by "<node>.<array>".

    Args:
        name: of the segment or head.
        layers: each behind those that feed it.
        folds: one per layer.
        source: the stream that enters; None lets the first layer choose its lanes.
        fused: thresholds are part of the matrix in front of them.
    """
    if source is None:
        source = Stream(layers[0].input, layers[0].source, folds[0].lanes_in)
    found = Lowering(name, source, fused=fused)
    readers = Counter(feeder for i, y in enumerate(layers) for feeder in feeders(i, y))
    waiting: dict[int, list[tuple[int, Stream]]] = {ENTRY: found.copies(readers[ENTRY])}
    for i, (layer, fold) in enumerate(zip(layers, folds, strict=True)):
        arms = [waiting[feeder].pop(0) for feeder in feeders(i, layer)]
        found.join(layer, fold, arms)
        waiting[i] = found.copies(readers[i])
    return found.dataflow(source), found.arrays


def feeders(index: int, layer: Layer) -> list[int]:
    """Places in the list of layers of those that feed the one at `index`; ENTRY: what enters."""
    return [index - back for back in layer.behind]
