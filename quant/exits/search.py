"""The search for exit thresholds: all exits together, the fewest multiplications for some losses.

An image is lost when it leaves with a wrong answer where the last exit has the right one. `best`
knows that the score of an exit does not depend on the thresholds of the exits before it; then few
thresholds are worth trying, and up to four exits the optimum is found. `by_trial` is for the rest:
it asks, for one set of thresholds after the other, what becomes of the images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from exeunt.registers import NEVER

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

Price = Callable[[tuple[int, ...]], tuple[float, int]]
"""What thresholds cost (multiplications of all images together) and how many images they lose."""

_EXACT = 3  # thresholds up to which all are tried together
_MANY = 256  # options of the first exit from which on three or more thresholds are tried coarsely
_ROUNDS = 20
_GRID = 12  # thresholds of an exit that `by_trial` tries at once


@dataclass(frozen=True)
class Options:
    """The thresholds worth trying, and from which on each image leaves.

    Option 0 of every exit is NEVER; the thresholds of the others fall. Between two options of an
    exit lies at least one image that it loses: whoever lets others leave as well pays nothing.

    thresholds: of each exit but the last, int64 (options,).
    group: int64 (exits - 1, N), image i leaves at exit k from option group[k, i] on.
    lost: bool (exits, N), leaving there loses the image.
    cost: float64 (exits,), multiplications of an image that leaves there.
    """

    thresholds: tuple[IntArray, ...]
    group: IntArray
    lost: BoolArray
    cost: FloatArray

    @property
    def inner(self) -> int:
        """Exits that have a threshold."""
        return len(self.thresholds)

    def coarse(self, most: int) -> Options:
        """At most `most` options of each exit, evenly among these."""
        kept = [np.unique(np.linspace(0, len(t) - 1, most).astype(int)) for t in self.thresholds]
        pairs = list(zip(self.thresholds, kept, strict=True))
        group = [np.searchsorted(k, g) for k, g in zip(kept, self.group, strict=True)]
        return Options(
            tuple(t[k] for t, k in pairs),
            np.array(group, np.int64).reshape(self.group.shape),
            self.lost,
            self.cost,
        )

    def taken(self, chosen: Sequence[int]) -> IntArray:
        """The exit (N,) at which each image leaves under one option for each exit."""
        leaves = np.ones(self.lost.shape, bool)
        leaves[:-1] = self.group <= np.asarray(chosen, np.int64)[:, None]
        return leaves.argmax(axis=0).astype(np.int64)

    def price(self, chosen: Sequence[int]) -> tuple[float, int]:
        """Multiplications of all images together, and images lost, under these options."""
        taken = self.taken(chosen)
        return float(self.cost[taken].sum()), int(self.lost[taken, np.arange(len(taken))].sum())


def options(
    score: IntArray,
    lost: BoolArray,
    macs: Sequence[int],
    *,
    tried: Callable[[IntArray], IntArray] = np.unique,
) -> Options:
    """The options of these scores.

    Args:
        score: int64 (exits, N).
        lost: bool (exits, N), leaving there loses the image; nowhere at the last exit.
        macs: multiplications of an image that leaves at exit i, not falling.
        tried: the thresholds that an exit with these scores may have, ascending.
    """
    found, groups = [], []
    for k in range(len(score) - 1):
        falling = tried(score[k])[::-1]
        # image i leaves from threshold number place[i] on
        place = np.searchsorted(-falling, -score[k], side="left")
        losing = np.zeros(len(falling) + 1, bool)
        losing[place[lost[k]]] = True
        # a threshold is worth it where the next one would lose somebody, or is the last
        ends = np.flatnonzero(np.append(losing[1 : len(falling)], True))[: len(falling)]
        found.append(np.concatenate([[NEVER], falling[ends]]).astype(np.int64))
        groups.append(1 + np.searchsorted(ends, place, side="left"))
    count = score.shape[1]
    group = np.array(groups, np.int64) if groups else np.zeros((0, count), np.int64)
    return Options(tuple(found), group, lost, np.asarray(macs, np.float64))


def best(table: Options, budgets: Sequence[int]) -> list[tuple[int, ...]]:
    """For each budget, thresholds of the fewest multiplications that lose at most so many images.

    The optimum for up to three exits, and for four where the budget leaves the first one no more
    than 256 options. Otherwise no change of one threshold makes it better, for small budgets no
    change of two.
    """
    found: list[tuple[int, ...]] = []
    if table.inner == 2 and budgets:
        pairs = _pairs(table, (0, 0), 0, 1, max(budgets))
        assert pairs is not None, "nobody leaving loses nobody"
        found = [pairs.best(budget) or (0, 0) for budget in budgets]
    else:
        for budget in budgets:
            found.append(_best(table, budget, found[-1:]))
    return [tuple(int(t[o]) for t, o in zip(table.thresholds, f, strict=True)) for f in found]


def _best(table: Options, budget: int, known: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The options for one budget; `known` are good ones for another."""
    if table.inner == 0:
        return ()
    if table.inner == 1:
        return _one(table, (0,), 0, budget)
    if _affordable(table, budget) > _MANY:
        rough = table.coarse(_MANY // 2)
        start = _best(rough, budget, ())
        values = [t[o] for t, o in zip(rough.thresholds, start, strict=True)]
        first = tuple(
            int(np.searchsorted(-t, -v)) for t, v in zip(table.thresholds, values, strict=True)
        )
        tried = _swept(table, first, budget) + _swept(table, (0,) * table.inner, budget)
        return min(tried, key=lambda t: table.price(t)[0])
    return _three(table, budget) if table.inner <= _EXACT else _exchanged(table, budget, known)


def _one(table: Options, chosen: tuple[int, ...], k: int, budget: int) -> tuple[int, ...]:
    """The best option of exit k while the others stay."""
    taken = table.taken((*chosen[:k], 0, *chosen[k + 1 :]))
    there = np.flatnonzero(taken > k)
    group, to = table.group[k, there], taken[there]
    size = len(table.thresholds[k])
    saved = _upto(group, table.cost[to] - table.cost[k], size)
    change = table.lost[k, there].astype(float) - table.lost[to, there]
    losses = table.lost[taken, np.arange(len(taken))].sum() + _upto(group, change, size)
    return (*chosen[:k], _most(saved, losses, budget, chosen[k]), *chosen[k + 1 :])


def _upto(group: IntArray, weight: FloatArray, size: int) -> FloatArray:
    """Sum of the weights of the groups up to each option."""
    found: FloatArray = np.cumsum(np.bincount(group, weight, minlength=size)[:size])
    return found


def _most(saved: FloatArray, losses: FloatArray, budget: int, otherwise: int) -> int:
    """The option that saves most within the budget, then loses least, then comes first."""
    allowed = losses <= budget
    if not allowed.any():
        return otherwise
    top = allowed & (saved == saved[allowed].max())
    return int(np.flatnonzero(top & (losses == losses[top].min()))[0])


def _two(
    table: Options, chosen: tuple[int, ...], j: int, k: int, budget: int
) -> tuple[int, ...] | None:
    """The best options of exits j < k while the others stay; None: all lose too many."""
    pairs = _pairs(table, chosen, j, k, budget)
    found = None if pairs is None else pairs.best(budget)
    if found is None:
        return None
    return (*chosen[:j], found[0], *chosen[j + 1 : k], found[1], *chosen[k + 1 :])


@dataclass(frozen=True)
class _Pairs:
    """What every option of one exit with every one of another saves and loses, (J, K) each."""

    saved: FloatArray
    losses: FloatArray

    def best(self, budget: int) -> tuple[int, int] | None:
        """The options within the budget; None: all lose too many."""
        at = _most(self.saved.ravel(), self.losses.ravel(), budget, -1)
        return None if at < 0 else divmod(at, self.saved.shape[1])


def _pairs(table: Options, chosen: tuple[int, ...], j: int, k: int, budget: int) -> _Pairs | None:
    """The options of exits j < k while the others stay; None: all lose more than the budget.

    They are cumulative sums of a histogram of the images by their two groups. Options that lose too
    many by themselves are left out.
    """
    rest = list(chosen)
    rest[j] = rest[k] = 0
    taken = table.taken(rest)
    everyone = np.arange(len(taken))
    there = np.flatnonzero(taken > j)
    to = taken[there]
    lost, lost_to = table.lost, table.lost[to, there].astype(float)
    before = int(lost[taken, everyone].sum())
    room = budget - (before - int(lost_to.sum()))
    # the place behind the last option is "stays"
    group_j = table.group[j, there]
    alone = _upto(group_j, lost[j, there].astype(float), len(table.thresholds[j]))
    size_j = int(np.searchsorted(alone, room, side="right"))
    if not size_j:
        return None
    group_j = np.minimum(group_j, size_j)
    group_k = np.where(to > k, table.group[k, there], len(table.thresholds[k]))
    stay = group_j == size_j
    alone = _upto(group_k[stay], lost[k, there[stay]].astype(float), len(table.thresholds[k]))
    size_k = max(1, int(np.searchsorted(alone, room, side="right")))
    group_k = np.minimum(group_k, size_k)
    place = group_j * (size_k + 1) + group_k

    def total(at_j: FloatArray, at_k: FloatArray) -> FloatArray:
        """Over the images that leave at j, and those that stay there and leave at k."""
        first = _upto(group_j, at_j, size_j)
        pairs = np.bincount(place, at_k, minlength=(size_j + 1) * (size_k + 1))
        pairs = pairs.reshape(size_j + 1, size_k + 1)[:, :size_k].cumsum(axis=1)
        later = pairs[::-1].cumsum(axis=0)[::-1][1:]
        found: FloatArray = first[:, None] + later
        return found

    saved = total(table.cost[to] - table.cost[j], table.cost[to] - table.cost[k])
    losses = before + total(lost[j, there] - lost_to, lost[k, there] - lost_to)
    return _Pairs(saved, losses)


def _three(table: Options, budget: int) -> tuple[int, ...]:
    """The optimum of three thresholds."""
    found: tuple[int, ...] = (0, 0, 0)
    least = np.inf
    for option in reversed(range(_affordable(table, budget))):
        leave = table.group[0] <= option
        count = int(leave.sum())
        if count * table.cost[0] + (len(leave) - count) * table.cost[1] >= least:
            continue  # even if all others left at the next exit
        tried = _two(table, (option, 0, 0), 1, 2, budget)
        if tried is not None and (cost := table.price(tried)[0]) < least:
            found, least = tried, cost
    return found


def _affordable(table: Options, budget: int) -> int:
    """Options of the first exit that lose no more than the budget; NEVER is always one."""
    alone = _upto(table.group[0], table.lost[0].astype(float), len(table.thresholds[0]))
    return int(np.searchsorted(alone, budget, side="right"))


def _swept(table: Options, start: tuple[int, ...], budget: int) -> list[tuple[int, ...]]:
    """One exit after the other until none helps, from the first on and from the last.

    Who gets the budget first matters. The start must keep the budget.
    """
    results = []
    for order in (range(table.inner), range(table.inner - 1, -1, -1)):
        now = start
        for _ in range(_ROUNDS):
            before = now
            for k in order:
                now = _one(table, now, k, budget)
            if now == before:
                break
        results.append(now)
    return results


def _exchanged(
    table: Options, budget: int, known: Sequence[tuple[int, ...]] = ()
) -> tuple[int, ...]:
    """Good options of many exits: from several starts, two exits at a time until none helps."""
    inner = table.inner
    starts = [s for s in known if table.price(s)[1] <= budget]
    starts += _swept(table, (0,) * inner, budget)
    pairs = [(j, k) for j in range(inner) for k in range(j + 1, inner)]
    results = []
    for start in dict.fromkeys(starts):
        now = start
        for _ in range(_ROUNDS):
            before = now
            for j, k in pairs:
                now = _two(table, now, j, k, budget) or now
            if now == before:
                break
        results.append(now)
    return min(results, key=lambda t: table.price(t)[0])


def by_trial(
    price: Price, candidates: Sequence[IntArray], budget: int, *, start: Sequence[int] | None = None
) -> tuple[int, ...]:
    """Thresholds of low cost that lose at most `budget` images, where only trying tells.

    For criteria whose scores at an exit depend on the thresholds before it. Starting from everyone
    staying to the end (and from `start`), each exit in turn tries a grid over its candidates, then
    finer ones around the best; then neighbouring exits do so together. No set is tried twice.

    Args:
        price: what a set of thresholds costs and loses; NEVER everywhere must lose nobody.
        candidates: thresholds worth trying, ascending, for each exit but the last.
        budget: images that may be lost.
        start: thresholds to start from as well.
    """
    falling = [np.asarray(c, np.int64)[::-1] for c in candidates]
    lists = [np.concatenate([[NEVER], c[c != NEVER]]).astype(np.int64) for c in falling]
    known: dict[tuple[int, ...], tuple[float, int]] = {}

    def cost(thresholds: tuple[int, ...]) -> tuple[float, int]:
        if thresholds not in known:
            total, losses = price(thresholds)
            known[thresholds] = (total, losses) if losses <= budget else (np.inf, losses)
        return known[thresholds]

    inner = range(len(lists))
    moves = [*((k,) for k in inner), *((k,) for k in reversed(inner)), *pairwise(inner)]
    results = []
    for first in [(NEVER,) * len(lists), *([tuple(map(int, start))] if start is not None else [])]:
        now = first
        for _ in range(_ROUNDS):
            before = now
            for move in moves:
                now = _refined(cost, now, move, lists)
            if now == before:
                break
        results.append(now)
    return min(results, key=cost)


def _refined(
    cost: Price, now: tuple[int, ...], move: tuple[int, ...], lists: Sequence[IntArray]
) -> tuple[int, ...]:
    """The best found for the exits of a move: a grid over all of the first, then finer ones.

    For each of its thresholds the other exits of the move are refined as well.
    """
    if not move:
        return now
    k, low, high = move[0], 0, len(lists[move[0]]) - 1
    found = now
    while True:
        places = np.unique(np.linspace(low, high, min(_GRID, high - low + 1)).astype(np.int64))
        tried = []
        for place in places:
            with_it = (*now[:k], int(lists[k][place]), *now[k + 1 :])
            tried.append(_refined(cost, with_it, move[1:], lists))
        at = min(range(len(tried)), key=lambda i: cost(tried[i]))
        found = min(found, tried[at], key=cost)
        if high - low < _GRID:
            return found
        low, high = int(places[max(at - 1, 0)]), int(places[min(at + 1, len(places) - 1)])
