"""A network as choices: every folding of every layer with its size, and the streams between them.

The size of a layer is that of the kernels that `exeunt.kernels` makes of it. What two layers cost
together is the width converter between the lanes of the one and those of the other.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from exeunt.cost import control
from exeunt.cost.energy import nanojoules
from exeunt.graph import ENTRY, Integer, Node, Stream
from exeunt.kernels import registry
from exeunt.kernels.layer import Copies, Fold, Layer, Matrix, Style
from exeunt.kernels.lowering import Lowering, converters, feeders
from exeunt.kernels.parts.size import Size, fifo, lutrams, ram, selection
from exeunt.optimise import known

STYLES: tuple[Style, ...] = ("lut", "dsp", "packed")  # each with fewer DSPs than that before


@dataclass(frozen=True)
class Option:
    """One way to build a layer.

    Attributes:
        fold: lanes, window and multipliers.
        size: kernels and the queues behind them, also what stands behind a segment, and the part
            of an exit that the lanes of its logits ask for.
        period: cycles a frame.
        tail: cycles from the last word in to the last word out, about.
    """

    fold: Fold
    size: Size
    period: int
    tail: float

    @property
    def kernel(self) -> str:
        """Which kernel it is: "dense", or what multiplies in one that needs the weights."""
        return self.fold.multiplier if self.fold.multiplier in known.STYLES else "dense"


@dataclass(frozen=True)
class Link:
    """The stream from one place to another, and what stands between lanes a and lanes b."""

    feeder: int
    reader: int
    elements: int
    dtype: Integer
    fixed: bool = False  # the lanes must agree

    def between(self, a: int, b: int) -> tuple[Size, int]:
        """Size and cycles a frame of the converters between `a` and `b` lanes."""
        return _converters(self.elements, self.dtype, a, b)


@dataclass(frozen=True)
class Place:
    """A layer, where it stands, and the ways to build it. The first place is the input itself."""

    name: str
    chain: str
    stage: int
    layer: Layer | None
    options: tuple[Option, ...]

    @cached_property
    def front(self) -> dict[tuple[int, int], list[tuple[tuple[int, int, int], Option]]]:
        """By lanes in and out the options that may be worth it, each with its resources.

        Those are sorted by them, and none has all of a resource and as many cycles as another.
        """
        groups: dict[tuple[int, int], list[tuple[tuple[int, int, int], Option]]] = {}
        for option in self.options:
            key = (option.size.lut, option.size.dsp, option.size.bram18)
            groups.setdefault((option.fold.lanes_in, option.fold.pe), []).append((key, option))
        found = {}
        for lanes, group in groups.items():
            kept: list[tuple[tuple[int, int, int], Option]] = []
            for (lut, dsp, bram), option in sorted(group, key=lambda item: item[0]):
                if not any(
                    k[1] <= dsp and k[2] <= bram and o.period <= option.period for k, o in kept
                ):
                    kept.append(((lut, dsp, bram), option))
            found[lanes] = kept
        return found

    def within(self, bound: int | None) -> list[Option]:
        """Of the options that take at most so many cycles those that no other one beats.

        That is one with the same lanes and no more of any resource.
        """
        first = {(o.fold.lanes_in, o.fold.pe): None for o in self.options
                 if bound is None or o.period <= bound}  # fmt: skip
        found = []
        for lanes in first:
            kept: list[tuple[int, int, int]] = []
            for key, option in self.front[lanes]:
                if bound is not None and option.period > bound:
                    continue
                if not any(k[1] <= key[1] and k[2] <= key[2] for k in kept):
                    kept.append(key)
                    found.append(option)
        return found


@dataclass(frozen=True)
class Problem:
    """A whole network; `links` are all its streams, `stages` the number of exits.

    `found`: what searches keep of it for the next one.
    """

    places: tuple[Place, ...]
    links: tuple[Link, ...]
    stages: int
    found: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)

    def folds(self, chosen: Sequence[Option]) -> dict[str, tuple[Fold, ...]]:
        """The chosen foldings by chain; `chosen` has one option a place."""
        found: dict[str, list[Fold]] = {}
        for place, option in zip(self.places, chosen, strict=True):
            if place.layer is not None:
                found.setdefault(place.chain, []).append(option.fold)
        return {name: tuple(folds) for name, folds in found.items()}

    def size(self, chosen: Sequence[Option]) -> Size:
        """What the chosen options take with the converters between them."""
        total = sum((option.size for option in chosen), Size())
        for link in self.links:
            a, b = chosen[link.feeder].fold.pe, chosen[link.reader].fold.lanes_in
            total += link.between(a, b)[0]
        return total

    def nanojoules(self, chosen: Sequence[Option], reach: Sequence[float] | None) -> float:
        """Energy of an image, an estimate: see `exeunt.cost.energy`.

        Args:
            chosen: one option a place.
            reach: fraction of the frames that reach each stage; None: all reach all.
        """
        shares = (1.0,) * self.stages if reach is None else reach
        total = 0.0
        for place, option in zip(self.places, chosen, strict=True):
            total += shares[place.stage] * nanojoules(option.size, option.period)
        for link in self.links:
            size, cycles = link.between(
                chosen[link.feeder].fold.pe, chosen[link.reader].fold.lanes_in
            )
            total += shares[self.places[link.reader].stage] * nanojoules(size, cycles)
        return total


def problem(
    segments: Sequence[Sequence[Layer]],
    heads: Sequence[Sequence[Layer]],
    choices: Mapping[str, Sequence[Sequence[Fold]]],
    *,
    buffer_frames: int,
    kept_frames: int = 2,
    dsp: bool = True,
) -> Problem:
    """The choices of a network.

    Args:
        segments: layers of each, each layer behind those that feed it.
        heads: the same, one for each segment.
        choices: foldings to choose from, by "seg0", "head0", ..., layer by layer.
        buffer_frames: frames that each frame buffer holds.
        kept_frames: frames that wait before each later segment.
        dsp: multipliers may be DSPs.
    """
    first = segments[0][0] if segments[0] else heads[0][0]
    entries = sorted({f.lanes_in for f in choices["seg0" if segments[0] else "head0"][0]})
    inputs = tuple(Option(Fold(lanes, lanes), Size(), 0, 0.0) for lanes in entries)
    places = [Place("input", "", 0, None, inputs)]
    links: list[Link] = []
    source = 0  # the place whose stream enters the next chain
    for stage, (segment, head) in enumerate(zip(segments, heads, strict=True)):
        for chain, layers in ((f"seg{stage}", segment), (f"head{stage}", head)):
            offset = len(places)
            readers = Counter(feeder for i, y in enumerate(layers) for feeder in feeders(i, y))
            for i, layer in enumerate(layers):
                last = chain.startswith("seg") and i == len(layers) - 1
                held = (buffer_frames, kept_frames) if last and stage + 1 < len(segments) else None
                decides = chain.startswith("head") and i == len(layers) - 1
                options = _options(
                    layer, choices[chain][i], readers[i], held, dsp=dsp, decides=decides
                )
                for feeder, (shape, dtype) in zip(feeders(i, layer), layer.inputs, strict=True):
                    index = source if feeder == ENTRY else offset + feeder
                    fixed = layer is first and index == 0
                    links.append(Link(index, len(places), math.prod(shape), dtype, fixed))
                name = _name(chain, i, layer)
                places.append(Place(name, chain, stage, layer, options))
            if layers and chain.startswith("seg"):
                source = len(places) - 1
    return Problem(tuple(places), tuple(links), len(segments))


def _name(chain: str, index: int, layer: Layer) -> str:
    return layer.finn[-1] if layer.finn else f"{chain} layer {index}"


def _options(
    layer: Layer,
    folds: Sequence[Fold],
    readers: int,
    held: tuple[int, int] | None,
    *,
    dsp: bool,
    decides: bool,
) -> tuple[Option, ...]:
    bare = dataclasses.replace(layer, arrays={}, finn=())
    tables = {k: v for k, v in layer.arrays.items() if k == "offsets"}  # it is part of the node
    if tables:
        bare = dataclasses.replace(bare, arrays=tables)
    found = []
    for fold in folds:
        beside = _behind(layer, fold.pe, readers, held)
        if decides:
            stream = Stream((1, 1, math.prod(layer.output)), layer.result, fold.pe)
            beside += Size(control.decision(stream))
        nodes = _nodes(layer if fold.multiplier in known.STYLES else bare, fold)
        tail = _tail(layer, fold) + sum(_stages(node) for node in nodes)
        for styled, size in _styles(layer, fold, nodes, dsp):
            if dsp or not size.dsp:
                found.append(Option(styled, size + beside, fold.period, tail))
    return tuple(found)


def _styles(
    layer: Layer, fold: Fold, nodes: Sequence[Node], dsp: bool
) -> Iterator[tuple[Fold, Size]]:
    """The folding with each kind of multiplier that the layer may have, and what it takes.

    Args:
        layer: the layer.
        fold: the folding.
        nodes: its kernels, of which the multipliers are those of the folding.
        dsp: multipliers may be DSPs.
    """
    if fold.multiplier in known.STYLES:  # whose products are where synthesis likes them
        yield fold, _taken(nodes, dsp=True)
        return
    if not isinstance(layer, Matrix) or layer.signs or fold.multiplier:
        yield fold, _taken(nodes, dsp)
        return
    (node,) = (node for node in nodes if hasattr(node, "multiplier"))
    (_, own), *sizes = _multiplied(node, dsp)
    rest, least = _taken(nodes, dsp).less(own), math.inf
    for style, size in sizes:
        if style == "packed" and layer.source.signed:
            continue
        if style == STYLES[0] or 0 < size.dsp < least:
            least = size.dsp or least
            yield dataclasses.replace(fold, multiplier=style), rest + size


@lru_cache(maxsize=1 << 14)
def _multiplied(node: Any, dsp: bool) -> tuple[tuple[Style, Size], ...]:
    """The size of a node that multiplies, as synthesis likes it and by each kind of multiplier."""
    size, styles = registry.of(node).size, STYLES if dsp else STYLES[:1]
    made = {style: dataclasses.replace(node, multiplier=style) for style in ("", *styles)}
    return tuple((style, size(other, dsp)) for style, other in made.items())


def _nodes(layer: Layer, fold: Fold) -> Sequence[Node]:
    """The kernels of one layer whose streams have its lanes."""
    streams = [Stream(shape, dtype, fold.lanes_in) for shape, dtype in layer.inputs]
    made = Lowering("", streams[0])
    made.join(layer, fold, [(ENTRY, stream) for stream in streams])
    return made.nodes


def _stages(node: Node) -> int:
    """Cycles that a word spends in a kernel and in the queue behind it when it never waits."""
    return registry.of(node).stages(node) + 1


def _taken(nodes: Sequence[Node], dsp: bool) -> Size:
    """The kernels and the queues behind them."""
    total = Size()
    for node in nodes:
        total += registry.of(node).size(node, dsp)
        for stream in node.outputs:
            total += fifo(stream.width)
    return total


def _behind(layer: Layer, lanes: int, readers: int, held: tuple[int, int] | None) -> Size:
    """Copies for several readers; of a segment's last layer the frame buffer and its queue."""
    stream = Stream((1, 1, math.prod(layer.output)), layer.result, lanes)
    total = Size()
    for _ in range(readers - 1):
        made = Lowering("", stream)
        registry.lower(
            made, Copies(stream.shape, stream.dtype, stream.shape, stream.dtype), Fold(lanes, lanes)
        )
        total += _taken(made.nodes, dsp=False)
    if held is not None:
        total += waiting(stream, *held)
    return total


