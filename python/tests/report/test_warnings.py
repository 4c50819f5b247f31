"""Warnings: one sentence and one advice each, and none that contradict each other."""

from __future__ import annotations

import pytest

from exeunt.report.warnings import near_chance, warnings


def rows(*rates):
    return [{"index": i, "rate": rate} for i, rate in enumerate(rates)]


FINE = {
    "accuracy": {"early_exit": 0.97, "quantized_last_exit": 0.975, "chance": 0.11, "images": 360},
    "exits": rows(0.5, 0.2, 0.3),
    "calibration": {"drop": 0.002},
}


def worse(**accuracy):
    return FINE | {"accuracy": FINE["accuracy"] | accuracy}


def test_nothing_to_say():
    assert warnings({}) == []
    for step in ("run", "train", "compress", "calibrate", "simulate"):
        assert warnings(FINE, step) == []


@pytest.mark.parametrize(
    ("drop", "advice"),
    [(0.02, "lower calibrate.drop"), (0.002, "take more validation images (data.validation)")],
)
def test_leaving_early_that_costs(drop, advice):
    report = worse(early_exit=0.95) | {"calibration": {"drop": drop}}
    sentence = f"leaving early costs 2.50 points of accuracy on the test images: {advice}"
    assert warnings(report) == warnings(report, "calibrate") == [sentence]
    assert warnings(report, "train") == []


def test_attached_exits_that_cost():
    report = {"attach": {"accuracy": 0.9526, "accuracy_last_exit": 0.9889}}
    assert warnings(report, "attach") == [
        "leaving by the attached exits costs 3.63 points of accuracy on the test images: lower "
        "calibrate.drop, or take more validation images (data.validation)"
    ]
    assert warnings(report, "calibrate") == []
    assert warnings({"attach": {"accuracy": 0.985, "accuracy_last_exit": 0.9889}}, "attach") == []


def test_exits_that_nobody_or_few_take():
    assert warnings(FINE | {"exits": rows(0.5, 0.0, 0.5)}) == [
        "nobody leaves at exit 1: leave it out of the network"
    ]
    assert warnings(FINE | {"exits": rows(0.3, 0.2, 0.5)}) == [
        "only 50.0% leave before the last exit: give the first stages more to work with"
    ]


def test_thresholds_that_let_nothing_or_everything_leave():
    assert warnings(FINE | {"exits": rows(0.0, 0.0, 1.0)}, "calibrate") == [
        "the thresholds let nothing leave before the last exit: raise calibrate.drop, train for "
        "longer, or give the first stages more to work with"
    ]
    assert warnings(FINE | {"exits": rows(0.8, 0.2, 0.0)}, "calibrate") == [
        "the thresholds let everything leave by exit 1, so what is behind it is never used: lower "
        "calibrate.drop, or leave the later stages out of the network"
    ]
    assert warnings(FINE | {"exits": rows(1.0, 0.0, 0.0)})[0].startswith(
        "the thresholds let everything leave by exit 0"
    )
    assert warnings(FINE | {"exits": rows(1.0)}) == []


@pytest.mark.parametrize(
    ("accuracy", "chance", "near"),
    [
        (0.189, 0.10, True),  # a network trained on other pixels
        (0.25, 0.10, False),
        (0.56, 0.50, True),
        (0.62, 0.50, False),
        (0.91, 0.90, True),  # one class is nine of ten images
        (0.95, 0.90, False),
        (0.15, 0.01, False),  # of a hundred classes
        (0.02, 0.01, True),
    ],
)
def test_near_chance(accuracy, chance, near):
    assert near_chance(accuracy, chance) == near


def test_a_network_that_guesses():
    report = worse(early_exit=0.12, quantized_last_exit=0.189, chance=0.1016)
    said = (
        "accuracy of the last exit on the test images is 18.9%, hardly more than the 10.2% of "
        "always saying the same class: "
    )
    assert warnings(report) == [said + "raise train.epochs"]
    theirs = report | {"training": {"source": "net.onnx", "epochs": 0}}
    assert warnings(theirs, "calibrate") == [
        said + "check that net.onnx was trained on pixels 0..255 and with the classes in this order"
    ]
    trained = {"training": {"validation_accuracy": [0.5, 0.12], "chance": 0.1}}
    assert warnings(trained, "train") == [
        "validation accuracy of the last exit is 12.0%, hardly more than the 10.0% of always "
        "saying the same class: raise train.epochs"
    ]
    worst = {"training": {"validation_accuracy": [0.08], "chance": 0.1}}
    assert warnings(worst, "train") == [
        "validation accuracy of the last exit is 8.0%, no more than the 10.0% of always saying "
        "the same class: raise train.epochs"
    ]
    assert warnings(trained) == [], "the test images have the word at the end of a run"


