"""Lists that are made cheaper step by step: the planted list is reached, and no more is changed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from exeunt.quant.rules.learners import NONE, Choice, Comparison, assigned, cuts_of
from exeunt.quant.rules.refinement import Lists, refined

STATISTICS = np.random.default_rng(5).integers(0, 100, (600, 2))
CUTS = [np.arange(5, 100, 5), np.arange(5, 100, 5)]
WANTED = [
    [Choice((Comparison(0, True, 40),), 1), Choice((), 2)],
    [Choice((Comparison(1, False, 70), Comparison(0, False, 20)), 3), Choice((), 1)],
]


def far(lists: Lists) -> float:
    """How many images get another modification than by the wanted lists, in all looks."""
    found = 100
    for got, wanted in zip(lists, WANTED, strict=True):
        found += int(np.sum(assigned(got, STATISTICS) != assigned(wanted, STATISTICS)))
    return float(found)


def test_modifications_and_thresholds_are_found() -> None:
    start = [
        [Choice((Comparison(0, True, 25),), 3), Choice((), 1)],
        [Choice((Comparison(1, False, 55), Comparison(0, False, 35)), 2), Choice((), 2)],
    ]
    assert refined(start, far, modifications=4, cuts=CUTS) == WANTED


def test_what_is_best_stays() -> None:
    asked: list[Lists] = []

    def price(lists: Lists) -> float:
        asked.append(lists)
        return far(lists)

    assert refined(WANTED, price, modifications=4, cuts=CUTS) == WANTED
    # modification 0 changes nothing and is no rule of a look
    assert all(c.modification != NONE for lists in asked for choices in lists for c in choices)
    assert {(len(a), len(b)) for a, b in asked} == {(2, 2)}


def test_a_gain_that_may_be_chance_is_not_followed() -> None:
    start = [[Choice((), 1)]]

    def price(lists: Lists) -> float:
        return 10_000.0 - lists[0][0].modification

    assert refined(start, price, modifications=4, cuts=CUTS) == start
    assert refined(start, lambda x: price(x) - 9_990, modifications=4, cuts=CUTS) == [
        [Choice((), 3)]
    ]


def test_conditions_never_come_to_contradict_each_other() -> None:
    between = (Comparison(0, False, 40), Comparison(0, True, 45))
    seen: set[Sequence[Comparison]] = set()

    def price(lists: Lists) -> float:
        seen.add(lists[0][0].tests)
        return 1.0

    refined([[Choice(between, 1), Choice((), 1)]], price, modifications=2, cuts=CUTS)
    assert {(low.threshold, high.threshold) for low, high in seen} == {
        (40, 45), (30, 45), (35, 45), (40, 50), (40, 55),
    }  # fmt: skip


def test_cuts_of_statistics() -> None:
    cuts = cuts_of(np.array([[k, 7] for k in range(160)]))
    assert len(cuts[0]) == 15
    assert (np.diff(cuts[0]) > 0).all()
    assert cuts[1].tolist() == [7]
