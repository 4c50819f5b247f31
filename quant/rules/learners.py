"""Rule lists from what each modification is worth to each image: four ways of learning them.

A learner sees statistics of images and, for each image and modification, a worth; it never sees a
label or an answer. The result is an ordered list: the first rule whose conditions all hold says
which modification the image gets; the last rule may have no conditions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

NONE = 0  # the modification that changes nothing, always the first one
_CUTS = 15  # thresholds of a statistic that are tried, at quantiles of the images
_COVER = 0.01  # of the images that a rule must apply to
_CLEARER = 1.15  # by which factor another condition must raise what a rule gains


@dataclass(frozen=True)
class Comparison:
    """Column `statistic` of the statistics is at least `threshold`, or `below` it."""

    statistic: int
    below: bool
    threshold: int

    def holds(self, statistics: IntArray) -> BoolArray:
        """Of which images (N, S) it is true, bool (N,)."""
        column = statistics[:, self.statistic]
        return column < self.threshold if self.below else column >= self.threshold


@dataclass(frozen=True)
class Choice:
    """One rule: if all `tests` hold, the modification with this number."""

    tests: tuple[Comparison, ...]
    modification: int

    def holds(self, statistics: IntArray) -> BoolArray:
        """Of which images (N, S) all tests are true, bool (N,)."""
        found = np.ones(len(statistics), bool)
        for test in self.tests:
            found &= test.holds(statistics)
        return found


@dataclass(frozen=True)
class Limits:
    """How long a list and a rule may be."""

    rules: int = 8
    conditions: int = 4


def assigned(choices: Sequence[Choice], statistics: IntArray) -> IntArray:
    """The modification that each image (N, S) gets, int64 (N,); NONE where no rule applies."""
    found = np.full(len(statistics), NONE, np.int64)
    for choice in reversed(choices):
        found[choice.holds(statistics)] = choice.modification
    return found


def applied(choices: Sequence[Choice], statistics: IntArray) -> IntArray:
    """The rule that applies to each image (N, S), int64 (N,); the number of rules where none."""
    found = np.full(len(statistics), len(choices), np.int64)
    for number in reversed(range(len(choices))):
        found[choices[number].holds(statistics)] = number
    return found


def total(choices: Sequence[Choice], statistics: IntArray, worth: FloatArray) -> float:
    """What a list is worth to images (N, S), by the worth (N, M) of each modification."""
    return float(worth[np.arange(len(worth)), assigned(choices, statistics)].sum())


def single(statistics: IntArray, worth: FloatArray, limits: Limits) -> list[Choice]:
    """One modification for all images: the one that is worth most."""
    del statistics, limits
    best = int(worth.sum(axis=0).argmax())
    return [] if best == NONE else [Choice((), best)]


def covering(statistics: IntArray, worth: FloatArray, limits: Limits) -> list[Choice]:
    """Rules one after the other, each the best for the images that those before it leave.

    A rule grows condition by condition while that makes it clearly better than what the images of
    the rule would get anyway, which is the best single modification (sequential covering).
    """
    default = int(worth.sum(axis=0).argmax())
    cuts = cuts_of(statistics)
    rest = np.ones(len(worth), bool)
    least = max(1, int(_COVER * len(worth)))
    found: list[Choice] = []
    while len(found) < limits.rules - (default != NONE):
        tests: tuple[Comparison, ...] = ()
        cover, gained, best = rest, 0.0, default
        for _ in range(limits.conditions):
            tried = _condition(statistics, worth, cover, cuts, default, least)
            if tried is None or tried[0] <= gained * (_CLEARER if tests else 1.0):
                break
            gained, test, best = tried
            tests = (*tests, test)
            cover = cover & test.holds(statistics)
        if not tests:
            break
        found.append(Choice(_merged(tests), best))
        rest = rest & ~cover
    return [*found, Choice((), default)] if default != NONE else found


def cuts_of(statistics: IntArray) -> list[IntArray]:
    """Thresholds worth trying for each statistic of images (N, S), ascending."""
    places = np.linspace(0, 1, _CUTS + 2)[1:-1]
    columns = [np.unique(np.floor(np.quantile(s, places))) for s in statistics.T]
    return [c.astype(np.int64) for c in columns]


def _condition(
    statistics: IntArray,
    worth: FloatArray,
    cover: BoolArray,
    cuts: Sequence[IntArray],
    default: int,
    least: int,
) -> tuple[float, Comparison, int] | None:
    """The condition whose images gain most by one modification: gain, condition, modification."""
    here = np.flatnonzero(cover)
    gains = worth[here] - worth[here, default][:, None]
    everyone = gains.sum(axis=0)
    best: tuple[float, Comparison, int] | None = None
    for column, thresholds in enumerate(cuts):
        # sums over the images between two thresholds, then over all below each
        place = np.searchsorted(thresholds, statistics[here, column], side="right")
        sums = np.zeros((len(thresholds) + 1, worth.shape[1]))
        np.add.at(sums, place, gains)
        below = sums.cumsum(axis=0)[:-1]
        counts = np.bincount(place, minlength=len(thresholds) + 1).cumsum()[:-1]
        for is_below, table, count in (
            (True, below, counts),
            (False, everyone - below, len(here) - counts),
        ):
            if not len(thresholds):
                continue
            table = np.where((count >= least)[:, None], table, -np.inf)
            at, modification = np.unravel_index(int(table.argmax()), table.shape)
            gain = float(table[at, modification])
            if gain > 0 and (best is None or gain > best[0]):
                test = Comparison(column, is_below, int(thresholds[at]))
                best = gain, test, int(modification)
    return best


def tree(statistics: IntArray, worth: FloatArray, limits: Limits) -> list[Choice]:
    """The leaves of scikit-learn's regression tree of the worth, the most gainful first."""
    from sklearn.tree import DecisionTreeRegressor

    made = DecisionTreeRegressor(
        max_leaf_nodes=max(2, limits.rules),
        max_depth=limits.conditions,
        min_samples_leaf=max(1, int(_COVER * len(worth))),
        random_state=0,
    ).fit(statistics, worth)
    inner = made.tree_
    found: list[tuple[float, Choice]] = []

    def walk(node: int, tests: tuple[Comparison, ...]) -> None:
        if inner.children_left[node] < 0:
            choice = Choice(_merged(tests), int(inner.value[node].ravel().argmax()))
            gain = inner.value[node].ravel().max() * inner.n_node_samples[node]
            found.append((float(gain), choice))
            return
        column, cut = int(inner.feature[node]), int(np.floor(inner.threshold[node])) + 1
        walk(inner.children_left[node], (*tests, Comparison(column, True, cut)))
        walk(inner.children_right[node], (*tests, Comparison(column, False, cut)))

    walk(0, ())
    ordered = [choice for _, choice in sorted(found, key=lambda f: -f[0])]
    return [c for c in ordered if c.modification != NONE]


