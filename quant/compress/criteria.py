"""How much each filter and each weight matters, by six criteria under one signature.

Scores are never negative, a larger one means that the network needs it more. The loss of Taylor
and gradient is the cross-entropy of every exit, weighted like the exits in DeepLIFT and LRP.

- deeplift, lrp: contributions to what an exit answers, `exeunt.quant.attribution`.
- taylor: |activation * gradient| summed over a filter's positions (Molchanov et al., ICLR 2017;
  behind the batch norm, CVPR 2019), |weight * gradient| of single weights.
- gradient: |gradient| of activations and of weights.
- l1: sum of the |weights| of a filter (Li et al., ICLR 2017), |weight|.
- random: uniform, by the seed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from torch import Tensor, nn

from exeunt.config.compress import CRITERIA
from exeunt.errors import InputError
from exeunt.quant.network.logits import as_tensor

_BATCH = 64
Table = dict[str, Tensor]


@dataclass(frozen=True)
class Options:
    """What DeepLIFT and LRP can be told, see `exeunt.quant.attribution.scores`."""

    reference: str = "zeros"
    aggregate: str = "absolute"
    objective: str = "logit"


@dataclass(frozen=True)
class Scores:
    """By layer name: `filters` float64 (out,), `weights` float64 in the shape of the weight."""

    filters: Table = field(default_factory=dict)
    weights: Table = field(default_factory=dict)


def score(
    criterion: str,
    network: nn.Module,
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    *,
    exit_weights: Sequence[float],
    seed: int = 0,
    options: Options | None = None,
    weights: bool = True,
) -> Scores:
    """Scores of all filters, and with `weights` also of all weights, of a network.

    Args:
        criterion: one of `exeunt.config.compress.CRITERIA`.
        network: gives a tuple of logits; its mode and gradients are left as they were.
        images: uint8 (N, H, W, C).
        labels: int64 (N,).
        exit_weights: how much each exit counts.
        seed: of the random criterion.
        options: of DeepLIFT and LRP.
        weights: whether scores of single weights are wanted.

    Raises:
        InputError: no such criterion.
    """
    if criterion not in CRITERIA:
        raise InputError(
            f"criterion must be one of {', '.join(CRITERIA)}, got {criterion!r}: change it"
        )
    if criterion in ("deeplift", "lrp"):
        return _attributed(criterion, network, images, exit_weights, options or Options(), weights)
    layers: dict[str, nn.Conv2d | nn.Linear] = {
        n: m for n, m in network.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)
    }
    if criterion == "l1":
        found = {n: m.weight.detach().double().abs() for n, m in layers.items()}
        return Scores({n: w.flatten(1).sum(1) for n, w in found.items()}, found)
    if criterion == "random":
        random = torch.Generator().manual_seed(seed)
        drawn = {
            n: torch.rand(m.weight.shape, generator=random, dtype=torch.float64)
            for n, m in layers.items()
        }
        one = {
            n: torch.rand(len(w), generator=random, dtype=torch.float64) for n, w in drawn.items()
        }
        return Scores(one, drawn)
    return _by_gradient(criterion, network, layers, images, labels, exit_weights)


def _attributed(
    criterion: str,
    network: nn.Module,
    images: npt.NDArray[np.uint8],
    exit_weights: Sequence[float],
    options: Options,
    weights: bool,
) -> Scores:
    from exeunt.quant.attribution import scores

    found = scores(
        "deeplift" if criterion == "deeplift" else "lrp-epsilon",
        network,
        images,
        exit_weights=list(exit_weights),
        reference=options.reference,
        objective=options.objective,
        aggregate=options.aggregate,
        weights=weights,
    )

    def table(values: dict[str, npt.NDArray[np.float64]]) -> Table:
        return {n: torch.as_tensor(v, dtype=torch.float64).clamp_min(0) for n, v in values.items()}

    return Scores(table(found.filters), table(found.weights))


def _by_gradient(
    criterion: str,
    network: nn.Module,
    layers: Mapping[str, nn.Conv2d | nn.Linear],
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    exit_weights: Sequence[float],
) -> Scores:
    """Taylor or gradient, one backward pass for each batch."""
    taylor = criterion == "taylor"
    was = network.training
    asked = {p: p.requires_grad for p in network.parameters()}
    kept: dict[str, Tensor] = {}
    handles = [_norm_behind(network, n).register_forward_hook(_keep(kept, n)) for n in layers]
    filters = {n: torch.zeros(len(m.weight), dtype=torch.float64) for n, m in layers.items()}
    singles = {n: torch.zeros(m.weight.shape, dtype=torch.float64) for n, m in layers.items()}
    try:
        network.eval()
        for parameter in asked:
            parameter.requires_grad_(True)
        for start in range(0, len(labels), _BATCH):
            part = images[start : start + _BATCH]
            batch = as_tensor(part).float()
            wanted = torch.from_numpy(labels[start : start + _BATCH])
            kept.clear()
            outputs = network(batch)
            loss = torch.zeros(())
            for weight, out in zip(exit_weights, outputs, strict=True):
                loss = loss + weight * F.cross_entropy(out, wanted, reduction="sum")
            names = list(kept)
            tensors = [kept[n] for n in names] + [layers[n].weight for n in layers]
            gradients = torch.autograd.grad(loss, tensors, allow_unused=True)
            for name, gradient in zip(names, gradients, strict=False):
                if gradient is not None:
                    one = (kept[name] * gradient if taylor else gradient).detach().double()
                    by_image = one.flatten(2).sum(2) if one.dim() == 4 else one
                    if not taylor and one.dim() == 4:
                        by_image = one.abs().flatten(2).sum(2)
                    filters[name] += by_image.abs().sum(0)
            for name, gradient in zip(layers, gradients[len(names) :], strict=True):
                if gradient is not None:
                    one = (layers[name].weight * gradient if taylor else gradient).detach()
                    singles[name] += one.double().abs()
    finally:
        for handle in handles:
            handle.remove()
        for parameter, value in asked.items():
            parameter.requires_grad_(value)
        network.train(was)
    return Scores(filters, singles)


def _keep(kept: dict[str, Tensor], name: str) -> Callable[..., None]:
    def hook(module: nn.Module, inputs: object, output: Tensor) -> None:
        del module, inputs
        kept[name] = output

    return hook


def _norm_behind(network: nn.Module, name: str) -> nn.Module:
    """The batch norm right behind a layer of a Sequential, the layer itself when there is none."""
    parent, _, last = name.rpartition(".")
    owner = network.get_submodule(parent)
    if isinstance(owner, nn.Sequential) and last.isdigit() and int(last) + 1 < len(owner):
        behind = owner[int(last) + 1]
        if isinstance(behind, nn.BatchNorm1d | nn.BatchNorm2d):
            return behind
    return network.get_submodule(name)
