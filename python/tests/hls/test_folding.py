"""Folding of layers written by hand: no FINN, milliseconds."""

from __future__ import annotations

import numpy as np
import pytest

from exeunt.cost import folding as search
from exeunt.errors import InputError
from exeunt.graph import Integer, Stream
from exeunt.hls.back import folding, lower
from exeunt.hls.back.kernels.levels import integer_thresholds
from exeunt.kernels.layer import Layer, Matrix
from exeunt.kernels.lowering import converters
from exeunt.kernels.parts.weights import accumulator_range
from exeunt.kernels.registry import foldings
from exeunt.kernels.swg import Swg
from exeunt.kernels.width import Width
from exeunt.window import Window

FOUR = Integer(4)


def matrix(
    rows: int, shape: tuple[int, int, int], kernel: int = 0, name: str = "MVAU_rtl_0"
) -> Layer:
    h, w, c = shape
    window, columns, finn = None, c, (name,)
    if kernel:
        window = Window((kernel, kernel), (1, 1), (kernel // 2,) * 4)
        columns, finn = c * kernel * kernel, ("ConvolutionInputGenerator_rtl_0", name)
    arrays = {"weights": np.ones((rows, columns), np.int64)}
    arrays["thresholds"] = np.ones((rows, 15), np.int64)
    return Matrix(
        shape, FOUR, (h, w, rows), FOUR, window=window, finn=finn, columns=columns, levels=15,
        weight_bits=2, arrays=arrays,
    )  # fmt: skip


def cheapest_by_hand(layer: Layer, target: int) -> int:
    return min((f.pe * f.simd for f in foldings(layer) if f.period <= target), default=-1)


@pytest.mark.parametrize("target", [40, 100, 333, 1000, 5000, 100000])
@pytest.mark.parametrize(
    "layer", [matrix(16, (7, 7, 8), 3), matrix(10, (1, 1, 392)), matrix(12, (6, 6, 6))]
)
def test_meets_the_target_with_the_fewest_multipliers(layer: Layer, target: int) -> None:
    found = folding.fold([layer], target=target, lanes=None)
    best = cheapest_by_hand(layer, target)
    if best < 0:
        assert found.period == min(f.period for f in foldings(layer))
    else:
        assert found.period <= target
        assert found.multipliers == best


def test_period_counts_the_sliding_window() -> None:
    layer = matrix(1, (8, 8, 4), 3)
    for fold in foldings(layer):
        words = 64 if fold.parallel else 64 * 9 * 4 // fold.window
        assert fold.period >= words
        assert fold.period >= 64 * 36 // (fold.pe * fold.simd)


def test_a_target_beyond_reach_relaxes_everywhere() -> None:
    chain = [matrix(8, (8, 8, 4), 3, "a"), matrix(8, (8, 8, 8), 0, "b")]
    found = folding.fold(chain, target=1, lanes=None)
    assert found.period == 64
    assert found.multipliers == 8 * 36 + 8 * 8
    assert found.target == 1


def test_ties_choose_the_folding_without_converters() -> None:
    chain = [matrix(12, (4, 4, 6), 0, "a"), matrix(6, (4, 4, 12), 0, "b")]
    found = folding.fold(chain, target=16 * 12, lanes=2)
    built, _ = lower.chain("seg0", chain, found.folds, source=Stream((4, 4, 6), FOUR, 2))
    assert not [n for n in built.nodes if isinstance(n, Width)]


@pytest.mark.parametrize(
    ("before", "after", "elements", "steps"),
    [
        (4, 4, 32, ()),
        (8, 2, 32, (2,)),
        (2, 8, 32, (8,)),
        (4, 6, 48, (12, 6)),
        (4, 6, 60, (12, 6)),
        (4, 10, 32, (2, 10)),
    ],
)
def test_converters(before: int, after: int, elements: int, steps: tuple[int, ...]) -> None:
    assert converters(before, after, elements) == steps
    lanes = before
    for step in steps:
        assert max(lanes, step) % min(lanes, step) == 0
        lanes = step


def test_two_converters_where_neither_lane_count_divides() -> None:
    layer = matrix(3, (2, 2, 12))
    fold = folding.Fold(6, 3, period=8)
    source = Stream((2, 2, 12), FOUR, 4)
    built, arrays = lower.chain("seg0", [layer], [fold], source=source)
    assert [(n.input.lanes, n.output.lanes) for n in built.nodes] == [(4, 12), (12, 6), (6, 3)]
    assert [n.name for n in built.nodes] == ["seg0_width0", "seg0_width1", "seg0_mvu0"]
    assert set(arrays) == {"seg0_mvu0.weights", "seg0_mvu0.thresholds"}
    for a, b in zip(built.nodes, built.nodes[1:], strict=False):
        assert a.output.carries(b.input)


def test_wide_simd_uses_the_parallel_window_only_when_it_must() -> None:
    layer = matrix(4, (8, 8, 4), 3)
    slow = folding.fold([layer], target=64 * 9, lanes=None).folds[0]
    assert not slow.parallel
    fast = folding.fold([layer], target=64, lanes=None).folds[0]
    assert fast.parallel
    built, _ = lower.chain("seg0", [layer], [fast])
    swg = built.nodes[0]
    assert isinstance(swg, Swg)
    assert swg.parallel
    assert (swg.input.lanes, swg.output.lanes) == (4, 36)


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (
            {"MVAU_rtl_0": {"SIMD": 5}},
            "the folding file gives MVAU_rtl_0 the SIMD 5, which must be one of "
            "1, 2, 3, 4, 6, 9, 12, 18, 36; choose a divisor",
        ),
        (
            {"MVAU_rtl_0": {"PE": 3}},
            "the folding file gives MVAU_rtl_0 the PE 3, which must be one of 1, 2, 4; "
            "choose a divisor",
        ),
        (
            {"ConvolutionInputGenerator_rtl_0": {"SIMD": 3}},
            "the folding file gives ConvolutionInputGenerator_rtl_0 the SIMD 3, which must be "
            "one of 1, 2, 4; choose a divisor",
        ),
    ],
)
def test_a_folding_that_does_not_divide(overrides: dict, sentence: str) -> None:
    with pytest.raises(InputError) as error:
        folding.fold([matrix(4, (8, 8, 4), 3)], target=100, lanes=None, overrides=overrides)
    assert str(error.value) == sentence


