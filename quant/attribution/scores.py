"""Scores of filters, weights and activations: contributions summed up over images and exits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from exeunt.errors import InputError
from exeunt.quant.attribution._linear import LINEAR
from exeunt.quant.attribution._passes import Layer
from exeunt.quant.attribution.methods import Reference, Target, chosen, explained, finite

AGGREGATES = ("absolute", "net", "signed", "positive", "rms", "class-max", "class-net")
_AT_ONCE = 1 << 24  # contributions through single weights held at a time

Array = npt.NDArray[np.float64]
Table = dict[str, Array]


@dataclass(frozen=True)
class Scores:
    """Scores by layer name (as `network.named_modules()` calls convolutions and linear layers).

    `filters` (outputs,), `weights` like layer.weight (empty when not asked for), `activations`
    (C, H, W) or (F,): the mean over images of |contribution|. All float64, 0 where a layer has no
    part in an exit. `per_exit` holds those of the single exits, unweighted; `rates` their weights.
    """

    filters: Table
    weights: Table
    activations: Table
    per_exit: tuple[Scores, ...] = ()
    rates: tuple[float, ...] = ()


def scores(
    method: str,
    network: nn.Module,
    images: npt.NDArray[Any],
    *,
    target: Target = None,
    exit: int | None = None,
    exit_weights: Sequence[float] | None = None,
    reference: Reference = "zeros",
    objective: str = "logit",
    aggregate: str = "absolute",
    weights: bool = True,
    batch: int = 64,
) -> Scores:
    """Scores of everything in the network: one forward a batch, one backward for each exit.

    With c the contributions of one image, a filter's score is, by `aggregate`: "absolute" the mean
    over images of sum |c| over its positions; with n = sum c over its positions "net" the mean of
    |n|, "signed" of n, "positive" of max(0, n), "rms" the root of that of n^2, "class-max" the
    largest over target classes of the class's mean of |n|, "class-net" the mean over classes of
    |the class's mean of n|. A weight's c is what flows through it, over all positions: for
    deeplift weight x multiplier x (input - reference input), so that the signed scores of a
    filter's weights sum to that of the filter.

    Args:
        method: as for `attribute`, and so
        network: the network,
        images: the images,
        target: their classes,
        reference: what they are compared with,
        objective: what is explained,
        batch: and how many at a time.
        exit: one index, or None for all, weighted by `exit_weights`.
        exit_weights: one per exit, such as the share of the images that leaves there; default:
            equal; they are made to sum to 1.
        aggregate: one of AGGREGATES.
        weights: whether to score single weights too, which costs about as much again.

    Raises:
        InputError, CheckFailed: as for `attribute`; also weights of exits that do not fit.
    """
    chosen(aggregate, AGGREGATES, "aggregate")
    if weights and method == "grad-cam":
        raise InputError(
            "weight scores must come from a method that divides contributions among weights, got "
            "grad-cam: choose another method or pass weights=False"
        )
    order = [n for n, m in network.named_modules() if isinstance(m, LINEAR)]
    tallies: list[_Tally] = []
    for found in explained(
        method,
        network,
        images,
        target=target,
        exits=exit,
        reference=reference,
        objective=objective,
        batch=batch,
    ):
        tallies = tallies or [_Tally(aggregate, method, weights) for _ in found]
        for tally, part in zip(tallies, found, strict=True):
            for layer in part.layers:
                tally.add(layer, part.target)
    rates = _rates(exit_weights, len(tallies))
    singles = tuple(tally.result(order) for tally in tallies)
    return Scores(
        _weighted([s.filters for s in singles], rates),
        _weighted([s.weights for s in singles], rates),
        _weighted([s.activations for s in singles], rates),
        singles,
        rates,
    )


def _rates(weights: Sequence[float] | None, count: int) -> tuple[float, ...]:
    if weights is None:
        return (1.0 / count,) * count
    values = np.asarray(weights, np.float64)
    if values.shape != (count,) or not np.isfinite(values).all() or (values < 0).any():
        raise InputError(
            f"exit_weights must be {count} numbers from 0, one for each exit, got "
            f"{list(weights)}: change them"
        )
    if not values.sum() > 0:
        raise InputError("exit_weights must not all be 0, got zeros: weigh at least one exit")
    return tuple(float(v) for v in values / values.sum())


def _weighted(tables: Sequence[Table], rates: Sequence[float]) -> Table:
    names = dict.fromkeys(name for table in tables for name in table)
    return {
        name: sum(
            (rate * table[name] for table, rate in zip(tables, rates, strict=True)),
            start=np.zeros_like(tables[0][name]),
        )
        for name in names
    }


class _Mean:
    """The mean over images of what an aggregate makes of (N, ...), by class where it wants."""

    def __init__(self, aggregate: str) -> None:
        self.aggregate = aggregate
        self.sums: dict[int, Tensor] = {}
        self.counts: dict[int, int] = {}

    def add(self, values: Tensor, target: Tensor) -> None:
        kind = self.aggregate
        if kind in ("absolute", "net", "class-max"):
            values = values.abs()
        elif kind == "positive":
            values = values.clamp(min=0)
        elif kind == "rms":
            values = values.square()
        if not kind.startswith("class-"):
            self._tally(-1, values)
            return
        for label in target.unique().tolist():
            self._tally(label, values[target == label])

    def _tally(self, label: int, values: Tensor) -> None:
        # the sum of a batch in float32, of the batches in float64
        total = values.sum(0).double()
        self.sums[label] = self.sums[label] + total if label in self.sums else total
        self.counts[label] = self.counts.get(label, 0) + len(values)

    def result(self) -> Array:
        means = torch.stack([self.sums[k] / self.counts[k] for k in sorted(self.sums)])
        if self.aggregate == "class-max":
            found = means.amax(0)
        elif self.aggregate == "class-net":
            found = means.abs().mean(0)
        else:
            found = means[0].sqrt() if self.aggregate == "rms" else means[0]
        return np.asarray(found.cpu().numpy(), np.float64)


class _Tally:
    """Scores of one exit while batches come in."""

    def __init__(self, aggregate: str, method: str, weights: bool) -> None:
        self.aggregate, self.method, self.wanted = aggregate, method, weights
        self.filters: dict[str, _Mean] = {}
        self.weights: dict[str, _Mean] = {}
        self.activations: dict[str, _Mean] = {}
        self.absent: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {}

    def add(self, layer: Layer, target: Tensor) -> None:
        """Count a batch in."""
        weight: Tensor = layer.module.weight  # type: ignore[assignment]
        if not layer.weights:  # no part in this exit
            self.absent[layer.name] = (tuple(layer.contribution.shape[1:]), tuple(weight.shape))
            return
        name = layer.name
        if name not in self.filters:
            self.filters[name] = _Mean(self.aggregate)
            self.weights[name] = _Mean(self.aggregate)
            self.activations[name] = _Mean("signed")  # of magnitudes
        with torch.no_grad():
            values = layer.contribution
            if values.dim() > 2 and isinstance(layer.module, nn.Linear):
                values = values.transpose(1, -1)  # positions come first there
            magnitude = values.abs()
            source = magnitude if self.aggregate == "absolute" else values
            self.filters[name].add(source.flatten(2).sum(2) if source.dim() > 2 else source, target)
            self.activations[name].add(magnitude, target)
            if self.wanted:
                self._add_weights(layer, target, weight.numel())

    def _add_weights(self, layer: Layer, target: Tensor, size: int) -> None:
        step = max(1, _AT_ONCE // size)
        for start in range(0, len(target), step):
            part = slice(start, start + step)
            first, *more = (weights(part) for weights in layer.weights)
            self.weights[layer.name].add(sum(more, start=first), target[part])

    def result(self, order: Sequence[str]) -> Scores:
        """All scores, layers in `order`."""
        filters, weights, single = {}, {}, {}
        for name in order:
            if name in self.filters:
                filters[name] = self._finite(self.filters[name], name)
                single[name] = self.activations[name].result()
                if self.wanted:
                    weights[name] = self._finite(self.weights[name], name)
            elif name in self.absent:
                values, weight = self.absent[name]
                filters[name], single[name] = np.zeros(weight[0]), np.zeros(values)
                if self.wanted:
                    weights[name] = np.zeros(weight)
        return Scores(filters, weights, single)

    def _finite(self, mean: _Mean, name: str) -> Array:
        found = mean.result()
        finite(torch.from_numpy(found), f"scores of layer {name}", self.method)
        return found
