"""Thresholds from integer logits, against a count by hand and against all thresholds there are."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from exeunt import criteria
from exeunt.errors import InputError
from exeunt.quant.exits import calibration

NEVER = calibration.NEVER


def exits_with(rights: list[list[int]], scores: list[list[int]]) -> calibration.Scores:
    return calibration.Scores(np.array(scores, np.int64), np.array(rights, bool))


def made_up(seed: int, images: int = 200, exits: int = 3) -> tuple[list[np.ndarray], np.ndarray]:
    """Logits whose exits get better and whose scores tell something."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 5, images)
    hard = random.normal(0, 6, images)
    logits = []
    for k in range(exits):
        noise = random.normal(0, 6 - k, (images, 5))
        noise[np.arange(images), labels] += 12 + 3 * k - np.abs(hard)
        logits.append(np.rint(noise).astype(np.int64))
    return logits, labels


def test_margin_is_largest_minus_second_and_the_first_index_wins():
    logits = np.array([[5, 9, 2], [7, 7, -3], [-8, -1, -1]])
    found = calibration.scores([logits], np.array([1, 1, 1]))
    assert found.score.tolist() == [[4, 0, 0]]
    assert found.right.tolist() == [[True, False, True]]


def test_exits_take_when_the_score_reaches_the_threshold():
    score = np.array([[3, 4, 5, 0], [9, 0, 0, 2], [0, 0, 0, 0]], np.int64)
    assert calibration.exits(score, [4, 2]).tolist() == [1, 0, 0, 1]
    assert calibration.exits(score, [NEVER, NEVER]).tolist() == [2, 2, 2, 2]
    assert calibration.exits(score, [0, 0]).tolist() == [0, 0, 0, 0]


def test_evaluate_counts_by_hand():
    found = exits_with([[1, 0, 1, 0], [1, 1, 1, 1]], [[9, 8, 1, 2], [0, 0, 0, 0]])
    point = calibration.evaluate(found, [5], [10, 100])
    assert point == calibration.Point(
        thresholds=(5,), accuracy=0.75, macs=55.0, rates=(0.5, 0.5), reach=(1.0, 0.5)
    )


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("drop", [0.0, 0.02, 0.1])
def test_keeps_the_drop_with_the_best_pair_of_thresholds(seed, drop):
    logits, labels = made_up(seed)
    macs = [10, 60, 300]
    result = calibration.calibrate_exits(logits, labels, macs=macs, drop=drop)
    found = calibration.scores(logits, labels)
    budget = int(drop / 2 * len(labels))
    best = float("inf")
    values = [[*np.unique(found.score[k]), NEVER] for k in range(2)]
    for pair in itertools.product(*values):
        taken = calibration.exits(found.score, pair)
        if found.lost[taken, np.arange(len(labels))].sum() <= budget:
            best = min(best, calibration.evaluate(found, pair, macs).macs)
    taken = calibration.exits(found.score, result.chosen.thresholds)
    assert found.lost[taken, np.arange(len(labels))].sum() <= budget
    assert result.chosen.accuracy >= result.accuracies[-1] - drop / 2 - 1e-12
    assert result.chosen.macs == best


def test_nobody_leaves_where_leaving_always_costs():
    labels = np.zeros(20, np.int64)
    wrong = np.tile([0, 50], (20, 1))
    right = np.tile([50, 0], (20, 1))
    result = calibration.calibrate_exits([wrong, right], labels, macs=[1, 2], drop=0.0)
    assert result.chosen.thresholds == (NEVER,)
    assert result.chosen.rates == (0.0, 1.0)
    assert result.accuracies == (0.0, 1.0)


def test_everybody_leaves_where_all_exits_agree():
    logits, labels = made_up(1, exits=1)
    result = calibration.calibrate_exits(logits * 3, labels, macs=[1, 2, 3], drop=0.0)
    assert result.chosen.rates == (1.0, 0.0, 0.0)


def test_one_exit_takes_all():
    logits, labels = made_up(2, exits=1)
    result = calibration.calibrate_exits(logits, labels, macs=[7], drop=0.01)
    assert result.chosen.thresholds == ()
    assert result.chosen.rates == (1.0,)
    assert result.chosen.macs == 7