def test_overrides_win_over_the_target() -> None:
    overrides = {
        "MVAU_rtl_0": {"PE": 2, "SIMD": 9},
        "ConvolutionInputGenerator_rtl_0": {"parallel_window": 1, "ram_style": "auto"},
    }
    fold = folding.fold(
        [matrix(4, (8, 8, 4), 3)], target=10**6, lanes=None, overrides=overrides
    ).folds[0]
    assert (fold.pe, fold.simd, fold.parallel) == (2, 9, True)


def test_an_unknown_node_in_a_folding_file() -> None:
    folding.check_names({"Defaults": {}, "seg0_MVAU_rtl_0": {}}, ["seg0_MVAU_rtl_0"])
    with pytest.raises(InputError) as error:
        folding.check_names({"MVAU_rtl_0": {"PE": 1}}, ["seg0_MVAU_rtl_0", "other"])
    assert str(error.value) == (
        "the folding file names MVAU_rtl_0, which is no FINN node of this network; "
        "the nearest is seg0_MVAU_rtl_0"
    )


def test_attributes_are_finns() -> None:
    layer = matrix(4, (8, 8, 4), 3)
    assert folding.attributes(layer, folding.Fold(9, 2, window=4, parallel=True)) == {
        "ConvolutionInputGenerator_rtl_0": {"SIMD": 4, "parallel_window": 1},
        "MVAU_rtl_0": {"PE": 2, "SIMD": 9},
    }


def test_accumulator_range_is_reached() -> None:
    weights = np.array([[3, -2], [-7, 1]])
    assert accumulator_range(weights, Integer(4)) == (-105, 45)
    assert accumulator_range(weights, Integer(4, signed=True)) == (-49 - 8, 56 + 7)


def test_integer_thresholds_mean_the_same() -> None:
    values = np.array([[-900, 0, 2, 3, 1 << 40]])
    found = integer_thresholds(values, 2, -10, 20)
    assert found.tolist() == [[-10, 0, 2, 3, 21]] * 2
    x = np.arange(-10, 21)
    expected = (x[:, None] >= values).sum(axis=1)
    assert ((x[:, None] >= found[0]).sum(axis=1) == expected).all()


def test_a_part_that_most_frames_reach_has_no_less_time_than_the_first() -> None:
    assert search.targets(3, target=90, headroom=2.0, reach=[1.0, 0.9, 0.25]) == [90, 90, 180]
    assert search.targets(2, target=90, headroom=1.5, reach=[1.0, 0.0]) == [90, 90 * 64]
    assert search.targets(2, target=90, headroom=1.5, reach=None) == [90, 90]
