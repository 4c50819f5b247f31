"""Thresholds of classes: offsets that the losses show, and none that they do not."""

from __future__ import annotations

import numpy as np
import pytest

from exeunt import criteria
from exeunt.quant.exits import calibration, guarantee, offsets
from exeunt.quant.exits.guarantee import Wanted

CLASSES = 4


def images(seed: int, count: int = 6000, shift: int = 60) -> tuple[list[np.ndarray], np.ndarray]:
    """Exit 0 is wrong about class 0 at margins `shift` higher than about the others."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, CLASSES, count)
    answer = random.integers(0, CLASSES, count)
    margin = random.integers(0, 200, count)
    wrong = random.random(count) < 1 / (1 + np.exp((margin - 40 - shift * (answer == 0)) / 10))
    labels = np.where(wrong, (answer + 1) % CLASSES, answer)
    first = np.zeros((count, CLASSES), np.int64)
    first[np.arange(count), answer] = margin
    last = np.zeros((count, CLASSES), np.int64)
    last[np.arange(count), labels] = 9
    return [first, last], labels


def test_offsets_are_the_differences_in_the_scores_that_are_safe():
    logits, labels = images(0)
    found = calibration.scores(logits, labels)
    made = offsets.of_exit(found.score[0], found.answer[0], found.lost[0], CLASSES)
    assert made.min() == 0
    assert made[0] == pytest.approx(60, abs=12)
    assert (made[1:] < 8).all()


def test_a_class_without_losses_is_drawn_to_the_others_and_nothing_is_infinite():
    score = np.arange(100)
    answer = np.arange(100) % 2
    lost = (answer == 0) & (score < 30)
    made = offsets.of_exit(score, answer, lost, 3)
    assert (made >= 0).all()
    assert (made < 100).all()
    assert made[0] > made[1]
    assert made[1] <= made[2] <= made[0], "of a class that never occurs nothing is known"


@pytest.mark.parametrize(
    ("score", "lost"),
    [
        (np.arange(50), np.zeros(50, bool)),
        (np.full(50, 7), np.arange(50) < 25),
        (np.arange(50), np.arange(50) >= 25),
    ],
    ids=["nothing is lost", "all scores are the same", "higher scores are worse"],
)
def test_without_something_to_go_by_there_are_no_offsets(score, lost):
    assert offsets.of_exit(score, np.arange(50) % 3, lost, 3).tolist() == [0, 0, 0]


@pytest.mark.parametrize("criterion", ["margin", "maximum"])
def test_classes_with_thresholds_of_their_own_save_more_on_other_images(criterion):
    logits, labels = images(1)
    options = {"macs": [10, 100], "drop": 0.01, "criterion": criterion, "points": 1}
    plain = calibration.calibrate_exits(logits, labels, **options)
    found = calibration.calibrate_exits(logits, labels, by_class=True, **options)
    assert plain.offsets == ()
    assert found.offsets[-1] == (0,) * CLASSES
    assert found.chosen.macs < plain.chosen.macs
    others, truth = images(2)
    spent, lost = [], []
    for made in (plain, found):
        left = criteria.run(criterion, others, made.chosen.thresholds, offsets=made.offsets)
        spent.append(left.multiplies([10, 100]).mean())
        lost.append((left.classes != truth).mean())
    assert spent[1] < 0.9 * spent[0]
    assert lost[1] < 0.01
    # by hand: leaves when the score reaches the threshold and the offset of the class
    top = np.sort(others[0], axis=1)
    score = top[:, -1] - (top[:, -2] if criterion == "margin" else 0)
    answer = others[0].argmax(axis=1)
    row = np.array(found.offsets[0])
    out = score >= found.chosen.thresholds[0] + row[answer]
    assert left.exits.tolist() == (~out).astype(int).tolist()
    assert left.scores[out].tolist() == (score - row[answer])[out].tolist()


def test_offsets_that_save_nothing_are_not_taken():
    logits, labels = images(3, shift=0)
    found = calibration.calibrate_exits(
        logits, labels, macs=[10, 100], drop=0.0, by_class=True, points=1
    )
    plain = calibration.calibrate_exits(logits, labels, macs=[10, 100], drop=0.0, points=1)
    assert found.chosen.macs <= plain.chosen.macs
    one = calibration.scores([logits[1]], labels)
    assert calibration.offsets_of(one, [100], 0.1) == ()
    nobody = calibration.scores(logits, labels).some(np.zeros(0, np.int64))
    assert calibration.offsets_of(nobody, [10, 100], 0.1) == ()


@pytest.mark.parametrize("kind", ["probability", "average"])
def test_images_that_test_a_promise_have_no_say_in_the_offsets(kind):
    logits, labels = images(4)
    wanted = Wanted(kind)
    options = {
        "macs": [10, 100], "drop": 0.02, "wanted": wanted, "by_class": True, "points": 1,
    }  # fmt: skip
    found = calibration.calibrate_exits(logits, labels, **options)
    assert found.promise.holds
    assert found.offsets
    _, testing = guarantee.parts(len(labels), wanted.seed)
    other = labels.copy()
    other[testing] = np.roll(labels[testing], 1)  # the last exit is then wrong about most of them
    changed = calibration.calibrate_exits(logits, other, **options)
    assert changed.offsets == found.offsets
    assert changed.promise.lost != found.promise.lost
    left = criteria.run("margin", logits, found.chosen.thresholds, offsets=found.offsets)
    lost = (left.classes != labels)[testing] & (logits[1].argmax(axis=1) == labels)[testing]
    assert int(lost.sum()) == found.promise.lost, "with two exits the bound is the count"


def test_too_few_images_for_a_promise_still_have_offsets_of_all_images():
    logits, labels = images(5, count=600)
    options = {"macs": [10, 100], "drop": 0.002, "by_class": True, "points": 1}
    wanted = Wanted("probability", delta=0.001)
    found = calibration.calibrate_exits(logits, labels, wanted=wanted, **options)
    assert not found.promise.holds
    plain = calibration.calibrate_exits(logits, labels, **options)
    assert (found.chosen, found.offsets) == (plain.chosen, plain.offsets)
