"""Networks of every kind of block: logits on their grid, costs, pruning of what goes together."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from exeunt.config import tree
from exeunt.quant.compress.filters import pruned
from exeunt.quant.compress.structure import structure_of
from exeunt.quant.compress.subject import Subject
from exeunt.quant.network.model import MultiExitNetwork, quantizers_disabled

STAGES = """
name = "blocks"
[data]
dataset = "digits"
[model]
input = [12, 10, 2]
classes = 5
[[model.stages]]
blocks = [
  { conv = 4, kernel = [3, 1], padding = [1, 0] },
  { conv = 4, groups = 4, padding = [0, 1, 2, 1] },
  { residual = [{ conv = 6, padding = 1 }, { conv = 4, padding = 1 }] },
]
[[model.stages]]
blocks = [{ residual = [{ conv = 6, padding = 1, stride = 2 }], activation_bits = 3 }]
head = [{ pool = "max", size = "global" }]
"""


@pytest.fixture
def subject() -> Subject:
    model = tree.parse(STAGES).model
    torch.manual_seed(0)
    network = MultiExitNetwork(model)
    with torch.no_grad():
        network.train()
        for _ in range(3):
            network(torch.randint(0, 256, (16, 2, 12, 10)).float())
    return Subject(network.eval(), model)


def images() -> torch.Tensor:
    random = np.random.default_rng(1)
    return torch.from_numpy(random.integers(0, 256, (6, 2, 12, 10)).astype(np.float32))


def test_logits_and_costs(subject: Subject) -> None:
    network = subject.network
    for logits, scale in zip(network(images()), network.logit_scales(), strict=True):
        steps = logits / scale
        assert torch.allclose(steps, steps.round(), atol=1e-3)
        assert steps.abs().max() > 1
    assert [c.segment for c in network.costs] == [
        120 * (4 * 6 + 4 * 9 + 6 * 4 * 9 + 4 * 6 * 9),
        30 * (6 * 4 * 9 + 6 * 4),
    ]
    assert structure_of(network, subject.model).macs() == sum(
        c.segment + c.head for c in network.costs
    )


def test_channels_that_are_added_or_filtered_alone_go_together(subject: Subject) -> None:
    found = structure_of(subject.network, subject.model)
    by_name = {name: i for i, g in enumerate(found.groups) for name in g.producers}
    first, alone = by_name["segments.0.0"], by_name["segments.0.4"]
    assert first == alone == by_name["segments.0.7.long.3"]
    assert by_name["segments.1.0.long.0"] == by_name["segments.1.0.short.0"] != first
    keep = {
        first: torch.tensor([0, 2, 3]),
        by_name["segments.0.7.long.0"]: torch.tensor([1, 2, 5]),
        by_name["segments.1.0.long.0"]: torch.tensor([0, 3, 4]),
    }
    with quantizers_disabled(subject.network):
        before = subject.network(images())
    smaller = pruned(subject, found, keep)
    stages = smaller.model.stages
    assert [b.conv for b in stages[0].blocks[:2]] == [3, 3]
    assert stages[0].blocks[1].groups == 3
    assert [c.conv for c in stages[0].blocks[2].residual] == [3, 3]
    assert (stages[0].blocks[2].shortcut, stages[1].blocks[0].shortcut) == ("identity", "conv")
    assert tree.Model.model_validate(smaller.model.model_dump()) == smaller.model
    here = structure_of(smaller.network, smaller.model)
    assert here.macs() == sum(c.segment + c.head for c in smaller.network.costs)
    # silence the channels that went: what is left answers like the smaller network
    with torch.no_grad():
        for group, indices in keep.items():
            gone = [k for k in range(found.groups[group].size) if k not in indices.tolist()]
            for norm in found.groups[group].norms:
                module = subject.network.get_submodule(norm)
                module.weight[gone] = module.bias[gone] = module.running_mean[gone] = 0.0
    # the scale of a filter's weights depends on those that it has, so without quantizers
    with quantizers_disabled(smaller.network), quantizers_disabled(subject.network):
        after, silent = smaller.network(images()), subject.network(images())
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(after, silent, strict=True))
    assert not torch.allclose(after[0], before[0], atol=1e-4)
