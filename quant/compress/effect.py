"""What a change of a network does to its answers: contributions against the network as it is.

DeepLIFT explains the difference between two states of a network, and its contributions sum to
the difference of the outputs (summation-to-delta: Shrikumar, Greenside and Kundaje, "Learning
Important Features Through Propagating Activation Differences", ICML 2017, section 3.1). Usually
the states are two images. Here they are two networks on the same image: the reference is the
network as it is, the other one has one part of it replaced, such as the weights of a layer at
fewer bits. Nothing else differs, so all contributions are of that part, and by summation-to-delta
they sum to the difference of the logits, which two forward passes give exactly. It is the *net*
effect: errors of weights and activations that cancel on their way to the logits, as nearly all
rounding errors do, count for nothing. A sum of absolute contributions counts every one of them in
full, most where a layer has many small values, and overstates the damage many times over.

Differences of logits become one figure where they matter, in the answer: the divergence of the
changed softmax from the present one, in nats, both softened by the temperature of the distillation
(as they are, training images leave nearly all classes at nothing). Labels have no part in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

_BATCH = 128
_TEMPERATURE = 2.0


@dataclass(frozen=True)
class Effect:
    """The present answers on some images, to compare those of a changed network with.

    `images` are (N, C, H, W), float32 of integers 0..255; `logits` (N, classes) for every exit;
    `exit_weights` say how much every exit counts.
    """

    images: Tensor
    logits: tuple[Tensor, ...]
    exit_weights: tuple[float, ...]

    def of(self, changed: nn.Module) -> float:
        """Mean divergence KL(present || changed) of the answers, softened, in nats, exits weighted.

        0 when no logit moves, or all of an image's by the same amount, and only then.
        """
        total = 0.0
        for weight, present, other in zip(
            self.exit_weights, self.logits, answers(changed, self.images), strict=True
        ):
            total += weight * float(softened(present, other - present).mean())
        return total


def effect(network: nn.Module, images: np.ndarray, exit_weights: Sequence[float]) -> Effect:
    """The answers of `network` on `images` (N, H, W, C), integers 0..255, as the reference."""
    planes = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)).copy()).float()
    return Effect(planes, answers(network, planes), tuple(exit_weights))


@torch.no_grad()
def answers(network: nn.Module, images: Tensor) -> tuple[Tensor, ...]:
    """Logits (N, classes) of every exit, float64, of images (N, C, H, W)."""
    network.eval()
    batches = [network(part) for part in images.split(_BATCH)]
    return tuple(torch.cat(found).double() for found in zip(*batches, strict=True))


@torch.no_grad()
def remeasured(network: nn.Module, images: Tensor) -> None:
    """Measure the statistics of the batch norms anew, on images (N, C, H, W), all else as it is."""
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    network.eval()
    if not norms or len(images) < 2:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches
        norm.train()
    for part in images.tensor_split(-(-len(images) // (2 * _BATCH))):
        network(part)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()


def softened(logits: Tensor, change: Tensor) -> Tensor:
    """`divergence` at the temperature, times its square, as in the distillation."""
    return _TEMPERATURE**2 * divergence(logits / _TEMPERATURE, change / _TEMPERATURE)


def divergence(logits: Tensor, change: Tensor) -> Tensor:
    """KL of the softmax of logits + change from that of logits, (N, classes) -> (N,), in nats."""
    present = torch.log_softmax(logits, dim=1)
    other = torch.log_softmax(logits + change, dim=1)
    return (present.exp() * (present - other)).sum(dim=1).clamp_min(0.0)
