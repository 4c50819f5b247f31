"""Exit thresholds from integer logits: which scores may leave, at what accuracy and cost.

An image leaves at the first exit whose score, by the criterion, reaches the threshold of that
exit; the last exit takes what is left. All in the integers that the hardware compares, so that a
threshold means the same in both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from exeunt import criteria
from exeunt.errors import InputError
from exeunt.registers import NEVER  # the threshold that no score reaches: nobody leaves here

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Point:
    """One choice of thresholds and what it gives: fractions 0..1, multiplications a frame."""

    thresholds: tuple[int, ...]  # one per exit but the last
    accuracy: float
    macs: float
    rates: tuple[float, ...]  # images that leave at exit i
    reach: tuple[float, ...]  # images that get to exit i; the first is 1.0


@dataclass(frozen=True)
class Calibration:
    """The chosen thresholds, and the accuracy-against-cost curve in order of falling cost."""

    chosen: Point
    curve: tuple[Point, ...]
    accuracies: tuple[float, ...]  # of each exit if it answered everything


@dataclass(frozen=True)
class Scores:
    """What every exit says about every image: score int64 (E, N), answer right bool (E, N)."""

    score: IntArray
    right: BoolArray
    criterion: str = criteria.DEFAULT

    @property
    def lost(self) -> BoolArray:
        """Where leaving at exit e costs a right answer of the last exit, bool (E, N)."""
        return self.right[-1] & ~self.right


def scores(
    logits: Sequence[npt.NDArray[np.integer]],
    labels: npt.NDArray[np.integer],
    *,
    criterion: str = criteria.DEFAULT,
    scales: Sequence[float] = (),
) -> Scores:
    """Scores and hits of integer logits, one array (N, classes) per exit, by a criterion.

    `scales` says what a logit of 1 stands for at each exit, 1.0 unless given.

    Raises:
        InputError: logits that are not integers, or not one row per label.
    """
    values_of = criteria.get(criterion).values
    score = np.empty((len(logits), len(labels)), np.int64)
    right = np.empty((len(logits), len(labels)), bool)
    for k, exit_logits in enumerate(logits):
        values = np.asarray(exit_logits)
        if not np.issubdtype(values.dtype, np.integer):
            raise InputError(
                f"logits of exit {k} must be integers, got {values.dtype}: divide them by the "
                "logit scale and round"
            )
        if values.ndim != 2 or len(values) != len(labels) or values.shape[1] < 2:
            raise InputError(
                f"logits of exit {k} must have shape ({len(labels)}, classes >= 2), got "
                f"{values.shape}: give one row for each label"
            )
        answers, score[k] = values_of(values, scale=scales[k] if len(scales) else 1.0)
        right[k] = answers == labels
    return Scores(score, right, criterion)


def exits(score: IntArray, thresholds: Sequence[int]) -> IntArray:
    """The exit (N,) at which each image leaves: the first with score (E, N) >= threshold.

    `thresholds` has one entry for each exit but the last.
    """
    last = len(score) - 1
    take = np.ones(score.shape, bool)
    for k in range(last):
        take[k] = (score[k] >= thresholds[k]) & (thresholds[k] != NEVER)
    return take.argmax(axis=0).astype(np.int64)


def evaluate(found: Scores, thresholds: Sequence[int], macs: Sequence[int]) -> Point:
    """Accuracy, cost and exit rates of these thresholds on these images.

    Args:
        found: scores and hits of every exit.
        thresholds: one per exit but the last.
        macs: multiplications of a frame that leaves at exit i (cumulative).
    """
    count = found.score.shape[1]
    taken = exits(found.score, thresholds)
    rates = np.bincount(taken, minlength=len(macs)) / count
    hits = found.right[taken, np.arange(count)]
    return Point(
        thresholds=tuple(int(t) for t in thresholds),
        accuracy=float(hits.mean()),
        macs=float(rates @ np.asarray(macs, np.float64)),
        rates=tuple(float(r) for r in rates),
        reach=tuple(float(1.0 - r) for r in np.concatenate([[0.0], np.cumsum(rates)[:-1]])),
    )


def calibrate_exits(
    logits: Sequence[npt.NDArray[np.integer]],
    labels: npt.NDArray[np.integer],
    *,
    macs: Sequence[int],
    drop: float,
    criterion: str = criteria.DEFAULT,
    scales: Sequence[float] = (),
    points: int = 24,
) -> Calibration:
    """Thresholds that spend the fewest multiplications for a permitted accuracy drop.

    Thresholds chosen on validation images overshoot on others, so half of `drop` is spent here,
    and an image that only an early exit answers rightly does not pay for one that it loses: at
    most `drop` / 2 of the images may leave with a wrong answer where the last exit has the right
    one. The search starts from everyone staying to the end and takes, exit by exit and in several
    sweeps, the threshold that saves most.

    Args:
        logits: integers (N, classes) per exit, from validation images.
        labels: integers (N,).
        macs: multiplications of a frame that leaves at exit i (cumulative).
        drop: permitted loss of accuracy against the last exit, a fraction.
        criterion: what the exits go by.
        scales: what a logit of 1 stands for at each exit, 1.0 unless given.
        points: permitted drops tried for the curve.

    Raises:
        InputError: no images, or logits that are not integers of one row per label.
    """
    if not len(labels):
        raise InputError(
            "calibration must have at least one validation image, got none: raise data.validation"
        )
    found = scores(logits, labels, criterion=criterion, scales=scales)
    accuracies = tuple(float(r) for r in found.right.mean(axis=1))
    chosen = evaluate(found, _search(found, macs, drop / 2), macs)
    curve: dict[tuple[int, ...], Point] = {}
    worst = max(drop, float(found.lost.mean(axis=1).max()), 1e-3)
    for permitted in [0.0, *np.geomspace(worst / 50, worst, points - 1)]:
        point = evaluate(found, _search(found, macs, permitted), macs)
        curve[point.thresholds] = point
    none = evaluate(found, [NEVER] * (len(macs) - 1), macs)
    curve[none.thresholds] = none
    curve[chosen.thresholds] = chosen
    ordered = sorted(curve.values(), key=lambda p: (-p.macs, p.thresholds))
    return Calibration(chosen, tuple(ordered), accuracies)


def _search(found: Scores, macs: Sequence[int], permitted: float) -> list[int]:
    """Thresholds of low cost that lose at most the fraction `permitted` of the images."""
    inner = len(macs) - 1
    budget = int(permitted * found.score.shape[1] + 1e-9)
    cost = np.asarray(macs, np.float64)
    best = [NEVER] * inner
    best_cost = evaluate(found, best, macs).macs
    # Which exit gets the budget first matters: try both directions, keep the cheaper.
    for order in (range(inner), range(inner - 1, -1, -1)):
        thresholds = [NEVER] * inner
        for _ in range(3):
            before = list(thresholds)
            for k in order:
                thresholds[k] = _cheapest(found, thresholds, k, cost, budget)
            if thresholds == before:
                break
        total = evaluate(found, thresholds, macs).macs
        if total < best_cost:
            best, best_cost = thresholds, total
    return best


def _cheapest(
    found: Scores, thresholds: list[int], k: int, cost: npt.NDArray[np.float64], budget: int
) -> int:
    """The threshold of exit k that saves most when at most `budget` images may be lost.

    With the other thresholds fixed, an image that gets to exit k either leaves there or goes on to
    where the later exits take it; sorted by score, every threshold is one cumulative sum.
    """
    lost = found.lost.astype(np.int64)
    taken = exits(found.score, [*thresholds[:k], NEVER, *thresholds[k + 1 :]])
    there = np.flatnonzero(taken > k)
    if not len(there):
        return NEVER
    order = there[np.argsort(-found.score[k, there], kind="stable")]
    score = found.score[k, order]
    saved = np.cumsum(cost[taken[order]] - cost[k])
    losses = lost[taken, np.arange(lost.shape[1])].sum() + np.cumsum(
        lost[k, order] - lost[taken[order], order]
    )
    tried = criteria.get(found.criterion).thresholds(score)[::-1]
    leave = np.searchsorted(-score, -tried, side="right")  # so many leave, those in a tie too
    tried, ends = tried[leave > 0], leave[leave > 0] - 1
    good = (losses[ends] <= budget) & (saved[ends] > 0)
    return int(tried[good][np.argmax(saved[ends[good]])]) if good.any() else NEVER
