"""Constant matrices as additions: every product, what is shared, what they take; and compiled."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from exeunt.config import tree
from exeunt.errors import InputError
from exeunt.graph import Integer
from exeunt.kernels import registry
from exeunt.kernels.layer import Fold, Matrix
from exeunt.kernels.logic import Logic, graph_of, stage_of, sums
from exeunt.kernels.lowering import lower
from exeunt.window import Window

FOUR, WIDE = Integer(4), Integer(20, signed=True)


def random(rows: int, columns: int, bits: int, zeros: float = 0.0, seed: int = 0) -> np.ndarray:
    source = np.random.default_rng(seed)
    most = (1 << (bits - 1)) - 1
    weights = source.integers(-most, most + 1, (rows, columns))
    weights[source.random(weights.shape) < zeros] = 0
    return weights


@pytest.mark.parametrize("dtype", [Integer(1), FOUR, Integer(8), Integer(6, signed=True)])
@pytest.mark.parametrize(
    ("rows", "columns", "bits"), [(1, 1, 2), (7, 12, 3), (5, 30, 8), (16, 9, 2)]
)
def test_every_row_is_the_product(rows: int, columns: int, bits: int, dtype: Integer) -> None:
    weights = random(rows, columns, bits, 0.2)
    weights[0] = 0
    weights[-1] = -abs(weights[-1])
    made = graph_of(weights, dtype)
    source = np.random.default_rng(1)
    x = source.integers(dtype.min, dtype.max + 1, (200, columns))
    x[0], x[1] = dtype.min, dtype.max
    assert (made.values(x) == x @ weights.T).all()
    assert made.outputs[0].signal == -1


def test_no_signal_leaves_its_range() -> None:
    made = graph_of(random(6, 10, 4), FOUR)
    x = np.random.default_rng(0).integers(0, 16, (2000, 10))
    found = [x[:, k] for k in range(10)]
    for add, (low, high) in zip(made.adds, made.ranges[10:], strict=True):
        a, b = found[add.a] << add.shift_a, found[add.b] << add.shift_b
        found.append(a - b if add.minus else a + b)
        assert low <= found[-1].min() <= found[-1].max() <= high


@pytest.mark.parametrize("weight", [*range(-40, 41), 255, -1024])
def test_digits_are_few_and_apart(weight: int) -> None:
    found = sums.digits(weight)
    assert sum(sign << shift for shift, sign in found) == weight
    places = [shift for shift, _ in found]
    assert all(b - a > 1 for a, b in itertools.pairwise(places))


def test_zeros_and_few_bits_are_cheap() -> None:
    dense = graph_of(random(16, 72, 4), FOUR)
    half = graph_of(random(16, 72, 4, 0.5), FOUR)
    narrow = graph_of(random(16, 72, 2), FOUR)
    assert half.luts < 0.65 * dense.luts
    assert narrow.luts < 0.45 * dense.luts
    plain = sum(len(sums.digits(int(w))) for w in random(16, 72, 4).ravel()) - 16
    assert len(dense.adds) < 0.75 * plain, "what rows have in common is added once"
    assert graph_of(np.zeros((3, 4), np.int64), FOUR).luts == 0


def test_additions_by_their_ranges() -> None:
    byte, signed = (0, 255), (-128, 127)
    assert sums.luts_of(sums.Add(0, 1, 0, 0, False), byte, byte, (0, 510)) == 8
    assert sums.luts_of(sums.Add(0, 1, 0, 4, False), byte, byte, (0, 4335)) == 4
    assert sums.luts_of(sums.Add(0, 1, 0, 0, True), byte, byte, (-255, 255)) == 9
    assert sums.luts_of(sums.Add(0, 1, 0, 0, False), signed, signed, (-256, 254)) == 9


def matrix(rows: int = 6, columns: int = 9, **more: object) -> Matrix:
    weights = random(rows, columns, 4)
    return Matrix(
        (1, 4, columns), FOUR, (1, 4, rows), WIDE, columns=columns, weight_bits=4,
        accumulator=WIDE, arrays={"weights": weights}, **more,
    )  # fmt: skip


def test_foldings_are_those_of_whole_vectors() -> None:
    found = list(registry.foldings(matrix(), "constant"))
    assert [(f.simd, f.pe, f.period, f.multiplier) for f in found] == [(9, 6, 4, "constant")]
    assert not list(registry.foldings(matrix(groups=3), "constant"))
    assert all(f.multiplier != "constant" for f in registry.foldings(matrix()))


def test_a_convolution_with_thresholds() -> None:
    weights = random(3, 18, 3)
    layer = Matrix(
        (5, 5, 2), FOUR, (3, 3, 3), FOUR, columns=18, weight_bits=3, levels=15, accumulator=WIDE,
        window=Window((3, 3), (1, 1), (0, 0, 0, 0)),
        arrays={"weights": weights, "thresholds": np.tile(np.arange(15) * 9 - 40, (3, 1))},
    )  # fmt: skip
    folds = list(registry.foldings(layer, "constant"))
    assert folds
    for fold in folds:
        chain, arrays = lower("seg0", [layer], [fold])
        plain, others = lower("seg0", [layer], [next(registry.foldings(layer))])
        nodes = [n for n in chain.nodes if isinstance(n, Logic)]
        assert len(nodes) == 1
        made = graph_of(weights, FOUR)
        assert (nodes[0].stages, nodes[0].luts) == (stage_of(made.depth) + 1, made.luts)
        assert registry.of(nodes[0]).size(nodes[0], False).lut == made.luts + 2 * nodes[0].stages
        x = np.random.default_rng(0).integers(0, 16, (4, 5, 5, 2))
        results = []
        for one, table in ((chain, arrays), (plain, others)):
            y = x
            for node in one.nodes:
                own = {
                    k.rpartition(".")[2]: v
                    for k, v in table.items()
                    if k.startswith(node.name + ".")
                }
                (y,) = registry.computed(node, own, [y.reshape(-1, *node.input.shape)])
            results.append(np.asarray(y).reshape(4, -1))
        assert (results[0] == results[1]).all()


def test_fold_of_another_style_stays() -> None:
    assert registry.foldings(matrix()) is not None
    chain, _ = lower("a", [matrix()], [Fold(9, 6, period=4)])
    assert not any(isinstance(node, Logic) for node in chain.nodes)


@pytest.mark.parametrize("other", ['kernels = "finn"', 'board = "pynq-z2"'])
def test_what_constants_do_not_go_with(other: str) -> None:
    text = tree.to_toml(tree.load("digits"))
    begin = text.index("[compile]")
    rest = text.index("\n[", begin)
    text = f"{text[:begin]}[compile]\nconstants = 100\n{other}\n{text[rest:]}"
    with pytest.raises(InputError) as caught:
        tree.parse(text)
    assert (
        'constants must be 0 with board or resources and with other kernels than "exeunt", got 100'
    ) in str(caught.value)
