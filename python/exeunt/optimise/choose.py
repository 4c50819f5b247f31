"""From what is asked to a choice, or to one sentence that says what could be asked instead."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from exeunt.errors import InputError
from exeunt.kernels.parts.size import Size
from exeunt.optimise.budget import NAMES, Budget, told
from exeunt.optimise.problem import Problem
from exeunt.optimise.search import bounds, fastest, weights
from exeunt.optimise.solver import ENERGY, Delay, Programme, Solution, spread

Objective = Literal["throughput", "latency", "area", "energy"]


@dataclass(frozen=True)
class Asked:
    """What is asked of a design.

    Attributes:
        objective: what is best: most frames, least latency, least LUT or least energy of an image.
        cycles: between frames, at most; None: any.
        latency: cycles of `percentile` of the frames, at most; None: any.
        percentile: of the frames, each alone in the accelerator, that latency counts.
        clock_mhz: for messages.
    """

    objective: Objective
    cycles: int | None = None
    latency: int | None = None
    percentile: int = 99
    clock_mhz: float = 100.0


@dataclass(frozen=True)
class Choice:
    """The choice, and the cycles between frames that it is for; None: latency alone decided."""

    solution: Solution
    cycles: int | None


def waited(reach: Sequence[float] | None, stages: int, percentile: int) -> tuple[float, ...]:
    """1 for each stage that a frame of that percentile goes through, 0 for the others.

    Args:
        reach: fraction of the frames that reach each exit; None: all reach all.
        stages: number of exits.
        percentile: of the frames, by how far they go.
    """
    shares = (1.0,) * stages if reach is None else tuple(reach)
    beyond = 1 - percentile / 100
    return tuple(1.0 if i == 0 or shares[i] > beyond + 1e-9 else 0.0 for i in range(stages))


def choose(
    problem: Problem,
    budget: Budget,
    asked: Asked,
    *,
    share: Sequence[float],
    reach: Sequence[float] | None = None,
    stretch: float = 1.0,
    beside: Mapping[str, Size] | None = None,
) -> Choice:
    """The best choice.

    Args:
        problem: the network.
        budget: what it may take.
        asked: what is best, and what is enough.
        share: of the cycles between frames that a stage has for its own, see `search.shares`.
        reach: fraction of the frames that reach each exit.
        stretch: latency that the cycle reference measured over what was estimated before.
        beside: what stands beside the kernels, for which the budget is less already, by name: for
            messages. None: not known.

    Raises:
        InputError: the budget is too small for the network, or a target cannot be reached.
    """
    stages = problem.stages
    others = {} if beside is None else beside
    path = waited(reach, stages, asked.percentile)
    value = weights(budget)
    if asked.objective == "area":
        value = {"lut": 1.0, "dsp": 1e-6, "bram18": 1e-6}
    spent: Sequence[float] | None = None
    if asked.objective == "energy":
        spent = (1.0,) * stages if reach is None else reach
        value = {ENERGY: 1.0, **{name: 1e-9 * worth for name, worth in value.items()}}
    if asked.objective == "throughput" and asked.cycles is None:
        found = fastest(problem, budget, share)
        if found is None:
            raise InputError(_too_small(problem, budget, others))
        return Choice(found.solution, found.cycles)
    limits = (None,) * stages if asked.cycles is None else bounds(asked.cycles, share)
    delay = None
    if asked.objective == "latency" or asked.latency is not None:
        limit = None if asked.latency is None else asked.latency / stretch
        rest = sum(path)  # stages beyond the percentile count a little, so that they are not left
        delay = Delay(tuple(p or 1e-3 / rest for p in path), limit)
    if delay is None:
        solution = Programme(problem, limits, reach=spent).solve(budget, value)
    else:
        solution = spread(problem, limits, delay, budget, value, spent)
    if solution is None:
        raise InputError(_unreachable(problem, budget, asked, share, delay, stretch, others))
    return Choice(solution, asked.cycles)


def smallest(problem: Problem, budget: Budget) -> Solution:
    """The choice that takes least, however slow, by the parts of the budget."""
    found = Programme(problem, (None,) * problem.stages).solve(Budget(), weights(budget))
    assert found is not None, "a network without a limit fits"
    return found


def _too_small(problem: Problem, budget: Budget, beside: Mapping[str, Size]) -> str:
    """By how much the budget misses the smallest design, and what takes most of it."""
    lacking = None
    for name, limit in budget.items():
        weighted = {n: 1.0 if n == name else 1e-6 for n in NAMES}
        least = Programme(problem, (None,) * problem.stages).solve(Budget(), weighted)
        assert least is not None, "a network without a limit fits"
        need = getattr(least.size, name)
        if need > limit:
            lacking = lacking or (name, need, least)
    if lacking is None:
        least = smallest(problem, budget)
        return (
            f"the resources must hold the network, whose smallest design takes {told(least.size)} "
            f"together, got {told(dict(budget.items()))} beside {_listed(beside)}: give more of "
            "them"
        )
    name, need, least = lacking
    sizes = [getattr(option.size, name) for option in least.chosen]
    most = max(range(len(sizes)), key=sizes.__getitem__)
    limit = getattr(budget, name)
    return (
        f"the resources must hold the network, which takes {need:,} {NAMES[name]} at least without "
        f"{_listed(beside, name)}, got {max(0, limit):,} for it: {need - limit:,} {NAMES[name]} "
        f"more are needed; most go to {problem.places[most].name} ({sizes[most]:,})"
    )


def _listed(beside: Mapping[str, Size], resource: str = "") -> str:
    """What stands beside the kernels, with what each takes of a resource."""
    found = []
    for name, size in beside.items():
        taken = getattr(size, resource) if resource else 0
        found.append(f"{name} ({taken:,})" if taken else name)
    if not found:
        return "its controller"
    *first, last = found
    return f"its {', '.join(first)} and {last}" if first else f"its {last}"


def _unreachable(
    problem: Problem,
    budget: Budget,
    asked: Asked,
    share: Sequence[float],
    delay: Delay | None,
    stretch: float,
    beside: Mapping[str, Size],
) -> str:
    """What could be asked instead."""
    best = fastest(problem, budget, share)
    if best is None:
        return _too_small(problem, budget, beside)
    hertz = asked.clock_mhz * 1e6
    if asked.cycles is not None and asked.cycles < best.cycles:
        return (
            f"compile.fps must be at most {int(hertz / best.cycles):,} ({best.cycles:,} cycles "
            f"between frames at {asked.clock_mhz:g} MHz), which is what fits, got "
            f"{hertz / asked.cycles:,.0f} ({asked.cycles:,} cycles): ask for less, or give more "
            "resources"
        )
    assert delay is not None, "throughput alone is reachable"
    assert asked.latency is not None, "latency alone is reachable"
    limits = (None,) * problem.stages if asked.cycles is None else bounds(asked.cycles, share)
    free = dataclasses.replace(delay, limit=None)
    least = Programme(problem, limits, free).solve(budget, weights(budget)) or best.solution
    reached = free.of(problem, least.chosen) * stretch / asked.clock_mhz
    return (
        f"compile.latency_us must be at least {reached:,.1f}, about what fits at "
        f"{asked.clock_mhz:g} MHz for {asked.percentile}% of the frames, got "
        f"{asked.latency / asked.clock_mhz:,.1f}: ask for more, or give more resources"
    )
