"""The joint loss by hand, and the names of losses."""

from __future__ import annotations

from typing import get_args

import pytest
import torch

from exeunt import criteria
from exeunt.config.tree import Train
from exeunt.errors import InputError
from exeunt.quant.exits import binary, losses
from exeunt.quant.exits.losses import joint


@pytest.mark.parametrize("name", [None, *losses.NAMED])
def test_every_loss_can_be_trained_with(name):
    out = torch.tensor([[2.0, 0.0, 1.0]], requires_grad=True)
    labels = torch.tensor([1])
    loss = losses.of(name)([out, 2 * out], labels, weights=[1.0, 2.0], distill=0.5)
    loss.backward()
    assert torch.isfinite(out.grad).all()
    assert out.grad.abs().sum() > 0


def test_joint_loss_by_hand():
    out = torch.tensor([[2.0, 0.0]])
    last = torch.tensor([[0.0, 1.0]])
    label = torch.tensor([1])
    cross = torch.nn.functional.cross_entropy
    plain = joint([out, last], label, distill=0.0)
    assert torch.allclose(plain, cross(out, label) + cross(last, label))
    weighted = joint([out, last], label, weights=[0.25, 2.0], distill=0.0)
    assert torch.allclose(weighted, 0.25 * cross(out, label) + 2 * cross(last, label))
    p, q = torch.softmax(last / 2, 1), torch.softmax(out / 2, 1)
    divergence = (p * (p / q).log()).sum()
    distilled = joint([out, last], label, distill=0.5)
    assert torch.allclose(distilled, plain + 0.5 * 4 * divergence)


def test_smoothed_labels_by_hand():
    out, label = torch.tensor([[2.0, 0.0, 1.0]]), torch.tensor([1])
    log = torch.log_softmax(out, 1)[0]
    expected = -(0.8 * log[1] + 0.2 * log.mean())
    found = joint([out, out], label, distill=0.0, smoothing=0.2)
    assert torch.allclose(found, 2 * expected)


def test_the_last_exit_is_not_drawn_towards_the_others():
    out = torch.tensor([[2.0, 0.0]], requires_grad=True)
    last = torch.tensor([[0.0, 1.0]], requires_grad=True)
    label = torch.tensor([1])
    joint([out, last], label, distill=3.0).backward()
    alone = torch.autograd.grad(torch.nn.functional.cross_entropy(last, label), last)[0]
    assert torch.allclose(last.grad, alone)


def test_wrong_number_of_exit_weights():
    outputs = [torch.zeros(1, 2)] * 3
    with pytest.raises(InputError) as caught:
        joint(outputs, torch.zeros(1, dtype=torch.long), weights=[1.0, 2.0])
    assert str(caught.value) == (
        "train.exit_weights must have one entry for each of 3 exits, got 2: change it"
    )


def test_binary_loss_by_hand():
    """1/(H - i + 1) times the mean of all terms; the right class of two exits counts 36 times."""
    outputs = [torch.tensor([[2.0, -1.0, 0.5]]), torch.tensor([[0.0, 1.0, 0.0]])]
    last, label = torch.tensor([[0.0, 1.0, 3.0]]), torch.tensor([2])
    terms = []
    for out in outputs:
        one = torch.sigmoid(out[0])
        terms.append(-(36 * one[2].log() + (1 - one[0]).log() + (1 - one[1]).log()) / 3)
    cross = torch.nn.functional.cross_entropy(last, label)
    found = binary.loss([*outputs, last], label, distill=9.0)
    assert torch.allclose(found, cross + terms[0] / 2 + terms[1])
    weighted = binary.loss([*outputs, last], label, weights=[3.0, 0.5, 2.0])
    assert torch.allclose(weighted, 2 * cross + 3 * terms[0] / 2 + 0.5 * terms[1])


def test_the_config_names_a_loss():
    assert losses.of("binary") is binary.loss
    assert losses.of("joint") is losses.of() is joint
    assert set(losses.NAMED) == set(get_args(get_args(Train.model_fields["loss"].annotation)[0]))
    made = {criteria.get(name).loss for name in criteria.names()} - {None}
    assert made == {"binary"} <= set(losses.NAMED)