def test_exits_attached_to_a_network_that_guesses():
    report = {
        "attach": {"accuracy": 0.12, "accuracy_last_exit": 0.09, "chance": 0.1},
        "training": {"source": "net.onnx"},
    }
    assert warnings(report, "attach") == [
        "accuracy of the last exit on the test images is 9.0%, no more than the 10.0% of always "
        "saying the same class: check that net.onnx was trained on pixels 0..255 and with the "
        "classes in this order"
    ]
    report["attach"] |= {"accuracy": 0.9, "accuracy_last_exit": 0.9}
    assert warnings(report, "attach") == []


def test_notes_on_the_data():
    report = {"data": {"notes": ["folders without images: c"]}}
    assert warnings(report) == warnings(report, "train") == ["folders without images: c"]
    assert warnings(report, "calibrate") == []


def test_compression_that_misses_its_budget_or_loses_too_much():
    def chosen(left, after):
        entry = {"kind": "filters", "of": "multiplies", "budget": 0.5}
        entry["advice"] = "lower its multiple, 4"
        accuracy = {"original": 0.97, "compressed": after}
        found = {k: {"accuracy": {"early_exit": v}} for k, v in accuracy.items()}
        return {"compression": {"chosen": {"budgets": [{**entry, "left": left}], **found}}}

    assert warnings(chosen(0.46, 0.965), "compress") == []
    assert warnings(chosen(0.33, 0.93)) == [
        "the filters pass left 33.0% of the multiplies where its budget is 50.0%: lower its "
        "multiple, 4",
        "compression lost 4.00 points of validation accuracy with early exit: raise the epochs of "
        "its passes",
    ]


def test_predicted_cycles_that_are_off():
    exact = {"max_relative_error": 0.0, "frames_exact": 1052, "frames_total": 1052}
    assert warnings(FINE | {"cycle_reference": exact}) == []
    off = FINE | {"cycle_reference": exact | {"max_relative_error": 0.1129, "frames_exact": 4}}
    assert (
        warnings(off)
        == warnings(off, "simulate")
        == [
            "the cycle reference is off by 11.3% on this network (4 of 1,052 images exact), which "
            "never should be: all figures are the simulation's, please report the config"
        ]
    )
    assert warnings(off, "calibrate") == []


GIVEN = {
    "kind": "probability", "permitted": 0.005, "delta": 0.1, "horizon": 10_000, "holds": True,
    "images": 5000, "images_needed": 576, "tested": 4000, "lost": 13,
    "test": {"images": 10_000, "lost": 76, "chance": 0.004},
}  # fmt: skip


def promised(**more):
    return FINE | {"calibration": {"drop": 0.005, "guarantee": GIVEN | more}}


def test_test_images_that_speak_against_the_promise():
    sentence = (
        "0.76% of the test images are lost where 0.50% is permitted and 13 of 4,000 validation "
        "images were: these are not like the test images, and the promise is about images like "
        "them; take validation images from where the images to come are from"
    )
    assert warnings(promised()) == warnings(promised(), "calibrate") == [sentence]
    assert warnings(promised(), "simulate") == []
    for test in (
        {"images": 10_000, "lost": 76, "chance": 0.2},  # by chance
        {"images": 10_000, "lost": 50, "chance": 0.004},  # as promised
        None,
    ):
        assert warnings(promised(test=test)) == []


def test_too_few_images_for_a_promise():
    made = promised(holds=False, images=216, images_needed=576, test=None)
    assert warnings(made, "calibrate") == [
        "nothing is promised: that with probability 90% at most 50 of the next 10,000 images leave "
        "with a wrong answer where the last exit has the right one needs 576 validation images and "
        "there are 216: raise data.validation or calibrate.drop"
    ]
    assert warnings(FINE | {"calibration": {"guarantee": {"kind": "none"}}}) == []
    attached = {"attach": {"guarantee": made["calibration"]["guarantee"]}}
    assert warnings(attached, "attach") == warnings(made, "calibrate")
    assert warnings({"attach": {"guarantee": GIVEN}}, "attach") == []


def test_attached_exits_that_take_everything():
    report = {"attach": {"accuracy": 0.9, "accuracy_last_exit": 0.9, "rates": [0.4, 0.6, 0.0]}}
    assert warnings(report, "attach") == [
        "the thresholds let everything leave by exit 1, so what is behind it is never used: lower "
        "calibrate.drop, or leave the later stages out of the network"
    ]
    report["attach"]["rates"] = [0.4, 0.5, 0.1]
    assert warnings(report, "attach") == []


def test_a_broken_promise_is_told_of_a_network_that_guesses_too():
    guesses = worse(early_exit=0.12, quantized_last_exit=0.189)
    short = promised(holds=False, images=216, images_needed=576, test=None)
    for report in (promised(), short):
        chance, broken = warnings(guesses | {"calibration": report["calibration"]})
        assert chance.startswith("accuracy of the last exit on the test images is 18.9%, hardly")
        assert [broken] == warnings(report)