def _merged(tests: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """The same with one condition for each statistic and direction."""
    tightest: dict[tuple[int, bool], int] = {}
    for test in tests:
        key = (test.statistic, test.below)
        known = tightest.get(key, test.threshold)
        tightest[key] = (min if test.below else max)(known, test.threshold)
    return tuple(Comparison(column, below, at) for (column, below), at in tightest.items())


def random(
    statistics: IntArray, worth: FloatArray, limits: Limits, *, seed: int = 0
) -> list[Choice]:
    """Rules of drawn conditions and drawn modifications: what no learning gives."""
    draw = np.random.default_rng([seed, worth.shape[1]])
    cuts = [c if len(c) else np.zeros(1, np.int64) for c in cuts_of(statistics)]
    found = []
    for _ in range(limits.rules):
        column = int(draw.integers(len(cuts)))
        test = Comparison(column, bool(draw.integers(2)), int(draw.choice(cuts[column])))
        found.append(Choice((test,), int(draw.integers(1, worth.shape[1]))))
    return found


LEARNERS: dict[str, Callable[[IntArray, FloatArray, Limits], list[Choice]]] = {
    "covering": covering,
    "tree": tree,
    "single": single,
    "random": random,
}


Price = Callable[[Sequence[Choice]], float]
"""What a list costs; `pruned` makes lists cheaper."""


def pruned(choices: Sequence[Choice], price: Price) -> list[Choice]:
    """The list without the conditions and rules that do not lower its price on other images.

    One at a time goes whose loss raises the price least, as long as it does not rise.
    """
    now, cost = list(choices), price(choices)
    while now:
        tried = [(price(other), other) for other in _shorter(now)]
        least, other = min(tried, key=lambda t: (t[0], len(t[1])))
        if least > cost:
            return now
        now, cost = other, least
    return now


def _shorter(choices: Sequence[Choice]) -> list[list[Choice]]:
    """All lists with one rule or one condition less."""
    found = []
    for k, choice in enumerate(choices):
        rest = list(choices)
        found.append(rest[:k] + rest[k + 1 :])
        for t in range(len(choice.tests)):
            tests = choice.tests[:t] + choice.tests[t + 1 :]
            if tests or k == len(choices) - 1:
                found.append([*rest[:k], Choice(tests, choice.modification), *rest[k + 1 :]])
    return found
