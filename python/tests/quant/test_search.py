"""The search for thresholds against trying all, and against the sweep that it replaced."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest

from exeunt.quant.exits import search
from exeunt.registers import NEVER

MACS = (10, 60, 300, 500, 700, 900, 1000, 1200)


def made_up(seed: int, images: int, exits: int, *, step: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Margins int64 (exits, N) and losses bool (exits, N) of exits that get better."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 5, images)
    hard = np.abs(random.normal(0, 6, images))
    score = np.zeros((exits, images), np.int64)
    right = np.zeros((exits, images), bool)
    for k in range(exits):
        logits = random.normal(0, 6 - 4 * k / exits, (images, 5))
        logits[np.arange(images), labels] += 12 + 8 / exits * k - hard
        logits = np.rint(logits * step)
        ordered = np.sort(logits, axis=1)
        score[k] = ordered[:, -1] - ordered[:, -2]
        right[k] = logits.argmax(axis=1) == labels
    return score, right[-1] & ~right


def taken(score: np.ndarray, thresholds: tuple[int, ...]) -> np.ndarray:
    """The exit of every image, written down once more."""
    out = np.full(score.shape[1], len(score) - 1)
    for k in reversed(range(len(score) - 1)):
        if thresholds[k] != NEVER:
            out[score[k] >= thresholds[k]] = k
    return out


def price(score, lost, macs, thresholds) -> tuple[int, int]:
    """Multiplications of all images, and images lost."""
    exits = taken(score, thresholds)
    return int(np.array(macs)[exits].sum()), int(lost[exits, np.arange(len(exits))].sum())


def exhaustive(score, lost, macs, budget, values=None) -> int:
    """The fewest multiplications that any thresholds within the budget take."""
    values = values or [[*np.unique(row).tolist(), NEVER] for row in score[:-1]]
    found = (price(score, lost, macs, t) for t in itertools.product(*values))
    return min(cost for cost, losses in found if losses <= budget)


def sweep(score, lost, macs, budget) -> int:
    """What the greedy sweep of release 0.2.0 reached: exit by exit, in both directions."""
    cost = np.array(macs, float)
    best = cost[-1] * score.shape[1]
    for order in (range(len(score) - 1), range(len(score) - 2, -1, -1)):
        thresholds = [NEVER] * (len(score) - 1)
        for _ in range(3):
            for k in order:
                thresholds[k] = cheapest(score, lost, thresholds, k, cost, budget)
        best = min(best, price(score, lost, macs, tuple(thresholds))[0])
    return int(best)


def cheapest(score, lost, thresholds, k, cost, budget) -> int:
    exits = taken(score, (*thresholds[:k], NEVER, *thresholds[k + 1 :]))
    there = np.flatnonzero(exits > k)
    if not len(there):
        return NEVER
    order = there[np.argsort(-score[k, there], kind="stable")]
    values = score[k, order]
    saved = np.cumsum(cost[exits[order]] - cost[k])
    losses = lost[exits, np.arange(len(exits))].sum() + np.cumsum(
        lost[k, order].astype(int) - lost[exits[order], order]
    )
    ends = np.append(values[1:] != values[:-1], True)
    good = ends & (losses <= budget) & (saved > 0)
    return int(values[good][np.argmax(saved[good])]) if good.any() else NEVER


@pytest.mark.parametrize("exits", [2, 3])
@pytest.mark.parametrize("seed", range(8))
def test_up_to_three_exits_it_is_the_optimum(seed, exits):
    step = (1, 9)[seed % 2]  # many ties, and hardly any
    score, lost = made_up(seed, 80, exits, step=step)
    macs = MACS[:exits]
    table = search.options(score, lost, macs)
    budgets = [0, 1, 3, 9, 80]
    for budget, found in zip(budgets, search.best(table, budgets), strict=True):
        cost, losses = price(score, lost, macs, found)
        assert losses <= budget
        assert cost == exhaustive(score, lost, macs, budget)


@pytest.mark.parametrize("seed", range(4))
def test_of_four_exits_it_is_the_optimum_too(seed):
    score, lost = made_up(seed, 50, 4)
    table = search.options(score, lost, MACS[:4])
    for budget in (0, 2, 6):
        (found,) = search.best(table, [budget])
        assert price(score, lost, MACS[:4], found)[1] <= budget
        assert price(score, lost, MACS, found)[0] == exhaustive(score, lost, MACS[:4], budget)


@pytest.mark.parametrize("exits", [2, 3, 4, 8])
def test_never_worse_than_the_sweep_on_fifty_tables(exits):
    better = 0
    for seed in range(50):
        score, lost = made_up(100 + seed, 200, exits, step=(1, 50)[seed % 2])
        table = search.options(score, lost, MACS[:exits])
        for budget in (1, 6):
            (found,) = search.best(table, [budget])
            cost, losses = price(score, lost, MACS[:exits], found)
            before = sweep(score, lost, MACS[:exits], budget)
            assert losses <= budget
            assert cost <= before
            better += cost < before
    assert exits == 2 or better > 10


def test_ties_leave_together():
    score = np.array([[5, 5, 5, 9], [0, 0, 0, 0]])
    lost = np.array([[False, True, False, False], [False] * 4])
    table = search.options(score, lost, (1, 10))
    assert search.best(table, [0, 1]) == [(9,), (5,)]


def test_never_where_an_exit_does_not_pay():
    score = np.array([[5, 4, 3], [7, 7, 7], [0, 0, 0]])
    lost = np.array([[True] * 3, [False] * 3, [False] * 3])
    table = search.options(score, lost, (1, 2, 3))
    assert search.best(table, [0]) == [(NEVER, 7)]
    assert search.best(search.options(score, lost[[0, 0, 2]], (1, 2, 3)), [0]) == [(NEVER, NEVER)]
    free = search.options(score, ~lost & False, (3, 3, 3))  # leaving early saves nothing
    assert search.best(free, [0]) == [(NEVER, NEVER)]


def test_everybody_where_everybody_may():
    score, lost = made_up(0, 50, 3)
    table = search.options(score, lost, (1, 2, 3))
    assert search.best(table, [50]) == [(int(score[0].min()), NEVER)]


def test_one_exit_has_nothing_to_choose():
    score, lost = made_up(0, 10, 1)
    assert search.best(search.options(score, lost, (7,)), [0, 3]) == [(), ()]


def test_only_the_thresholds_that_a_criterion_has_are_tried():
    score, lost = made_up(3, 120, 3, step=9)

    def tens(values):
        return np.unique(values // 10 * 10)

    table = search.options(score, lost, MACS[:3], tried=tens)
    values = [[*tens(row).tolist(), NEVER] for row in score[:-1]]
    for budget, found in zip((1, 6), search.best(table, (1, 6)), strict=True):
        assert all(t == NEVER or t % 10 == 0 for t in found)
        cost = price(score, lost, MACS, found)[0]
        assert cost == exhaustive(score, lost, MACS[:3], budget, values)


def test_coarse_options_keep_the_budget_and_the_first_and_last():
    score, lost = made_up(1, 600, 3, step=50)
    table = search.options(score, lost, MACS[:3])
    rough = table.coarse(16)
    assert [len(t) for t in rough.thresholds] == [16, 16]
    for k in range(2):
        assert rough.thresholds[k][0] == NEVER
        assert rough.thresholds[k][-1] == table.thresholds[k][-1]
    (found,) = search.best(rough, [9])
    cost, losses = price(score, lost, MACS[:3], found)
    assert losses <= 9
    options = [int(np.searchsorted(-t, -f)) for t, f in zip(rough.thresholds, found, strict=True)]
    assert rough.price(options) == (cost, losses)
    assert cost >= exhaustive(score[:, :100], lost[:, :100], MACS[:3], 9)


@pytest.mark.parametrize(("exits", "budgets"), [(3, (25, 50)), (8, (25,)), (4, (900,))])
def test_ten_thousand_images_take_seconds_at_most(exits, budgets):
    score, lost = made_up(5, 10_000, exits, step=1000)
    table = search.options(score, lost, MACS[:exits])
    started = time.process_time()
    for budget, found in zip(budgets, search.best(table, budgets), strict=True):
        cost, losses = price(score, lost, MACS, found)
        assert losses <= budget
        assert cost <= sweep(score, lost, MACS[:exits], budget)
    assert time.process_time() - started < 8  # a fraction of a second to two


def masked(seed: int):
    """A criterion whose second score depends on the first threshold, as a price."""
    score, lost = made_up(seed, 300, 3)

    def seen(thresholds):
        harder = np.maximum(score[1] - 3 * (score[0] < thresholds[0] // 2), 0)
        return price(np.stack([score[0], harder, score[2]]), lost, MACS[:3], thresholds)

    return score, seen


@pytest.mark.parametrize("seed", range(6))
def test_where_only_trying_tells_the_result_is_near_the_best(seed):
    score, seen = masked(seed)
    candidates = [np.unique(score[k]) for k in range(2)]
    for budget in (0, 3, 10):
        tried: list[tuple[int, ...]] = []

        def counted(thresholds, tried=tried):
            tried.append(thresholds)
            return seen(thresholds)

        found = search.by_trial(counted, candidates, budget)
        values = [[*c.tolist(), NEVER] for c in candidates]
        prices = [seen(t) for t in itertools.product(*values)]
        least = min(cost for cost, losses in prices if losses <= budget)
        cost, losses = seen(found)
        assert losses <= budget
        assert cost <= 1.1 * least
        assert len(tried) == len(set(tried)) < len(prices)


def test_a_start_is_never_made_worse():
    score, seen = masked(2)
    candidates = [np.unique(score[k])[::7] for k in range(2)]
    start = (int(np.unique(score[0])[-3]), NEVER)
    budget = seen(start)[1]
    found = search.by_trial(seen, candidates, budget, start=start)
    assert seen(found)[0] <= seen(start)[0]
    assert seen(found)[1] <= budget
