"""Lists of looks from evidence that is made by hand: worths, prices, and when a look pays."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from exeunt.config.rules import Rules
from exeunt.quant.rules import learn
from exeunt.quant.rules.evidence import Subject
from exeunt.quant.rules.learners import NONE, Choice, Comparison
from exeunt.rules import NOTHING, Condition, Modification, Rule

SHIFT, LIFT = Modification(dx=1), Modification(dy=1)
ALWAYS = [Choice((), 1)]


def subject(macs: tuple[int, int]) -> Subject:
    """Two exits of two classes, scored by the margin; no network is asked."""
    network: Any = SimpleNamespace(scales=(1.0, 1.0))
    return Subject(network, network, "margin", macs)


def part(
    first: list[int], views: list[list[int]], *, others: int = 0, others_lost: int = 0
) -> learn.Part:
    """Images of class 0 by their margins for it: at exit 0, and of each modification's view."""

    def logits(margins: list[int]) -> np.ndarray:
        return np.stack([np.array(margins), np.zeros(len(margins), int)], axis=1)

    count = len(first)
    return learn.Part(
        np.arange(count), np.full((count, 7), 100), np.zeros(count, np.int64),
        (logits(first), logits([50] * count)),
        np.stack([logits(v) for v in [first, *views]]).astype(np.int32), others, others_lost,
    )  # fmt: skip


def learner(
    images: learn.Part, *, macs: tuple[int, int] = (10, 100), budget: float = 0.0, tail: float = 0.0
) -> learn.Learner:
    """A learner of one more look, that holds back what it learns from."""
    section = Rules(first=False, looks=1, tail=tail, learner="single")
    return learn.Learner(subject(macs), section, (NOTHING, SHIFT, LIFT), images, images, budget)


# four that leave well, two that stay: the first becomes sure by SHIFT and wrong by LIFT
FIRST = [20, 20, 20, 20, 2, 3]
VIEWS = [[20, 20, 20, 20, 30, 1], [20, 20, 20, 20, -40, -1]]


def test_looks_add_up() -> None:
    one = learner(part(FIRST, VIEWS))
    first, second, last = one.seen(one.learning, [ALWAYS])
    assert first[:, 0].tolist() == FIRST
    assert second[:, 0].tolist() == [40, 40, 40, 40, 32, 4]
    assert last[:, 0].tolist() == [50] * 6
    assert len(one.seen(one.learning, [])) == 2


def test_what_a_modification_is_worth() -> None:
    one = learner(part(FIRST, VIEWS))
    found = one.worth(one.learning, [], (10, 16))
    # thresholds of 8 to 24 about 16 are reached by 32 and by 38, the latter with a wrong answer
    assert found[4].tolist() == [-1.0, 1.0, -7.0]
    assert found[5].tolist() == [-1.0, 0.0, 0.0]
    assert found[:4, 1:].tolist() == [[0.0, 0.0]] * 4  # these have left
    # 32 reaches four of the six thresholds about 32
    assert one.worth(one.learning, [], (10, 32))[4, 1] == pytest.approx(4 / 6)


def test_the_budget_counts_the_images_far_from_staying() -> None:
    wrong = part([-20, 20, 20, 20], [[20] * 4, [20] * 4])
    assert learner(wrong, budget=0.25).thresholds(wrong, []) == (20,)
    assert learner(wrong, budget=0.2).thresholds(wrong, [])[0] > 20
    more = part([-20, 20, 20, 20], [[20] * 4, [20] * 4], others=6, others_lost=1)
    assert learner(more, budget=0.2).thresholds(more, []) == (20,)
    assert learner(more, budget=0.1).thresholds(more, [])[0] > 20


def test_the_price_is_of_a_mean_image() -> None:
    four = part([20, 20, 20, -2], [[20] * 4, [20] * 4], others=6)
    assert learner(four).price(four, []) == pytest.approx((3 * 10 + 100 + 6 * 10) / 10)
    # a tail is paid by who gets to stage 1, a further look costs stage 0 again
    assert learner(four, tail=0.5).price(four, []) == pytest.approx((90 + 150) / 10)
    assert learner(four).price(four, [ALWAYS]) == pytest.approx((90 + 20) / 10)


def test_a_look_is_kept_where_it_pays() -> None:
    helped = [20, 20, 20, 20, -2, -3], [[20] * 6, [-20] * 6]
    one = learner(part(*helped))
    assert learn.looks(one) == [ALWAYS]
    assert one.prices == pytest.approx([(4 * 10 + 2 * 100) / 6, (4 * 10 + 2 * 20) / 6])
    # stage 0 costs nearly as much as all: a look saves less than it costs, unless stages behind
    # are said to be dear; multiplications must not rise for that either
    assert learn.looks(learner(part(*helped), macs=(90, 100))) == []
    assert learn.looks(learner(part(*helped), macs=(90, 100), tail=5.0)) == []
    nobody = part([20] * 6, [[30] * 6, [30] * 6])  # stays, so that a look would change nothing
    assert learn.looks(learner(nobody)) == []
    useless = part([20, 20, 20, 20, -2, -3], [[-20] * 6, [-20] * 6])
    assert learn.looks(learner(useless)) == []


def test_a_list_gets_a_rule_for_all_others() -> None:
    worth = np.array([[-1.0, 0.1, 0.9], [-1.0, 0.2, 0.3]])
    some = [Choice((Comparison(0, True, 5),), 1)]
    limits = learn.Limits(2, 2)
    assert learn.complete(some, worth, limits) == [*some, Choice((), 2)]
    assert learn.complete([*some, *some], worth, limits) == [*some, Choice((), 2)]
    assert learn.complete(ALWAYS, worth, limits) == ALWAYS
    assert NONE not in {c.modification for c in learn.complete([], worth, limits)}


def test_conditions_that_say_nothing_are_left_out() -> None:
    mean, below = 0, True
    highest = 255 * 16
    choices = [
        Choice((Comparison(mean, below, 0),), 1),  # no image
        Choice((Comparison(mean, below, 400), Comparison(mean, not below, 0)), 1),
        Choice((Comparison(mean, below, highest + 1),), 2),  # every image
        Choice((), 1),
    ]
    assert learn.rules_of(choices, (NOTHING, SHIFT, LIFT), (8, 8, 1)) == (
        Rule((Condition("mean", "<", 400),), SHIFT),
        Rule((), LIFT),
    )
