"""Weight sharing: the weights of a layer become K integers, chosen by k-means on the grid.

What k-means weighs the weights with is the criterion: the scores of an explanation (DeepLIFT, LRP)
or of gradients, or nothing at all ("uniform", plain k-means). Fine-tuning trains the centroids:
gradients of a cluster are summed, its weights move together (Han et al., ICLR 2016). The scale of
a shared layer is a constant, since one taken from the weights would move the grid.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from exeunt import archive
from exeunt.config.compress import Sharing
from exeunt.config.tree import Model
from exeunt.errors import InputError
from exeunt.quant.compress import codebook
from exeunt.quant.compress.structure import structure_of
from exeunt.quant.compress.subject import Subject
from exeunt.quant.compress.work import Work
from exeunt.quant.network.brevitas import (
    Int8WeightPerChannelFloat,
    Int8WeightPerTensorFloat,
    QuantConv2d,
    QuantLinear,
    ScalingImplType,
)

KIND = "sharing"
UNIFORM = "uniform"
CODEBOOKS = "codebooks.npz"
_TIE = 1e-3  # a centroid this near to the middle between two integers is moved off it


def apply(spec: Sharing, subject: Subject, work: Work) -> tuple[Subject, dict[str, Any]]:
    """Share weights in `rounds` steps towards `centroids`, with fine-tuning behind each.

    Raises:
        InputError: weights that are shared already, a codebook larger than a layer or its grid, or
            layers whose bits the config does not say.
    """
    if KIND in subject.extras:
        raise InputError(
            'passes of kind "sharing" must come once, got weights that are shared already: '
            "remove one from compress.passes"
        )
    if spec.centroid_bits is not None:
        subject = subject.rebuilt(with_weight_bits(subject.model, spec.centroid_bits))
    for name, module in matrices(subject.network).items():
        codebook.check(
            spec.centroids, weights=module.weight.numel(), bits=width(module), layer=name
        )
    data: dict[str, Any] = {}
    grids = {name: width(m) for name, m in matrices(subject.network).items()}
    for turn in range(1, spec.rounds + 1):
        scores: Mapping[str, Tensor] = {}
        if spec.criterion != UNIFORM:
            scores = work.scores(subject, spec).weights
        extra = {
            name: shared(
                module, scores.get(name), mask=subject.masks.get(f"{name}.weight"),
                centroids=_step(spec, turn, (1 << grids[name]) - 1), blend=spec.blend,
            )
            for name, module in matrices(subject.network).items()
        }  # fmt: skip
        subject = subject.copy()
        subject.extras[KIND] = extra
        subject = subject.copy()  # installs the constant scales
        settle(subject)
        data["before"] = work.accuracy(subject)
        subject = work.finetune(subject, spec.epochs, f"round {turn}")
        settle(subject)
    data["macs"] = structure_of(subject.network, subject.model).macs()
    data["layers"] = _layers(subject)
    data["weight_bits"] = stored_bits(subject)
    return subject, data


def _step(spec: Sharing, turn: int, grid: int) -> int:
    """Centroids of a round: from the whole grid down to `centroids`, geometrically."""
    if turn == spec.rounds:
        return spec.centroids
    return max(spec.centroids, round(grid * (spec.centroids / grid) ** (turn / spec.rounds)))


def matrices(network: nn.Module) -> dict[str, QuantConv2d | QuantLinear]:
    """The quantized layers with weights, by name, in the order of the modules."""
    return {n: m for n, m in network.named_modules() if isinstance(m, QuantConv2d | QuantLinear)}


def width(module: nn.Module) -> int:
    """Bits of a layer's weights."""
    return int(module.weight_quant.bit_width())  # type: ignore[operator, union-attr]


def integers(module: nn.Module) -> tuple[Tensor, Tensor]:
    """Weights as integers (int64, shape of the weight) and their scale (broadcastable float)."""
    with torch.no_grad():
        quantized = module.weight_quant(module.weight)  # type: ignore[operator]
        scale = quantized.scale.detach()
        return torch.round(quantized.value / scale).long(), scale


