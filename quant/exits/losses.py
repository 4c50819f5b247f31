"""What exits are trained for: the loss that `train.loss` names, of all exits together.

`joint`, of one batch: sum over exits i of w_i * (CE_i + distill * 4 * KL_i), where KL_i compares
exit i with the last one, both softened by temperature 2 (Phuong & Lampert, ICCV 2019); the last
exit has cross-entropy alone and is not drawn towards the others.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Protocol

import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from torch import Tensor

from exeunt.errors import InputError

_TEMPERATURE = 2.0


class Loss(Protocol):
    """A loss of all exits together."""

    def __call__(
        self,
        outputs: Sequence[Tensor],
        labels: Tensor,
        *,
        weights: Sequence[float] | None = None,
        distill: float = 0.5,
        smoothing: float = 0.0,
    ) -> Tensor:
        """The loss of a batch: logits (N, classes) per exit against labels int64 (N,)."""


NAMED = {"joint": "losses:joint", "binary": "binary:loss"}


def of(name: str | None = None) -> Loss:
    """The loss called `name` in `NAMED`, `joint` unless given."""
    module, _, function = NAMED[name or "joint"].partition(":")
    found: Loss = getattr(importlib.import_module(f"exeunt.quant.exits.{module}"), function)
    return found


def weights_of(weights: Sequence[float] | None, exits: int) -> Sequence[float]:
    """The weight of each exit's loss, 1 unless given.

    Raises:
        InputError: not one weight per exit.
    """
    weights = weights or (1.0,) * exits
    if len(weights) != exits:
        raise InputError(
            f"train.exit_weights must have one entry for each of {exits} exits, got "
            f"{len(weights)}: change it"
        )
    return weights


def joint(
    outputs: Sequence[Tensor],
    labels: Tensor,
    *,
    weights: Sequence[float] | None = None,
    distill: float = 0.5,
    smoothing: float = 0.0,
) -> Tensor:
    """Weighted loss of all exits, each but the last also distilled from the last.

    Args:
        outputs: logits (N, classes) per exit.
        labels: int64 (N,).
        weights: one per exit; None: 1 each.
        distill: weight of the distillation beside the cross-entropy.
        smoothing: of the labels: the part that is spread over all classes.

    Raises:
        InputError: not one weight per exit.
    """
    weights = weights_of(weights, len(outputs))
    *early, last = outputs
    loss = weights[-1] * F.cross_entropy(last, labels, label_smoothing=smoothing)
    soft = F.softmax(last.detach() / _TEMPERATURE, dim=1)
    for out, weight in zip(early, weights, strict=False):
        loss = loss + weight * F.cross_entropy(out, labels, label_smoothing=smoothing)
        if distill:
            log = F.log_softmax(out / _TEMPERATURE, dim=1)
            gap = F.kl_div(log, soft, reduction="batchmean")
            loss = loss + weight * distill * _TEMPERATURE**2 * gap
    return loss
