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
from exeunt.quant.exits import search
from exeunt.registers import NEVER  # the threshold that no score reaches: nobody leaves here

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_COARSE = 256  # thresholds of an exit that the curve tries


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
    one. The thresholds of all exits are chosen together, see `exeunt.quant.exits.search.best`.

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
    table = options(found, macs)
    chosen = evaluate(found, search.best(table, [_images(drop / 2, len(labels))])[0], macs)
    return Calibration(chosen, _curve(found, macs, drop, points, chosen), accuracies)


def options(found: Scores, macs: Sequence[int]) -> search.Options:
    """The thresholds worth trying for these scores."""
    tried = criteria.get(found.criterion).thresholds
    return search.options(found.score, found.lost, macs, tried=tried)


def _images(fraction: float, count: int) -> int:
    """So many of `count` images make at most this fraction."""
    return int(fraction * count + 1e-9)


def _curve(
    found: Scores, macs: Sequence[int], drop: float, points: int, chosen: Point
) -> tuple[Point, ...]:
    """Accuracy against cost, from nobody leaving to everybody, in order of falling cost."""
    count = found.score.shape[1]
    worst = max(drop, float(found.lost.mean(axis=1).max()), 1e-3)
    budgets = [0, *(_images(f, count) for f in np.geomspace(worst / 50, worst, points - 1))]
    tried = search.best(options(found, macs).coarse(_COARSE), list(dict.fromkeys(budgets)))
    never = (NEVER,) * (len(macs) - 1)
    curve = {t: evaluate(found, t, macs) for t in [*tried, never]}
    curve[chosen.thresholds] = chosen
    return tuple(sorted(curve.values(), key=lambda p: (-p.macs, p.thresholds)))
