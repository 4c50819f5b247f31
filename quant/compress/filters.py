"""Structured pruning: whole filters go, by one ranking over all layers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from exeunt.config.compress import Filters
from exeunt.errors import InputError
from exeunt.quant.compress.criteria import Table
from exeunt.quant.compress.structure import Structure, narrowed, sliced, structure_of
from exeunt.quant.compress.subject import Subject
from exeunt.quant.compress.work import Work

_UNUSED = 0.9  # of a budget: what uses less is tried otherwise
_WAYS = 20_000  # of choosing the widths that are tried one by one


def apply(spec: Filters, subject: Subject, work: Work) -> tuple[Subject, dict[str, Any]]:
    """Prune to the budget, in `rounds` steps with fine-tuning behind each.

    Raises:
        InputError: the budget or the multiple cannot be met, or a pass that fixes single weights
            to a codebook came before.
    """
    if subject.extras:
        raise InputError(
            f'passes of kind "filters" must come before {", ".join(sorted(subject.extras))}, got '
            "one behind: move it to the front of compress.passes"
        )
    start = structure_of(subject.network, subject.model)
    whole = start.macs()
    alive = {g: torch.arange(start.groups[g].size) for g in start.free()}
    data: dict[str, Any] = {}
    for turn in range(1, spec.rounds + 1):
        here = structure_of(subject.network, subject.model)
        budget = (1 - (1 - spec.budget) * turn / spec.rounds) * whole
        floors = [max(1, math.ceil(spec.floor * g.size)) for g in start.groups]
        scores = grouped(here, work.scores(subject, spec).filters, spec)
        keep = choose(here, scores, budget=int(budget), multiple=spec.multiple, floors=floors)
        for group, indices in keep.items():
            alive[group] = alive[group][indices]
        subject = pruned(subject, here, keep)
        if "before" not in data or turn == spec.rounds:
            data["before"] = work.accuracy(subject)
        subject = work.finetune(subject, spec.epochs, f"round {turn}")
    data["macs"] = structure_of(subject.network, subject.model).macs()
    data["macs_before"] = whole
    data["layers"] = [
        {
            "name": start.groups[g].name,
            "filters_before": start.groups[g].size,
            "filters": len(indices),
            "kept": indices.tolist(),
        }
        for g, indices in alive.items()
    ]
    return subject, data


def grouped(structure: Structure, filters: Table, spec: Filters) -> dict[int, Tensor]:
    """One score for each channel of every free group: those of its layers added, made comparable.

    Returns:
        float64 (channels,) by group.
    """
    found = {}
    for g in structure.free():
        total = torch.stack([filters[p] for p in structure.groups[g].producers]).sum(0)
        found[g] = _normalized(total, spec.normalize)
        if spec.per_mac:
            widths = list(structure.widths)
            before = structure.macs(widths)
            widths[g] -= 1
            found[g] = found[g] / ((before - structure.macs(widths)) / structure.macs())
    return found


def _normalized(scores: Tensor, how: str) -> Tensor:
    if how == "rank":
        return scores.argsort().argsort().double() / max(1, len(scores) - 1)
    scale = {
        "none": torch.tensor(1.0, dtype=torch.float64),
        "mean": scores.mean(),
        "l2": scores.norm() / math.sqrt(len(scores)),
        "max": scores.max(),
    }[how]
    return scores / scale.clamp_min(1e-300)


def choose(
    structure: Structure,
    scores: Mapping[int, Tensor],
    *,
    budget: int,
    multiple: int,
    floors: Sequence[int],
) -> dict[int, Tensor]:
    """Which channels of every free group stay: the lots of lowest mean score go first.

    The last lot that goes overshoots; lots that fit into what is left come back, the most
    important first. Where that leaves more than a tenth of the budget unused, because lots are
    large, the widths are taken that come nearest to it, of nearly equal ones those with the highest
    scores.

    Args:
        structure: layers and groups.
        scores: float64 (channels,) by group.
        budget: multiplies of the full path that may stay.
        multiple: every group that loses channels keeps a multiple of so many.
        floors: channels that must stay, by group.

    Returns:
        ascending indices int64 by group.

    Raises:
        InputError: the budget cannot be met, or no group is wider than `multiple`.
    """
    orders = {g: scores[g].argsort(stable=True) for g in scores}  # lowest first
    lots: dict[int, list[int]] = {g: _lots(len(scores[g]), multiple, floors[g]) for g in scores}
    if not any(lots.values()):
        widest = max((len(s) for s in scores.values()), default=0)
        raise InputError(
            f"multiple of a filters pass must leave layers something to lose, got {multiple} where "
            f"the widest layer has {widest} filters: lower multiple or floor"
        )
    gone = dict.fromkeys(scores, 0)  # lots that went
    removed: list[tuple[float, int]] = []

    def width(g: int) -> int:
        return structure.groups[g].size - sum(lots[g][: gone[g]])

    def macs() -> int:
        wide = list(structure.widths)
        for g in scores:
            wide[g] = width(g)
        return structure.macs(wide)

    def next_lot(g: int) -> float:
        first = sum(lots[g][: gone[g]])
        return float(scores[g][orders[g][first : first + lots[g][gone[g]]]].mean())

    while macs() > budget:
        ready = [(next_lot(g), g) for g in scores if gone[g] < len(lots[g])]
        if not ready:
            raise InputError(
                f"budget of a filters pass must leave every layer its floor of filters, got "
                f"{budget:,} multiplies where the narrowest network has {macs():,}: raise budget "
                "or lower floor"
            )
        removed.append(min(ready))
        gone[removed[-1][1]] += 1
    for _, g in sorted(removed, reverse=True):
        gone[g] -= 1
        if macs() > budget:
            gone[g] += 1
    if macs() < _UNUSED * budget:
        gone = _nearest(structure, scores, lots, budget) or gone
    return {g: orders[g][sum(lots[g][: gone[g]]) :].sort().values for g in scores}


def _nearest(
    structure: Structure, scores: Mapping[int, Tensor], lots: Mapping[int, list[int]], budget: int
) -> dict[int, int] | None:
    """Lots that go from every group, so that the multiplies come nearest to the budget from below.

    Of what is within a twentieth of the nearest, the one that keeps the highest scores. None: there
    are too many ways to try.
    """
    ways = [range(len(lots[g]) + 1) for g in scores]
    if math.prod(len(w) for w in ways) > _WAYS:
        return None
    kept = {g: scores[g].sort(descending=True).values.cumsum(0).tolist() for g in scores}
    found = []
    for way in itertools.product(*ways):
        gone = dict(zip(scores, way, strict=True))
        wide = list(structure.widths)
        for g, count in gone.items():
            wide[g] = structure.groups[g].size - sum(lots[g][:count])
        macs = structure.macs(wide)
        if macs <= budget:
            found.append((macs, sum(kept[g][wide[g] - 1] for g in gone), gone))
    nearest = max((macs for macs, _, _ in found), default=0)
    near = [(value, macs, gone) for macs, value, gone in found if macs >= 0.95 * nearest]
    return max(near, key=lambda one: one[:2])[2] if near else None


def _lots(size: int, multiple: int, floor: int) -> list[int]:
    """Sizes of the lots a layer can lose one after the other, keeping a multiple and its floor."""
    least = max(multiple, math.ceil(floor / multiple) * multiple)
    first = size % multiple or multiple
    found = []
    left = size
    while left - first >= least:
        found.append(first)
        left -= first
        first = multiple
    return found


def pruned(subject: Subject, structure: Structure, keep: Mapping[int, Tensor]) -> Subject:
    """The subject with only the channels `keep` of some groups."""
    return subject.rebuilt(
        narrowed(subject.model, structure, keep),
        sliced(subject.network.state_dict(), structure, keep),
        sliced(subject.masks, structure, keep),
    )
