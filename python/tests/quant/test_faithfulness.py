"""Figures of faithfulness: known answers, and DeepLIFT's table beside Captum's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from exeunt.config import tree
from exeunt.errors import InputError
from exeunt.quant.attribution import attribute, quantus_figures
from exeunt.quant.attribution._quantus import flip_step
from exeunt.quant.attribution.faithfulness import (
    completeness_error,
    completeness_table,
    faithfulness,
    flip_auc,
    randomised,
    spearman,
    top_overlap,
)
from exeunt.quant.train import load_checkpoint
from exeunt.splits import read_split


@pytest.fixture(scope="module")
def net(tiny: tree.Config, trained: Path) -> torch.nn.Module:
    return load_checkpoint(tiny, trained)


@pytest.fixture(scope="module")
def data(trained: Path) -> np.ndarray:
    return read_split(trained / "splits.npz", "test").images[:24]


def test_correlation_and_overlap_of_known_maps():
    maps = np.random.default_rng(0).normal(size=(3, 5, 4, 2)).astype(np.float32)
    assert spearman(maps, maps * 7) == pytest.approx(1.0)
    assert spearman(maps, -maps) == pytest.approx(-1.0)
    assert spearman(maps, np.zeros_like(maps)) == 0.0
    assert top_overlap(maps, maps * 2) == 1.0
    assert top_overlap(maps, -maps) == 0.0
    assert completeness_error(np.ones((2, 2, 2, 1), np.float32), np.array([4.0, 6.0])) == 0.2


def test_what_matters_first_falls_first(net, data):
    found = attribute("deeplift", net, data, reference="mean")
    order = found.maps.sum(3)
    random = np.random.default_rng(0).random(order.shape)
    first, nothing, last = (
        flip_auc(net, data, r, target=found.target, exit=1, reference="mean")
        for r in (order, random, -order)
    )
    assert first < nothing < last


def test_figures_of_a_trained_network(net, data):
    found = faithfulness("deeplift", net, data, exit=1)
    assert found.completeness_error is not None
    assert found.completeness_error < 1e-4
    assert found.flip_auc < found.flip_auc_random
    assert abs(found.randomised_spearman) < found.spearman_vs_float < 1.0
    assert 0.1 < found.top10_overlap <= 1.0
    assert faithfulness("saliency", net, data[:4]).completeness_error is None


def test_shuffled_weights_are_a_copy(net):
    before = {k: v.clone() for k, v in net.state_dict().items()}
    other = randomised(net, 0)
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    first, shuffled = net.segments[0][0].weight, other.segments[0][0].weight
    assert not torch.equal(first, shuffled)
    assert torch.equal(first.flatten().sort().values, shuffled.flatten().sort().values)


def test_table_beside_captum(net, data):
    rows = completeness_table([("3 bits", net)], data, reference=data.mean(0).astype(np.float32))
    assert [(row.name, row.exit) for row in rows] == [("3 bits", 0), ("3 bits", 1)]
    for row in rows:
        assert row.ours <= 1e-4
        assert row.captum > 1e-3


def test_quantus_measures_the_same_maps(net, data):
    data = data[:8]
    drawn, state = torch.get_rng_state(), np.random.get_state()[1].copy()
    kept = {k: v.clone() for k, v in net.state_dict().items()}
    found = quantus_figures("deeplift", net, data, reference="mean")
    assert torch.equal(drawn, torch.get_rng_state())
    assert np.array_equal(state, np.random.get_state()[1])
    assert all(torch.equal(v, kept[k]) for k, v in net.state_dict().items())
    # pixel flipping by hand: two pixels of 64 at a time
    maps = attribute("deeplift", net, data, reference="mean")
    order = np.argsort(-maps.maps.sum(3).reshape(len(data), -1), axis=1)
    images = data.reshape(len(data), -1).astype(np.float32)
    base = np.broadcast_to(data.astype(np.float32).mean(0).reshape(-1), images.shape)
    told = []
    for step in range(1, 33):
        now = images.copy()
        gone = order[:, : 2 * step]
        np.put_along_axis(now, gone, np.take_along_axis(base, gone, 1), 1)
        with torch.no_grad():
            out = net(torch.from_numpy(now.reshape(-1, 1, 8, 8)))[-1].softmax(1).numpy()
        told.append(out[np.arange(len(data)), maps.target])
    assert found["pixel_flipping"] == pytest.approx(np.mean(told), abs=1e-3)
    # None: after two epochs at three bits a network with random last weights has maps of zeros
    assert found["mprt"] is None or -1 <= found["mprt"] <= 1
    assert -1 <= found["faithfulness_correlation"] <= 1
    assert found["max_sensitivity"] > 0
    assert 0 < found["sparseness"] < 1


def test_without_quantus(net, data, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError) as caught:
        quantus_figures("deeplift", net, data)
    assert str(caught.value) == (
        "explain.quantus must find the package quantus, got none: install quantus==0.6.0 with "
        "scikit-image and opencv-python-headless, or set it to false"
    )


@pytest.mark.parametrize(
    ("pixels", "features", "step"), [(64, 64, 2), (784, 784, 28), (1024, 3072, 128), (13, 39, 13)]
)
def test_steps_of_the_flipping(pixels, features, step):
    assert flip_step(pixels, features) == step