def shared(
    module: nn.Module, scores: Tensor | None, *, mask: Tensor | None, centroids: int, blend: float
) -> dict[str, Any]:
    """Codebook and indices of one layer, and the scale that it is frozen at.

    Scores weigh the k-means, see `importance`; None: all weigh the same. Masked weights are zero
    for ever: zero is in the codebook then.
    """
    values, scale = integers(module)
    found = values.numpy().astype(np.int64)
    weight = module.weight
    assert isinstance(weight, Tensor)
    weights = importance(scores, weight, values, blend=blend)
    kept = np.ones(found.shape, bool) if mask is None else mask.cpu().numpy()
    masked = not kept.all()
    book = codebook.optimal(found[kept], weights[kept], centroids - masked)
    if masked:
        book = np.unique(np.append(book, 0))
    index = codebook.assign(np.where(kept, found, 0), book)
    if masked:
        index[~kept] = int(np.searchsorted(book, 0))
    return {
        "index": torch.from_numpy(index.astype(np.uint8)),
        "codebook": torch.from_numpy(book.astype(np.int64)),
        "scale": scale.clone(),
        "bits": width(module),
        "zero": int(np.searchsorted(book, 0)) if masked else -1,
        "distortion": codebook.distortion(found, weights, book) / max(1, found.size),
    }


def importance(
    scores: Tensor | None, weight: Tensor, values: Tensor, *, blend: float
) -> npt.NDArray[np.float64]:
    """What the k-means weighs each weight with, mean about 1.

    A score is relevance that grows with the weight, the score by the weight is the relevance that
    a change of one unit moves. A weight that is the integer zero has no score: it takes the mean
    of its row.
    """
    if scores is None:
        return np.ones(values.shape)
    found = scores.detach().cpu().double().reshape(values.shape)
    alive = values != 0
    units = torch.where(alive, found / weight.detach().double().abs().clamp_min(1e-12), 0.0)
    count = alive.flatten(1).sum(1).clamp_min(1)
    rows = (units.flatten(1).sum(1) / count).view(-1, *[1] * (units.dim() - 1))
    units = torch.where(alive, units, rows.expand_as(units))
    mean = float(units.mean())
    return (units.numpy() / mean if mean > 0 else np.ones(values.shape)) + blend


def prepare(network: nn.Module, extra: Mapping[str, Any]) -> None:
    """Give the shared layers of a fresh network their constant scales."""
    modules = dict(network.named_modules())
    for name, entry in extra.items():
        old = modules[name]
        largest = entry["scale"] * ((1 << (entry["bits"] - 1)) - 1)
        common: dict[str, Any] = {
            "bias": old.bias is not None,
            "weight_bit_width": entry["bits"],
            "weight_scaling_impl_type": ScalingImplType.CONST,
            "weight_scaling_init": largest,
        }
        per_channel = entry["scale"].numel() > 1
        quantizer = Int8WeightPerChannelFloat if per_channel else Int8WeightPerTensorFloat
        if isinstance(old, QuantConv2d):
            new: nn.Module = QuantConv2d(
                old.in_channels, old.out_channels, old.kernel_size, stride=old.stride,
                padding=old.padding, dilation=old.dilation, groups=old.groups,
                weight_quant=quantizer, **common,
            )  # fmt: skip
        else:
            assert isinstance(old, QuantLinear)
            new = QuantLinear(old.in_features, old.out_features, weight_quant=quantizer, **common)
        new.weight = old.weight
        if old.bias is not None:
            new.bias = old.bias
        network.set_submodule(name, new)


def restore(subject: Subject) -> None:
    """Tie the weights of every cluster again: summed gradients, one value."""
    extra = subject.extras[KIND]
    modules = dict(subject.network.named_modules())
    for name, entry in extra.items():
        weight = modules[name].weight
        weight.register_hook(_tied_gradient(entry["index"].long(), entry["scale"]))
    subject.projections.append(lambda network: project(network, extra))


def _tied_gradient(index: Tensor, scale: Tensor) -> Any:
    """The gradient of the centroids, spread over their weights as these follow them."""

    def hook(gradient: Tensor) -> Tensor:
        steps = scale.to(gradient.device).expand_as(gradient)
        return _along(gradient * steps, steps, index.to(gradient.device))[0] * steps

    return hook


