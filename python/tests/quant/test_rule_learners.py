"""Rule lists that are learned: planted rules must be found, useless ones must go."""

from __future__ import annotations

import numpy as np
import pytest

from exeunt.quant.rules.learners import (
    LEARNERS,
    NONE,
    Choice,
    Comparison,
    Limits,
    applied,
    assigned,
    pruned,
    total,
)

COUNT = 400


@pytest.fixture(scope="module")
def planted() -> tuple[np.ndarray, np.ndarray]:
    """Statistics (N, 3), worth (N, 4): modification 1 below 50 of the second, 2 from there on."""
    draw = np.random.default_rng(3)
    statistics = draw.integers(0, 100, (COUNT, 3))
    low = statistics[:, 1] < 50
    worth = np.zeros((COUNT, 4))
    worth[:, 1] = np.where(low, 1.0, -1.0)
    worth[:, 2] = np.where(low, -1.0, 1.0)
    worth[:, 3] = 0.1
    return statistics, worth


@pytest.mark.parametrize("name", ["covering", "tree"])
def test_a_planted_rule_is_found(name: str, planted: tuple[np.ndarray, np.ndarray]) -> None:
    statistics, worth = planted
    found = LEARNERS[name](statistics, worth, Limits(4, 2))
    assert 1 <= len(found) <= 4
    assert {t.statistic for c in found for t in c.tests} == {1}
    assert total(found, statistics, worth) > 0.9 * COUNT


def test_a_tree_is_read_as_it_decides() -> None:
    """Two cuts of one statistic: each part gets its modification, the most gainful rule first."""
    statistics = np.arange(300)[:, None]
    worth = np.zeros((300, 4))
    for modification, (low, high, gain) in enumerate(
        [(0, 60, 1.0), (60, 200, 5.0), (200, 300, 2.0)]
    ):
        worth[low:high, modification + 1] = gain
    found = LEARNERS["tree"](statistics, worth, Limits(3, 3))
    assert [c.modification for c in found] == [2, 3, 1]
    assert assigned(found, statistics).tolist() == [1] * 60 + [2] * 140 + [3] * 100
    assert [int(c.holds(statistics).sum()) for c in found] == [140, 100, 60]


def test_one_modification_for_all_is_the_best_one(
    planted: tuple[np.ndarray, np.ndarray],
) -> None:
    statistics, worth = planted
    (choice,) = LEARNERS["single"](statistics, worth, Limits())
    assert choice == Choice((), int(worth.sum(axis=0).argmax()))
    assert LEARNERS["single"](statistics, -np.abs(worth), Limits()) == []


@pytest.mark.parametrize("name", sorted(LEARNERS))
@pytest.mark.parametrize("limits", [Limits(1, 1), Limits(3, 1), Limits(8, 4)])
def test_lists_keep_their_limits(
    name: str, limits: Limits, planted: tuple[np.ndarray, np.ndarray]
) -> None:
    statistics, worth = planted
    noise = worth + np.random.default_rng(0).normal(0, 1, worth.shape)
    found = LEARNERS[name](statistics, noise, limits)
    assert len(found) <= max(limits.rules, 2 if name == "tree" else 1)
    assert all(len(c.tests) <= limits.conditions for c in found)
    assert found == LEARNERS[name](statistics, noise, limits)


def test_the_first_rule_that_matches_wins() -> None:
    statistics = np.array([[1], [5], [9]])
    choices = [Choice((Comparison(0, True, 6),), 2), Choice((Comparison(0, True, 3),), 1)]
    assert assigned(choices, statistics).tolist() == [2, 2, NONE]
    assert applied(choices, statistics).tolist() == [0, 0, 2]
    assert assigned(choices[::-1], statistics).tolist() == [1, 2, NONE]


def test_pruning_takes_out_what_does_not_pay(planted: tuple[np.ndarray, np.ndarray]) -> None:
    statistics, worth = planted
    useless = Comparison(0, False, 0)  # holds for every image
    long = [
        Choice((Comparison(1, True, 50), useless), 1),
        Choice((Comparison(1, True, 20),), 3),  # never reached
        Choice((), 2),
    ]
    kept = pruned(long, lambda c: -total(c, statistics, worth))
    assert kept == [Choice((Comparison(1, True, 50),), 1), Choice((), 2)]
