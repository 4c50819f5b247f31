"""The network of a config: shapes, costs, grids; what does not fit is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from exeunt.config import tree
from exeunt.errors import InputError
from exeunt.quant.network.logits import integer_logits
from exeunt.quant.network.model import Cost, MultiExitNetwork, cumulative_macs, quantizers_disabled

HEAD = """
name = "x"
[data]
dataset = "digits"
[model]
input = [12, 10, 2]
classes = 7
"""


def build(stages: str) -> MultiExitNetwork:
    torch.manual_seed(0)
    return MultiExitNetwork(tree.parse(HEAD + stages).model).eval()


def images(count: int = 6) -> torch.Tensor:
    random = np.random.default_rng(1)
    pixels = random.integers(0, 256, (count, 12, 10, 2)).astype(np.float32)
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)


STAGES = """
[[model.stages]]
blocks = [{ conv = 4, kernel = 3, stride = 2, padding = 1 }]
head = [{ pool = "max", size = 2 }]
[[model.stages]]
blocks = [{ pool = "average", size = 2 }, { conv = 5, kernel = 2 }]
head = [{ linear = 6 }, { linear = 7 }]
"""


def test_logits_and_costs():
    network = build(STAGES)
    outputs = network(images())
    assert [tuple(o.shape) for o in outputs] == [(6, 7), (6, 7)]
    # 6 x 5 positions of 4 channels over 2 x 3 x 3, pooled to 3 x 2; then 2 x 1 positions
    assert network.costs == [
        Cost(segment=6 * 5 * 4 * 18, head=3 * 2 * 4 * 7),
        Cost(segment=2 * 1 * 5 * 16, head=2 * 1 * 5 * 6 + 6 * 7),
    ]


def test_cumulative_macs():
    assert cumulative_macs([Cost(10, 1), Cost(20, 2), Cost(30, 3)]) == [11, 33, 66]


@pytest.mark.parametrize("bits", range(2, 9))
def test_logits_are_integers_times_their_scale(bits):
    network = build(
        f"weight_bits = {bits}\nactivation_bits = {bits}\n"
        '[[model.stages]]\nblocks = [{ conv = 4 }, { pool = "max" }]\n'
        '[[model.stages]]\nblocks = [{ conv = 6, padding = 1 }, { pool = "average" }]\n'
        'head = [{ pool = "average", size = "global" }, { linear = 9 }, { linear = 7 }]\n'
    )
    pixels = np.random.default_rng(1).integers(0, 256, (6, 12, 10, 2)).astype(np.uint8)
    scales = network.logit_scales()
    found = integer_logits(network, pixels, scales)  # refuses what is off the grid
    assert len(np.unique(found[0])) > 5
    with torch.no_grad():
        for integers, scale, out in zip(found, scales, network(images()), strict=True):
            assert np.allclose(integers * scale, out.numpy(), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(("weights", "activations"), [(2, 3), (8, 2), (3, 8)])
def test_bits_of_one_layer(weights, activations):
    network = build(
        "[[model.stages]]\n"
        f"blocks = [{{ conv = 4, weight_bits = {weights}, activation_bits = {activations} }}]\n"
    )
    conv, _, relu = network.segments[0]
    with torch.no_grad():
        integers = conv.quant_weight().int()
        values = network.segments[0](images()) / relu.act_quant.scale()
    assert int(integers.abs().max()) == 2 ** (weights - 1) - 1
    assert float(values.max()) <= 2**activations - 1 + 1e-4
    assert len(conv.quant_weight().scale.flatten()) == 4


def test_a_stage_of_pools_ends_on_a_quantizer():
    network = build(
        '[[model.stages]]\nblocks = [{ pool = "max", size = 2 }]\n[[model.stages]]\n'
        "blocks = [{ conv = 4 }]\n"
    )
    with torch.no_grad():
        grid = network.segments[0](images()) / network.segments[0][-1].act_quant.scale()
    assert float((grid - grid.round()).abs().max()) < 1e-4
    assert float(grid.max()) <= 15.0001


def test_eight_exits():
    stage = "[[model.stages]]\nblocks = [{ conv = 2, padding = 1 }]\n"
    assert len(build(stage * 8)(images())) == 8


def test_without_quantizers_the_same_layers_run_in_floating_point():
    network = build(STAGES)
    with torch.no_grad():
        quantized = network(images())
        with quantizers_disabled(network):
            floating = network(images())
        again = network(images())
    assert not torch.allclose(quantized[0], floating[0])
    assert torch.equal(quantized[0], again[0])


def test_window_that_does_not_fit():
    # the config refuses this by itself; a model section made by other means does not
    model = tree.parse(
        HEAD + '[[model.stages]]\nblocks = [{ conv = 4 }]\nhead = [{ pool = "max", size = 4 }]\n'
    ).model
    with pytest.raises(InputError) as caught:
        MultiExitNetwork(model.model_copy(update={"input": (4, 4, 2)}))
    assert str(caught.value) == (
        "model.stages[0].head[0] must have a window within the 2x2 tensor in front of it "
        "(padding 0), got 4x4: shrink it or pool less"
    )


def test_pool_with_too_much_padding():
    with pytest.raises(InputError) as caught:
        build('[[model.stages]]\nblocks = [{ pool = "max", size = 3, padding = 2 }]\n')
    assert str(caught.value) == (
        "model.stages[0].blocks[0] must pad by at most half of its window of 3x3, got 2: lower "
        "its padding"
    )