def test_curve_falls_in_cost_from_nobody_to_all():
    logits, labels = made_up(3)
    result = calibration.calibrate_exits(logits, labels, macs=[10, 60, 300], drop=0.01)
    costs = [p.macs for p in result.curve]
    assert costs == sorted(costs, reverse=True)
    assert result.curve[0].thresholds == (NEVER, NEVER)
    assert result.curve[0].accuracy == result.accuracies[-1]
    assert result.chosen in result.curve
    assert len(result.curve) > 8
    assert result.curve[-1].rates[0] > 0.99


def test_same_input_same_thresholds():
    logits, labels = made_up(4)
    first = calibration.calibrate_exits(logits, labels, macs=[1, 2, 3], drop=0.02)
    assert calibration.calibrate_exits(logits, labels, macs=[1, 2, 3], drop=0.02) == first


def test_no_images():
    with pytest.raises(InputError) as caught:
        calibration.calibrate_exits([np.zeros((0, 3), int)], np.zeros(0, int), macs=[1], drop=0.1)
    assert str(caught.value) == (
        "calibration must have at least one validation image, got none: raise data.validation"
    )


def test_logits_that_are_no_integers():
    with pytest.raises(InputError) as caught:
        calibration.scores([np.zeros((4, 3))], np.zeros(4, int))
    assert str(caught.value) == (
        "logits of exit 0 must be integers, got float64: divide them by the logit scale and round"
    )


def test_logits_of_another_shape():
    with pytest.raises(InputError) as caught:
        calibration.scores([np.zeros((4, 3), int)] * 2, np.zeros(5, int))
    assert str(caught.value) == (
        "logits of exit 0 must have shape (5, classes >= 2), got (4, 3): give one row for each "
        "label"
    )


CARRIED = [name for name in criteria.names() if not criteria.get(name).fixed]


@pytest.mark.parametrize("criterion", CARRIED)
@pytest.mark.parametrize("drop", [0.0, 0.04])
def test_criteria_whose_scores_depend_on_who_left_keep_the_drop(criterion, drop):
    """As criteria.run says where images leave; nearly as cheap as the best of a grid."""
    logits, labels = made_up(2)
    macs, per_class = [10, 60, 300], [1, 4, 9]
    result = calibration.calibrate_exits(
        logits, labels, macs=macs, drop=drop, criterion=criterion, per_class=per_class
    )

    def price(thresholds):
        left = criteria.run(criterion, logits, thresholds)
        lost = (logits[-1].argmax(1) == labels) & (left.classes != labels)
        return left.multiplies(macs, per_class=per_class, classes=5).mean(), int(lost.sum()), left

    cost, lost, left = price(result.chosen.thresholds)
    budget = int(drop / 2 * len(labels))
    assert lost <= budget
    assert result.chosen.macs == pytest.approx(cost)
    assert result.chosen.accuracy == (left.classes == labels).mean()
    assert result.chosen.rates[0] == (left.exits == 0).mean()
    scores = [s.scores for s in criteria.every(criterion, logits)[:2]]
    grid = [[*np.quantile(s, np.linspace(0, 1, 12)).astype(int).tolist(), NEVER] for s in scores]
    tried = [price(pair)[:2] for pair in itertools.product(*grid)]
    assert cost <= 1.02 * min(c for c, n in tried if n <= budget)
    costs = [p.macs for p in result.curve]
    assert costs == sorted(costs, reverse=True)
    assert result.curve[0].thresholds == (NEVER, NEVER)
    assert result.chosen in result.curve
    assert len(result.curve) > 4


def test_what_excluded_classes_save_is_counted():
    logits, labels = made_up(2)
    found = calibration.scores(logits, labels, criterion=CARRIED[0], per_class=[1, 4, 9])
    plain = calibration.scores(logits, labels, criterion=CARRIED[0])
    limits, macs = (9, 9), [10, 60, 300]
    saved = (
        calibration.evaluate(plain, limits, macs).macs
        - calibration.evaluate(found, limits, macs).macs
    )
    left = criteria.run(CARRIED[0], logits, limits)
    gone = [np.where(left.exits >= e, 5 - left.wanted[e], 0) for e in range(3)]
    assert saved == pytest.approx(float((1 * gone[0] + 4 * gone[1] + 9 * gone[2]).mean()))
    assert saved > 1
