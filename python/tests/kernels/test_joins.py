"""Kernels that copy, add and concatenate: values, cycles, and how layers become graphs of them."""

from __future__ import annotations

import numpy as np
import pytest

from exeunt.cost import folding
from exeunt.graph import ENTRY, Integer, Node, Stream
from exeunt.kernels import registry
from exeunt.kernels.add import Add
from exeunt.kernels.concat import Concat
from exeunt.kernels.duplicate import Duplicate
from exeunt.kernels.layer import Addition, Concatenation, Fold, Layer, Levels
from exeunt.kernels.lowering import lower

FOUR, SIGNED, WIDE = Integer(4), Integer(3, signed=True), Integer(9, signed=True)
FRAME = (2, 3, 4)


def _add(factors: tuple[int, int]) -> Add:
    return Add(
        "add", Stream(FRAME, FOUR, 2), Stream(FRAME, WIDE, 2), other=Stream(FRAME, SIGNED, 2),
        factors=factors,
    )  # fmt: skip


def _concat(factors: tuple[int, int]) -> Concat:
    return Concat(
        "concat", Stream(FRAME, FOUR, 2), Stream((2, 3, 10), WIDE, 2),
        other=Stream((2, 3, 6), SIGNED, 2), factors=factors,
    )  # fmt: skip


def _tensors(node: Node, dtype: type) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [
        rng.integers(s.dtype.min, s.dtype.max + 1, (5, *s.shape)).astype(dtype) for s in node.inputs
    ]


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.float32])
@pytest.mark.parametrize("factors", [(1, 1), (2, -3), (0, 7)])
def test_sum(factors: tuple[int, int], dtype: type) -> None:
    node = _add(factors)
    a, b = _tensors(node, np.int64)
    if dtype is np.uint8:  # too narrow for the sum
        b = abs(b)
    (y,) = registry.computed(node, {}, [a.astype(dtype), b.astype(dtype).reshape(5, -1)])
    assert y.shape == (5, *FRAME)
    for n, h, w, c in np.ndindex(y.shape):
        assert y[n, h, w, c] == factors[0] * a[n, h, w, c] + factors[1] * b[n, h, w, c]


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.float32])
@pytest.mark.parametrize("factors", [(1, 1), (2, -3), (0, 7)])
def test_channels_of_both(factors: tuple[int, int], dtype: type) -> None:
    node = _concat(factors)
    a, b = _tensors(node, np.int64)
    if dtype is np.uint8:
        b = abs(b)
    (y,) = registry.computed(node, {}, [a.astype(dtype), b.astype(dtype).reshape(5, -1)])
    assert y.shape == (5, 2, 3, 10)
    for n, h, w in np.ndindex(y.shape[:3]):
        want = [factors[0] * v for v in a[n, h, w]] + [factors[1] * v for v in b[n, h, w]]
        assert y[n, h, w].tolist() == want


def test_a_copy_is_the_same_twice() -> None:
    node = Duplicate("copy", Stream(FRAME, FOUR, 2), Stream(FRAME, FOUR, 2))
    (x,) = _tensors(node, np.int64)
    first, second = registry.computed(node, {}, [x])
    np.testing.assert_array_equal(first, x)
    np.testing.assert_array_equal(second, x)


def test_cycles_by_hand() -> None:
    """A sum waits for the later summand; a concatenation takes turns, a register behind both."""
    late = np.arange(12, dtype=np.int64) + 5
    now = np.zeros(12, np.int64)
    takes, gives, _ = registry.transfers(_add((1, 1)), None, [now, late], [None])
    assert [t.tolist() for t in takes] == [late.tolist()] * 2
    assert gives[0].tolist() == (late + 1).tolist()
    takes, gives, _ = registry.transfers(_concat((1, 1)), None, [now, np.zeros(18, int)], [None])
    assert takes[0].tolist()[:4] == [0, 1, 5, 6]  # two words of the first, three of the other
    assert takes[1].tolist()[:4] == [2, 3, 4, 7]
    assert gives[0].tolist() == list(range(1, 31))


def _levels(shape: tuple[int, int, int], source: Integer, behind: int = 1) -> Levels:
    rows = np.zeros((shape[2], 15), np.int64)
    return Levels(shape, source, shape, FOUR, levels=15, behind=(behind,), arrays={
        "thresholds": rows,
    })  # fmt: skip


