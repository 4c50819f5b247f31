"""Attribution on quantized networks: what must sum up does, and the network is left alone."""

from __future__ import annotations

import copy
import functools
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it

from exeunt.config import tree
from exeunt.quant.attribution import (
    METHODS,
    _passes,
    activations,
    attribute,
    exit_rates,
    reference_images,
    scores,
)
from exeunt.quant.network.brevitas import QuantIdentity, QuantReLU
from exeunt.quant.network.model import MultiExitNetwork
from exeunt.quant.train import load_checkpoint
from exeunt.splits import read_split


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    """Integrated gradients in four steps: enough to see what sums up."""
    monkeypatch.setattr(_passes, "STEPS", 4)


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


@functools.cache
def network(bits: int = 4, pool: str = "max") -> MultiExitNetwork:
    """Random weights, steps that differ as learned ones do, batch norms that have seen images."""
    torch.manual_seed(bits)
    found = MultiExitNetwork(tree.parse(STAGES.format(bits=bits, pool=pool)).model)
    random = np.random.default_rng(bits)
    for module in found.modules():
        if isinstance(module, QuantReLU | QuantIdentity):
            for parameter in module.parameters():
                parameter.data *= random.uniform(0.6, 1.1)
    batch = torch.from_numpy(images(24)).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        for _ in range(8):
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
    net = copy.deepcopy(network()).train()
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


def test_captum_agrees_where_it_is_right():
    """Its plain gradients, and its DeepLIFT where quantizers are opaque and no window is maximal.

    Layer by layer it takes several times as long: python/tests/quant/test_attribution_bench.py.
    """
    from exeunt.quant.attribution._captum import captum_filter_scores, captum_maps

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from captum.attr import InputXGradient

    net, data = network(4, "average"), images(12)
    target, mean = np.arange(12) % 7, data.mean(0).astype(np.float32)
    shared = {"target": target, "exit": 1, "reference": mean}
    ours = attribute("deeplift", net, data, **shared).maps
    assert np.allclose(ours, captum_maps(net, data, **shared, opaque=True), atol=1e-6)
    as_it_is = captum_maps(net, data, **shared)
    assert np.abs(ours - as_it_is).max() > 0.05 * np.abs(ours).max()
    table = captum_filter_scores(net, data, target=target, reference=mean, exits=[1])[0]
    filters = scores("deeplift", net, data, exit=1, target=target, reference=mean).filters
    reached = [f for f in filters.values() if f.any()]
    for theirs, found in zip(table.values(), reached, strict=True):
        assert np.allclose(found, theirs, rtol=1e-4, atol=1e-7)

    planes = torch.from_numpy(data).permute(0, 3, 1, 2).float().requires_grad_()
    theirs = InputXGradient(lambda x: net(x)[1]).attribute(planes, target=torch.from_numpy(target))
    found = attribute("gradient-x-input", net, data, target=target, exit=1).maps
    assert np.allclose(theirs.detach().permute(0, 2, 3, 1).numpy(), found, atol=1e-6)


def test_lrp_of_one_linear_layer_is_its_products():
    """epsilon: weight x input, less by the stabiliser; alpha-beta: its shares by hand."""
    torch.manual_seed(0)
    layer = torch.nn.Linear(6, 3, bias=False)

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, x):
            return (self.layer(x.flatten(1)),)

    data = np.random.default_rng(0).uniform(0, 255, (4, 1, 3, 2)).astype(np.float32)
    x = data.transpose(0, 3, 1, 2).reshape(4, 6)
    w = layer.weight.detach().numpy()
    products = x[:, None, :] * w
    z = products.sum(2, keepdims=True)
    up, down = np.maximum(products, 0), np.minimum(products, 0)
    shares = 2 * up / up.sum(2, keepdims=True) - down / down.sum(2, keepdims=True)
    size = np.sqrt((z**2).mean(1, keepdims=True))
    for method, expected in (
        ("lrp-epsilon", products * np.abs(z) / (np.abs(z) + 0.01 * size)),
        ("lrp-alpha-beta", shares * z),
    ):
        found = attribute(method, Net(), data, target=1).maps
        found = found.transpose(0, 3, 1, 2).reshape(4, 6)
        assert np.allclose(found, expected[:, 1], rtol=1e-4, atol=1e-4), method


