"""Corners of quantizers that tell edges: those of lines, and others on both sides of the middle."""

from __future__ import annotations

from dataclasses import replace

import mvu.corners
import numpy as np
import sparse.corners
import threshold.corners
from lib.bench import Corner, kernel_corner

from exeunt.explain.slopes import line
from exeunt.graph import IntArray, Integer
from exeunt.hls.back.kernels import levels
from exeunt.kernels import registry
from exeunt.kernels.parts.back import Steps


def steps_of(corner: Corner) -> Steps:
    """The quantizer of a corner."""
    assert corner.node is not None
    back = registry.of(corner.node).back
    assert back is not None
    found = back(corner.node, corner.arrays)[0][-1]
    assert isinstance(found, Steps)
    return found


def straight(corner: Corner) -> Corner:
    """The same with the thresholds of every channel at equal distances, and the edges of its line.

    The distance differs from channel to channel, the first channel reaches none of them.
    """
    steps = steps_of(corner)
    count = steps.thresholds.shape[1]
    rng = np.random.default_rng(sum(map(ord, corner.name)))
    wide = steps.high - steps.low
    step = np.maximum(wide * rng.uniform(0.3, 1.1, len(wide)) / count, 0.3)[:, None]
    first = (steps.low + wide * rng.uniform(0, 0.5, len(wide)))[:, None]
    table = np.ceil(first + step * np.arange(count)).astype(np.int64)
    if len(table) > 1:
        table[0] = steps.high[0] + 1
    table = np.clip(table, steps.low[:, None], steps.high[:, None] + 1)
    assert corner.node is not None
    node = replace(corner.node, name=f"{corner.name}_line")
    edges = line(replace(steps, thresholds=table), node.name).edges
    return kernel_corner(node, {**corner.arrays, "thresholds": table}, edges)


def random(corner: Corner) -> Corner:
    """Any edges around the middle threshold, some at the ends and some where nothing is inside."""
    steps = steps_of(corner)
    rng = np.random.default_rng(sum(map(ord, corner.name)))
    middle = steps.thresholds[:, levels.middle(steps.thresholds.shape[1])]
    between = np.clip(middle, steps.low, steps.high + 1)
    edges = np.stack([
        rng.integers(steps.low, between + 1), rng.integers(between, steps.high + 2)
    ], 1)  # fmt: skip
    for channel, kind in enumerate(rng.integers(0, 6, len(edges))):
        if kind == 0:
            edges[channel] = 0
        elif kind == 1:
            edges[channel, 0] = steps.low[channel]
        elif kind == 2:
            edges[channel, 1] = steps.high[channel] + 1
    assert corner.node is not None
    return kernel_corner(replace(corner.node, name=f"{corner.name}_any"), corner.arrays, edges)


def mask_of(corner: Corner, x: IntArray) -> IntArray:
    """Which values are inside, as `exeunt.explain.context` finds them: bool, as the output."""
    assert corner.node is not None
    found = {**corner.arrays, "thresholds": corner.data}
    (level,) = registry.computed(steps_of(corner).probe, found, [x])
    return np.asarray(level == 1).reshape(-1, *corner.node.output.shape)


_THRESHOLDS = {c.name: c for c in threshold.corners.CORNERS}
_MATRICES = [
    mvu.corners.corner((1, 9, 4, 2), Integer(8), levels=15, vectors=(2, 2)),
    mvu.corners.corner((4, 9, 2, 8), Integer(4), levels=14, bias=-7),
    mvu.corners.corner((2, 3, 2, 2), Integer(3, signed=True), levels=1),
    mvu.corners.corner((4, 2, 1, 3), Integer(4), levels=7, groups=(2, 2)),
    mvu.corners.corner((3, 2, 2, 1), Integer(4), levels=3, groups=(4, 1)),
    mvu.corners.corner((2, 32, 3, 2), Integer(2), weight_bits="2s", levels=3),
    mvu.corners.corner((9, 3, 2, 2), Integer(8, signed=True), weight_bits="1s", levels=1),
    mvu.corners.corner((4, 4, 2, 2), Integer(4), weight_bits="2s", levels=15),
    sparse.corners.corner((8, 4, 2, 4, 4), 2, Integer(4), pattern="random", zeros=0.8, levels=7),
    sparse.corners.corner(
        (3, 4, 2, 2, 2), 2, Integer(4), zeros=0.5, weight_bits=8, book=6, negates=True, levels=3
    ),
]

CORNERS: list[Corner] = [
    *(straight(c) for name, c in _THRESHOLDS.items() if name not in ("eight_bits", "many_lanes")),
    *(random(_THRESHOLDS[n]) for n in ("one_level", "two_bits", "three_folds", "four_folded",
                                        "narrow_signed", "six_bits", "many_lanes")),
    *(straight(c) for c in _MATRICES),
    *(random(c) for c in _MATRICES),
]  # fmt: skip