def waiting(stream: Stream, buffer_frames: int, kept_frames: int) -> Size:
    """What holds frames of `stream` for their verdict, and those that stay: see ex_frame_buffer."""
    words, width = stream.words * buffer_frames, stream.width
    blocks = ram(words, width)
    buffer = 0 if blocks else 4 * lutrams(words, width) + selection(math.ceil(words / 64), width)
    queue = fifo(width, stream.words * kept_frames) if kept_frames else Size()
    return Size(buffer, 0, blocks) + queue


def _tail(layer: Layer, fold: Fold) -> float:
    """Cycles from a frame's last word in to its last word out, about, beside `_stages`."""
    height = layer.output[0]
    vector = fold.period / max(1, layer.vectors)
    rows = 0
    if layer.window is not None and not layer.flat:
        reach = layer.window.extent[0] - layer.window.pad[0]
        first = math.ceil((layer.input[0] - reach) / layer.window.stride[0])
        rows = max(0, height - 1 - max(0, first))
    if isinstance(layer, Matrix):
        vector *= 1 - fold.pe / layer.rows if fold.pe < layer.rows else 0
    return rows * fold.period / height + vector


@lru_cache(maxsize=1 << 14)
def _converters(elements: int, dtype: Integer, a: int, b: int) -> tuple[Size, int]:
    steps = converters(a, b, elements)
    if not steps:
        return Size(), 0
    made = Lowering("", Stream((1, 1, elements), dtype, a))
    made.adapt((1, 1, elements), b)
    return _taken(made.nodes, dsp=False), max(elements // s for s in steps)
