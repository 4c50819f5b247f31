"""Thresholds along a path that other images lay: for networks whose images are modified by rules.

Looks add thresholds, and a handful of validation images that may be lost does not fix four of them
together. So training images, of which there are many, lay a path of thresholds from careful to
bold, and the validation images say how far it may be gone: one decision instead of four.

An image may be lost at the last exit too, where that sees a modified image. Then losses need not
grow along the path: nobody leaving early may lose more than some leaving. So the path begins with
the optimum for a small part of the permitted loss, it is gone set by set, and the first set that
loses too many ends it (fixed-sequence testing, 2110.01052).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from exeunt.promise import AVERAGE, NONE, NOTHING, PROBABILITY, Promise
from exeunt.quant.exits import guarantee, search
from exeunt.quant.exits.calibration import (
    BoolArray,
    Calibration,
    IntArray,
    Point,
    Scores,
    evaluate,
    options,
)
from exeunt.quant.exits.guarantee import Wanted
from exeunt.registers import NEVER

_COARSE = 96  # thresholds of an exit that the path tries
_BUDGETS = 16  # optima along the path
_STEPS = 48  # sets from one to the next
_CAREFUL = 0.5  # of the permitted loss, with which a path begins that has losses at its end too


def laid(found: Scores, macs: Sequence[float], drop: float, *, seed: int = 0) -> IntArray:
    """Sets of thresholds from careful to bold, int64 (J, exits - 1), falling; see the module.

    Args:
        found: scores of the images that lay the path; `lost` says where leaving loses one.
        macs: what an image costs that leaves at exit i (cumulative), weighted as one likes.
        drop: permitted loss, about which the path has most of its sets.
        seed: of the path.
    """
    table = options(found, [int(m) for m in macs]).coarse(_COARSE)
    careful = search.best(table, [int(_CAREFUL * drop * len(found))])[0]
    sets = guarantee.path(
        lambda which, budgets: search.best(table, budgets), found.score, drop, seed=seed,
        draws=1, budgets=_BUDGETS, steps=_STEPS,
    )  # fmt: skip
    if not found.lost[-1].any():
        return sets
    return sets[(sets <= np.array(careful)).all(axis=1)]


def _lost(found: Scores, thresholds: IntArray, macs: Sequence[float]) -> BoolArray:
    """The images that these thresholds lose, bool (N,)."""
    taken = found.leave(thresholds.tolist(), [int(m) for m in macs]).exits
    return np.asarray(found.lost[taken, np.arange(len(taken))])


def matched(
    sets: IntArray,
    laying: Scores,
    found: Scores,
    macs: Sequence[int],
    drop: float,
    lost: int,
    *,
    points: int = 24,
) -> Calibration:
    """The boldest thresholds of a path that lose no more of the images that laid it than `lost`.

    A handful of lost validation images says little; of images that lay the path there are more.
    So whoever knows what other thresholds lose of these gets a choice that is as careful. No more
    than `drop` of the validation images are lost either.

    Args:
        sets: of `laid`.
        laying: scores of the images that laid the path.
        found: scores of validation images.
        macs: cumulative multiplications.
        drop: permitted loss of accuracy.
        lost: images of `laying`.
        points: of the curve.
    """
    chosen: tuple[int, ...] = (NEVER,) * sets.shape[1]
    for one in sets:
        if int(_lost(laying, one, macs).sum()) > lost:
            break
        if int(_lost(found, one, macs).sum()) > int(drop * len(found) + 1e-9):
            break
        chosen = tuple(int(t) for t in one)
    point = evaluate(found, chosen, macs)
    alone = tuple(float(right) for right in found.right.mean(axis=1))
    return Calibration(point, _curve(sets, found, macs, points, point), alone)


def walked(
    sets: IntArray,
    found: Scores,
    macs: Sequence[int],
    drop: float,
    *,
    wanted: Wanted | None = None,
    points: int = 24,
) -> Calibration:
    """The boldest thresholds of a path before images that did not lay it lose too many.

    Without a promise at most `drop` / 2 of the images are lost, as in `calibrate_exits`; with one
    as many as it allows, and where they are too few for it, half of `drop` again.

    Args:
        sets: of `laid`.
        found: scores of the images that test them.
        macs: cumulative multiplications.
        drop: permitted loss of accuracy.
        wanted: what is to be promised.
        points: of the curve.
    """
    count = len(found)
    lost = [_lost(found, one, macs) for one in sets]
    promise = NOTHING if wanted is None or wanted.kind == NONE else _promise(wanted, drop, count)
    if promise.holds:  # an image that was lost stays so, whatever bolder thresholds do to it
        lost = list(np.logical_or.accumulate(lost))
    losses = np.array([int(one.sum()) for one in lost])
    most = promise.allowed if promise.holds else int(drop / 2 * count + 1e-9)
    assert most is not None
    over = np.flatnonzero(losses > most)
    end = int(over[0]) if len(over) else len(sets)
    chosen = tuple(int(t) for t in sets[end - 1]) if end else (NEVER,) * sets.shape[1]
    if promise.holds and not end:
        promise = replace(promise, holds=False)
    if promise.holds:
        certified = dict.fromkeys(tuple(int(t) for t in one) for one in sets[:end])
        promise = replace(promise, lost=int(losses[end - 1]), certified=tuple(certified))
    point = evaluate(found, chosen, macs)
    alone = tuple(float(right) for right in found.right.mean(axis=1))
    return Calibration(point, _curve(sets, found, macs, points, point), alone, promise)


def _promise(wanted: Wanted, drop: float, tested: int) -> Promise:
    """What can be promised by `tested` images that did not lay the path."""
    most = guarantee.allowed(wanted, drop, tested)
    certain = wanted.kind == PROBABILITY
    assert certain or wanted.kind == AVERAGE
    return Promise(
        kind=wanted.kind,
        permitted=drop,
        delta=wanted.delta if certain else None,
        horizon=wanted.horizon if certain else None,
        holds=most >= 0,
        images=tested,
        images_needed=guarantee.needed(wanted, drop),
        ordered=0,
        tested=tested,
        allowed=most if most >= 0 else None,
        upward=False,
    )


def _curve(
    sets: IntArray, found: Scores, macs: Sequence[int], points: int, chosen: Point
) -> tuple[Point, ...]:
    """Accuracy against cost along the path, in order of falling cost."""
    some = np.unique(np.linspace(0, len(sets) - 1, max(points, 1)).astype(int))
    made = {tuple(int(t) for t in sets[j]): evaluate(found, sets[j].tolist(), macs) for j in some}
    made[chosen.thresholds] = chosen
    return tuple(sorted(made.values(), key=lambda p: (-p.macs, p.thresholds)))
