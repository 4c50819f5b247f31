"""Thresholds chosen on moved copies of validation images as well."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from exeunt.quant.calibrate import calibrate
from exeunt.quant.exits import calibration, moved
from exeunt.quant.network.logits import exact
from exeunt.quant.train import load_checkpoint
from exeunt.report import store
from exeunt.splits import read_split


def test_copies_are_all_moves_the_image_itself_first():
    image = np.arange(1, 13, dtype=np.uint8).reshape(1, 4, 3, 1)
    found = moved.copies(np.concatenate([image, image + 100]), 1)
    assert found.shape == (18, 4, 3, 1)
    assert found.dtype == np.uint8
    assert np.array_equal(found[0], image[0])
    assert np.array_equal(found[1], image[0] + 100)
    expected = set()
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            other = np.zeros((4, 3), int)
            for y in range(4):
                for x in range(3):
                    if 0 <= y - down < 4 and 0 <= x - right < 3:
                        other[y, x] = image[0, y - down, x - right, 0]
            expected.add(tuple(other.ravel().tolist()))
    assert {tuple(one.ravel().tolist()) for one in found[::2]} == expected
    assert np.array_equal(moved.copies(image, 0), image)


@pytest.mark.parametrize("criterion", ["margin", "patience"])
def test_thresholds_are_chosen_on_copies_and_judged_without(tiny, trained, tmp_path, criterion):
    folder = tmp_path / "run"
    shutil.copytree(trained, folder)
    section = tiny.calibrate.model_copy(update={"shift": 1, "drop": 0.05, "criterion": criterion})
    config = tiny.model_copy(update={"calibrate": section})
    made = calibrate(config, folder)
    network = exact(load_checkpoint(config, folder), config)
    validation = read_split(folder / "splits.npz", "validation")
    macs, labels = network.multiplies(), validation.labels
    images = moved.copies(validation.images, 1)
    given = {"criterion": criterion, "scales": network.scales, "per_class": network.per_class()}
    found = network.logits(images)
    expected = calibration.calibrate_exits(found, np.tile(labels, 9), macs=macs, drop=0.05, **given)
    assert made.chosen.thresholds == expected.chosen.thresholds
    alone = calibration.scores([x[: len(labels)] for x in found], labels, **given)
    assert made.chosen == calibration.evaluate(alone, made.chosen.thresholds, macs)
    assert made.chosen in made.curve
    assert {p.thresholds for p in made.curve} == {p.thresholds for p in expected.curve}
    assert [p.macs for p in made.curve] == sorted((p.macs for p in made.curve), reverse=True)
    assert made.accuracies == tuple(alone.right.mean(axis=1))
    data = json.loads((folder / "exits.json").read_text())
    assert data["images"] == len(labels)
    assert data["shift"] == store.read(folder)["calibration"]["shift"] == 1
    assert data["reach"] == list(made.chosen.reach)
