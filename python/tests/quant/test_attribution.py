"""Attribution on quantized networks: what must sum up does, and the network is left alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from exeunt import config
from exeunt.quant.attribution import METHODS, activations, attribute, scores
from exeunt.quant.model import MultiExitNetwork

STAGES = """
name = "x"
[data]
dataset = "digits"
[model]
input = [12, 10, 2]
classes = 7
weight_bits = {bits}
activation_bits = {bits}
[[model.stages]]
blocks = [{{ conv = 6, kernel = 3, stride = 2, padding = 1 }}]
head = [{{ pool = "{pool}", size = 2 }}]
[[model.stages]]
blocks = [{{ conv = 8, kernel = 3, padding = 1 }}, {{ pool = "{pool}", size = 3, stride = 1 }}]
head = [{{ linear = 9 }}, {{ linear = 7 }}]
"""


def network(bits: int = 4, pool: str = "max") -> MultiExitNetwork:
    """Random weights, and batch norms that have seen images."""
    torch.manual_seed(bits)
    found = MultiExitNetwork(config.parse(STAGES.format(bits=bits, pool=pool)).model)
    batch = torch.from_numpy(images(64)).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        for _ in range(30):
            found(batch)
    return found.eval()


def images(count: int, seed: int = 1) -> np.ndarray:
    rough = np.random.default_rng(seed).uniform(0, 255, (count, 6, 5, 2))
    return rough.repeat(2, axis=1).repeat(2, axis=2).astype(np.uint8)


@pytest.mark.parametrize("pool", ["max", "average"])
@pytest.mark.parametrize("bits", [8, 4, 3, 2])
def test_deeplift_is_complete(bits, pool):
    net = network(bits, pool)
    for exit in (0, 1):
        found = attribute("deeplift", net, images(16), exit=exit, reference="mean", batch=7)
        error = np.abs(found.maps.sum((1, 2, 3), np.float64) - found.gap).mean()
        assert error <= 1e-5 * np.abs(found.gap).mean()
        assert np.abs(found.gap).mean() > 0


def test_every_layer_in_front_of_an_exit_holds_the_whole_difference():
    net = network()
    gap = attribute("deeplift", net, images(8), exit=1, reference="blurred").gap
    found = activations("deeplift", net, images(8), exit=1, reference="blurred")
    for name in ("segments.0.0", "segments.1.0", "heads.1.1", "heads.1.4"):
        total = found[name].reshape(8, -1).sum(1, np.float64)
        assert np.allclose(total, gap, atol=1e-4 * np.abs(gap).mean()), name
    assert not found["heads.0.2"].any()  # the other head has no part in it


@pytest.mark.parametrize("method", ["deeplift", "integrated-gradients", "gradient-x-input"])
def test_weights_sum_to_their_filter(method):
    net = network()
    found = scores(method, net, images(8), aggregate="signed", reference="mean", target=3, batch=5)
    for name, of_filters in found.filters.items():
        of_weights = found.weights[name].reshape(len(of_filters), -1).sum(1)
        assert np.allclose(of_weights, of_filters, atol=1e-5 * np.abs(of_filters).max()), name
    assert set(found.filters) == {
        *("segments.0.0", "segments.1.0", "heads.0.2", "heads.1.1", "heads.1.4")
    }


def test_a_weight_score_is_what_the_logit_loses_without_it():
    """In the last layer, which is linear, taking one weight away takes exactly its score."""
    net = network()
    data = images(6)
    found = scores("deeplift", net, data, exit=0, target=2, aggregate="signed", reference="zeros")
    layer = net.heads[0][2]
    batch = torch.from_numpy(data).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        value = layer.quant_weight().value
        inside = net.heads[0][:2](net.segments[0](batch))
        nothing = net.heads[0][:2](net.segments[0](torch.zeros_like(batch[:1])))
        expected = (value[2] * (inside - nothing)).mean(0)
    assert np.allclose(found.weights["heads.0.2"][2], expected.numpy(), atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_the_network_is_left_alone(method):
    net = network().train()
    net.segments[0].eval()
    next(net.parameters()).requires_grad_(False)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    modes = [m.training for m in net.modules()]
    first = attribute(method, net, images(5), reference="mean", batch=2)
    second = attribute(method, net, images(5), reference="mean", batch=2)
    assert first.maps.shape == (5, 12, 10, 2)
    assert first.maps.dtype == np.float32
    assert first.maps.any()
    assert np.array_equal(first.maps, second.maps)
    assert [m.training for m in net.modules()] == modes
    assert [p.requires_grad for p in net.parameters()].count(False) == 1
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
