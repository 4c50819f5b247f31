"""Folding: how many lanes each layer gets, so that a part takes a frame in `target` cycles.

FINN's SetFolding walks the nodes one by one: it raises SIMD, then PE, until the node's expected
cycles meet the target, and leaves the streams between them to width converters. Ours chooses for
a whole row of layers at once and differs in four ways:

- It minimises the sum of PE * SIMD (multipliers) over all (PE, SIMD) pairs that meet the target,
  instead of the first pair on FINN's path, and breaks ties by the lanes of accumulators, windows
  and streams.
- The sliding window counts: its own period (words in, words out) must meet the target as well.
- SIMD may be any divisor of KH * KW * C: up to C the serial window gives SIMD lanes itself;
  beyond, a serial window feeds a widening converter when it is fast enough, else the parallel
  window gives a whole window per beat and a converter narrows it.
- FINN's cap on the weight stream's width (mvau_wwidth_max) does not apply: weights are embedded.

Where streams part or meet, a new row begins, with the lanes of what feeds it.

As in FINN, a target that some layer cannot meet relaxes to what that layer can do, since more
parallelism elsewhere would buy nothing.

The compiler folds its layers with this, and the cost model the layers of a config.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from exeunt.errors import InputError
from exeunt.graph import ENTRY
from exeunt.kernels.layer import CONVERTER, Fold, Layer
from exeunt.kernels.lowering import converters, feeders
from exeunt.kernels.registry import foldings

MAX_STRETCH = 64.0  # a part that no frame reaches is not folded further than this


@dataclass(frozen=True)
class Folding:
    """A chain's folding and what it comes to."""

    folds: tuple[Fold, ...]
    target: int  # as asked for
    period: int  # the slowest layer's cycles a frame
    multipliers: int  # sum of PE * SIMD over the matrices


def fold(
    chain: Sequence[Layer],
    *,
    target: int,
    lanes: int | None,
    choices: Sequence[Sequence[Fold]] | None = None,
) -> Folding:
    """The cheapest folding of a chain that takes a frame in at most `target` cycles.

    Args:
        chain: layers, each behind those that feed it.
        target: cycles per frame.
        lanes: lanes of the stream that enters, None to choose.
        choices: the foldings to choose from, layer by layer; None: all that our kernels support.
    """
    if choices is None:
        choices = [list(foldings(layer)) for layer in chain]
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
        sum(f.multipliers for f in folds),
    )


def targets(
    exits: int, *, target: int, headroom: float | Sequence[float], reach: Sequence[float] | None
) -> list[int]:
    """Cycles a frame that segment i and head i may take.

    target for the first, or target / reach[0] where frames are looked at again, so that it sees
    each of them reach[0] > 1 times; later ones see only the fraction reach[i] of the frames and
    may take target / (reach[i] * headroom), never less than target; headroom may be one for each.

    Raises:
        InputError: not one fraction for each exit.
    """
    if reach is not None and len(reach) != exits:
        raise InputError(
            f"reach must have one fraction for each of {exits} exits but has {len(reach)}; "
            "calibrate again"
        )
    spare = [headroom] * exits if isinstance(headroom, (int, float)) else list(headroom)
    found = []
    for i in range(exits):
        share = 1.0 if reach is None else min(1.0, reach[i] * spare[i])
        if i == 0:
            share = 1.0 if reach is None else max(1.0, reach[0])
        found.append(int(target / max(share, 1.0 / MAX_STRETCH)))
    return found


def _cheapest(
    layers: Sequence[Layer], choices: Sequence[Sequence[Fold]], bound: int, lanes: int | None
) -> tuple[Fold, ...] | None:
    """The cheapest of each row of layers in turn, given what feeds it: see `_row`."""
    readers = Counter(feeder for i, y in enumerate(layers) for feeder in feeders(i, y))
    starts = [0] + [
        i for i, layer in enumerate(layers) if i and (layer.behind != (1,) or readers[i - 1] > 1)
    ]
    found: list[Fold] = []
    for start, end in pairwise([*starts, len(layers)]):
        before = [
            lanes if feeder == ENTRY else found[feeder].pe
            for feeder in feeders(start, layers[start])
        ] if layers else []  # fmt: skip
        row = _row(layers[start:end], choices[start:end], bound, before)
        if row is None:
            return None
        found += row
        if lanes is None and start == 0 and row:
            lanes = row[0].lanes_in
    return tuple(found)


_Cost = tuple[int, int]


def _row(
    layers: Sequence[Layer],
    choices: Sequence[Sequence[Fold]],
    bound: int,
    feeding: Sequence[int | None],
) -> tuple[Fold, ...] | None:
    """Dynamic programme over the lanes between layers; costs compare lexicographically.

    Args:
        layers: one behind the other; the first may take several streams.
        choices: the foldings of each.
        bound: cycles per frame that no part may exceed.
        feeding: lanes of the streams that the first one takes, None to choose.
    """
    states: dict[tuple[int | None, ...], tuple[_Cost, tuple[Fold, ...]]] = {
        tuple(feeding): ((0, 0), ())
    }
    for layer, found in zip(layers, choices, strict=True):
        sizes = [math.prod(shape) for shape, _ in layer.inputs]
        fitting = _undominated([f for f in found if f.period <= bound])
        following: dict[tuple[int | None, ...], tuple[_Cost, tuple[Fold, ...]]] = {}
        for before, (cost, path) in states.items():
            for item in fitting:
                width = 0
                slow = False
                for lanes, elements in zip(before, sizes, strict=True):
                    steps = () if lanes is None else converters(lanes, item.lanes_in, elements)
                    slow = slow or any(elements // s > bound for s in steps)
                    width += CONVERTER * (len(steps) * 2 - 1) + sum(steps) if steps else 0
                if slow:
                    continue
                local = item.cost
                total = (cost[0] + local[0], cost[1] + local[1] + width)
                known = following.get((item.pe,))
                if known is None or total < known[0]:
                    following[item.pe,] = (total, (*path, item))
        states = following
    return min(states.values(), key=lambda s: s[0])[1] if states else None


def _undominated(found: list[Fold]) -> list[Fold]:
    """The cheapest option for each pair of lanes in and out."""
    best: dict[tuple[int, int], Fold] = {}
    for item in found:
        key = (item.lanes_in, item.pe)
        if key not in best or item.cost < best[key].cost:
            best[key] = item
    return list(best.values())
