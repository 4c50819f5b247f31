"""Lists of rules made cheaper step by step, by the price that they have together.

A learner goes by what modifications are worth image by image, at thresholds that it guesses. What
counts is the price of all lists at the thresholds that are best for them. So, list after list and
rule after rule, every other modification is tried, and every condition's threshold somewhat lower
and higher; what lowers the price most is kept (coordinate descent).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from exeunt.quant.rules.learners import Choice, Comparison, IntArray

Lists = Sequence[Sequence[Choice]]

_NEAR = 2  # thresholds tried on either side of a condition's
_GAIN = 0.0005  # of the price, which a step must bring, so that chance is not followed
_SWEEPS = 4


def refined(
    lists: Lists,
    price: Callable[[Lists], float],
    *,
    modifications: int,
    cuts: Sequence[IntArray],
    told: Callable[[float], None] = lambda _: None,
) -> list[list[Choice]]:
    """Lists of rules with a lower price, as many rules and conditions as before.

    Args:
        lists: of each look.
        price: of such lists, to be made low.
        modifications: how many there are; number 0, which changes nothing, is never chosen.
        cuts: thresholds of each statistic that are tried, ascending.
        told: of the share that is done, 0 to 1, at least.
    """
    now, cost = [list(choices) for choices in lists], price(lists)
    rules = [(look, k) for look in reversed(range(len(now))) for k in range(len(now[look]))]
    for sweep in range(_SWEEPS):
        before = cost
        for number, (look, k) in enumerate(rules):
            told((sweep + number / len(rules)) / _SWEEPS)
            for step in (
                partial(_modified, modifications=modifications),
                partial(_moved, cuts=cuts),
            ):
                tried = [_with(now, look, k, other) for other in step(now[look][k])]
                prices = [price(found) for found in tried]
                if prices and min(prices) < cost * (1.0 - _GAIN):
                    best = int(np.argmin(prices))
                    now, cost = tried[best], prices[best]
        if cost == before:
            break
    return now


def _with(lists: Lists, look: int, k: int, choice: Choice) -> list[list[Choice]]:
    """The lists with another rule in one place."""
    found = [list(choices) for choices in lists]
    found[look][k] = choice
    return found


def _modified(choice: Choice, modifications: int) -> Iterator[Choice]:
    """The rule with every modification."""
    return (replace(choice, modification=number) for number in range(1, modifications))


def _moved(choice: Choice, cuts: Sequence[IntArray]) -> Iterator[Choice]:
    """The rule with one of its thresholds somewhat lower or higher."""
    for place, test in enumerate(choice.tests):
        known = cuts[test.statistic]
        below = known[known < test.threshold][-_NEAR:]
        above = known[known > test.threshold][:_NEAR]
        for threshold in (*below.tolist(), *above.tolist()):
            tests = list(choice.tests)
            tests[place] = replace(test, threshold=threshold)
            if not _contradictory(tests):
                yield Choice(tuple(tests), choice.modification)


def _contradictory(tests: Sequence[Comparison]) -> bool:
    """Whether no image meets two conditions on one statistic."""
    return any(
        low.threshold >= high.threshold
        for low in tests
        for high in tests
        if low.statistic == high.statistic and high.below and not low.below
    )
