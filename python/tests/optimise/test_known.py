"""Kernels that need the weights: the optimiser takes each where it is cheapest, and only there."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exeunt.graph import Accelerator, Integer
from exeunt.hls.folded import with_fifos
from exeunt.kernels.layer import Layer, Matrix
from exeunt.kernels.lowering import lower
from exeunt.kernels.registry import foldings
from exeunt.optimise import known
from exeunt.optimise.budget import NAMES, Budget
from exeunt.optimise.problem import Option, Problem, problem
from exeunt.optimise.search import others
from exeunt.optimise.solver import Programme, undominated

U4 = Integer(4)
FREE = Budget()
DEAR = {"lut": 1.0, "dsp": 1e3, "bram18": 150.0}


def matrix(
    shape: tuple[int, int], *, zeros: float = 0.0, block: int = 1, bits: int = 4, vectors: int = 1,
    numbers: int = 0, seed: int = 0, levels: int = 15, source: Integer = U4,
) -> Matrix:  # fmt: skip
    """A matrix of random weights (rows, columns), of whose blocks a part is zero."""
    rng = np.random.default_rng(seed)
    rows, columns = shape
    top = (1 << (bits - 1)) - 1
    table = rng.integers(1, top + 1, shape) * rng.choice([-1, 1], shape)
    if numbers:
        values = np.unique(np.linspace(1, top, numbers).astype(int))
        table = rng.choice(values, shape) * rng.choice([-1, 1], shape)
    keep = rng.random((rows, columns // block)).argsort(axis=1) >= int(zeros * (columns // block))
    table = table * np.repeat(keep, block, axis=1)
    bound = int(np.abs(table).sum(axis=1).max()) * source.max
    total = Integer.covering(-bound - 1, bound)
    arrays = {"weights": table}
    if levels:
        arrays["thresholds"] = np.sort(
            rng.integers(-bound // 4, bound // 4, (rows, levels)), axis=1
        )
    return Matrix(
        (1, vectors, columns), source, (1, vectors, rows), U4 if levels else total, columns=columns,
        weight_bits=bits, levels=levels, accumulator=total, arrays=arrays,
    )  # fmt: skip


def space(*layers: Layer, dsp: bool = False) -> Problem:
    """All layers but the last as a segment, the last one as its head; every kernel is a choice."""
    body, head = layers[:-1], dataclasses.replace(layers[-1], flat=True)
    choices = {
        name: [[*foldings(y), *known.ways(y)] for y in part]
        for name, part in (("seg0", body), ("head0", (head,)))
    }
    return problem([body], [(head,)], choices, buffer_frames=2, dsp=dsp)


def cheapest(made: Problem, cycles: int | None, budget: Budget = FREE) -> tuple[Option, ...]:
    found = Programme(made, (cycles,)).solve(budget, DEAR)
    assert found is not None
    return found.chosen


def kernels(chosen: tuple[Option, ...]) -> list[str]:
    return [option.kernel for option in chosen[1:]]


def head_of(layer: Matrix, rows: int = 3) -> Matrix:
    """A dense head on what a layer gives."""
    elements = layer.rows * layer.vectors
    head = matrix((rows, elements), levels=0, seed=1)
    return dataclasses.replace(head, input=(1, 1, elements), output=(1, 1, rows))


def test_blocks_of_zeros_are_left_out_where_that_is_cheaper() -> None:
    """The same matrix with and without zeros, in as many cycles."""
    for zeros, kernel in ((0.0, "dense"), (0.75, "scheduled")):
        layer = matrix((16, 288), zeros=zeros, block=8, vectors=4, bits=3)
        assert kernels(cheapest(space(layer, head_of(layer)), 400))[0] == kernel, zeros


def test_a_small_matrix_that_takes_a_vector_a_cycle_becomes_additions() -> None:
    layer = matrix((4, 8), bits=3, vectors=64, zeros=0.5)
    quick = cheapest(space(layer, head_of(layer)), 64)
    assert kernels(quick)[0] == "constant"
    slow = cheapest(space(layer, head_of(layer)), 4096)
    assert kernels(slow)[0] != "constant", "a multiplier takes less where there is time"


def test_shared_weights_become_indices_where_that_is_cheaper() -> None:
    layer = matrix((32, 288), bits=8, numbers=4, vectors=1)
    chosen = cheapest(space(layer, head_of(layer)), 1200)
    assert kernels(chosen)[0] == "codebook"


def test_what_is_not_worth_a_look() -> None:
    assert known.ways(dataclasses.replace(matrix((4, 8)), arrays={})) == []
    large = matrix((32, 32))
    assert {fold.multiplier for fold in known.ways(large)} == set()
    assert {fold.multiplier for fold in known.ways(matrix((4, 8)))} == {"constant"}
    assert "scheduled" in {f.multiplier for f in known.ways(matrix((32, 32), zeros=0.5))}
    assert "codebook" in {f.multiplier for f in known.ways(matrix((32, 32), bits=8, numbers=4))}


def test_no_dsp_where_there_is_none() -> None:
    layer = matrix((16, 288), zeros=0.75, block=8, bits=6)
    for dsp in (False, True):
        made = space(layer, head_of(layer), dsp=dsp)
        taken = [o.size.dsp for place in made.places for o in place.options]
        assert bool(sum(taken)) == dsp


def test_runners_up_have_every_kernel() -> None:
    layer = matrix((8, 32), zeros=0.5, block=2, bits=8, numbers=4, vectors=8)
    made = space(layer, head_of(layer), dsp=True)
    chosen = cheapest(made, 4096)
    table = others(made, chosen, (4096,))[1]
    named = {chosen[1].kernel, *(other.option.kernel for other in table)}
    assert named == {"dense", "constant", "scheduled", "codebook"}
    for other in table:
        assert made.size([chosen[0], other.option, chosen[2]]) == made.size(chosen) + other.more


@pytest.mark.parametrize("seed", range(20))
def test_no_other_choice_is_better(seed: int) -> None:
    """All choices of two layers whose weights are known, tried one by one."""
    rng = np.random.default_rng(seed)
    layer = matrix(
        (int(rng.choice([2, 4, 6])), int(rng.choice([4, 6, 8]))), zeros=float(rng.choice([0, 0.6])),
        bits=int(rng.choice([3, 4, 8])), numbers=int(rng.choice([0, 2])), seed=seed,
        vectors=int(rng.choice([1, 4])), block=2,
    )  # fmt: skip
    made = space(layer, head_of(layer))
    cycles = int(rng.choice([4, 16, 64, 256]))
    most = Budget(bram18=int(rng.integers(0, 3)))
    options = [
        [o for o in undominated(place.options) if o.period <= cycles] for place in made.places
    ]
    best = None
    for picked in itertools.product(*options):
        if made.links[0].fixed and picked[0].fold.pe != picked[1].fold.lanes_in:
            continue
        pairs = [(picked[k.feeder].fold.pe, picked[k.reader].fold.lanes_in) for k in made.links]
        waits = [k.between(a, b)[1] for k, (a, b) in zip(made.links, pairs, strict=True)]
        size = made.size(picked)
        if max(waits) <= cycles and not most.excess(size):
            value = sum(DEAR[name] * getattr(size, name) for name in NAMES)
            best = value if best is None else min(best, value)
    found = Programme(made, (cycles,)).solve(most, DEAR)
    assert (found is None) == (best is None)
    if found is not None and best is not None:
        assert found.value == pytest.approx(best, rel=1e-3)


@pytest.mark.sim
@pytest.mark.slow
def test_the_chosen_kernels_go_through_the_rtl(tmp_path: Path) -> None:
    """A design with additions, a schedule and a dense head: every answer and every cycle."""
    from exeunt.config import tree
    from exeunt.hls.back import stitch
    from exeunt.reference import network as reference
    from exeunt.simulate import simulate

    first = matrix((4, 8), bits=3, vectors=64, zeros=0.5, source=Integer(8))
    second = matrix((16, 4), zeros=0.5, block=2, vectors=64, seed=3)
    made = space(first, second, head_of(second, 10))
    chosen = cheapest(made, 2048)
    folds = made.folds(chosen)
    body, arrays = lower("seg0", [first, second], folds["seg0"])
    head = dataclasses.replace(head_of(second, 10), flat=True)
    last, more = lower("head0", [head], folds["head0"], source=body.output)
    accelerator = with_fifos(Accelerator("known", (body,), (last,), (1.0,), arrays | more))
    images = np.random.default_rng(0).integers(0, 256, (12, 1, 64, 8)).astype(np.uint8)
    stitch.write(accelerator, tmp_path, extra={"clock_mhz": 100.0})
    labels = np.zeros(len(images), np.int64)
    np.savez(tmp_path / "splits.npz", test_images=images, test_labels=labels)
    config = tree.parse(
        'name = "n"\n[data]\ndataset = "digits"\n[model]\nsource = "python:n.py:N"\n'
        "input = [1, 64, 8]\nclasses = 10\n[compile]\ntarget_cycles = 2048\nbaseline = false\n"
    )
    simulate(config, tmp_path)
    import json

    report: dict[str, Any] = json.loads((tmp_path / "report.json").read_text())
    assert report["simulation"]["mismatches"] == 0
    assert np.ptp(reference.run(accelerator, images).logits[0], axis=0).any()
