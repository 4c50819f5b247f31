"""Folding: how many lanes each layer gets, so that a part takes a frame in `target` cycles.

FINN's SetFolding walks the nodes one by one: it raises SIMD, then PE, until the node's expected
cycles meet the target, and leaves the streams between them to width converters. Ours chooses for
a whole chain at once and differs in four ways:

- It minimises the sum of PE * SIMD (multipliers) over all (PE, SIMD) pairs that meet the target,
  instead of the first pair on FINN's path, and breaks ties by the converters the streams need.
- The sliding window counts: its own period (words in, words out) must meet the target as well.
- SIMD may be any divisor of KH * KW * C: up to C the serial window gives SIMD lanes itself;
  beyond, a serial window feeds a widening converter when it is fast enough, else the parallel
  window gives a whole window per beat and a converter narrows it.
- FINN's cap on the weight stream's width (mvau_wwidth_max) does not apply: weights are embedded.

As in FINN, a target that some layer cannot meet relaxes to what that layer can do, since more
parallelism elsewhere would buy nothing.

The compiler folds its layers with this, and the cost model the layers of a config.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from exeunt.errors import InputError

Shape = tuple[int, int, int]
MAX_STRETCH = 64.0  # a part that no frame reaches is not folded further than this


@dataclass(frozen=True)
class Window:
    """A sliding window: kernel, stride (y, x) and pad (top, left, bottom, right)."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    pad: tuple[int, int, int, int]

    @property
    def tiles(self) -> bool:
        """Whether windows neither overlap nor reach outside the map."""
        return self.kernel == self.stride and not any(self.pad)


class Foldable(Protocol):
    """What folding must know of a layer; shapes are (H, W, C) of the streams in and out."""

    @property
    def kind(self) -> str:
        """One of "matrix", "pool" and "threshold"."""

    @property
    def input(self) -> Shape:
        """Of the stream into the layer, in front of its window."""

    @property
    def window(self) -> Window | None:
        """In front of the matrix or pool."""

    @property
    def vectors(self) -> int:
        """Output pixels of a frame."""

    @property
    def rows(self) -> int:
        """MH of a matrix."""

    @property
    def columns(self) -> int:
        """MW of a matrix."""


@dataclass(frozen=True)
class Fold:
    """One layer's folding. `window` lanes enter the sliding window, if it has one."""

    simd: int  # lanes into the matrix, pool or threshold
    pe: int  # lanes out of it
    window: int = 0
    parallel: bool = False
    period: int = 0  # cycles a frame

    @property
    def lanes_in(self) -> int:
        """Lanes of the stream that the layer takes."""
        return self.window or self.simd


@dataclass(frozen=True)
class Folding:
    """A chain's folding and what it comes to."""

    folds: tuple[Fold, ...]
    target: int  # as asked for
    period: int  # the slowest layer's cycles a frame
    multipliers: int  # sum of PE * SIMD over the matrices


def divisors(value: int) -> list[int]:
    """All divisors, ascending."""
    return [d for d in range(1, value + 1) if value % d == 0]


