"""Exit thresholds from integer logits: which scores may leave, at what accuracy and cost.

An image leaves at the first exit whose score, by the criterion, reaches the threshold of that
exit; the last exit takes what is left. All in the integers that the hardware compares, so that a
threshold means the same in both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from exeunt import criteria
from exeunt.errors import InputError
from exeunt.promise import NONE, NOTHING, PROBABILITY, Promise
from exeunt.quant.exits import guarantee, offsets, search
from exeunt.quant.exits.guarantee import Wanted
from exeunt.registers import NEVER  # the threshold that no score reaches: nobody leaves here

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_COARSE = 256  # thresholds of an exit that the curve and the path of a promise try
_FEW = 8  # budgets, and sets between their optima, on a path where only trying tells


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
    promise: Promise = NOTHING
    offsets: tuple[tuple[int, ...], ...] = ()  # of the classes, per exit; none: all are the same


@dataclass(frozen=True)
class Scores:
    """What every exit says about every image if nobody leaves before: score int64 (E, N).

    right: bool (E, N), whether the answer is right.
    logits, labels, scales: of the images, for criteria whose scores depend on who left before.
    per_class: multiplications that exit e spends on one class in the last layer of its head, which
        a class that is excluded does not cost; none: all classes cost everywhere.
    answer: int64 (E, N), the class of each answer.
    offsets: per exit, of each class, what has been taken off the scores; none: nothing has.
    kept: bool (N,), right answers that count as lost where they are not given; those of the last
        exit unless given, as they must be where rules modify what that sees.
    """

    score: IntArray
    right: BoolArray
    criterion: str = criteria.DEFAULT
    logits: tuple[npt.NDArray[np.integer], ...] = ()
    labels: npt.NDArray[np.integer] | None = None
    scales: tuple[float, ...] = ()
    per_class: tuple[int, ...] = ()
    answer: IntArray | None = None
    offsets: tuple[tuple[int, ...], ...] = ()
    kept: BoolArray | None = None

    def __len__(self) -> int:
        return self.score.shape[1]

    @property
    def fixed(self) -> bool:
        """Whether these are the scores whatever the thresholds are."""
        return criteria.get(self.criterion).fixed

    def some(self, which: IntArray) -> Scores:
        """The images with these indices; one may be there more than once."""
        return replace(
            self,
            score=self.score[:, which],
            right=self.right[:, which],
            logits=tuple(x[which] for x in self.logits),
            labels=None if self.labels is None else self.labels[which],
            answer=None if self.answer is None else self.answer[:, which],
            kept=None if self.kept is None else self.kept[which],
        )

    def less(self, offsets: tuple[tuple[int, ...], ...]) -> Scores:
        """With the offsets of classes taken off, per exit; none: these scores."""
        if not offsets:
            return self
        assert self.answer is not None, "what `scores` gives has the answers"
        assert self.fixed, "or scores would have to be computed anew"
        assert not self.offsets, "they are taken off once"
        taken = [np.asarray(row)[a] for row, a in zip(offsets, self.answer, strict=True)]
        return replace(self, score=self.score - np.array(taken, np.int64), offsets=offsets)

    @property
    def lost(self) -> BoolArray:
        """Where leaving at exit e costs a right answer, bool (E, N)."""
        return (self.right[-1] if self.kept is None else self.kept) & ~self.right

    def leave(self, thresholds: Sequence[int], macs: Sequence[int]) -> Outcome:
        """What becomes of the images under thresholds, one for each exit but the last."""
        if self.fixed:
            taken = exits(self.score, thresholds)
            spent = np.asarray(macs, np.float64)[taken]
            return Outcome(taken, self.right[taken, np.arange(len(taken))], spent)
        found = criteria.run(self.criterion, self.logits, thresholds, scales=self.scales)
        classes = self.logits[0].shape[1]
        spent = found.multiplies(macs, per_class=self.per_class, classes=classes)
        return Outcome(found.exits, found.classes == self.labels, spent)


@dataclass(frozen=True)
class Outcome:
    """Of N images: exit taken int64, answer right bool, multiplications float64 (N,) each."""

    exits: IntArray
    right: BoolArray
    spent: npt.NDArray[np.float64]


def scores(
    logits: Sequence[npt.NDArray[np.integer]],
    labels: npt.NDArray[np.integer],
    *,
    criterion: str = criteria.DEFAULT,
    scales: Sequence[float] = (),
    per_class: Sequence[int] = (),
    offsets: tuple[tuple[int, ...], ...] = (),
) -> Scores:
    """Scores and hits of integer logits, one array (N, classes) per exit, by a criterion.

    `scales` says what a logit of 1 stands for at each exit, 1.0 unless given; `per_class` what one
    class costs there, `offsets` what is taken off the scores of each class, see `Scores`.

    Raises:
        InputError: logits that are not integers, or not one row per label.
    """
    checked = []
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
        checked.append(values)
    found = criteria.every(criterion, checked, scales=scales)
    return Scores(
        np.array([one.scores for one in found], np.int64),
        np.array([one.classes == labels for one in found], bool),
        criterion,
        tuple(checked),
        labels,
        tuple(scales),
        tuple(per_class),
        np.array([one.classes for one in found], np.int64),
    ).less(offsets)


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
    left = found.leave(thresholds, macs)
    rates = np.bincount(left.exits, minlength=len(macs)) / len(left.exits)
    return Point(
        thresholds=tuple(int(t) for t in thresholds),
        accuracy=float(left.right.mean()),
        macs=float(left.spent.mean()),
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
    per_class: Sequence[int] = (),
    wanted: Wanted | None = None,
    by_class: bool = False,
    points: int = 24,
) -> Calibration:
    """Thresholds that spend the fewest multiplications for a permitted accuracy drop.

    An image is lost when it leaves with a wrong answer where the last exit has the right one; one
    that only an early exit answers rightly does not pay for it. Thresholds chosen on validation
    images overshoot on others, so without a promise half of `drop` is spent here: at most
    `drop` / 2 of the images are lost. With one, see `exeunt.quant.exits.guarantee`; where the
    images are too few for it, half of `drop` again. With `by_class` each class has a threshold of
    its own at each exit, an offset above the exit's, where that saves multiplications on these
    images; with a promise the images that lay its path choose the offsets. The thresholds of all
    exits are chosen together, see `exeunt.quant.exits.search.best`, or `by_trial` where the scores
    of an exit depend on who left before.

    Args:
        logits: integers (N, classes) per exit, from validation images.
        labels: integers (N,).
        macs: multiplications of a frame that leaves at exit i (cumulative).
        drop: permitted loss of accuracy against the last exit, a fraction.
        criterion: what the exits go by.
        scales: what a logit of 1 stands for at each exit, 1.0 unless given.
        per_class: multiplications of one class in the last layer of each head, see `Scores`.
        wanted: what is to be promised; None: nothing.
        by_class: classes may have thresholds of their own.
        points: permitted drops tried for the curve.

    Raises:
        InputError: no images, logits that are not integers of one row per label, or a promise that
            cannot be made.
    """
    if not len(labels):
        raise InputError(
            "calibration must have at least one validation image, got none: raise data.validation"
        )
    found = scores(logits, labels, criterion=criterion, scales=scales, per_class=per_class)
    accuracies = tuple(float(r) for r in found.right.mean(axis=1))
    promise, certified, plain = NOTHING, None, found
    if wanted is not None and wanted.kind != NONE:
        guarantee.check(wanted, drop, exits=len(macs), criterion=criterion)
        if by_class:
            laying, _ = guarantee.parts(len(plain), wanted.seed)
            found = plain.less(offsets_of(plain.some(laying), macs, drop))
        promise = promised(path(found, macs, drop, seed=wanted.seed), drop, wanted)
        certified = promise.certified[-1] if promise.holds else None
    if not found.fixed:
        return Calibration(*_by_trial(found, macs, drop, points, certified), accuracies, promise)
    if certified is None:
        found = plain.less(offsets_of(plain, macs, drop / 2)) if by_class else plain
        (certified,) = best(found, macs, [_images(drop / 2, len(found))])
    chosen = evaluate(found, certified, macs)
    curve = _curve(found, macs, drop, points, chosen)
    return Calibration(chosen, curve, accuracies, promise, found.offsets)


def offsets_of(found: Scores, macs: Sequence[int], loss: float) -> tuple[tuple[int, ...], ...]:
    """The offsets of classes, per exit, that save multiplications on these images; else none.

    Args:
        found: scores and hits of every exit, by a criterion that takes offsets.
        macs: multiplications of a frame that leaves at exit i (cumulative).
        loss: part of the images that the thresholds may lose.
    """
    assert found.answer is not None, "what `scores` gives has the answers"
    if not len(found) or len(macs) < 2:
        return ()
    classes = found.logits[0].shape[1]
    lost = found.lost
    rows = [
        tuple(offsets.of_exit(found.score[e], found.answer[e], lost[e], classes).tolist())
        for e in range(len(macs) - 1)
    ]
    made = (*rows, (0,) * classes)
    spent = []
    for images in (found, found.less(made)):
        (thresholds,) = best(images, macs, [_images(loss, len(images))])
        spent.append(float(images.leave(thresholds, macs).spent.sum()))
    return made if spent[1] < spent[0] else ()


def best(
    found: Scores, macs: Sequence[int], budgets: Sequence[int], *, coarse: bool = False
) -> list[tuple[int, ...]]:
    """For each budget, thresholds that cost little and lose no more of the images.

    `coarse`: not all thresholds are tried.
    """
    if found.fixed:
        table = options(found, macs)
        return search.best(table.coarse(_COARSE) if coarse else table, budgets)
    price, _ = _priced(found, macs)
    return [search.by_trial(price, _candidates(found), budget) for budget in budgets]


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
    count = len(found)
    worst = max(drop, float(found.lost.mean(axis=1).max()), 1e-3)
    budgets = [0, *(_images(f, count) for f in np.geomspace(worst / 50, worst, max(points - 1, 0)))]
    tried = best(found, macs, list(dict.fromkeys(budgets)), coarse=True)
    never = (NEVER,) * (len(macs) - 1)
    curve = {t: evaluate(found, t, macs) for t in [*tried, never]}
    curve[chosen.thresholds] = chosen
    return tuple(sorted(curve.values(), key=lambda p: (-p.macs, p.thresholds)))


def _candidates(found: Scores) -> list[IntArray]:
    rule = criteria.get(found.criterion)
    return [rule.thresholds(s) for s in found.score[:-1]]


def _priced(
    found: Scores, macs: Sequence[int]
) -> tuple[search.Price, dict[tuple[int, ...], tuple[float, int]]]:
    """What thresholds cost and lose, and all that were asked for."""
    tried: dict[tuple[int, ...], tuple[float, int]] = {}

    def price(thresholds: tuple[int, ...]) -> tuple[float, int]:
        if thresholds not in tried:
            left = found.leave(thresholds, macs)
            losses = int((found.right[-1] & ~left.right).sum())
            tried[thresholds] = float(left.spent.sum()), losses
        return tried[thresholds]

    return price, tried


def _by_trial(
    found: Scores,
    macs: Sequence[int],
    drop: float,
    points: int,
    certified: tuple[int, ...] | None,
) -> tuple[Point, tuple[Point, ...]]:
    """The chosen thresholds and the curve, where only trying tells what becomes of the images.

    The curve is made of sets that were tried on the way. `certified`: those that were chosen.
    """
    count, candidates = len(found), _candidates(found)
    price, tried = _priced(found, macs)
    chosen = certified or search.by_trial(price, candidates, _images(drop / 2, count))
    price(chosen)
    point = evaluate(found, chosen, macs)
    if points <= 1:
        return point, (point,)
    for factor in (0.0, 2.0, 8.0):
        search.by_trial(price, candidates, _images(factor * drop / 2, count), start=chosen)
    front, fewest = [], np.inf  # of rising cost, each loses less than those before
    for thresholds in sorted(tried, key=tried.__getitem__):
        if tried[thresholds][1] < fewest:
            front.append(thresholds)
            fewest = tried[thresholds][1]
    some = np.unique(np.linspace(0, len(front) - 1, min(points, len(front))).astype(int))
    never = (NEVER,) * (len(macs) - 1)
    kept = {t: evaluate(found, t, macs) for t in [*(front[i] for i in some), never]}
    kept[chosen] = point
    return point, tuple(sorted(kept.values(), key=lambda p: (-p.macs, p.thresholds)))


@dataclass(frozen=True)
class Path:
    """Sets of thresholds from nobody leaving to everybody, and what testing them has shown.

    sets: int64 (J, exits - 1), falling; first: int64 (tested,), ascending, from which set on the
    images that tested them are lost, J for never; ordered: images that laid the path; macs: as for
    `calibrate_exits`.
    """

    sets: IntArray
    first: IntArray
    ordered: int
    images: Scores
    macs: tuple[int, ...]


def path(images: Scores, macs: Sequence[int], drop: float, *, seed: int = 0) -> Path:
    """The path that some of the images lay for about the loss `drop`, tested by the others."""
    ordering, testing = guarantee.parts(len(images), seed)
    laying, tested = images.some(ordering), images.some(testing)
    if images.fixed:
        sets = guarantee.path(
            lambda which, budgets: best(laying.some(which), macs, budgets, coarse=True),
            laying.score, drop, seed=seed,
        )  # fmt: skip
        first = guarantee.first_lost(sets, tested.score, tested.lost)
    else:
        sets = guarantee.path(
            lambda which, budgets: best(laying, macs, budgets), laying.score, drop,
            seed=seed, draws=1, budgets=_FEW, steps=_FEW,
        )  # fmt: skip
        first = np.full(len(tested), len(sets), np.int64)
        for place in reversed(range(len(sets))):
            right = tested.leave(sets[place].tolist(), macs).right
            first[tested.right[-1] & ~right] = place
    return Path(sets, np.sort(first), len(ordering), images, tuple(macs))


def promised(found: Path, drop: float, wanted: Wanted) -> Promise:
    """The boldest thresholds of a path that the promise can be made for, or what it would need."""
    images, tested = found.images, len(found.first)
    most = guarantee.allowed(wanted, drop, tested)
    certain = wanted.kind == PROBABILITY
    promise = Promise(
        kind=wanted.kind,
        permitted=drop,
        delta=wanted.delta if certain else None,
        horizon=wanted.horizon if certain else None,
        holds=most >= 0,
        images=len(images),
        images_needed=guarantee.needed(wanted, drop),
        ordered=found.ordered,
        tested=tested,
        allowed=most if most >= 0 else None,
        upward=images.fixed,
    )
    if most < 0:
        return promise
    place = int(found.first[most]) - 1 if most < tested else len(found.sets) - 1
    place = min(place, len(found.sets) - 1)
    certified = [tuple(one) for one in found.sets[: place + 1].tolist()]
    return replace(
        promise,
        lost=int(np.sum(found.first <= place)),
        certified=tuple(certified[-1:] if images.fixed else dict.fromkeys(certified)),
    )
