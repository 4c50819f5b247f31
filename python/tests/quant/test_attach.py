"""Early exits for a network that has none, from its training to a config that runs."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch

from exeunt.config import tree
from exeunt.config.attach import Attach
from exeunt.config.derived import of_file
from exeunt.errors import CheckFailed, InputError
from exeunt.qonnx import file, meaning
from exeunt.qonnx.heads import Head, Place
from exeunt.quant import attach as attaching
from exeunt.quant.attach import attach
from exeunt.quant.heads import filters, train_head
from exeunt.quant.network.logits import exact
from exeunt.quant.train import load_checkpoint, one_thread, train
from exeunt.report import store
from exeunt.report.attach import lines
from exeunt.report.warnings import warnings
from exeunt.splits import read_split

SINGLE = """
name = "single"
[data]
dataset = "digits"
[model]
input = [8, 8, 1]
classes = 10
[[model.stages]]
blocks = [{ conv = 4, padding = 1 }, { conv = 16, padding = 1 }, { pool = "max", size = 2 }]
head = [{ linear = 64 }]
[train]
epochs = 4
learning_rate = 0.02
[calibrate]
drop = 0.03
[attach]
images = 2000
epochs = 30
"""


@pytest.fixture(scope="module")
def single():
    return tree.parse(SINGLE)


@pytest.fixture(scope="module")
def run(single, tmp_path_factory):
    folder = tmp_path_factory.mktemp("single")
    train(single, folder, folder)
    said: list[str] = []
    made = attach(single, folder, folder, progress=lambda d, n, text="": said.append(text))
    assert made == folder / "attach" / "config.toml"
    assert "heads kept; of 359 test images" in said[-1]
    return folder


def test_the_backbone_answers_as_before(run, single):
    before = exact(load_checkpoint(single, run), single)
    after = meaning.integers(file.load(run / "attach" / "network.onnx"))
    test = read_split(run / "splits.npz", "test")
    assert len(after.exits) > 1
    assert np.array_equal(after.logits(test.images)[-1], before.logits(test.images)[0])


def test_figures_are_those_of_the_network_that_was_written(run, single):
    found = store.read(run)["attach"]
    network = meaning.integers(file.load(run / "attach" / "network.onnx"))
    test = read_split(run / "splits.npz", "test")
    logits = network.logits(test.images)
    hits, cost, costs = 0, 0, network.multiplies()
    for n, label in enumerate(test.labels):
        for k, values in enumerate(logits):
            row = np.sort(values[n])
            if k + 1 == len(logits) or row[-1] - row[-2] >= found["thresholds"][k]:
                hits, cost = hits + int(values[n].argmax() == label), cost + costs[k]
                break
    assert found["accuracy"] == pytest.approx(hits / len(test.labels))
    assert found["saved"] == pytest.approx(1 - cost / len(test.labels) / found["multiplies"])
    assert found["saved"] > 0.3, found
    assert found["accuracy"] > found["accuracy_last_exit"] - 0.05
    assert 0 < found["head_share"] <= single.attach.share
    assert sum(row["kept"] for row in found["places"]) == len(logits) - 1
    assert found["narrow"] == 1  # behind the hidden layer of the head a head has 640 products
    assert "1 more place has no room for a head: raise attach.share or lower attach.exits." in (
        lines(store.read(run))
    )
    assert found["accuracy_last_exit"] == (logits[-1].argmax(1) == test.labels).mean()


def test_the_config_beside_it_takes_the_network_as_it_is(run, single):
    config = tree.load(run / "attach" / "config.toml")
    assert config.name == "single-exits"
    assert config.model.kind == "qonnx"
    assert config.model.file == (run / "attach").resolve() / "network.onnx"
    assert config.data == single.data
    assert config.calibrate == single.calibrate
    assert [o.name for o in onnx.load(config.model.file).graph.output][:2] == ["exit0", "exit1"]


def test_the_loss_of_the_network_is_not_that_of_its_attached_heads(single):
    train = single.train.model_copy(update={"loss": "binary"})
    binary = single.model_copy(update={"train": train})
    assert of_file(binary, "qonnx:a.onnx", name="a").train.loss == "binary"
    assert of_file(binary, "qonnx:a.onnx", name="a", heads=True).train.loss is None


def test_a_second_time_gives_the_same_file(run, single, tmp_path):
    first = (run / "attach" / "network.onnx").read_bytes()
    attach(single, run, run)
    assert (run / "attach" / "network.onnx").read_bytes() == first


def test_a_head_learns_what_its_integers_say():
    random = np.random.default_rng(0)
    seen = random.integers(0, 200, (600, 12, 1, 1)).astype(np.int16)
    truth = random.normal(0, 1, (12, 4))
    flat = seen.reshape(600, 12)
    labels = ((flat - 100) @ truth).argmax(axis=1)
    soft = torch.nn.functional.one_hot(torch.from_numpy(labels), 4).float() * 8
    place = Place("x", (2, 2, 12), 0.25, 100)
    section = Attach(bits=5, images=600, epochs=80, batch=32)
    with one_thread(0):
        head = train_head(seen, torch.from_numpy(labels), soft, place, (2, 2), section)
    assert np.abs(head.weights).max() == 15
    assert ((flat @ head.weights.T + head.bias).argmax(axis=1) == labels).mean() > 0.95
    assert head.multiplies == 48


@pytest.mark.parametrize(("images", "epochs"), [(8, 1), (8, 4), (16, 2), (20, 3)])
def test_a_head_is_trained_in_as_few_steps_as_there_are(images, epochs):
    seen = np.random.default_rng(0).integers(0, 9, (images, 6, 1, 1)).astype(np.int16)
    labels = torch.arange(images) % 2
    soft = torch.nn.functional.one_hot(labels, 2).float() * 8
    section = Attach(images=images, epochs=epochs, batch=8)
    head = train_head(seen, labels, soft, Place("x", (2, 2, 6), 0.25, 100), (2, 2), section)
    assert head.weights.any()


def test_a_head_with_a_convolution_learns_what_a_linear_one_cannot():
    random = np.random.default_rng(0)
    seen = random.integers(0, 16, (800, 2, 4, 4)).astype(np.int16)
    labels = np.abs(seen[:, 0].astype(int) - seen[:, 1]).sum(axis=(1, 2)) > 84  # no linear function
    soft = torch.nn.functional.one_hot(torch.from_numpy(labels).long(), 2).float() * 8
    place = Place("x", (4, 4, 2), 0.25, 100)
    section = Attach(images=800, epochs=20, batch=32)
    given = (seen, torch.from_numpy(labels).long(), soft, place, (1, 1), section)
    with one_thread(0):
        plain, bent = train_head(*given), train_head(*given, filters=16)
    assert plain.hidden is None
    right = (seen.reshape(800, -1) @ plain.weights.T + plain.bias).argmax(axis=1) == labels
    assert right.mean() < 0.7
    assert bent.hidden is not None
    assert bent.hidden.weights.shape == (16, 2, 3, 3)
    assert np.abs(bent.hidden.weights).max() == 7
    assert bent.multiplies == 4 * 16 * 18 + 2 * 64
    windows = np.lib.stride_tricks.sliding_window_view(seen.astype(float), (3, 3), axis=(2, 3))
    sums = np.einsum("nchwij,ocij->nohw", windows, bent.hidden.weights) * bent.hidden.scale * 0.25
    sums = sums * bent.hidden.gain[:, None, None] + bent.hidden.bias[:, None, None]
    levels = np.clip(np.rint(sums / bent.hidden.step), 0, 15).reshape(800, -1)
    assert ((levels @ bent.weights.T + bent.bias).argmax(axis=1) == labels).mean() > 0.85


@pytest.mark.parametrize(
    ("grid", "budget", "found"),
    [
        ((48, 4, 4), 4 * (9 * 48 + 10) * 24, 24),
        ((48, 4, 4), 4 * (9 * 48 + 10) * 24 - 1, 16),
        ((48, 4, 4), 4 * (9 * 48 + 10) * 15, 0),
        ((8, 1, 1), 18 * 100_000, 128),
    ],
)
def test_a_convolution_has_as_many_filters_as_there_is_room_for(grid, budget, found):
    assert filters(grid, 10, budget) == found


def test_the_step_refuses_logits_that_are_not_those_it_calibrated(run, single, monkeypatch):
    real = attaching._choose

    def choose(candidates, *rest):
        moved = [replace(c, validation=c.validation + 1) for c in candidates]
        return real(moved, *rest)

    monkeypatch.setattr(attaching, "_choose", choose)
    with pytest.raises(CheckFailed) as caught:
        attach(single, run, run)
    assert str(caught.value) == (
        "exit 0 of the network with heads must give the logits that it was chosen by, got others "
        "for 145 images, first image 0: report this as a fault"
    )


def test_a_network_with_exits_is_refused(tmp_path, tiny):
    """Before it is trained: its stages say how many exits it has."""
    with pytest.raises(InputError) as caught:
        attach(tiny, tmp_path, tmp_path)
    assert str(caught.value) == (
        "attach must be given a network with one exit, got 2 in the network: leave one stage"
    )


def test_heads_that_save_nothing_are_refused(run, single):
    section = single.calibrate.model_copy(update={"criterion": "patience", "drop": 0.0})
    attached = single.attach.model_copy(update={"images": 64, "exits": 1})
    with pytest.raises(InputError) as caught:
        attach(single.model_copy(update={"attach": attached, "calibrate": section}), run, run)
    assert str(caught.value) == (
        "attach must find a head that saves 0.5% of the multiplications (less is not worth its "
        "hardware, or may be chance) where calibrate.drop = 0 is lost by patience, got none of 3 "
        "on 145 validation images: raise calibrate.drop, data.validation or attach.share, or "
        "choose another criterion"
    )


def candidate(multiplies: int, margins: list[int]) -> attaching.Candidate:
    """A head behind so many multiplications that says class 0 by these margins."""
    logits = np.zeros((len(margins), 2), np.int64)
    logits[:, 0] = margins
    place = Place(f"behind{multiplies}", (1, 1, 1), 1.0, multiplies)
    head = Head(place, (1, 1), np.ones((1, 1), np.int64), 8, 1.0, np.zeros(1, np.int64))
    return attaching.Candidate(head, logits, logits)


@pytest.mark.parametrize(
    ("leaving", "images", "behind", "kept"),
    [
        (3, 1000, 9_000, False),  # saves 0.03%, which is not worth the hardware
        (60, 1000, 9_000, True),  # 0.6%, of which a standard error is 0.08%
        (2, 60, 5_000, False),  # 1.7%, but a standard error is 1.2%
        (30, 60, 5_000, True),
    ],
)
def test_a_head_must_save_more_than_it_costs_and_than_chance(single, leaving, images, behind, kept):
    """Surely right answers that leave, and others of which all are wrong, so that none may."""
    labels = np.array([0] * leaving + [1] * (images - leaving))
    found = candidate(behind, [90] * leaving + [10] * (images - leaving))
    answers = np.eye(2, dtype=np.int64)[labels]
    section = single.calibrate.model_copy(update={"drop": 0.0})
    config = single.model_copy(update={"calibrate": section})
    given = ([found], answers, 1.0, labels, config, 10_000)
    if kept:
        assert attaching._choose(*given) == [found]
        return
    saved = 100 * ((10_000 - behind) * leaving / images - 1) / 10_000
    with pytest.raises(InputError, match=rf"got {saved:.2f}% by the best of 1 on {images:,} valid"):
        attaching._choose(*given)


def test_thresholds_classes_and_promise_are_as_the_config_asks(run, single, tmp_path):
    """What is said of attached exits is what `exeunt calibrate` says of the config that is left."""
    from exeunt.quant.calibrate import calibrate

    shutil.copytree(run, tmp_path / "run")
    for asked in (
        {"per_class": True},
        {"shift": 1},
        {"guarantee": "average", "drop": 0.1},
        {"guarantee": "probability", "drop": 0.01},
        {"criterion": "temporal", "drop": 0.1},
    ):
        section = single.calibrate.model_copy(update=asked)
        config = single.model_copy(update={"calibrate": section})
        attach(config, tmp_path / "run", tmp_path)
        said = store.read(tmp_path / "run")
        made = tree.load(tmp_path / "run" / "attach" / "config.toml")
        again = tmp_path / str(asked)
        train(made, again, again)
        promised = calibrate(made, again).promise
        found = store.read(again)
        assert said["attach"]["notes"] == found["calibration"]["notes"]
        assert bool(said["attach"]["notes"]) == ("criterion" in asked)
        assert set(said["attach"]["notes"]) <= set(warnings(said, "attach"))
        assert said["attach"]["accuracy"] == found["accuracy"]["early_exit"]
        assert said["attach"]["rates"] == [row["rate"] for row in found["exits"]]
        assert said["attach"]["guarantee"]["holds"] == promised.holds
        told = f"{promised.text[:1].upper()}{promised.text[1:]}."
        assert (lines(said)[-1] == told) == bool(promised.text)
        broken = f"{promised.text}: raise data.validation or calibrate.drop"
        short = bool(promised.text) and not promised.holds
        assert (broken in warnings(said, "attach")) == short


def test_a_network_that_says_nothing_of_its_images_is_refused(run, single, tmp_path, monkeypatch):
    def nothing(seen, labels, soft, place, window, section, *, filters=0):
        made = train_head(seen[:2], labels[:2], soft[:2], place, window, section)
        return replace(made, weights=0 * made.weights)

    monkeypatch.setattr(attaching, "train_head", nothing)
    with pytest.raises(InputError) as caught:
        attach(single, run, run)
    assert str(caught.value) == (
        "attach must find a place where the network tells images apart, got no head that learned "
        "anything at 2 places from 1,293 training images: train the network first"
    )


def test_a_network_without_a_place_is_refused(run, single):
    section = single.attach.model_copy(update={"share": 1e-5})
    with pytest.raises(InputError) as caught:
        attach(single.model_copy(update={"attach": section}), run, run)
    assert str(caught.value) == (
        "attach must find a place for an exit where a head has at most 0 multiplications, got none "
        "of 3: raise attach.share or lower attach.exits"
    )


def test_a_network_without_a_quantizer_for_all_is_refused(run, single, monkeypatch):
    monkeypatch.setattr(attaching.heads, "places", lambda graph, network: [])
    with pytest.raises(InputError) as caught:
        attach(single, run, run)
    assert str(caught.value) == (
        "attach must find a place for an exit: a quantizer with one scale in front of the last "
        "layer that all of the network passes, got none: give the quantizers of a layer one scale, "
        "or take a deeper network"
    )
