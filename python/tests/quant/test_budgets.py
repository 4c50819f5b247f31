"""What is advised when a compression pass misses its budget, and that it helps."""

from __future__ import annotations

import pytest
import torch

from exeunt.config import tree
from exeunt.config.compress import Blocks, Filters, Weights
from exeunt.quant.compress import step, weights
from exeunt.quant.compress.structure import structure_of
from exeunt.quant.network.source import build


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (Filters(kind="filters", multiple=8), "lower its multiple, 8"),
        (Filters(kind="filters", multiple=1), "lower its floor, 0.25"),
        (Filters(kind="filters", multiple=1, floor=0.0), "change its budget"),
        (
            Weights(kind="weights"),
            "give it a group that divides the outputs of every layer; 1 always does",
        ),
        (Weights(kind="weights", group=4), "lower its group, 4"),
        (Weights(kind="weights", group=1), "change its sparsity"),
        (Blocks(kind="blocks", group=1, block=3), "lower its block, 3"),
    ],
)
def test_advice(spec, said):
    assert step.advice(spec) == said


NETWORK = """
name = "n"
[data]
dataset = "digits"
[model]
input = [8, 8, 1]
classes = 10
[[model.stages]]
blocks = [{ conv = 32 }]
head = [{ pool = "average", size = "global" }]
"""


def test_a_group_comes_nearer_to_the_budget():
    model = tree.parse(NETWORK).model
    torch.manual_seed(0)
    network = build(model)
    structure = structure_of(network, model)
    scores = {
        y.name: network.get_parameter(f"{y.name}.weight").detach().abs() for y in structure.layers
    }

    def left(group: int) -> float:
        spec = Weights(kind="weights", sparsity=0.9, group=group)
        masks = weights.choose(structure, scores, spec, share=0.1, before={}).values()
        return sum(int(m.sum()) for m in masks) / sum(m.numel() for m in masks)

    assert left(0) < 0.9 * 0.1 < left(1) <= 0.1