def _sum(shape: tuple[int, int, int], *behind: int) -> Addition:
    return Addition(shape, FOUR, shape, Integer(5), other=shape, other_source=FOUR, behind=behind)


def _lowered(layers: list[Layer], lanes: list[int], source: int):
    folds = [Fold(n, n) for n in lanes]
    stream = Stream(layers[0].input, layers[0].source, source)
    return lower("seg0", layers, folds, source=stream)[0]


def test_a_stream_with_three_readers_is_copied_twice() -> None:
    layers = [_levels(FRAME, FOUR), _levels(FRAME, FOUR), _sum(FRAME, 1, 2),
              Addition(FRAME, Integer(5), FRAME, Integer(6), other=FRAME, other_source=FOUR,
                       behind=(1, 3))]  # fmt: skip
    found = _lowered(layers, [2, 2, 2, 2], 2)
    kinds = [n.kind for n in found.nodes]
    assert kinds == ["threshold", "duplicate", "duplicate", "threshold", "add", "add"]
    assert found.reads == ((ENTRY,), (0,), (2,), (1,), (5, 3), (6, 4))
    assert len({n.name for n in found.nodes}) == len(found.nodes)


def test_what_enters_may_have_several_readers() -> None:
    layers = [_levels(FRAME, FOUR), _sum(FRAME, 1, 2)]
    found = _lowered(layers, [2, 2], 2)
    assert [n.kind for n in found.nodes] == ["duplicate", "threshold", "add"]
    assert found.reads == ((ENTRY,), (0,), (2, 1))


def test_a_stream_is_added_to_itself() -> None:
    found = _lowered([_levels(FRAME, FOUR), _sum(FRAME, 1, 1)], [4, 4], 4)
    assert found.reads == ((ENTRY,), (0,), (1, 2))
    assert [n.kind for n in found.nodes] == ["threshold", "duplicate", "add"]


def test_lanes_are_converted_in_front_of_the_arm_that_needs_it() -> None:
    layers = [_levels(FRAME, FOUR), _levels(FRAME, FOUR), _sum(FRAME, 1, 2)]
    found = _lowered(layers, [2, 1, 2], 2)
    assert [n.kind for n in found.nodes] == [
        "threshold", "duplicate", "width", "threshold", "width", "add",
    ]  # fmt: skip
    assert found.reads == ((ENTRY,), (0,), (1,), (3,), (4,), (5, 2))


def test_a_join_takes_the_shapes_that_it_says() -> None:
    both = Concatenation(FRAME, FOUR, (2, 3, 6), FOUR, other=(2, 3, 2), other_source=FOUR)
    with pytest.raises(
        AssertionError, match=r"seg0: Stream.shape=\(2, 3, 4\).* is not \(2, 3, 2\)"
    ):
        _lowered([_levels(FRAME, FOUR), both], [1, 2], 1)


def _period(layers: list[Layer], found: folding.Folding) -> int:
    """The slowest kernel's words a frame."""
    chain = _lowered(layers, [f.pe for f in found.folds], found.folds[0].lanes_in)
    return max(stream.words for stream in (chain.input, *chain.streams))


@pytest.mark.parametrize("target", [1, 6, 7, 12, 24, 100])
def test_a_graph_is_folded_for_its_target(target: int) -> None:
    layers = [
        _levels(FRAME, FOUR), _levels(FRAME, FOUR), _sum(FRAME, 1, 2), _levels(FRAME, Integer(5)),
    ]  # fmt: skip
    found = folding.fold(layers, target=target, lanes=None)
    lanes = [f.pe for f in found.folds]
    widest = next((n for n in (1, 2, 4) if 24 // n <= target), 4)
    assert lanes == [widest] * 4  # no converter, no lane more than it needs
    assert found.period == 24 // widest == _period(layers, found)


def test_a_row_begins_with_the_lanes_of_what_feeds_it() -> None:
    """The stream that enters has 4 lanes: converters would cost more than wide thresholds."""
    layers = [_levels(FRAME, FOUR), _sum(FRAME, 1, 2), _levels(FRAME, Integer(5))]
    found = folding.fold(layers, target=100, lanes=4)
    chain = _lowered(layers, [f.pe for f in found.folds], 4)
    counted = sum(n.kind == "width" for n in chain.nodes)
    assert counted <= 2
    assert max(s.words for s in chain.streams) <= 100
    assert found.period <= 100
