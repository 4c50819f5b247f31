"""What is asked of a design, and the choice that answers it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from exeunt.cost.folding import MAX_STRETCH
from exeunt.kernels.parts.size import Size
from exeunt.optimise.budget import NAMES, Budget
from exeunt.optimise.problem import Link, Option, Problem
from exeunt.optimise.solver import Programme, Solution

SCALES: Mapping[str, int] = {"lut": 53200, "dsp": 220, "bram18": 280}  # of an xc7z020


def shares(
    reach: Sequence[float] | None, stages: int, headroom: float | Sequence[float]
) -> tuple[float, ...]:
    """Cycles of a stage's own frames in a cycle of the accelerator's, as `cost.folding.targets`.

    Args:
        reach: fraction of the frames that reach each exit, the first above 1 where frames are
            looked at again; None: all reach all.
        stages: number of exits.
        headroom: how many more frames than measured later stages must take, or each of them.
    """
    if reach is None:
        return (1.0,) * stages
    spare = [headroom] * stages if isinstance(headroom, (int, float)) else list(headroom)
    later = (min(1.0, r * h) for r, h in zip(reach[1:], spare[1:], strict=True))
    found = [max(1.0, reach[0]), *later]
    return tuple(max(share, 1.0 / MAX_STRETCH) for share in found)


def bounds(cycles: int, share: Sequence[float]) -> tuple[int, ...]:
    """Cycles a frame that each stage may take where a frame comes every `cycles`."""
    return tuple(int(cycles / s) for s in share)


def weights(budget: Budget) -> dict[str, float]:
    """How much one of each resource counts: its part of what there is."""
    found = {}
    for name in NAMES:
        limit = getattr(budget, name)
        found[name] = 1.0 / max(1, SCALES[name] if limit is None else limit)
    return found


@dataclass(frozen=True)
class Fastest:
    """The fewest cycles between frames that fit, and the choice."""

    cycles: int
    solution: Solution


def fastest(
    problem: Problem,
    budget: Budget,
    share: Sequence[float],
    *,
    between: tuple[int, int] | None = None,
) -> Fastest | None:
    """The choice with the fewest cycles between frames within a budget; None: nothing fits.

    With `between`, of cycles from the one to the other, of which no fewer than the first will do.

    The cycles at which a further option becomes fast enough are tried by bisection: first with the
    relaxation, which is quick and refuses nothing that is possible, then from there on with whole
    choices.
    """
    steps = sorted(
        {
            math.ceil(max(1, o.period) * share[place.stage])
            for place in problem.places
            for o in place.options
        }
        | {1}
    )
    if between is not None:
        steps = sorted({max(between[0], step) for step in steps if step <= between[1]})
        if not steps:
            return None
    value = weights(budget)
    made: dict[tuple[int, ...], Programme] = problem.found.setdefault(Programme, {})
    refused: list[tuple[Budget, tuple[int, ...]]] = problem.found.setdefault(Budget, [])

    def programme(index: int) -> Programme:
        limits = bounds(steps[index], share)
        if limits not in made:
            made[limits] = Programme(problem, limits)
        return made[limits]

    def possible(index: int) -> bool:
        if programme(index).least(budget, value) is None:
            refused.append((budget, bounds(steps[index], share)))
            return False
        return True

    def impossible(index: int) -> bool:
        """Whether even more was too little before."""
        limits = bounds(steps[index], share)
        return any(
            budget.within(more) and all(a <= b for a, b in zip(limits, slower, strict=True))
            for more, slower in refused
        )

    last = len(steps) - 1
    low = _first(lambda index: not impossible(index), 0, len(steps))
    if low > last:
        return None
    first, step = low, 1
    if low:  # what an earlier search found is near
        while first < last and not possible(first):
            low = first + 1
            first, step = min(first + step, last), 2 * step
        first = _first(possible, low, first)
    else:
        first = _first(possible, 0, last)
    if first == last and not possible(last):
        return None
    found: dict[int, Solution] = {}

    def whole(index: int) -> bool:
        solution = programme(index).solve(budget, value)
        if solution is not None:
            found[index] = solution
        return solution is not None

    low, step = first, 1
    while not whole(min(first + step - 1, last)):
        low = min(first + step, last + 1)
        if low > last:
            return None
        step *= 2
    best = _first(whole, low, min(first + step - 1, last))
    return Fastest(steps[best], found[best])


def _first(holds: object, low: int, high: int) -> int:
    """The first index from `low` on at which it holds, which it does at `high` and from there."""
    assert callable(holds)
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low


@dataclass(frozen=True)
class Other:
    """Another option of a place, all other places as they are: what the design would take more."""

    option: Option
    more: Size


def others(
    problem: Problem, chosen: Sequence[Option], limits: Sequence[int | None], count: int = 2
) -> list[list[Other]]:
    """For each place the cheapest other options that are fast enough.

    Behind them the cheapest one of each kernel that would be none of these.

    Args:
        problem: the network.
        chosen: an option for each place.
        limits: cycles a frame of each stage, None for any.
        count: how many.
    """
    value = weights(Budget())
    found = []
    for index, place in enumerate(problem.places):
        beside = [link for link in problem.links if index in (link.feeder, link.reader)]
        taken = _alone(chosen[index], index, beside, chosen)
        seen = []
        for option in place.options:
            limit = limits[place.stage]
            if option is chosen[index] or (limit is not None and option.period > limit):
                continue
            more = _alone(option, index, beside, chosen).less(taken)
            seen.append(Other(option, more))
        seen.sort(key=lambda o: sum(value[n] * getattr(o.more, n) for n in NAMES))
        kernels = {option.kernel for option in (chosen[index], *(o.option for o in seen[:count]))}
        rest: dict[str, Other] = {}
        for other in seen[count:]:
            if other.option.kernel not in kernels:
                rest.setdefault(other.option.kernel, other)
        found.append([*seen[:count], *rest.values()])
    return found


def _alone(option: Option, index: int, beside: Sequence[Link], chosen: Sequence[Option]) -> Size:
    """An option of a place and the converters beside it."""
    total = option.size
    for link in beside:
        feeder = option if link.feeder == index else chosen[link.feeder]
        reader = option if link.reader == index else chosen[link.reader]
        total += link.between(feeder.fold.pe, reader.fold.lanes_in)[0]
    return total
