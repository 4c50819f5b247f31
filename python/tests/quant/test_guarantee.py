"""Promises about the loss: the statistics by hand and by drawing, the path, the sentences."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest

from exeunt import promise
from exeunt.errors import InputError
from exeunt.quant.exits import calibration, guarantee
from exeunt.quant.exits.guarantee import Wanted
from exeunt.registers import NEVER

LONG = Wanted("probability", 0.1, horizon=0)
MACS = (10, 60, 300)


def population(seed: int, images: int = 60_000) -> tuple[list[np.ndarray], np.ndarray]:
    """Logits (N, 5) of three exits and labels; the first exit loses one in twelve, scores tell."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 5, images)
    hard = np.abs(random.normal(0, 9, images))
    logits = []
    for k in range(3):
        noise = random.normal(0, 4, (images, 5))
        noise[np.arange(images), labels] += 18 + 10 * k - hard
        logits.append(np.rint(10 * noise).astype(np.int64))
    return logits, labels


def calibrated(logits, labels, which, drop, wanted) -> calibration.Calibration:
    return calibration.calibrate_exits(
        [x[which] for x in logits], labels[which], macs=MACS, drop=drop, wanted=wanted, points=0
    )


def lost_under(images: calibration.Scores, thresholds) -> np.ndarray:
    return images.right[-1] & ~images.leave(thresholds, MACS).right


# ------------------------------------------------------------------ how many may be lost


@pytest.mark.parametrize(("drop", "images"), [(0.01, 230), (0.005, 460), (0.002, 1151)])
def test_without_a_loss_as_many_images_as_the_binomial_says(drop, images):
    assert (1 - drop) ** images <= 0.1 < (1 - drop) ** (images - 1)
    assert guarantee.allowed(LONG, drop, images) == 0
    assert guarantee.allowed(LONG, drop, images - 1) == -1


def test_losses_allowed_are_those_of_the_binomial_by_hand():
    def chance(losses: int) -> float:
        terms = (comb(2000, k) * 0.01**k * 0.99 ** (2000 - k) for k in range(losses + 1))
        return sum(terms)

    found = guarantee.allowed(LONG, 0.01, 2000)
    assert chance(found) <= 0.1 < chance(found + 1)
    assert guarantee.allowed(Wanted("probability", 0.05, 0), 0.01, 2000) < found


@pytest.mark.parametrize("horizon", [400, 5000])
def test_losses_allowed_for_a_horizon_are_those_of_drawing(horizon):
    """Tested images and those to come in one random order: how many of the tested are lost before
    the first loss too many among those to come."""
    drop, tested = 0.01, 2000
    wanted = Wanted("probability", 0.1, horizon)
    most = guarantee.allowed(wanted, drop, tested)
    random = np.random.default_rng(0)
    over = int(drop * horizon) + 1
    draws = 20_000
    # of a thousand images that are lost sooner or later, in that order, who is still to come
    coming = random.random((draws, 1000)) < horizon / (horizon + tested)
    place = (coming.cumsum(axis=1) == over).argmax(axis=1)
    before = place - (over - 1)
    assert (before <= most).mean() == pytest.approx(0.1, abs=0.05)
    assert (before <= most).mean() <= 0.1 + 0.01
    assert (before <= most + 1).mean() > 0.1 - 0.01


def test_a_long_horizon_is_the_binomial():
    for tested in (500, 2000, 8000):
        far = Wanted("probability", 0.1, guarantee.MOST)
        assert guarantee.allowed(far, 0.01, tested) == guarantee.allowed(LONG, 0.01, tested)


def test_average_counts_one_loss_more():
    average = Wanted("average")
    assert [guarantee.allowed(average, 0.01, n) for n in (98, 99, 199, 999)] == [-1, 0, 1, 9]


@pytest.mark.parametrize("wanted", [LONG, Wanted("probability"), Wanted("average")])
@pytest.mark.parametrize("drop", [0.002, 0.01, 0.2])
def test_needed_is_the_least_number_of_images(wanted, drop):
    least = guarantee.needed(wanted, drop)
    for images, enough in ((least, True), (least - 1, False)):
        tested = len(guarantee.parts(images, 0)[1])
        assert (guarantee.allowed(wanted, drop, tested) >= 0) == enough


def test_more_images_than_are_counted_are_said_so():
    assert guarantee.needed(LONG, 1e-6) == 2_878_229  # four of five test
    assert guarantee.needed(LONG, 1e-7) == guarantee.MOST + 1
    assert promise.needed(guarantee.MOST) == "10,000,000"
    made = promise.Promise("average", 1e-8, images=90, images_needed=guarantee.MOST + 1)
    assert made.text.endswith(
        "exit has the right one needs more than 10,000,000 validation images and there are 90"
    )


def test_chance_of_more_by_hand():
    assert guarantee.chance_of_more(0, 10, 0, 10) == pytest.approx(1)
    assert guarantee.chance_of_more(0, 10, 2, 10) == pytest.approx(45 / 190)
    assert guarantee.chance_of_more(13, 4000, 76, 10_000) < 0.01


# ------------------------------------------------------------------ the path


