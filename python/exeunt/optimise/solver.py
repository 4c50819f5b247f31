"""The cheapest choice of a `Problem` as an integer programme, solved by HiGHS (`scipy`).

One variable says whether an option is taken, one for each pair of lanes says what stands on a
stream. All constraints but those of the resources and of latency make a tree of shortest paths, so
the relaxation is nearly tight and the search is short.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from exeunt.cost.energy import nanojoules
from exeunt.kernels.parts.size import Size
from exeunt.optimise.budget import NAMES, Budget
from exeunt.optimise.problem import Option, Place, Problem

SECONDS = 120.0  # that one search may take; it ends by the limits below, so that it can be repeated
GAP = 1e-4  # of the best possible, at which a search ends
NEAR = (0.003, 0.03)  # of the relaxed value, by which options may raise it that are looked at first
SPREAD_GAP, SPREAD_NODES = (
    0.02,
    8,
)  # the same where latency is spread over the stages, and its nodes
TINY = 1e-6
ENERGY = "energy"  # beside the resources something that can be weighted: nanojoules of an image
STEPS = 40  # of the cycles of a stage, that help to bound latency


@dataclass(frozen=True)
class Delay:
    """What a frame waits for: `weights[i]` times the cycles of stage i, summed up.

    The cycles of a stage are those of its slowest layer and the tails of all its layers.
    `limit`: at most so many; None: as few as can be, before anything else.
    """

    weights: tuple[float, ...]
    limit: float | None = None

    def of(self, problem: Problem, chosen: Sequence[Option]) -> float:
        """The weighted cycles of a choice."""
        slowest, tails = [0.0] * problem.stages, [0.0] * problem.stages
        for place, option in zip(problem.places, chosen, strict=True):
            slowest[place.stage] = max(slowest[place.stage], option.period)
            tails[place.stage] += option.tail
        parts = zip(self.weights, slowest, tails, strict=True)
        return sum(weight * (cycles + tail) for weight, cycles, tail in parts)


@dataclass(frozen=True)
class Solution:
    """An option for every place.

    Attributes:
        chosen: one for each place.
        size: what they take.
        value: of what was minimised.
        bound: no choice has a smaller one.
    """

    chosen: tuple[Option, ...]
    size: Size
    value: float
    bound: float

    @property
    def gap(self) -> float:
        """By what part of it the value could be smaller at most; 0: this is the best choice."""
        gap = (self.value - self.bound) / max(abs(self.value), 1e-12)
        return 0.0 if gap <= 2 * GAP else gap


class Programme:
    """The integer programme of a problem whose stages may take so many cycles a frame.

    Args:
        problem: the network.
        bounds: cycles a frame of each stage, None for any.
        delay: latency that is limited or minimised.
        spread: how latency is spread over the stages is part of the choice; False: each stage takes
            its bound, which makes the search much shorter.
        reach: fraction of the frames that reach each stage, where energy is weighted; None: it is
            not.
    """

    def __init__(
        self,
        problem: Problem,
        bounds: Sequence[int | None],
        delay: Delay | None = None,
        *,
        spread: bool = True,
        reach: Sequence[float] | None = None,
    ) -> None:
        self.problem = problem
        self.bounds = tuple(bounds)
        self.delay = delay
        self.spread = spread
        self.reach = reach
        self.options = [
            undominated(_within(place, bounds[place.stage]))
            if (delay is not None and spread) or reach is not None
            else place.within(bounds[place.stage])
            for place in problem.places
        ]
        self._known: dict[Any, tuple[float, npt.NDArray[np.float64]] | None] = {}
        self._columns = 0
        self._rows: list[tuple[dict[int, float], float, float]] = []
        self._sizes: list[Size] = []
        self._spent: dict[int, float] = {}  # nanojoules of an image, by column
        self._places: list[range] = []
        self._above: list[range] = []
        self._build()

    @property
    def empty(self) -> bool:
        """Some layer has no option at all that is fast enough."""
        return not all(self.options)

    def least(self, budget: Budget, weights: Mapping[str, float]) -> float | None:
        """A bound: no choice within the budget has less of the weighted resources; None: none is.

        It is the relaxation, so that what it refuses is impossible.
        """
        if self.empty:
            return None
        relaxed = self._relaxed(budget, weights)
        return None if relaxed is None else relaxed[0]

    def solve(self, budget: Budget, weights: Mapping[str, float]) -> Solution | None:
        """The choice with the least weighted resources within the budget; None: none was found.

        Args:
            budget: limits.
            weights: of LUT, DSP and BRAM18 in what is minimised.
        """
        found = None if self.empty else self._solve(budget, weights)
        if found is None:
            return None
        chosen = tuple(
            options[int(np.argmax(found.x[place.start : place.stop]))]
            for options, place in zip(self.options, self._places, strict=True)
        )
        bound = getattr(found, "mip_dual_bound", None)
        value = float(found.fun)
        return Solution(
            chosen, self.problem.size(chosen), value, value if bound is None else float(bound)
        )

    def _build(self) -> None:
        for options in self.options:
            first = self._columns
            self._columns += len(options)
            self._places.append(range(first, self._columns))
            self._sizes += [option.size for option in options]
            self._spend(self._places[-1], options)
            self._rows.append(({k: 1.0 for k in self._places[-1]}, 1.0, 1.0))
        for link in self.problem.links:
            self._link(link)
        self._stages = 0
        if self.delay is not None and self.spread:
            self._stages = self._columns
            self._columns += self.problem.stages
            self._sizes += [Size()] * self.problem.stages
            self._wait()

    def _spend(self, columns: range, options: Sequence[Option]) -> None:
        """What the options of a place spend."""
        stage = self.problem.places[len(self._places) - 1].stage
        if self.reach is not None:
            for column, option in zip(columns, options, strict=True):
                spent = nanojoules(option.size, option.period)
                self._spent[column] = self.reach[stage] * spent

    def _link(self, link: Any) -> None:
        """Which lanes meet on a stream; those that would be too slow or must agree do not."""
        ends: list[dict[int, list[int]]] = []
        for place, lanes in ((link.feeder, "pe"), (link.reader, "lanes_in")):
            by: dict[int, list[int]] = {}
            for column, option in zip(self._places[place], self.options[place], strict=True):
                by.setdefault(getattr(option.fold, lanes), []).append(column)
            ends.append(by)
        stage = self.problem.places[link.reader].stage
        bound = self.bounds[stage]
        out: dict[int, dict[int, float]] = {a: dict.fromkeys(ends[0][a], -1.0) for a in ends[0]}
        into: dict[int, dict[int, float]] = {b: dict.fromkeys(ends[1][b], -1.0) for b in ends[1]}
        for a in ends[0]:
            for b in ends[1]:
                size, period = link.between(a, b)
                if (link.fixed and a != b) or (bound is not None and period > bound):
                    continue
                out[a][self._columns] = into[b][self._columns] = 1.0
                self._sizes.append(size)
                if self.reach is not None:
                    self._spent[self._columns] = self.reach[stage] * nanojoules(size, period)
                self._columns += 1
        for row in (*out.values(), *into.values()):
            self._rows.append((row, 0.0, 0.0))

    def _wait(self) -> None:
        """The cycles of a stage are no fewer than those of any of its layers.

        That alone leaves the relaxation free to mix slow and quick options of a layer. So there are
        steps of cycles for each stage: whether it takes more than a step, each layer says too.
        """
        for stage in range(self.problem.stages):
            here = [
                (columns, options)
                for place, columns, options in zip(
                    self.problem.places, self._places, self.options, strict=True
                )
                if place.stage == stage and place.layer is not None
            ]
            cycles = self._stages + stage
            for columns, options in here:
                row = {k: -float(o.period) for k, o in zip(columns, options, strict=True)}
                self._rows.append(({**row, cycles: 1.0}, 0.0, np.inf))
            steps = _thinned({o.period for _, options in here for o in options})
            above = range(self._columns, self._columns + len(steps))
            self._columns += len(steps)
            self._sizes += [Size()] * len(steps)
            self._above.append(above)
            for step, column in zip(steps, above, strict=True):
                for columns, options in here:
                    row = {
                        k: -1.0 for k, o in zip(columns, options, strict=True) if o.period > step
                    }
                    if row:
                        self._rows.append(({**row, column: 1.0}, 0.0, np.inf))
            parts = {
                column: float(before - step)
                for column, before, step in zip(above, [0, *steps], steps, strict=False)
            }
            self._rows.append(({**parts, cycles: 1.0}, 0.0, np.inf))

    def _delays(self) -> dict[int, float]:
        """The weighted cycles as a sum over columns."""
        assert self.delay is not None
        row: dict[int, float] = {}
        for place, columns, options in zip(
            self.problem.places, self._places, self.options, strict=True
        ):
            weight = self.delay.weights[place.stage]
            row |= {k: weight * o.tail for k, o in zip(columns, options, strict=True)}
        if self.spread:
            row |= {self._stages + i: w for i, w in enumerate(self.delay.weights)}
        return row

    def _given(self) -> float:
        """The weighted cycles that are given with the bounds."""
        assert self.delay is not None
        if self.spread:
            return 0.0
        pairs = zip(self.delay.weights, self.bounds, strict=True)
        return sum(w * b for w, b in pairs if b is not None)

    def _rows_of(self, budget: Budget, weights: Mapping[str, float]) -> _Rows:
        """The programme in numbers."""
        values, base, low, high = self._table
        rows: list[tuple[dict[int, float], float, float]] = []
        for name, limit in budget.items():
            row = {k: v for k, v in enumerate(values[name].tolist()) if v}
            rows.append((row, -np.inf, float(limit)))
        cost = sum((weights.get(n, 0.0) * v for n, v in values.items()), np.zeros(self._columns))
        if self.delay is not None:
            delays = self._delays()
            if self.delay.limit is not None:
                rows.append((delays, -np.inf, self.delay.limit - self._given()))
            else:
                cost = cost * TINY / max(1.0, float(cost.sum()))
                for column, cycles in delays.items():
                    cost[column] += cycles
        matrix = _stacked(base, _sparse(rows, self._columns))
        integral = np.zeros(self._columns)
        upper = np.ones(self._columns)
        for place in self._places:
            integral[place.start : place.stop] = 1
        for above in self._above:
            integral[above.start : above.stop] = 1
        if self._stages:
            upper[self._stages : self._stages + self.problem.stages] = np.inf
        low = np.concatenate([low, [r[1] for r in rows]])
        high = np.concatenate([high, [r[2] for r in rows]])
        return _Rows(cost, matrix, low, high, integral, upper)

    @cached_property
    def _table(self) -> tuple[dict[str, npt.NDArray[np.float64]], Any, Any, Any]:
        """Resources of every column, and the rows that are always there."""
        sizes = np.array([(s.lut, s.dsp, s.bram18) for s in self._sizes], float).reshape(-1, 3)
        low, high = (np.array([row[k] for row in self._rows]) for k in (1, 2))
        values = dict(zip(NAMES, sizes.T, strict=True))
        values[ENERGY] = np.array([self._spent.get(k, 0.0) for k in range(self._columns)])
        return values, _sparse(self._rows, self._columns), low, high

    def _relaxed(
        self, budget: Budget, weights: Mapping[str, float]
    ) -> tuple[float, npt.NDArray[np.float64]] | None:
        """The least value with parts of options, and by how much each column would raise it."""
        key = (budget, tuple(sorted(weights.items())))
        if key not in self._known:
            self._known[key] = self._rows_of(budget, weights).relaxed()
        return self._known[key]

    def _solve(self, budget: Budget, weights: Mapping[str, float]) -> Any:
        """The integer programme, first without the columns that raise its value too much.

        Where the choice is within what the others raise it by at least, none with them is better.
        """
        rows = self._rows_of(budget, weights)
        if self._stages:
            return rows.solved(mip_rel_gap=SPREAD_GAP, node_limit=SPREAD_NODES)
        relaxed = self._relaxed(budget, weights)
        if relaxed is None:
            return None
        least, raises = relaxed
        for near in NEAR:
            most = least + near * abs(least)
            found = rows.solved(np.flatnonzero(raises <= most - least + 1e-9), mip_rel_gap=GAP)
            if found is not None and found.fun <= most:
                found.mip_dual_bound = min(found.mip_dual_bound, most)
                return found
        return rows.solved(mip_rel_gap=GAP)


@dataclass(frozen=True)
class _Rows:
    """Least `cost` x with low <= `matrix` x <= high, 0 <= x <= `upper`, some of it integral."""

    cost: npt.NDArray[np.float64]
    matrix: Any
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    integral: npt.NDArray[np.float64]
    upper: npt.NDArray[np.float64]

    def relaxed(self) -> tuple[float, npt.NDArray[np.float64]] | None:
        """Without integers: the least value and the reduced costs; None: nothing fits."""
        from scipy.optimize import linprog

        same, above, below = self.low == self.high, self.high < np.inf, self.low > -np.inf
        above, below = above & ~same, below & ~same
        found = linprog(
            self.cost,
            A_ub=_stacked(self.matrix[above], -self.matrix[below]),
            b_ub=np.concatenate([self.high[above], -self.low[below]]),
            A_eq=self.matrix[same],
            b_eq=self.low[same],
            bounds=np.stack([np.zeros_like(self.upper), self.upper], axis=1),
            method="highs",
        )
        return None if found.x is None else (float(found.fun), found.lower.marginals)

    def solved(self, columns: Any = None, **options: Any) -> Any:
        """With integers, perhaps with some columns alone; None: nothing was found."""
        from scipy.optimize import Bounds, LinearConstraint, milp

        part = slice(None) if columns is None else columns
        found = milp(
            self.cost[part],
            integrality=self.integral[part],
            bounds=Bounds(0.0, self.upper[part]),
            constraints=LinearConstraint(self.matrix[:, part], self.low, self.high),
            options={"time_limit": SECONDS, **options},
        )
        if found.x is None:
            return None
        whole = np.zeros(len(self.cost))
        whole[part] = found.x
        found.x = whole
        return found


def _sparse(rows: Sequence[tuple[dict[int, float], float, float]], columns: int) -> Any:
    from scipy.sparse import csr_array

    data = [v for row, _, _ in rows for v in row.values()]
    indices = [k for row, _, _ in rows for k in row]
    ends = np.cumsum([0, *(len(row) for row, _, _ in rows)])
    return csr_array((data, indices, ends), shape=(len(rows), columns))


def _stacked(above: Any, below: Any) -> Any:
    from scipy.sparse import vstack

    return vstack([above, below], format="csr")


def spread(
    problem: Problem,
    bounds: Sequence[int | None],
    delay: Delay,
    budget: Budget,
    weights: Mapping[str, float],
    reach: Sequence[float] | None = None,
) -> Solution | None:
    """The choice with the least latency, or the least resources within one; None: none was found.

    Where the search for how latency is spread over the stages ends without a choice, all stages get
    as many cycles, fewer and fewer.
    """
    found = Programme(problem, bounds, delay, reach=reach).solve(budget, weights)
    if found is not None or delay.limit is None:
        return found
    each = delay.limit / sum(delay.weights)
    for part in (0.9, 0.8, 0.65, 0.5, 0.35):
        limits = [int(each * part) if b is None else min(int(each * part), b) for b in bounds]
        made = Programme(problem, limits, delay, spread=False, reach=reach)
        found = made.solve(budget, weights)
        if found is not None:
            return dataclasses.replace(found, bound=0.0)
    return None


def _within(place: Place, bound: int | None) -> list[Option]:
    return [o for o in place.options if bound is None or o.period <= bound]


def _thinned(periods: set[int]) -> list[int]:
    """Of these cycles at most STEPS, ascending, the ratio of neighbours about the same."""
    known = np.array(sorted(periods))
    wanted = np.geomspace(known[0], known[-1], STEPS) if len(known) > STEPS else known
    return sorted({int(known[np.abs(known - w).argmin()]) for w in wanted})


def undominated(options: Sequence[Option]) -> list[Option]:
    """The options that no other one with the same lanes beats in resources, cycles and tail.

    Args:
        options: of one place.
    """
    groups: dict[tuple[int, int], list[tuple[tuple[float, ...], Option]]] = {}
    for option in options:
        size = option.size
        key: tuple[float, ...] = (size.lut, size.dsp, size.bram18, option.period, option.tail)
        groups.setdefault((option.fold.lanes_in, option.fold.pe), []).append((key, option))
    found = []
    for group in groups.values():
        kept: list[tuple[float, ...]] = []
        for key, option in sorted(group, key=lambda item: item[0]):
            if not any(all(a <= b for a, b in zip(k, key, strict=True)) for k in kept):
                kept.append(key)
                found.append(option)
    return found
