"""What attribution refuses, each in one sentence; the network is left as it was."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from exeunt.config import tree
from exeunt.errors import CheckFailed, InputError
from exeunt.quant.attribution import METHODS, attribute, reference_images, scores
from exeunt.quant.network.model import MultiExitNetwork

MODEL = """
name = "x"
[data]
dataset = "digits"
[model]
input = [6, 5, 1]
classes = 4
[[model.stages]]
blocks = [{ conv = 3 }]
[[model.stages]]
blocks = [{ conv = 2 }]
"""
IMAGES = np.random.default_rng(0).integers(0, 256, (3, 6, 5, 1)).astype(np.uint8)


@pytest.fixture(scope="module")
def net() -> MultiExitNetwork:
    torch.manual_seed(0)
    return MultiExitNetwork(tree.parse(MODEL).model)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"exit": 2}, "exit must be one of 0..1, got 2: the network has 2 exits"),
        ({"exit": -3}, "exit must be one of 0..1, got -3: the network has 2 exits"),
        ({"target": 4}, "target class must be in 0..3, got 4: choose one that the network knows"),
        (
            {"target": np.array([1, 2])},
            "target must be a class or one for each of 3 images, got int64 of shape (2,): give "
            "integers",
        ),
        (
            {"reference": np.zeros((5, 6, 1))},
            "reference image must have the images' shape 6x5x1 (H x W x C), got 5x6x1: resize it",
        ),
        (
            {"reference": np.full((6, 5, 1), np.nan)},
            "reference image must be finite, got a nan or an infinity: make it of numbers 0..255",
        ),
        (
            {"reference": "men"},
            "reference must be one of zeros, mean, class-mean, blurred, several, got 'men': did "
            "you mean 'mean'?",
        ),
        (
            {"reference": "several"},
            "reference by name must be one of zeros, mean, blurred, got 'several': make the array "
            "with reference_images",
        ),
        (
            {"objective": "loss"},
            "objective must be one of logit, margin, centred, log-probability, got 'loss': did "
            "you mean 'logit'?",
        ),
        (
            {"images": IMAGES.transpose(0, 2, 1, 3)},
            "images must have the shape 6x5x1 (H x W x C) that the network was trained on, got "
            "5x6x1: resize them",
        ),
        (
            {"images": IMAGES[0]},
            "images must be numbers of shape N x H x W x C with N >= 1, got 6x5x1: reshape them",
        ),
        (
            {"method": "deep-lift"},
            "method must be one of deeplift, lrp-epsilon, lrp-alpha-beta, integrated-gradients, "
            "gradient-x-input, saliency, grad-cam, got 'deep-lift': did you mean 'deeplift'?",
        ),
    ],
)
def test_arguments(net, arguments, sentence):
    given = {"method": "deeplift", "images": IMAGES, **arguments}
    with pytest.raises(InputError) as error:
        attribute(given.pop("method"), net, given.pop("images"), **given)
    assert str(error.value) == sentence
    assert net.training


def test_scores(net):
    with pytest.raises(InputError, match=r"aggregate must be one of .*, got 'sum': did you mean"):
        scores("deeplift", net, IMAGES, aggregate="sum")
    with pytest.raises(InputError, match=r"weight scores must come from .*, got grad-cam: choose"):
        scores("grad-cam", net, IMAGES)
    with pytest.raises(InputError) as error:
        scores("deeplift", net, IMAGES, exit_weights=[1.0])
    assert str(error.value) == (
        "exit_weights must be 2 numbers from 0, one for each exit, got [1.0]: change them"
    )
    with pytest.raises(InputError, match="must not all be 0, got zeros: weigh at least one exit"):
        scores("deeplift", net, IMAGES, exit_weights=[0.0, 0.0])


def test_class_mean_needs_classes():
    with pytest.raises(InputError, match="must have labels of the population and a target"):
        reference_images("class-mean", IMAGES)


def test_a_layer_without_a_rule_is_named():
    class Attention(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * x.softmax(1)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.middle = Attention()
            self.last = nn.Linear(30, 4)

        def forward(self, x):
            return (self.last(self.middle(x.flatten(1))),)

    net = Net()
    for method in ("deeplift", "lrp-epsilon"):
        with pytest.raises(InputError) as error:
            attribute(method, net, IMAGES)
        assert str(error.value) == (
            f"middle (Attention) must be made of layers that {method} has a rule for, got "
            "softmax: use a layer of torch.nn or Brevitas for it, or another method"
        )
        assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
    assert net.training
    assert all(p.requires_grad for p in net.parameters())
    assert attribute("gradient-x-input", net, IMAGES).maps.any()  # needs no rule
    with pytest.raises(InputError, match=r"images must have the shape .*, got 5x5x1 \(H x W x C\)"):
        attribute("saliency", net, IMAGES[:, 1:])


def test_padding_that_is_no_zeros_is_named():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Conv2d(1, 2, 3, padding=1, padding_mode="reflect")

        def forward(self, x):
            return (self.first(x).mean((2, 3)),)

    with pytest.raises(InputError, match="layer first must pad with zeros by a number"):
        attribute("deeplift", Net(), IMAGES)


@pytest.mark.parametrize("method", METHODS)
def test_what_is_not_finite_is_told(method):
    net = nn.Sequential(nn.Flatten(), nn.Linear(30, 4))
    with torch.no_grad():
        net[1].weight[1, 2] = torch.nan
    if method == "grad-cam":
        with pytest.raises(InputError, match=r"grad-cam must find a convolution .*, got none in"):
            attribute(method, net, IMAGES)
        return
    with pytest.raises(CheckFailed, match=f"heat maps of exit 0 must be finite with {method}, got"):
        attribute(method, net, IMAGES, target=1)
    with pytest.raises(CheckFailed, match=r"(scores of layer 1|heat maps of exit 0) must be"):
        scores(method, net, IMAGES, target=1)
