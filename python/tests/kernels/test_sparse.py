"""Scheduled units: what is visited, what stands for weights, what it takes, what is chosen."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from exeunt.graph import Integer
from exeunt.hls.compressed import Kernels, said
from exeunt.kernels import registry, sparse
from exeunt.kernels.layer import Fold, Matrix, Style
from exeunt.kernels.lowering import lower
from exeunt.kernels.sparse import codebook, schedule
from exeunt.window import Window

FOUR, WIDE = Integer(4), Integer(24, signed=True)


def blocks(
    rows: int, columns: int, block: int, keep: int, *, seed: int = 0, even: bool = True
) -> npt.NDArray[np.int64]:
    """Weights of eight bits with `keep` blocks left in every row, or in a row on average."""
    rng = np.random.default_rng(seed)
    count = columns // block
    left = rng.random((rows, count)).argsort(axis=1) < keep
    if not even:
        left = rng.random((rows, count)) < keep / count
    return (rng.integers(-64, 64, (rows, columns)) * 2 + 1) * np.repeat(left, block, axis=1)


def layer(weights: npt.NDArray[np.int64], window: bool = False, **more: object) -> Matrix:
    """A matrix on every pixel of a map of 4 x 4, or on 3 x 3 windows of one of 6 x 6."""
    rows, columns = weights.shape
    shape = (6, 6, columns // 9) if window else (4, 4, columns)
    front = Window((3, 3), (1, 1), (0, 0, 0, 0), (1, 1)) if window else None
    return Matrix(
        shape, FOUR, (4, 4, rows), WIDE, window=front, columns=columns, weight_bits=8,
        accumulator=WIDE, arrays={"weights": weights}, **more,
    )  # fmt: skip


@pytest.mark.parametrize(("pe", "banks"), [(4, 4), (2, 2), (8, 8)])
def test_a_quarter_of_the_blocks_takes_a_quarter_of_the_cycles(pe: int, banks: int) -> None:
    """The bar: at 75% pruned blocks at least 3.5 times fewer cycles than dense."""
    weights = blocks(32, 288, 4, 18)
    node = sparse.built(
        "x", layer(weights), Fold(4, pe, multiplier="scheduled", block=4, banks=banks)
    )
    dense = registry.of(node).effort(node).multiplies // (pe * 4 * 16), 32 // pe * 72
    assert dense[1] / node.steps == 4.0
    offered = np.zeros(node.input.words, np.int64)
    _, gives = registry.times(node, offered)
    assert dense[1] * 16 / (gives[-1] + 1) >= 3.5, "fill and drain are part of it"


def test_lanes_that_run_ahead_lose_little_to_uneven_rows() -> None:
    weights = blocks(64, 576, 8, 18, even=False)
    visits = schedule.seen(schedule.used(weights, 8), 4, 4)
    apart = schedule.lengths(visits)
    together = int(np.maximum(visits.sum(axis=2), 1).max(axis=1).sum())
    assert 16 * 72 / apart.steps >= 3.5 > 16 * 72 / together
    assert apart.queue in (2, 4, 8)


def test_every_block_is_visited_once_and_in_order() -> None:
    weights = blocks(12, 40, 2, 5, even=False, seed=3)
    weights[4] = 0
    visits = schedule.seen(schedule.used(weights, 2), 3, 3)
    rows, found = schedule.visited(visits)
    assert rows.shape == (schedule.lengths(visits).steps, 3)
    for bank in range(3):
        pairs = [(r, b) for r, b in zip(rows[:, bank], found[:, bank], strict=True) if b >= 0]
        expected = [(r, b) for r in range(4) for b in np.nonzero(visits[r, bank])[0]]
        assert pairs == expected
        assert (np.diff(rows[:, bank]) >= 0).all()
        assert set(rows[:, bank]) == {0, 1, 2, 3}, "a row of zeros takes a step too"


def test_a_codebook_up_to_the_sign_of_a_row() -> None:
    rng = np.random.default_rng(1)
    numbers = np.array([-90, -31, -7, 0, 4, 22, 51, 100])
    weights = numbers[rng.integers(0, 8, (10, 60))]
    plain = codebook.of(weights)
    assert plain is not None
    assert plain.numbers == tuple(numbers)
    assert not plain.negates
    turned = weights * rng.choice([-1, 1], (10, 1))
    found = codebook.of(turned)
    assert found is not None
    assert found.negates
    assert len(found.numbers) == 8
    again = np.array(found.numbers)[found.indices] * found.signs[:, None]
    assert (again == turned).all()
    assert codebook.of(rng.integers(-128, 128, (10, 60))) is None


@pytest.mark.parametrize("dtype", [FOUR, Integer(8), Integer(1), Integer(5, signed=True)])
@pytest.mark.parametrize("numbers", [(-128, 127), (-9, 0, 3), (-100, -50, -1, 0, 1, 9, 70, 127)])
def test_digits_times_numbers_are_products(dtype: Integer, numbers: tuple[int, ...]) -> None:
    digit, bits = codebook.digit_bits(len(numbers), dtype), codebook.number_bits(numbers, dtype)
    index = codebook.index_bits(len(numbers))
    table, size = codebook.tables(numbers, dtype), 1 << (index + digit)
    places = [table >> (k * bits) & ((1 << bits) - 1) for k in range(2 * size)]
    assert table >> (2 * size * bits) == 1
    signed = [p - (1 << bits) if p >> (bits - 1) else p for p in places]
    last = codebook.digits(len(numbers), dtype) - 1
    for x in range(dtype.min, dtype.max + 1):
        for k, number in enumerate(numbers):
            total = 0
            for d in range(last + 1):
                piece = x >> (d * digit) & ((1 << digit) - 1)
                top = size if dtype.signed and d == last else 0
                total += signed[top + (k << digit) + piece] << (d * digit)
            assert total == number * x


def test_eight_numbers_take_three_bits_a_weight() -> None:
    """The bar: 8 centroids take at most 45% of the memory of 8-bit weights."""
    rng = np.random.default_rng(2)
    numbers = np.array([-90, -31, -7, 0, 4, 22, 51, 100])
    weights = numbers[rng.integers(0, 8, (32, 144))]
    node = sparse.built("x", layer(weights), Fold(4, 4, multiplier="codebook", block=4))
    stored = registry.of(node).effort(node).weight_bits
    assert stored == 3 * weights.size <= 0.45 * 8 * weights.size
    assert node.steps == 8 * 36, "no block is left out"


def test_foldings_are_those_of_known_weights() -> None:
    weights = blocks(8, 36, 4, 3)
    found = list(registry.foldings(layer(weights, window=True), "scheduled"))
    assert found
    assert {fold.multiplier for fold in found} == {"scheduled"}
    for fold in found:
        node = sparse.built("x", layer(weights, window=True), fold)
        assert node.steps < 8 // fold.pe * 36 // fold.block
        assert fold.period >= registry.of(node).effort(node).period
    bare = Matrix((4, 4, 36), FOUR, (4, 4, 8), WIDE, columns=36, weight_bits=4)
    assert not list(registry.foldings(bare, "scheduled"))
    assert not list(registry.foldings(layer(weights), "codebook")), "more numbers than 16"
    grouped = layer(blocks(8, 36, 4, 3), groups=2)
    assert not list(registry.foldings(grouped, "scheduled"))


@pytest.mark.parametrize("style", sparse.STYLES)
def test_a_convolution_with_thresholds(style: Style) -> None:
    """Every folding gives what the dense kernel gives."""
    weights = blocks(4, 18, 2, 3, even=False)
    step = 90
    if style == "codebook":
        step = 4
        weights = np.sign(weights) * (np.abs(weights) % 4)
    found = Matrix(
        (5, 5, 2), FOUR, (3, 3, 4), FOUR, columns=18, weight_bits=8, levels=15, accumulator=WIDE,
        window=Window((3, 3), (1, 1), (0, 0, 0, 0)),
        arrays={"weights": weights, "thresholds": np.tile(np.arange(-7, 8) * step, (4, 1))},
    )  # fmt: skip
    folds = list(registry.foldings(found, style))
    assert len(folds) > 20
    x = np.random.default_rng(0).integers(0, 16, (2, 5, 5, 2))
    results = []
    for fold in [next(registry.foldings(found)), *folds]:
        chain, table = lower("seg0", [found], [fold])
        assert fold.multiplier == "" or chain.nodes[-1].kind == "sparse"
        y: npt.NDArray[np.integer] = x
        for node in chain.nodes:
            own = {k.split(".")[1]: v for k, v in table.items() if k.startswith(f"{node.name}.")}
            (y,) = registry.computed(node, own, [y.reshape(-1, *node.input.shape)])
        results.append(np.asarray(y).reshape(2, -1))
        assert len(set(results[0].reshape(-1).tolist())) > 4
        assert (results[-1] == results[0]).all()


def test_the_cheapest_kernel_is_chosen_and_it_is_said_why() -> None:
    pruned, dense = layer(blocks(32, 144, 4, 9)), layer(blocks(32, 144, 4, 36))
    few = np.array([-3, -1, 0, 1, 2])[np.random.default_rng(0).integers(0, 5, (32, 144))]
    target = 16 * 300
    for found, style in ((pruned, "scheduled"), (dense, ""), (layer(few), "codebook")):
        choices = [list(registry.foldings(found))]
        ways = Kernels([found], choices)
        (picked,) = ways.choices(target)
        assert {fold.multiplier for fold in picked} == {style}
        why = ways.why([picked[0]], target)
        if not style:
            continue
        (entry,) = why
        assert entry["kernel"] == style
        assert entry["lut"] < entry["dense"]["lut"]
        assert entry["dense"]["cycles"] <= target
        assert said({"seg0": why}).startswith("; of 1 matrices 1 ")
    fixed = Matrix(
        pruned.input, FOUR, pruned.output, WIDE, columns=144, weight_bits=8, finn=("MVAU_0",),
        accumulator=WIDE, arrays=pruned.arrays,
    )  # fmt: skip
    ways = Kernels([fixed], [list(registry.foldings(fixed))], {"MVAU_0": {"PE": 4}})
    assert {fold.multiplier for fold in ways.choices(target)[0]} == {""}
    assert ways.why([ways.choices(target)[0][0]], target) == []
