"""The loss of Early-Exit with Class Exclusion (2309.13443): no head may exclude the right class.

Of one batch: CE of the last exit + sum over the other exits i = 1..H of w_i / (H - i + 1) * BCE_i.
BCE_i is the mean over images and classes of the binary cross-entropy of the logits against one-hot
targets, in which the one right class counts `POSITIVE` times.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from torch import Tensor

from exeunt.quant.exits.losses import weights_of

POSITIVE = 36.0  # to 100 in the paper's code


def loss(
    outputs: Sequence[Tensor],
    labels: Tensor,
    *,
    weights: Sequence[float] | None = None,
    distill: float = 0.5,
    smoothing: float = 0.0,
) -> Tensor:
    """Binary losses of the early exits, cross-entropy of the last.

    Args:
        outputs: logits (N, classes) per exit.
        labels: int64 (N,).
        weights: one per exit, beside the paper's own; None: 1 each.
        distill: of no account, a binary head learns from the labels alone.
        smoothing: of the labels of the last exit.

    Raises:
        InputError: not one weight per exit.
    """
    del distill
    *early, last = outputs
    given = weights_of(weights, len(outputs))
    total = given[-1] * F.cross_entropy(last, labels, label_smoothing=smoothing)
    target = F.one_hot(labels, last.shape[1]).to(last.dtype)
    positive = last.new_full((last.shape[1],), POSITIVE)
    for i, (out, weight) in enumerate(zip(early, given, strict=False)):
        binary = F.binary_cross_entropy_with_logits(out, target, pos_weight=positive)
        total = total + weight / (len(early) - i) * binary
    return total
