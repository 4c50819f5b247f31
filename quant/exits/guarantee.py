"""Thresholds with a promise: a path of thresholds from safe to bold, and how far it may be gone.

A fifth of the images, drawn at random, lays the path; no other image has a say in it. The rest
tests it. Along the path thresholds only fall and an image once lost stays lost, so the losses grow.

"probability": fixed-sequence testing (learn-then-test, 2110.01052). The first sets of the path that
lose more than permitted pass the test with probability delta at most. Of all images to come, the
test is the exact binomial; of the next `horizon` ones, its counterpart for images drawn without
putting them back: when the images tested and to come are sorted by the place on the path where they
are lost, every order is as likely as every other.

"average": conformal risk control (2208.02814): (losses + 1) / (tested + 1) <= permitted.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from exeunt import criteria
from exeunt.errors import InputError
from exeunt.promise import AVERAGE, KINDS, MOST, NONE
from exeunt.registers import NEVER

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

SHARE = 5  # one image in so many lays the path
_BUDGETS = 24  # optima along the path
_REACH = 3  # the path goes on to so many times the permitted loss, then to everybody
_DRAWS = 8  # of the images that lay the path; the path is the mean of theirs
_STEPS = 256  # between two optima


@dataclass(frozen=True)
class Wanted:
    """What is to be promised, see `exeunt.promise.Promise`; `seed` of which images lay the path."""

    kind: str = NONE
    delta: float = 0.1
    horizon: int = 10_000
    seed: int = 0


def check(wanted: Wanted, drop: float, *, exits: int, criterion: str) -> None:
    """Refuse a promise that no number of images could make.

    Args:
        wanted: the promise.
        drop: permitted loss of accuracy against the last exit, a fraction.
        exits: of the network.
        criterion: what they go by.

    Raises:
        InputError: it is not one.
    """
    if wanted.kind not in KINDS:
        known = ", ".join(f'"{kind}"' for kind in KINDS)
        near = difflib.get_close_matches(wanted.kind, KINDS, n=1, cutoff=0.0)[0]
        raise InputError(
            f"calibrate.guarantee must be one of {known}, got {wanted.kind!r}: did you mean "
            f"{near!r}?"
        )
    if wanted.kind == NONE:
        return
    name = f'calibrate.guarantee = "{wanted.kind}"'
    if not 0 < wanted.delta < 1:
        raise InputError(
            f"calibrate.delta must be above 0 and below 1, got {wanted.delta:g}: take 0.1 for a "
            "promise that holds nine times in ten"
        )
    if not 0 <= wanted.horizon <= MOST:
        raise InputError(
            f"calibrate.horizon must be from 0 to {MOST:,} images, got {wanted.horizon:,}: take 0 "
            "for all that ever come"
        )
    if not 0 < drop < 1:
        raise InputError(
            f"calibrate.drop must be above 0 with {name}, since no number of images shows that "
            f'none is ever lost, got {drop:g}: raise it or take guarantee = "none"'
        )
    if exits < 2:
        raise InputError(
            f"{name} must go with a network of two exits or more, since one exit loses nothing, "
            f'got {exits}: take guarantee = "none"'
        )
    if criteria.get(criterion).history is not None:
        raise InputError(
            f"{name} must go with a criterion that judges each image by itself, got "
            f'"{criterion}": take another criterion or guarantee = "none"'
        )


@cache
def allowed(wanted: Wanted, drop: float, tested: int) -> int:
    """Losses among `tested` images with which `drop` may be promised; -1: not even none."""
    if wanted.kind == AVERAGE:
        return int(drop * (tested + 1) + 1e-9) - 1
    most = int(np.ceil(drop * tested)) + 1
    count = np.arange(most, dtype=np.int64)
    return int(np.sum(np.cumprod(_chance(wanted, drop, tested, count) <= wanted.delta))) - 1


def _chance(wanted: Wanted, drop: float, tested: int, losses: IntArray) -> npt.NDArray[np.float64]:
    """Chance of so many losses or fewer, where the first set of the path breaks the promise."""
    from scipy import stats

    if not wanted.horizon:
        return np.asarray(stats.binom.cdf(losses, tested, drop))
    first = int(drop * wanted.horizon + 1e-9) + 1  # lost images to come that break it
    # of the first losses + first lost images, at least `first` are ones to come
    everyone = tested + wanted.horizon
    return np.asarray(stats.hypergeom.sf(first - 1, everyone, wanted.horizon, losses + first))


@cache
def needed(wanted: Wanted, drop: float) -> int:
    """Images for a promise: with fewer not even a test without a loss would do.

    `MOST` + 1 where even `MOST` are too few.
    """
    if allowed(wanted, drop, _tested(MOST)) < 0:
        return MOST + 1
    low, high = 0, 1
    while allowed(wanted, drop, _tested(high)) < 0:
        low, high = high, min(2 * high, MOST)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if allowed(wanted, drop, _tested(middle)) >= 0 else (middle, high)
    return high


def _tested(images: int) -> int:
    return images - images // SHARE


def chance_of_more(lost: int, images: int, lost_others: int, others: int) -> float:
    """How likely so many losses or more among other images are, if they come from the same source.

    Fisher's exact test, one-sided: of all these images, lost ones are spread by chance.
    """
    from scipy import stats

    everyone = images + others
    return float(stats.hypergeom.sf(lost_others - 1, everyone, lost + lost_others, others))


def parts(images: int, seed: int) -> tuple[IntArray, IntArray]:
    """The images that lay the path, and those that test it: indices, each ascending."""
    order = np.random.default_rng([seed, images]).permutation(images)
    cut = images // SHARE
    return np.sort(order[:cut]), np.sort(order[cut:])


def path(
    best: Callable[[IntArray, Sequence[int]], Sequence[Sequence[int]]],
    score: IntArray,
    drop: float,
    *,
    seed: int,
    draws: int = _DRAWS,
    budgets: int = _BUDGETS,
    steps: int = _STEPS,
) -> IntArray:
    """Sets of thresholds from nobody leaving to everybody, int64 (J, exits - 1), each falling.

    Args:
        best: for images (by their indices, some more than once) and budgets, a set of thresholds
            for each budget.
        score: int64 (exits, N) of these images.
        drop: permitted loss, a fraction.
        seed: of the draws.
        draws: the images are drawn anew so often, and the results averaged.
        budgets: optima along the path.
        steps: most sets from one of them to the next.
    """
    inner, count = len(score) - 1, score.shape[1]
    if not count or not inner:
        return np.full((1, inner), NEVER, np.int64)
    top, low = score[:-1].max(axis=1) + 1, score[:-1].min(axis=1)
    reach = int(np.ceil(_REACH * drop * count)) + _REACH
    losses = np.unique(np.linspace(0, min(reach, count), budgets).astype(np.int64)).tolist()
    random = np.random.default_rng([seed, count, draws])
    found = []
    for _ in range(draws):
        which = np.arange(count)
        if draws > 1:
            which = random.choice(which, count)
        found.append(np.minimum(np.array(best(which, losses), np.int64), top))
    corners = np.vstack([top, np.ceil(np.mean(found, axis=0)).astype(np.int64), low])
    corners = np.minimum.accumulate(corners, axis=0)
    pieces = [np.full((1, inner), NEVER, np.int64)]
    for start, end in pairwise(corners):
        count = int(min((start - end).max(), steps))
        part = np.arange(1, count + 1)[:, None] / max(count, 1)
        pieces.append(np.ceil(start + (end - start) * part).astype(np.int64))
    sets = np.concatenate(pieces)
    return np.where(sets >= top, NEVER, sets)


def first_lost(sets: IntArray, score: IntArray, lost: BoolArray) -> IntArray:
    """The first set of a path that may lose each image, int64 (N,); the number of sets: none.

    An image may be lost when at any exit that would answer it wrongly its score reaches the
    threshold, whether it gets there or not: then all sets that are nowhere lower are tested too.

    Args:
        sets: int64 (J, exits - 1), falling.
        score: int64 (exits, N).
        lost: bool (exits, N), where leaving loses the image.
    """
    found = np.full(score.shape[1], len(sets), np.int64)
    for k in range(sets.shape[1]):
        never = int(np.sum(sets[:, k] == NEVER))
        at = never + np.searchsorted(-sets[never:, k], -score[k], side="left")
        found = np.where(lost[k], np.minimum(found, at), found)
    return found