def _along(dots: Tensor, steps: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    """Sum of `dots` over each cluster by that of squared steps: (for each weight, each cluster)."""
    flat = index.flatten()
    count = int(flat.max()) + 1
    top = torch.zeros(count, dtype=dots.dtype, device=dots.device)
    bottom = torch.zeros_like(top)
    top.index_add_(0, flat, dots.flatten())
    bottom.index_add_(0, flat, (steps * steps).flatten())
    centres = top / bottom.clamp_min(1e-30)
    return centres[flat].view_as(dots), centres


@torch.no_grad()
def project(network: nn.Module, extra: Mapping[str, Any]) -> None:
    """Every weight takes its cluster's value: the least-squares centroid in integer steps."""
    modules = dict(network.named_modules())
    for name, entry in extra.items():
        weight = modules[name].weight
        assert isinstance(weight, Tensor)
        steps = entry["scale"].to(weight.device).expand_as(weight)
        index = entry["index"].long().to(weight.device)
        centres = _along(weight * steps, steps, index)[1]
        top = (1 << (entry["bits"] - 1)) - 1
        centres = centres.clamp(-top, top)
        middle = (centres - centres.floor() - 0.5).abs() < _TIE
        centres = torch.where(middle, centres.floor() + 0.5 + 2 * _TIE, centres)
        if entry["zero"] >= 0:
            centres[entry["zero"]] = 0.0
        weight.copy_(centres[index] * steps)


@torch.no_grad()
def settle(subject: Subject) -> None:
    """Round the centroids to integers and note them: from here on the network has the codebook."""
    extra = subject.extras[KIND]
    for name, module in matrices(subject.network).items():
        if name not in extra:
            continue
        entry = extra[name]
        first = entry["codebook"].double()
        index = entry["index"].long()
        if _settled(subject, name):
            values = integers(module)[0]
            first = torch.zeros(len(entry["codebook"]), dtype=torch.float64)
            first[index.flatten()] = values.double().flatten()
        entry["codebook"] = first.round().long()
        module.weight.copy_((entry["codebook"][index] * entry["scale"]).to(module.weight.dtype))


def _settled(subject: Subject, name: str) -> bool:
    """Whether the weights are tied already; those of a fresh clustering are not."""
    entry = subject.extras[KIND][name]
    values = integers(dict(matrices(subject.network))[name])[0].flatten()
    index = entry["index"].long().flatten()
    low = torch.full((len(entry["codebook"]),), 1 << 20).scatter_reduce(0, index, values, "amin")
    return bool((values == low[index]).all())


def codebooks(network: nn.Module, extra: Mapping[str, Any]) -> dict[str, npt.NDArray[Any]]:
    """Arrays "<i>.codebook" (int8, ascending) and "<i>.indices" (uint8, (out, in, ...)).

    i counts the layers with weights in the order of the pipeline: segment 0, head 0, segment 1...
    The codebook may have fewer entries than were asked for, where fine-tuning made two the same.
    """
    found: dict[str, npt.NDArray[Any]] = {}
    for number, name in enumerate(in_pipeline_order(network)):
        if name not in extra:
            continue
        values = integers(dict(matrices(network))[name])[0].numpy()
        book, index = np.unique(values, return_inverse=True)
        found[f"{number}.codebook"] = book.astype(np.int8)
        found[f"{number}.indices"] = index.reshape(values.shape).astype(np.uint8)
    return found


def in_pipeline_order(network: nn.Module) -> list[str]:
    """Names of the layers with weights: segment 0, head 0, segment 1, head 1, ..."""
    names = list(matrices(network))
    if not all(n.split(".")[0] in ("segments", "heads") for n in names):
        return names
    return sorted(names, key=lambda n: (int(n.split(".")[1]), n.startswith("heads")))


def write(run_dir: Path, network: nn.Module, extra: Mapping[str, Any]) -> None:
    """Write codebooks.npz, the same bytes for the same codebooks."""
    partial = run_dir / f".{CODEBOOKS}.part"
    partial.write_bytes(archive.npz(codebooks(network, extra)))
    partial.replace(run_dir / CODEBOOKS)


def stored_bits(subject: Subject) -> int:
    """Bits of the indices of all shared layers and of their codebooks, others at their width."""
    extra = subject.extras.get(KIND, {})
    total = 0
    for name, module in matrices(subject.network).items():
        count, bits = module.weight.numel(), width(module)
        if name in extra:
            size = len(torch.unique(integers(module)[0]))
            total += count * codebook.index_bits(size) + size * bits
        else:
            total += count * bits
    return total


def with_weight_bits(model: Model, bits: int) -> Model:
    """The [model] section with `bits` for the weights of every layer.

    Raises:
        InputError: the network is not described by stages.
    """
    if model.kind != "config":
        raise InputError(
            f'centroid_bits of a sharing pass must be for a model of source "config", got '
            f'"{model.source}": leave it out'
        )
    data = model.model_dump(mode="python")
    data["weight_bits"] = bits
    for stage in data["stages"]:
        for layer in (*stage["blocks"], *stage["head"]):
            for one in (layer, *layer.get("residual", ())):
                one.pop("weight_bits", None)
    return Model.model_validate(data)


def _layers(subject: Subject) -> list[dict[str, Any]]:
    found = []
    for name, module in matrices(subject.network).items():
        entry = subject.extras[KIND][name]
        values = torch.unique(integers(module)[0])
        found.append(
            {
                "name": name,
                "count": module.weight.numel(),
                "bits": entry["bits"],
                "codebook": [int(v) for v in values],
                "index_bits": codebook.index_bits(len(values)),
                "distortion": entry["distortion"],
            }
        )
    return found
