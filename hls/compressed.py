"""Layers whose zeros are left out or whose weights are shared, where that is cheaper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from exeunt.graph import ENTRY, Stream
from exeunt.hls.back.folding import Choices, Overrides
from exeunt.kernels import registry
from exeunt.kernels.layer import Fold, Layer, Matrix, Style
from exeunt.kernels.lowering import Lowering
from exeunt.kernels.parts.size import COST_18, Size

STYLES: tuple[Style, ...] = ("scheduled", "codebook")
NEAR = 1.03  # foldings up to so many times the cheapest are left to choose between streams
TRIED = 24  # foldings of each kind whose size is looked at, those with the fewest lanes first


@dataclass(frozen=True)
class Priced:
    """A folding of one layer and what the cost model says of it, with all products in LUTs."""

    fold: Fold
    size: Size

    @property
    def cost(self) -> int:
        """LUT, and as many for a memory block as Yosys takes it for."""
        return self.size.lut + COST_18 * self.size.bram18

    def described(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "kernel": self.fold.multiplier or "dense",
            "skips": self.fold.banks > 0,
            "pe": self.fold.pe,
            "simd": self.fold.block or self.fold.simd,
            "cycles": self.fold.period,
            "lut": self.size.lut,
            "bram18": self.size.bram18,
        }


class Kernels:
    """For each layer of a chain the ways to build it, priced when they are asked for.

    Args:
        layers: of a segment or head.
        choices: the dense foldings of each layer.
        overrides: FINN folding attributes by FINN node name; a layer that they name stays dense.
    """

    def __init__(
        self, layers: Sequence[Layer], choices: Choices, overrides: Overrides | None = None
    ) -> None:
        self._layers, self._dense = layers, choices
        self._special = [
            {style: _foldings(layer, style) for style in STYLES}
            if isinstance(layer, Matrix) and not set(layer.finn) & set(overrides or {})
            else {}
            for layer in layers
        ]
        self._prices: dict[tuple[int, Fold], Priced] = {}

    def choices(self, target: int) -> Choices:
        """The foldings to choose from: of each layer the cheapest kernel's for so many cycles."""
        found: list[Sequence[Fold]] = []
        for place, dense in enumerate(self._dense):
            best = self._cheapest(place, dense, target)
            ways = [
                way
                for folds in self._special[place].values()
                for way in self._tried(place, folds, target)
                if best is None or way.cost < best.cost
            ]
            least = min((way.cost for way in ways), default=0)
            found.append([w.fold for w in ways if w.cost <= NEAR * least] or dense)
        return found

    def why(self, folds: Sequence[Fold], target: int) -> list[dict[str, Any]]:
        """Of each matrix what was chosen and the cheapest dense folding for as many cycles."""
        found = []
        for place, (layer, fold) in enumerate(zip(self._layers, folds, strict=True)):
            if not isinstance(layer, Matrix) or not any(self._special[place].values()):
                continue
            dense = self._cheapest(place, self._dense[place], target)
            others = [
                min(tried, key=lambda way: way.cost)
                for folds_ in self._special[place].values()
                if (tried := self._tried(place, folds_, target))
            ]
            found.append(
                {
                    "layer": layer.finn[-1] if layer.finn else "",
                    **self._priced(place, fold).described(),
                    "dense": None if dense is None else dense.described(),
                    "others": [way.described() for way in others],
                }
            )
        return found

    def _cheapest(self, place: int, folds: Sequence[Fold], target: int) -> Priced | None:
        tried = self._tried(place, folds, target)
        return min(tried, key=lambda way: way.cost, default=None)

    def _tried(self, place: int, folds: Sequence[Fold], target: int) -> list[Priced]:
        fast = [fold for fold in folds if fold.period <= target]
        fast.sort(
            key=lambda fold: ((fold.block or fold.simd) * fold.pe, fold.converters, fold.area)
        )
        return [self._priced(place, fold) for fold in fast[:TRIED]]

    def _priced(self, place: int, fold: Fold) -> Priced:
        if (place, fold) not in self._prices:
            self._prices[place, fold] = Priced(fold, size(self._layers[place], fold))
        return self._prices[place, fold]


def _foldings(layer: Matrix, style: Style) -> list[Fold]:
    return list(registry.foldings(layer, style))


def size(layer: Layer, fold: Fold) -> Size:
    """All kernels of one layer whose streams have its lanes, products in LUTs."""
    streams = [Stream(shape, dtype, fold.lanes_in) for shape, dtype in layer.inputs]
    made = Lowering("", streams[0])
    made.join(layer, fold, [(ENTRY, stream) for stream in streams])
    total = Size()
    for node in made.nodes:
        total += registry.of(node).size(node, False)
    return total


def said(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """How many layers have which kernel, in a few words; nothing where all are dense."""
    chosen = [entry for entries in found.values() for entry in entries]
    counts = {
        "skip zeros": sum(entry["skips"] for entry in chosen),
        "share weights": sum(entry["kernel"] == STYLES[1] for entry in chosen),
    }
    parts = [f"{count} {text}" for text, count in counts.items() if count]
    return f"; of {len(chosen)} matrices {' and '.join(parts)}" if parts else ""
