"""Unstructured and block pruning in patterns that keep all PEs of a static schedule busy.

A row is what one output reads, in the order in which the hardware streams it: (ky, kx, c). It is
cut into blocks of `block` neighbours (1: single weights). Rows that work side by side (`group` of
them; 0: all rows of the layer) keep equally many blocks each, so no PE waits for another.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from exeunt.config.compress import Blocks, Scale, Weights
from exeunt.errors import InputError
from exeunt.quant.compress.structure import Layer, Structure, structure_of
from exeunt.quant.compress.subject import Subject
from exeunt.quant.compress.work import Work


def apply(spec: Weights | Blocks, subject: Subject, work: Work) -> tuple[Subject, dict[str, Any]]:
    """Prune to the sparsity, in `rounds` steps with fine-tuning behind each.

    Rounds leave (1 - sparsity) ^ (turn / rounds) of the weights, as in Zhu & Gupta 2017.

    Raises:
        InputError: a group or block that does not fit a layer, or a sparsity that leaves a row
            without any weight.
    """
    if subject.extras:
        raise InputError(
            f'passes of kind "{spec.kind}" must come before {", ".join(sorted(subject.extras))}, '
            "got one behind: move it forward in compress.passes"
        )
    data: dict[str, Any] = {}
    structure = structure_of(subject.network, subject.model)
    for turn in range(1, spec.rounds + 1):
        subject = subject.copy()
        share = (1 - spec.sparsity) ** (turn / spec.rounds)
        scores = work.scores(subject, spec).weights
        fresh = choose(structure, scores, spec, share=share, before=subject.masks)
        subject.masks.update(fresh)
        subject.project()
        data["before"] = work.accuracy(subject)
        subject = work.finetune(subject, spec.epochs, f"round {turn}")
    data["macs"] = effective_macs(structure, subject.masks)
    data["macs_before"] = structure.macs()
    data["layers"] = [
        {
            "name": layer.name,
            "weights": int(mask.numel()),
            "nonzero": int(mask.sum()),
            "row": int(rows(mask, layer).sum(1).max()),
        }
        for layer, mask in _masks(structure, subject.masks)
    ]
    return subject, data


def _masks(structure: Structure, masks: dict[str, Tensor]) -> list[tuple[Layer, Tensor]]:
    return [
        (layer, masks[f"{layer.name}.weight"])
        for layer in structure.layers
        if f"{layer.name}.weight" in masks
    ]


def effective_macs(structure: Structure, masks: dict[str, Tensor]) -> int:
    """Multiplies of the full path by weights that are not masked."""
    total = structure.macs()
    for layer, mask in _masks(structure, masks):
        each = layer.macs(layer.inputs, layer.outputs) // mask.numel()  # positions of the output
        total -= int((~mask).sum()) * each
    return total


def rows(weight: Tensor, layer: Layer) -> Tensor:
    """A weight (or mask) as the hardware streams it: (outputs, inputs), inputs as (ky, kx, c)."""
    if weight.dim() == 4:
        return weight.permute(0, 2, 3, 1).flatten(1)
    if layer.repeat == 1:
        return weight
    return weight.unflatten(1, (-1, layer.repeat)).transpose(1, 2).flatten(1)


def from_rows(matrix: Tensor, like: Tensor, layer: Layer) -> Tensor:
    """What `rows` made, in the order of the parameter again."""
    if like.dim() == 4:
        out, channels, high, wide = like.shape
        return matrix.view(out, high, wide, channels).permute(0, 3, 1, 2).contiguous()
    if layer.repeat == 1:
        return matrix
    return matrix.unflatten(1, (layer.repeat, -1)).transpose(1, 2).flatten(1).contiguous()


def choose(
    structure: Structure,
    scores: dict[str, Tensor],
    spec: Weights | Blocks,
    *,
    share: float,
    before: dict[str, Tensor],
) -> dict[str, Tensor]:
    """Masks (bool, by parameter name) that leave `share` of the weights, by one global ranking.

    In every group of rows the best blocks of each row are ranked; the k-th best of all its rows
    stay or go together. Layers are compared after division by what `spec.scale` says. Every row
    keeps at least one block.

    Raises:
        InputError: see `apply`.
    """
    ends = {layer.name for layer in structure.layers if structure.groups[layer.group].fixed}
    layers = [y for y in structure.layers if spec.classifiers or y.name not in ends]
    block = spec.block if isinstance(spec, Blocks) else 1
    ranked: list[tuple[float, int, int, int, int]] = []  # score, layer, group, rank, weights
    orders: list[Tensor] = []
    sizes: list[Tensor] = []
    kept, total = 0, 0
    for i, layer in enumerate(layers):
        score = scores[layer.name].double()
        name = f"{layer.name}.weight"
        if name in before:
            score = torch.where(before[name], score, -1.0)
        matrix = rows(score / _scale(score, spec.scale), layer)
        group = spec.group or len(matrix)
        _check(layer, matrix, group, block)
        total += matrix.numel()
        sums, size = _blocks(matrix, block)
        order = sums.argsort(dim=1, descending=True, stable=True)
        orders.append(order)
        sizes.append(size)
        best = sums.gather(1, order)
        for g in range(len(matrix) // group):
            part, index = (x[g * group : (g + 1) * group] for x in (best, order))
            count = size[index].sum(0)
            value = part.sum(0) / count  # of a weight
            kept += int(count[0])
            ranked += [(float(value[k]), i, g, k, int(count[k])) for k in range(1, best.shape[1])]
    wanted = int(share * total)
    if kept > wanted:
        raise InputError(
            f"sparsity of a {spec.kind} pass must leave every row one block, got {wanted:,} of "
            f"{total:,} weights where {kept:,} are the fewest: lower sparsity or block"
        )
    keep: dict[tuple[int, int], int] = {}
    for _, i, g, k, many in sorted(ranked, key=lambda r: (-r[0], r[1:4])):
        if keep.get((i, g), 1) == k and kept + many <= wanted:
            keep[i, g] = k + 1
            kept += many
    masks = {}
    for i, layer in enumerate(layers):
        order = orders[i]
        group = spec.group or len(order)
        counts = torch.tensor([keep.get((i, r // group), 1) for r in range(len(order))])
        chosen = torch.zeros(order.shape, dtype=torch.bool)
        chosen.scatter_(1, order, torch.arange(order.shape[1]) < counts[:, None])
        matrix = chosen.repeat_interleave(sizes[i], dim=1)
        masks[f"{layer.name}.weight"] = from_rows(matrix, scores[layer.name], layer)
    return masks


def _scale(score: Tensor, how: Scale) -> float:
    size = float(score.clamp_min(0).square().mean().sqrt())
    return max(1e-300, {"rms": size, "root": math.sqrt(size), "none": 1.0}[how])


def _check(layer: Layer, matrix: Tensor, group: int, block: int) -> None:
    if len(matrix) % group:
        raise InputError(
            f"group of a weights pass must divide the {len(matrix)} outputs of {layer.name}, got "
            f"{group}: choose a divisor, or 0 for all of them"
        )
    if block > matrix.shape[1]:
        raise InputError(
            f"block of a blocks pass must fit the {matrix.shape[1]} inputs of {layer.name}, got "
            f"{block}: lower it"
        )


def _blocks(matrix: Tensor, block: int) -> tuple[Tensor, Tensor]:
    """Sums over blocks (rows, blocks), and the weights in each; the last may be short."""
    count = math.ceil(matrix.shape[1] / block)
    index = torch.arange(matrix.shape[1]) // block
    sums = torch.zeros(len(matrix), count, dtype=matrix.dtype).index_add_(1, index, matrix)
    return sums, torch.bincount(index, minlength=count)
