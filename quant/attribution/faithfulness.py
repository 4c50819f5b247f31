"""Whether heat maps tell the truth about the network: five figures for a method, one table.

completeness: mean |sum of contributions - output difference| over mean |output difference|, from 0.
pixel flipping (Samek et al., TNNLS 2017): the most relevant pixels first are replaced by the
reference's; the area under the target class's probability, 0..1, is small when they mattered, and
is set against random order. Model randomisation (Adebayo et al., NeurIPS 2018): rank correlation
with the map of the network with its weights shuffled, which should be near 0. Against the float
network: the same layers without any quantizer; rank correlation, and how much of the most relevant
tenth of the pixels both share.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import rankdata
from torch import nn

from exeunt.quant.attribution._captum import captum_maps
from exeunt.quant.attribution._linear import LINEAR
from exeunt.quant.attribution._trace import LRP, as_exits, untouched
from exeunt.quant.attribution.methods import Reference, Target, attribute
from exeunt.quant.attribution.references import resolved
from exeunt.quant.network.model import quantizers_disabled

Maps = npt.NDArray[np.float32]
_STEPS = 20  # shares of the pixels flipped
_ORDERS = 3  # random ones
COMPLETE = ("deeplift", "integrated-gradients", "gradient-x-input", *LRP)


@dataclass(frozen=True)
class Faithfulness:
    """Figures of one method and exit; None where a method does not claim to sum up."""

    completeness_error: float | None
    flip_auc: float
    flip_auc_random: float
    randomised_spearman: float
    spearman_vs_float: float
    top10_overlap: float


def faithfulness(
    method: str,
    network: nn.Module,
    images: npt.NDArray[Any],
    *,
    target: Target = None,
    exit: int = -1,
    reference: Reference = "mean",
    seed: int = 0,
) -> Faithfulness:
    """All five figures of `method` on these images; arguments and errors as for `attribute`."""
    found = attribute(method, network, images, target=target, exit=exit, reference=reference)
    target = found.target
    same: dict[str, Any] = {"target": target, "exit": found.exit, "reference": reference}
    order = found.maps.sum(3)
    random = np.random.default_rng(seed)
    nothing = [
        flip_auc(network, images, random.random(order.shape), **same) for _ in range(_ORDERS)
    ]
    with quantizers_disabled(network):
        of_float = attribute(method, network, images, **same).maps
    shuffled = attribute(method, randomised(network, seed), images, **same).maps
    return Faithfulness(
        completeness_error(found.maps, found.gap) if method in COMPLETE else None,
        flip_auc(network, images, order, **same),
        float(np.mean(nothing)),
        spearman(found.maps, shuffled),
        spearman(found.maps, of_float),
        top_overlap(found.maps, of_float),
    )


def as_figures(found: Faithfulness) -> dict[str, float | None]:
    """The figures by name, for report.json."""
    return asdict(found)


def completeness_error(maps: Maps, gap: npt.NDArray[np.floating]) -> float:
    """Mean |sum of a map (N, H, W, C) - gap (N,)| over mean |gap|; 0 when nothing changes."""
    off = np.abs(maps.sum((1, 2, 3), np.float64) - gap).mean()
    size = np.abs(np.asarray(gap, np.float64)).mean()
    return float(off / size) if size > 0 else float(off)


def flip_auc(
    network: nn.Module,
    images: npt.NDArray[Any],
    relevance: npt.NDArray[np.floating],
    *,
    target: npt.NDArray[np.int64],
    exit: int,
    reference: Reference = "mean",
) -> float:
    """Area under the target's probability, 0..1, while pixels become the reference's.

    Args:
        network: as for `attribute`.
        images: uint8 or float (N, H, W, C).
        relevance: (N, H, W), the largest goes first.
        target: int64 (N,).
        exit: index of the exit.
        reference: as for `attribute`; of several the first.
    """
    base = np.broadcast_to(resolved(reference, images)[0], images.shape)
    count, pixels = len(images), images.shape[1] * images.shape[2]
    order = np.argsort(-relevance.reshape(count, pixels), axis=1, kind="stable")
    place = np.empty_like(order)
    np.put_along_axis(place, order, np.broadcast_to(np.arange(pixels), order.shape), axis=1)
    place = place.reshape(*images.shape[:3], 1)
    curve = []
    with untouched(network) as device, torch.no_grad():
        wanted = torch.from_numpy(target).to(device)[:, None]
        for step in range(_STEPS + 1):
            flipped = np.where(place < round(step * pixels / _STEPS), base, images)
            planes = np.ascontiguousarray(flipped.transpose(0, 3, 1, 2), np.float32)
            logits = as_exits(network(torch.from_numpy(planes).to(device)))[exit]
            curve.append(float(logits.softmax(1).gather(1, wanted).mean()))
    return float(np.trapezoid(curve, dx=1.0 / _STEPS))


def randomised(network: nn.Module, seed: int) -> nn.Module:
    """A copy whose every convolution and linear layer has its own weights shuffled."""
    other = copy.deepcopy(network)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in other.modules():
            if isinstance(module, LINEAR):
                flat = module.weight.detach().cpu().flatten()
                order = torch.randperm(len(flat), generator=generator)
                module.weight.copy_(flat[order].reshape(module.weight.shape))
    return other


def spearman(first: Maps, second: Maps) -> float:
    """Mean over images of the rank correlation of two sets of maps (N, H, W, C), -1..1.

    Of the sums over channels, ties sharing their rank; a map that is flat everywhere counts 0.
    """
    a, b = (rankdata(m.sum(3).reshape(len(m), -1), axis=1) for m in (first, second))
    a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    size = np.sqrt((a * a).sum(1) * (b * b).sum(1))
    return float(np.where(size > 0, (a * b).sum(1) / np.where(size > 0, size, 1.0), 0.0).mean())


def top_overlap(first: Maps, second: Maps, share: float = 0.1) -> float:
    """Mean over images of how much of their most relevant pixels two sets of maps share, 0..1."""
    pixels = first.shape[1] * first.shape[2]
    count = max(1, round(share * pixels))
    tops = [
        np.argsort(-m.sum(3).reshape(len(m), -1), axis=1, kind="stable")[:, :count]
        for m in (first, second)
    ]
    common = [len(np.intersect1d(a, b)) / count for a, b in zip(*tops, strict=True)]
    return float(np.mean(common))


@dataclass(frozen=True)
class Completeness:
    """One network of the completeness table: ours, Captum as it is, Captum with opaque steps."""

    name: str
    exit: int
    ours: float
    captum: float
    captum_opaque: float


def completeness_table(
    networks: Sequence[tuple[str, nn.Module]],
    images: npt.NDArray[Any],
    *,
    reference: npt.NDArray[np.float32],
    target: Target = None,
) -> list[Completeness]:
    """DeepLIFT's completeness error at every exit of some networks, ours beside Captum's.

    Args:
        networks: name and network, such as one for each number of bits.
        images: uint8 (N, H, W, C).
        reference: one image float32 (H, W, C).
        target: as for `attribute`.
    """
    rows = []
    for name, network in networks:
        with untouched(network) as device, torch.no_grad():
            shape = (1, images.shape[3], *images.shape[1:3])
            exits = len(as_exits(network(torch.zeros(shape, device=device))))
        for exit in range(exits):
            found = attribute(
                "deeplift", network, images, target=target, exit=exit, reference=reference
            )
            theirs = [
                captum_maps(
                    network,
                    images,
                    target=found.target,
                    exit=exit,
                    reference=reference,
                    opaque=opaque,
                )
                for opaque in (False, True)
            ]
            errors = [completeness_error(m, found.gap) for m in (found.maps, *theirs)]
            rows.append(Completeness(name, exit, *errors))
    return rows
