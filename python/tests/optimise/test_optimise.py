"""Choices within resources: against exhaustive search, what they add up to, what is refused."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest

from exeunt import cost, optimise
from exeunt.config import tree
from exeunt.cost import control, energy
from exeunt.cost.folding import targets
from exeunt.errors import InputError
from exeunt.graph import Integer
from exeunt.kernels.layer import Layer, Matrix, Pooling
from exeunt.kernels.lowering import lower
from exeunt.kernels.parts.size import Size
from exeunt.kernels.registry import foldings
from exeunt.optimise import budget as budgets
from exeunt.optimise.budget import NAMES, Budget
from exeunt.optimise.choose import Asked, choose, waited
from exeunt.optimise.problem import Option, Problem, problem, waiting
from exeunt.optimise.search import bounds, fastest, others, shares, weights
from exeunt.optimise.solver import Delay, Programme, spread, undominated
from exeunt.window import Window

U4, U8 = Integer(4), Integer(8)
FREE = Budget()


def matrix(
    shape: tuple[int, int, int], rows: int, *, bits: int = 4, source: Integer = U4, levels: int = 15
) -> Matrix:
    """A 1x1 convolution."""
    total = Integer(source.bits + bits + max(1, shape[2] - 1).bit_length(), signed=True)
    result = Integer(levels.bit_length()) if levels else total
    output = (*shape[:2], rows)
    return Matrix(
        shape, source, output, result, columns=shape[2], weight_bits=bits, levels=levels,
        accumulator=total,
    )  # fmt: skip


def convolution(shape: tuple[int, int, int], rows: int, kernel: int = 3) -> Matrix:
    pad = kernel // 2
    total = Integer(12, signed=True)
    return Matrix(
        shape, U4, (*shape[:2], rows), U4, window=Window((kernel, kernel), (1, 1), (pad,) * 4),
        columns=kernel * kernel * shape[2], weight_bits=3, levels=15, accumulator=total,
    )  # fmt: skip


def head(shape: tuple[int, int, int], classes: int) -> list[Layer]:
    """A fully connected layer on the flattened map."""
    return [replace(matrix((1, 1, math.prod(shape)), classes, levels=0), flat=True)]


def network(rng: np.random.Generator) -> tuple[list[list[Layer]], list[list[Layer]]]:
    """One or two stages of one or two layers, small enough to try everything."""
    side = int(rng.integers(1, 4))
    shape, source = (side, side, int(rng.choice([1, 2, 3]))), U8
    segments: list[list[Layer]] = []
    heads: list[list[Layer]] = []
    for stage in range(int(rng.integers(1, 3))):
        layers: list[Layer] = []
        for _ in range(1 if stage else int(rng.integers(1, 3))):
            rows = int(rng.choice([2, 3, 4]))
            layers.append(matrix(shape, rows, bits=int(rng.integers(3, 7)), source=source))
            shape, source = (*shape[:2], rows), U4
        segments.append(layers)
        heads.append(head(shape, int(rng.choice([2, 3]))))
    return segments, heads


def space(
    segments: Sequence[Sequence[Layer]], heads: Sequence[Sequence[Layer]], *, dsp: bool = True
) -> Problem:
    choices = {
        f"{kind}{i}": [list(foldings(layer)) for layer in layers]
        for kind, chains in (("seg", segments), ("head", heads))
        for i, layers in enumerate(chains)
    }
    return problem(segments, heads, choices, buffer_frames=2, dsp=dsp)


@dataclass(frozen=True)
class Everything:
    """Every choice of a problem as arrays with an axis for each place.

    Options that another one of the same lanes beats in everything are left out, since what follows
    from them is beaten as well.
    """

    sizes: dict[str, np.ndarray]
    energy: np.ndarray  # toggles of outputs, eight times as many as there are
    cycles: np.ndarray  # between frames; infinite where lanes that must agree do not
    latency: np.ndarray  # of all stages, one behind the other

    def within(self, budget: Budget) -> np.ndarray:
        """Which choices the budget holds."""
        fits = np.isfinite(self.cycles)
        for name, limit in budget.items():
            fits = fits & (self.sizes[name] <= limit)
        return fits

    def weighed(self, value: Mapping[str, float]) -> np.ndarray:
        """Weighted resources."""
        total = np.zeros(self.cycles.shape)
        for name in NAMES:
            total += value.get(name, 0.0) * self.sizes[name]
        return total


def toggled(size: Size, cycles: float) -> float:
    return cycles * (size.lut + 48 * size.dsp + 36 * size.bram18)


def everything(
    made: Problem, share: Sequence[float], reach: Sequence[float] = (1.0, 1.0)
) -> Everything:
    options = [undominated(place.options) for place in made.places]
    shape = tuple(map(len, options))
    assert math.prod(shape) <= 8_000_000, shape

    def along(axis: int, values: Sequence[float]) -> np.ndarray:
        return np.array(values, float).reshape([-1 if k == axis else 1 for k in range(len(shape))])

    sizes = {name: np.zeros(shape) for name in NAMES}
    cycles, energy = np.ones(shape), np.zeros(shape)
    slowest = [np.zeros(shape) for _ in range(made.stages)]
    tails = np.zeros(shape)
    for axis, (place, found) in enumerate(zip(made.places, options, strict=True)):
        for name in NAMES:
            sizes[name] += along(axis, [getattr(o.size, name) for o in found])
        spent = [reach[place.stage] * toggled(o.size, o.period) for o in found]
        energy += along(axis, spent)
        periods = along(axis, [o.period for o in found])
        cycles = np.maximum(cycles, np.ceil(periods * share[place.stage]))
        slowest[place.stage] = np.maximum(slowest[place.stage], periods)
        tails += along(axis, [o.tail for o in found])
    for link in made.links:
        between = {}
        for i, a in enumerate(options[link.feeder]):
            for j, b in enumerate(options[link.reader]):
                size, period = link.between(a.fold.pe, b.fold.lanes_in)
                wrong = link.fixed and a.fold.pe != b.fold.lanes_in
                between[i, j] = (size, math.inf if wrong else period)
        stage = made.places[link.reader].stage
        dims = [1] * len(shape)
        dims[link.feeder], dims[link.reader] = shape[link.feeder], shape[link.reader]
        pairs = sorted(between) if link.feeder < link.reader else []
        assert pairs, "feeders come first"

        def table(values: list[float], dims: list[int] = dims) -> np.ndarray:
            return np.array(values, float).reshape(dims)

        for name in NAMES:
            sizes[name] += table([getattr(between[p][0], name) for p in pairs])
        finite = [(size, 0 if math.isinf(p) else p) for size, p in (between[p] for p in pairs)]
        energy += table([reach[stage] * toggled(*each) for each in finite])
        periods = table([between[p][1] for p in pairs])
        cycles = np.maximum(cycles, np.ceil(periods * share[stage]))
    return Everything(sizes, energy, cycles, sum(slowest, tails))


@pytest.mark.parametrize("seed", range(50))
def test_no_other_choice_is_better(seed: int) -> None:
    """Neither fewer cycles nor, at these, fewer resources: all choices are tried."""
    rng = np.random.default_rng(seed)
    segments, heads = network(rng)
    made = space(segments, heads)
    share = shares(None if seed % 3 == 0 else (1.0, 0.4)[: len(heads)], len(heads), 1.5)
    every = everything(made, share)
    least = every.sizes["lut"][every.within(FREE)].min()
    most = int(least * rng.uniform(1.05, 2.0))
    limit = Budget(most, int(rng.integers(0, 12)), int(rng.integers(2, 12)))
    found = fastest(made, limit, share)
    fits = every.within(limit)
    assert (found is None) == (not fits.any())
    if found is None:
        return
    assert found.cycles == every.cycles[fits].min()
    size, value = found.solution.size, weights(limit)
    assert size == made.size(found.solution.chosen)
    assert not limit.excess(size)
    cheapest = every.weighed(value)[fits & (every.cycles <= found.cycles)].min()
    weighed = sum(value[n] * getattr(size, n) for n in NAMES)
    assert weighed == pytest.approx(cheapest, rel=1e-3)


@pytest.mark.parametrize("seed", range(50))
def test_no_other_choice_takes_less_energy(seed: int) -> None:
    """Of all choices that fit, and are fast enough where that is asked."""
    rng = np.random.default_rng(seed + 300)
    segments, heads = network(rng)
    made = space(segments, heads)
    reach = (1.0, 0.3)[: len(heads)]
    share = shares(reach, len(heads), 1.0)
    every = everything(made, share, reach)
    least = every.sizes["lut"][every.within(FREE)].min()
    limit = Budget(int(least * rng.uniform(1.0, 2.0)), int(rng.integers(0, 12)), 12)
    fits = every.within(limit)
    if not fits.any():
        with pytest.raises(InputError, match="the resources must hold the network"):
            choose(made, limit, Asked("energy"), share=share, reach=reach)
        return
    known = [int(c) for c in np.unique(every.cycles[fits])]
    for cycles in (None, known[len(known) // 2]):
        found = choose(made, limit, Asked("energy", cycles), share=share, reach=reach)
        allowed = fits if cycles is None else fits & (every.cycles <= cycles)
        best = 1e9 * 0.125 * 0.5e-12 * every.energy[allowed].min()
        spent = made.nanojoules(found.solution.chosen, reach)
        assert spent == pytest.approx(best, rel=1e-3)
        assert not limit.excess(found.solution.size)
        assert found.solution.value == pytest.approx(spent, rel=1e-6)


def test_energy_is_as_its_formula_says() -> None:
    """An eighth of a toggle of each output in a cycle, half a picojoule each."""
    assert energy.nanojoules(Size(100), 80) == pytest.approx(1000 * 0.5e-3)
    assert energy.nanojoules(Size(0, 1, 0), 8) == pytest.approx(48 * 0.5e-3)
    assert energy.nanojoules(Size(0, 0, 1), 8) == pytest.approx(36 * 0.5e-3)
    model, budget = tree.load("digits").model, Budget(12000, 60, 60)
    reach = (1.0, 0.2, 0.05)
    asked = {name: Asked(name, 200) for name in ("energy", "area", "throughput")}
    found = {k: optimise.network(model, budget, asked=a, reach=reach) for k, a in asked.items()}
    assert found["energy"].nanojoules < 0.99 * found["area"].nanojoules
    assert found["energy"].nanojoules <= found["throughput"].nanojoules
    assert found["area"].size.lut < found["energy"].size.lut
    rare = optimise.network(model, budget, asked=asked["energy"], reach=(1.0, 0.02, 0.01))
    assert rare.nanojoules < found["energy"].nanojoules
    late = optimise.network(model, budget, asked=Asked("energy", latency=8000), reach=reach)
    assert late.latency <= 8000


@pytest.mark.parametrize("seed", range(12))
def test_no_other_choice_is_quicker(seed: int) -> None:
    """Latency: within 3% of the best of all choices, and so are LUT within a latency."""
    rng = np.random.default_rng(seed + 100)
    segments, heads = network(rng)
    made = space(segments, heads)
    every = everything(made, (1.0,) * made.stages)
    limit = Budget(int(rng.integers(1500, 4000)), int(rng.integers(0, 12)), 20)
    fits, anything = every.within(limit), (None,) * made.stages
    delay = Delay((1.0,) * made.stages)
    found = Programme(made, anything, delay).solve(limit, weights(limit))
    assert (found is None) == (not fits.any())
    if found is None:
        return
    least = every.latency[fits].min()
    assert least <= delay.of(made, found.chosen) + 1e-6
    assert delay.of(made, found.chosen) <= 1.03 * least
    tight = Delay(delay.weights, 1.5 * least)
    cheap = spread(made, anything, tight, limit, {"lut": 1.0})
    assert cheap is not None
    assert tight.of(made, cheap.chosen) <= 1.5 * least + 1e-6
    fewest = every.sizes["lut"][fits & (every.latency <= 1.5 * least)].min()
    assert fewest <= cheap.size.lut <= 1.03 * fewest


def chain(size: int = 6) -> tuple[list[list[Layer]], list[list[Layer]]]:
    """Two stages of 3x3 convolutions with a pool."""
    first, half = convolution((size, size, 2), 4), size // 2
    window = Window((2, 2), (2, 2), (0,) * 4)
    pool = Pooling((size, size, 4), U4, (half, half, 4), U4, window=window)
    second = convolution((half, half, 4), 8)
    return [[first, pool], [second]], [head((half, half, 4), 3), head((half, half, 8), 3)]


def test_sizes_are_those_of_the_lowered_network() -> None:
    """What the choice is said to take is what `exeunt.cost` says of its kernels."""
    segments, heads = chain()
    made = space(segments, heads)
    found = fastest(made, Budget(4000, 30, 40), (1.0, 0.5))
    assert found is not None
    folds = made.folds(found.solution.chosen)
    total, source = Size(), None
    for i, pair in enumerate(zip(segments, heads, strict=True)):
        for name, layers in zip((f"seg{i}", f"head{i}"), pair, strict=True):
            flow, _ = lower(name, layers, folds[name], source=source)
            for node in flow.nodes:
                total += cost.totals.registry.of(node).size(node, True)
            for stream in flow.streams:
                total += cost.totals.fifo(stream.width)
            if name.startswith("seg"):
                source = flow.output
                if i + 1 < len(segments):
                    total += waiting(flow.output, 2, 2)
            else:
                total += Size(control.decision(flow.output))
    assert found.solution.size == total


def test_options_that_are_left_out_are_beaten() -> None:
    """For every bound those options are left that no other one beats, in the same order."""
    segments, heads = chain()
    for place in space(segments, heads).places:
        for bound in (None, *sorted({option.period for option in place.options})):
            options = [o for o in place.options if bound is None or o.period <= bound]
            groups: dict[tuple[int, int], list[Option]] = {}
            for option in options:
                groups.setdefault((option.fold.lanes_in, option.fold.pe), []).append(option)
            left = []
            for group in groups.values():
                kept: list[tuple[int, ...]] = []
                for option in sorted(group, key=lambda o: tuple(vars(o.size).values())):
                    size = tuple(vars(option.size).values())
                    if not any(all(a <= b for a, b in zip(k, size, strict=True)) for k in kept):
                        kept.append(size)
                        left.append(option)
            assert place.within(bound) == left


def test_what_a_search_leaves_changes_no_other() -> None:
    """The same network within different budgets, in any order, as if each were the first."""
    segments, heads = chain()
    made, share = space(segments, heads), (1.0, 0.5)
    for lut in (5000, 1500, 4900, 2000, 3000, 2900, 2990, 10000, 1000, 2500):
        for between in (None, (40, 4000)):
            limit = Budget(lut, 20, 20)
            again = fastest(made, limit, share, between=between)
            assert again == fastest(space(segments, heads), limit, share, between=between)


def test_a_budget_within_another() -> None:
    assert Budget(1, 2, 3).within(Budget(1, 3))
    assert not Budget(1, 2, 3).within(Budget(0, 3))
    assert not Budget(dsp=2).within(Budget(1))
    assert Budget(dsp=2).within(Budget())


def test_shares_are_the_folding_s_targets() -> None:
    for reach in ((1.0, 0.5, 0.01), (1.2, 0.3, 0.2), None):
        share = shares(reach, 3, 1.5)
        assert bounds(1000, share) == tuple(targets(3, target=1000, headroom=1.5, reach=reach))


def test_a_looser_budget_is_never_slower_and_a_target_never_costs_more() -> None:
    segments, heads = chain()
    made = space(segments, heads)
    share = (1.0, 0.5)
    cycles = []
    for lut in (1500, 2000, 3000, 5000, 10000):
        found = fastest(made, Budget(lut, 20, 20), share)
        cycles.append(math.inf if found is None else found.cycles)
    assert cycles == sorted(cycles, reverse=True)
    assert cycles[0] > cycles[-1]
    luts = []
    for target in (36, 72, 144, 600):
        limit = Budget(20000, 60, 40)
        plan = choose(made, limit, Asked("area", target), share=share)
        luts.append(plan.solution.size.lut)
        places = zip(made.places, plan.solution.chosen, strict=True)
        assert all(o.period <= bounds(target, share)[p.stage] for p, o in places)
    assert luts == sorted(luts, reverse=True)


def test_dsps_are_used_where_luts_are_short_and_never_where_there_are_none() -> None:
    segments, heads = chain()
    share = (1.0, 1.0)
    made = space(segments, heads)
    target = Asked("throughput", 144)
    plenty = choose(made, Budget(20000, 200, 40), target, share=share).solution.size
    tight = choose(made, Budget(plenty.lut - 20, 200, 40), target, share=share).solution.size
    assert tight.dsp > plenty.dsp
    assert tight.lut <= plenty.lut - 20
    none = space(segments, heads, dsp=False)
    size = choose(none, Budget(20000, 0, 40), target, share=share).solution.size
    assert size.dsp == 0


def test_others_cost_more_by_what_is_said() -> None:
    segments, heads = chain()
    made = space(segments, heads)
    share = (1.0, 1.0)
    found = fastest(made, Budget(3000, 30, 40), share)
    assert found is not None
    chosen = found.solution.chosen
    limits = bounds(found.cycles, share)
    table = others(made, chosen, limits, 3)
    assert any(table)
    for index, row in enumerate(table):
        for other in row:
            size = made.size([*chosen[:index], other.option, *chosen[index + 1 :]])
            assert size == found.solution.size + other.more
            assert other.option.period <= limits[made.places[index].stage]


@pytest.mark.parametrize(
    ("percentile", "path"), [(50, (1.0, 0.0, 0.0)), (95, (1.0, 1.0, 0.0)), (99, (1.0, 1.0, 1.0))]
)
def test_the_stages_that_a_percentile_waits_for(percentile: int, path: tuple[float, ...]) -> None:
    assert waited((1.0, 0.08, 0.02), 3, percentile) == path
    assert waited(None, 3, percentile) == (1.0, 1.0, 1.0)


REFUSED = [
    (
        Budget(700, 30, 40),
        Asked("throughput"),
        r"the resources must hold the network, which takes 1,\d{3} LUT at least without its "
        r"controller, got 700 for it: \d+ LUT more are needed; most go to seg\d layer \d \(\d+\)$",
    ),
    (
        Budget(9000, 30, 0),
        Asked("throughput"),
        r"the resources must hold the network, which takes \d BRAM18 at least without its "
        r"controller, got 0 for it: \d BRAM18 more are needed; most go to seg0 layer 1 \(\d\)$",
    ),
    (
        Budget(3000, 10, 40),
        Asked("throughput", 10),
        r"compile.fps must be at most [\d,]+ \([\d,]+ cycles between frames at 100 MHz\), which is "
        r"what fits, got 10,000,000 \(10 cycles\): ask for less, or give more resources$",
    ),
    (
        Budget(3000, 10, 40),
        Asked("latency", latency=20),
        r"compile.latency_us must be at least [\d.]+, about what fits at 100 MHz for 99% of the "
        r"frames, got 0.2: ask for more, or give more resources$",
    ),
]


@pytest.mark.parametrize(("budget", "asked", "sentence"), REFUSED)
def test_what_is_out_of_reach(budget: Budget, asked: Asked, sentence: str) -> None:
    segments, heads = chain(6 if budget.bram18 else 48)  # small frames need no block of memory
    with pytest.raises(InputError, match=sentence):
        choose(space(segments, heads), budget, asked, share=(1.0, 1.0))


def test_what_stands_beside_the_network_is_named_and_within_the_budget() -> None:
    """The same network with and without something beside it, in one budget."""
    model, reach = tree.load("digits").model, (1.0, 0.2, 0.05)
    limit = Budget(9000, 60, 60)
    alone = optimise.network(model, limit, reach=reach)
    others = {"explanations": Size(2400, 9, 12), "hold": Size(490)}
    beside = optimise.network(model, limit, reach=reach, beside=others)
    assert beside.size.lut <= 9000
    assert beside.size.bram18 <= 60
    assert beside.cycles > alone.cycles
    with pytest.raises(InputError) as error:
        optimise.network(model, Budget(6000, 60, 60), reach=reach, beside=others)
    assert re.fullmatch(
        r"the resources must hold the network, which takes [\d,]+ LUT at least without its "
        r"controller \(1,105\), explanations \(2,400\) and hold \(490\), got 2,005 for it: [\d,]+ "
        r"LUT more are needed; most go to [\w \[\]\.]+ \([\d,]+\)",
        str(error.value),
    ), str(error.value)
    least = int(str(error.value).split("takes ")[1].split(" ")[0].replace(",", ""))
    few = Budget(least + 1105 + 2890, 10, None)  # enough LUT where DSPs do the products
    sentence = (
        r"the resources must hold the network, whose smallest design takes [\d,]+ LUT, \d+ DSP, "
        r"\d+ BRAM18 together, got [\d,]+ LUT, 1 DSP beside its controller, explanations and hold: "
        r"give more of them$"
    )
    with pytest.raises(InputError, match=sentence):
        optimise.network(model, few, reach=reach, beside=others)


def test_what_is_said_to_be_reachable_is() -> None:
    segments, heads = chain()
    made, limit = space(segments, heads), Budget(3000, 10, 40)
    with pytest.raises(InputError) as error:
        choose(made, limit, Asked("throughput", 10), share=(1.0, 1.0))
    cycles = int(str(error.value).split("(")[1].split(" ")[0].replace(",", ""))
    assert choose(made, limit, Asked("throughput", cycles), share=(1.0, 1.0)).cycles == cycles
    with pytest.raises(InputError, match="must be at most"):
        choose(made, limit, Asked("throughput", cycles - 1), share=(1.0, 1.0))


def test_the_same_question_has_the_same_answer() -> None:
    segments, heads = chain()
    for asked in (Asked("throughput"), Asked("latency"), Asked("latency", latency=2000)):
        found = [
            choose(space(segments, heads), Budget(3000, 10, 40), asked, share=(1.0, 0.5))
            for _ in range(2)
        ]
        assert found[0].solution.chosen == found[1].solution.chosen


def test_budgets() -> None:
    whole = Budget(53200, 220, None)
    assert budgets.share(whole, 0.8) == Budget(42560, 176, None)
    assert whole.less(Size(200, 20, 3)) == Budget(53000, 200, None)
    assert whole.excess(Size(53300, 220, 9)) == {"lut": 100}
    assert budgets.told(Size(1200, 3, 0)) == "1,200 LUT, 3 DSP, 0 BRAM18"
    assert dict(FREE.items()) == {}


def test_a_config_is_folded_before_it_is_compiled() -> None:
    model = tree.load("mnist").model
    reach = (1.0, 0.08, 0.013)
    found = optimise.network(model, Budget(8000, 0, 60), reach=reach)
    assert found.cycles is not None
    assert found.size.lut <= 8000
    assert found.size.dsp == 0
    assert [len(f) for f in found.folds.values()] == [len(f) for f in made_of(model)]
    more = optimise.network(model, Budget(12000, 0, 60), reach=reach)
    assert more.cycles is not None
    assert more.cycles < found.cycles
    same = optimise.network(
        model, Budget(20000, 40, 60), asked=Asked("area", found.cycles), reach=reach
    )
    assert same.size.lut <= found.size.lut
    with pytest.raises(InputError, match="the resources must hold the network"):
        optimise.network(model, Budget(3000))


def made_of(model: tree.Model) -> list[tuple[Layer, ...]]:
    """Layers of a config by chain."""
    segments, heads = cost.chains(model)
    return [part for pair in zip(segments, heads, strict=True) for part in pair]