def options(layer: Foldable) -> Iterator[Fold]:
    """Every folding that our kernels support for `layer`."""
    height, width, channels = layer.input
    pixels = height * width
    if layer.kind != "matrix":
        for lanes in divisors(channels):
            words = pixels * (channels // lanes)
            if layer.kind == "pool" and layer.window is not None and not layer.window.tiles:
                size = layer.window.kernel[0] * layer.window.kernel[1]
                words = max(words, layer.vectors * size * (channels // lanes))
                yield Fold(lanes, lanes, window=lanes, period=words)
            else:
                yield Fold(lanes, lanes, period=words)
        return
    for pe in divisors(layer.rows):
        for simd in divisors(layer.columns):
            period = layer.vectors * (layer.rows // pe) * (layer.columns // simd)
            if layer.window is None:
                yield Fold(simd, pe, period=period)
                continue
            for lanes in divisors(channels):
                if simd % lanes == 0:
                    words = max(pixels, layer.vectors * layer.columns // channels)
                    serial = words * (channels // lanes)
                    yield Fold(simd, pe, window=lanes, period=max(period, serial))
            # the parallel window needs the padding on the right within one row
            if (simd > channels or channels % simd) and layer.window.pad[3] <= width:
                walk = max(pixels, layer.vectors, period)
                yield Fold(simd, pe, window=channels, parallel=True, period=walk)


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


def fold(
    chain: Sequence[Foldable],
    *,
    target: int,
    lanes: int | None,
    choices: Sequence[Sequence[Fold]] | None = None,
) -> Folding:
    """The cheapest folding of a chain that takes a frame in at most `target` cycles.

    Args:
        chain: layers in stream order.
        target: cycles per frame.
        lanes: lanes of the stream that enters, None to choose.
        choices: the foldings to choose from, layer by layer; None: all that our kernels support.
    """
    if choices is None:
        choices = [list(options(layer)) for layer in chain]
    floor = max((min(f.period for f in found) for found in choices), default=1)
    folds = None
    bound = max(target, floor)
    while folds is None:  # only a narrow converter between two layers can ask for more
        folds = _cheapest(chain, choices, bound, lanes)
        bound += max(1, bound // 16)
    return Folding(
        folds,
        target,
        max((f.period for f in folds), default=0),
        sum(f.pe * f.simd for f, x in zip(folds, chain, strict=True) if x.kind == "matrix"),
    )


def targets(
    exits: int, *, target: int, headroom: float, reach: Sequence[float] | None
) -> list[int]:
    """Cycles a frame that segment i and head i may take.

    target for the first; later ones see only the fraction reach[i] of the frames and may take
    target / (reach[i] * headroom), never less than target.

    Raises:
        InputError: not one fraction for each exit.
    """
    if reach is not None and len(reach) != exits:
        raise InputError(
            f"reach must have one fraction for each of {exits} exits but has {len(reach)}; "
            "calibrate again"
        )
    found = []
    for i in range(exits):
        share = 1.0 if i == 0 or reach is None else min(1.0, reach[i] * headroom)
        found.append(int(target / max(share, 1.0 / MAX_STRETCH)))
    return found


def _cheapest(
    chain: Sequence[Foldable], choices: Sequence[Sequence[Fold]], bound: int, lanes: int | None
) -> tuple[Fold, ...] | None:
    """Dynamic programme over the lanes between layers; costs compare lexicographically."""
    states: dict[int | None, tuple[tuple[int, int, int], tuple[Fold, ...]]] = {
        lanes: ((0, 0, 0), ())
    }
    for layer, found in zip(chain, choices, strict=True):
        elements = layer.input[0] * layer.input[1] * layer.input[2]
        fitting = _undominated(layer, [f for f in found if f.period <= bound])
        following: dict[int | None, tuple[tuple[int, int, int], tuple[Fold, ...]]] = {}
        for before, (cost, path) in states.items():
            for item in fitting:
                steps: tuple[int, ...] = ()
                if before is not None:
                    steps = converters(before, item.lanes_in, elements)
                    if any(elements // s > bound for s in steps):
                        continue
                local = _cost(layer, item)
                total = (
                    cost[0] + local[0],
                    cost[1] + local[1] + (len(steps) * 2 - 1 if steps else 0),
                    cost[2] + local[2] + sum(steps),
                )
                known = following.get(item.pe)
                if known is None or total < known[0]:
                    following[item.pe] = (total, (*path, item))
        states = following
    return min(states.values(), key=lambda s: s[0])[1] if states else None


def _cost(layer: Foldable, item: Fold) -> tuple[int, int, int]:
    """(multipliers, converters, size of accumulators, windows and streams) of one layer."""
    if layer.kind != "matrix":
        return 0, 0, item.simd + item.window
    size = 4 * item.pe + item.simd + item.window
    if item.parallel:
        return item.pe * item.simd, int(item.simd < layer.columns), size + 2 * layer.columns
    return item.pe * item.simd, int(0 < item.window < item.simd), size


def _undominated(layer: Foldable, found: list[Fold]) -> list[Fold]:
    """The cheapest option for each pair of lanes in and out."""
    best: dict[tuple[int, int], Fold] = {}
    for item in found:
        key = (item.lanes_in, item.pe)
        if key not in best or _cost(layer, item) < _cost(layer, best[key]):
            best[key] = item
    return list(best.values())