def test_max_pool_shares_between_the_winners():
    """Image winner and reference winner alone, and together the whole difference."""

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.pool = torch.nn.MaxPool2d((2, 2))

        def forward(self, x):
            return (self.pool(x).flatten(1),)

    image = np.array([[[9.0, 2.0], [4.0, 8.0]]], np.float32)[..., None]
    base = np.array([[[3.0, 1.0], [4.0, 6.0]]], np.float32)[..., None]
    net = Net()
    found = attribute("deeplift", net, np.concatenate([image, base]), target=0, reference=base)
    # 9 - 6 = 3 between differences of 6 and of 2: a quarter of the first, three of the second
    assert np.allclose(found.maps[0, ..., 0], [[1.5, 0.0], [0.0, 1.5]])
    assert not found.maps[1].any()


def test_functions_outside_of_layers_have_rules():
    """A user's own module with residual addition, F.relu and F.max_pool2d."""

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = torch.nn.Conv2d(2, 4, 3, padding=1)
            self.second = torch.nn.Conv2d(4, 4, 3, padding=1)
            self.last = torch.nn.Linear(4 * 30, 7)

        def forward(self, x):
            x = torch.relu(self.first(x / 255.0))
            x = x + F.relu(self.second(x))
            x = F.max_pool2d(x, 2)
            return (self.last(x.flatten(1)) * 2.0,)

    torch.manual_seed(3)
    net = Net()
    found = attribute("deeplift", net, images(6), reference="blurred")
    assert np.allclose(found.maps.sum((1, 2, 3)), found.gap, atol=1e-5)
    inside = activations("deeplift", net, images(6), reference="blurred")["first"]
    assert np.allclose(inside.sum((1, 2, 3)), found.gap, atol=1e-5)


def test_exits_are_weighted():
    net, data = network(), images(6)
    found = scores("deeplift", net, data, exit_weights=[3, 1], weights=False, aggregate="rms")
    first, second = found.per_exit
    assert found.rates == (0.75, 0.25)
    assert not found.weights
    for name, of_filters in found.filters.items():
        expected = 0.75 * first.filters[name] + 0.25 * second.filters[name]
        assert np.allclose(of_filters, expected), name
    alone = scores("deeplift", net, data, exit=1, weights=False, aggregate="rms")
    assert all(np.allclose(alone.filters[n], v) for n, v in second.filters.items())


def test_aggregates_by_hand():
    """From the contributions themselves, of images of two classes in unequal numbers."""
    net, data, target = network(), images(5), np.array([1, 1, 4, 1, 4])
    name = "segments.0.0"
    single = activations("deeplift", net, data, target=target, exit=1, reference="mean")[name]
    net_sum = single.sum((2, 3), np.float64)
    expected = {
        "absolute": np.abs(single).sum((2, 3)).mean(0),
        "net": np.abs(net_sum).mean(0),
        "signed": net_sum.mean(0),
        "positive": np.maximum(net_sum, 0).mean(0),
        "rms": np.sqrt((net_sum**2).mean(0)),
        "class-max": np.maximum(*(np.abs(net_sum[target == k]).mean(0) for k in (1, 4))),
        "class-net": np.mean([np.abs(net_sum[target == k].mean(0)) for k in (1, 4)], 0),
    }
    for aggregate, values in expected.items():
        found = scores(
            *("deeplift", net, data),
            target=target,
            exit=1,
            reference="mean",
            aggregate=aggregate,
            weights=False,
            batch=2,
        )
        # the mean image is that of all images whatever the batch
        assert np.allclose(found.filters[name], values, rtol=1e-4, atol=1e-6), aggregate
        assert np.allclose(found.activations[name], np.abs(single).mean(0), rtol=1e-4, atol=1e-7)


def test_references_are_averaged():
    net, data = network(), images(4)
    several = reference_images("several", data, population=images(9, seed=2), count=3, seed=5)
    assert several.shape == (3, 1, 12, 10, 2)
    both = attribute("deeplift", net, data, target=2, reference=several).maps
    single = [attribute("deeplift", net, data, target=2, reference=r[0]).maps for r in several]
    assert np.allclose(both, np.mean(single, 0), atol=1e-5)
    labels = np.array([0, 1, 1, 0])
    other = reference_images(
        "class-mean", data, population=data, population_labels=labels, target=labels
    )
    assert np.allclose(other[0], data[[1, 2]].mean(0))
    blurred = reference_images("blurred", np.full((1, 12, 10, 2), 77, np.uint8))
    assert np.allclose(blurred, 77)


def test_rates_of_leaving(tiny, trained):
    validation = read_split(trained / "splits.npz", "validation")
    rates = exit_rates(load_checkpoint(tiny, trained), tiny, validation.images, validation.labels)
    assert len(rates) == 2
    assert sum(rates) == pytest.approx(1.0)