def test_parts_are_apart_and_depend_on_the_seed_alone():
    first, rest = guarantee.parts(103, 5)
    assert len(first) == 20
    assert sorted([*first, *rest]) == list(range(103))
    assert np.array_equal(first, guarantee.parts(103, 5)[0])
    assert not np.array_equal(first, guarantee.parts(103, 6)[0])


def laid(seed: int, images: int) -> tuple[np.ndarray, calibration.Scores]:
    logits, labels = population(seed, images)
    found = calibration.scores(logits, labels)
    sets = guarantee.path(
        lambda which, budgets: calibration.best(found.some(which), MACS, budgets),
        found.score, 0.01, seed=0,
    )  # fmt: skip
    return sets, found


def test_the_path_falls_from_nobody_to_everybody():
    sets, found = laid(1, 800)
    assert sets[0].tolist() == [NEVER, NEVER]
    assert (np.diff(sets, axis=0) <= 0).all()
    assert sets[-1].tolist() == found.score[:2].min(axis=1).tolist()
    assert len(sets) > 200


def test_first_lost_counts_every_set_that_is_nowhere_lower():
    sets, _ = laid(1, 300)
    logits, labels = population(2, 400)
    other = calibration.scores(logits, labels)
    score, lost = other.score, other.lost
    first = guarantee.first_lost(sets, score, lost)
    random = np.random.default_rng(0)
    for place in (0, 1, len(sets) // 3, len(sets) - 1):
        may = np.zeros(len(labels), bool)
        for k in range(2):
            reached = (score[k] >= sets[place, k]) & (sets[place, k] != NEVER)
            may |= reached & lost[k]
        assert np.array_equal(first <= place, may)
        for _ in range(20):  # sets that are nowhere lower lose no image that is not counted
            higher = sets[place] + random.integers(0, 60, 2) * random.integers(0, 2, 2)
            higher = np.where(random.random(2) < 0.3, NEVER, higher).clip(max=NEVER)
            assert not (lost_under(other, higher) & ~may).any()


# ------------------------------------------------------------------ what is promised


@pytest.mark.slow
@pytest.mark.parametrize("horizon", [0, 4000])
def test_promised_with_a_probability_it_is_exceeded_seldom(horizon):
    """Of 200 calibrations on 2,000 images each, on the images to come and on all there are."""
    logits, labels = population(0)
    whole = calibration.scores(logits, labels)
    random = np.random.default_rng(1)
    wanted, drop = Wanted("probability", 0.1, horizon), 0.02
    over, saved, before = [], [], []
    for _ in range(200):
        order = random.permutation(len(labels))
        made = calibrated(logits, labels, order[:2000], drop, wanted)
        assert made.promise.holds
        assert made.promise.lost <= made.promise.allowed
        assert made.promise.certified == (made.chosen.thresholds,)
        lost = lost_under(whole, made.chosen.thresholds)
        to_come = lost[order[2000:6000]] if horizon else lost
        over.append(to_come.mean() > drop)
        saved.append(1 - made.chosen.macs / MACS[-1])
        plain = calibrated(logits, labels, order[:2000], drop, None)
        before.append(1 - plain.chosen.macs / MACS[-1])
    assert np.mean(over) <= 0.15  # 0.1, and two and a half standard deviations of 200 draws
    assert np.mean(saved) >= np.mean(before)  # half of the drop spends less


@pytest.mark.parametrize(
    ("most", "threshold", "lost"), [(0, 9, 0), (1, 7, 1), (2, 7, 1), (3, 3, 3), (900, 3, 3)]
)
def test_the_boldest_set_with_no_more_losses_than_allowed(monkeypatch, most, threshold, lost):
    """Of five sets the third loses an image and the fourth two more."""
    monkeypatch.setattr(guarantee, "allowed", lambda *given: most)
    logits, labels = population(0, 1000)
    images = calibration.scores(logits[-2:], labels)
    sets = np.array([[NEVER], [9], [7], [5], [3]], np.int64)
    first = np.array([2, 3, 3, *[5] * 797], np.int64)
    found = calibration.Path(sets, first, 200, images, (1, 2))
    made = calibration.promised(found, 0.01, Wanted("average"))
    assert made.certified == ((threshold,),)
    assert made.lost == lost


@pytest.mark.slow
def test_promised_on_average_it_is_kept_on_average():
    logits, labels = population(0)
    whole = calibration.scores(logits, labels)
    random = np.random.default_rng(2)
    losses = []
    for _ in range(200):
        which = random.permutation(len(labels))[:1500]
        made = calibrated(logits, labels, which, 0.02, Wanted("average"))
        losses.append(lost_under(whole, made.chosen.thresholds).mean())
    assert np.mean(losses) <= 0.02 + 2.5 * np.std(losses) / np.sqrt(200)
    assert np.mean(losses) > 0.016  # no more is given away than the path's steps


def test_too_few_images_promise_nothing_and_say_how_many_are_needed():
    logits, labels = population(0)
    which = np.arange(200)
    made = calibrated(logits, labels, which, 0.005, Wanted("probability", 0.1, 0))
    assert not made.promise.holds
    assert not made.promise.covers(made.chosen.thresholds)
    assert made.promise.images_needed == 574
    assert made.chosen == calibrated(logits, labels, which, 0.005, None).chosen
    assert made.promise.text == (
        "nothing is promised: that with probability 90% at most 0.5% of the images leave with a "
        "wrong answer where the last exit has the right one needs 574 validation images and there "
        "are 200"
    )


def test_where_scores_depend_on_thresholds_the_sets_of_the_path_are_certified(monkeypatch):
    from exeunt import criteria

    logits, labels = population(3, 1500)
    kept = calibrated(logits, labels, np.arange(1500), 0.02, Wanted("average"))
    monkeypatch.setattr(type(criteria.get("margin")), "fixed", property(lambda _: False))
    made = calibrated(logits, labels, np.arange(1500), 0.02, Wanted("average"))
    assert made.promise.holds
    assert not made.promise.upward
    assert made.promise.certified[-1] == made.chosen.thresholds
    assert made.promise.certified[0] == (NEVER, NEVER)
    assert made.promise.lost <= made.promise.allowed
    assert made.promise.covers(made.promise.certified[1])
    assert not made.promise.covers([t + 1 for t in made.chosen.thresholds])
    assert made.chosen.macs == pytest.approx(kept.chosen.macs, rel=0.35)
    curve = calibration.calibrate_exits(logits, labels, macs=MACS, drop=0.02).curve
    assert curve[0].thresholds == (NEVER, NEVER)
    assert len(curve) > 3


def test_what_a_promise_covers():
    made = promise.Promise("average", 0.01, holds=True, certified=((12, NEVER, 7),))
    assert made.covers([12, NEVER, 7])
    assert made.covers([NEVER, NEVER, 8])
    assert not made.covers([11, NEVER, 7])
    assert not made.covers([12, 1 << 20, 7])
    assert not made.covers([None, NEVER, 7])
    assert promise.from_json(made.to_json()) == made
    assert not promise.from_json(None).covers([])


def test_what_a_promise_says():
    def text(**more) -> str:
        return promise.Promise(permitted=0.005, holds=True, **more).text

    loss = "leave with a wrong answer where the last exit has the right one"
    assert text() == ""
    assert text(kind="average") == f"on average at most 0.5% of the images {loss}"
    assert text(kind="probability", delta=0.05, horizon=0) == (
        f"with probability 95% at most 0.5% of the images {loss}"
    )
    assert text(kind="probability", delta=1e-7, horizon=0) == (
        f"with probability 99.99999% at most 0.5% of the images {loss}"
    )
    assert text(kind="probability", delta=1e-30, horizon=0) == (
        f"with probability 1 - 1e-30 at most 0.5% of the images {loss}"
    )
    assert text(kind="probability", delta=0.1, horizon=10_000) == (
        f"with probability 90% at most 50 of the next 10,000 images {loss}"
    )


# ------------------------------------------------------------------ what cannot be promised


@pytest.mark.parametrize(
    ("wanted", "drop", "exits", "said"),
    [
        (
            Wanted("probabilty"),
            0.01,
            3,
            'calibrate.guarantee must be one of "none", "probability", "average", got '
            "'probabilty': did you mean 'probability'?",
        ),
        *[
            (
                Wanted("probability", delta),
                0.01,
                3,
                f"calibrate.delta must be above 0 and below 1, got {delta:g}: take 0.1 for a "
                "promise that holds nine times in ten",
            )
            for delta in (0.0, 1.0, -0.1, 2.0)
        ],
        (
            Wanted("probability", horizon=-1),
            0.01,
            3,
            "calibrate.horizon must be from 0 to 10,000,000 images, got -1: take 0 for all that "
            "ever come",
        ),
        (
            Wanted("average"),
            0.0,
            3,
            'calibrate.drop must be above 0 with calibrate.guarantee = "average", since no number '
            "of images shows that none is ever lost, got 0: raise it or take guarantee = "
            '"none"',
        ),
        (
            Wanted("probability"),
            0.01,
            1,
            'calibrate.guarantee = "probability" must go with a network of two exits or more, '
            'since one exit loses nothing, got 1: take guarantee = "none"',
        ),
    ],
)
def test_what_cannot_be_promised_is_refused(wanted, drop, exits, said):
    logits, labels = population(0, 50)
    with pytest.raises(InputError) as caught:
        calibration.calibrate_exits(
            logits[:exits], labels, macs=MACS[:exits], drop=drop, wanted=wanted
        )
    assert str(caught.value) == said


def test_a_criterion_that_looks_back_has_no_promise(monkeypatch):
    from exeunt import criteria

    monkeypatch.setattr(
        guarantee.criteria, "get", lambda name: type("C", (), {"history": object()})()
    )
    with pytest.raises(InputError) as caught:
        guarantee.check(Wanted("average"), 0.01, exits=3, criterion="temporal")
    assert str(caught.value) == (
        'calibrate.guarantee = "average" must go with a criterion that judges each image by '
        'itself, got "temporal": take another criterion or guarantee = "none"'
    )
    assert criteria is guarantee.criteria
