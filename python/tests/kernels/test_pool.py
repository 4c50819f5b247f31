"""Pools without overlap: values against torch, cycles by hand."""

import itertools

import numpy as np
import pytest

from exeunt.graph import Integer, Stream
from exeunt.hls.back.kernels import pool as kernel
from exeunt.hls.back.kernels import registry as backends
from exeunt.kernels import pool, registry
from exeunt.kernels.parts.accumulate import Function
from exeunt.kernels.pool import Pool

torch = pytest.importorskip("torch")


def node(
    size: tuple[int, int],
    kernel_: tuple[int, int],
    *,
    channels: int = 1,
    lanes: int = 1,
    function: Function = "max",
    signed: bool = False,
) -> Pool:
    (h, w), (kh, kw) = size, kernel_
    dtype = Integer(4, signed)
    out = dtype
    if function == "sum":
        out = Integer.covering(dtype.min * kh * kw, dtype.max * kh * kw)
    return Pool(
        "pool",
        Stream((h, w, channels), dtype, lanes),
        Stream((h // kh, w // kw, channels), out, lanes),
        function=function,
        kernel=kernel_,
    )


@pytest.mark.parametrize("function", ["max", "sum"])
@pytest.mark.parametrize("signed", [False, True])
def test_values_equal_torch(function: Function, signed: bool) -> None:
    rng = np.random.default_rng(1)
    sizes, kernels = ((4, 4), (7, 5), (9, 8)), ((1, 1), (2, 2), (3, 3), (2, 4), (3, 1))
    for size, kernel_, channels in itertools.product(sizes, kernels, (1, 3)):
        p = node(size, kernel_, channels=channels, function=function, signed=signed)
        x = rng.integers(p.input.dtype.min, p.input.dtype.max + 1, (3, *size, channels))
        image = torch.from_numpy(x).permute(0, 3, 1, 2).double()
        if function == "max":
            expected = torch.nn.functional.max_pool2d(image, kernel_)
        else:
            area = kernel_[0] * kernel_[1]
            expected = (torch.nn.functional.avg_pool2d(image, kernel_) * area).round()
        y = pool.values(p, {}, x.astype(np.int8).reshape(3, -1))
        assert np.array_equal(y, expected.permute(0, 2, 3, 1).numpy())
        assert y.min(initial=0) >= p.output.dtype.min
        assert y.max(initial=0) <= p.output.dtype.max


def test_a_window_is_given_one_cycle_after_its_last_word() -> None:
    p = node((3, 5), (2, 2), channels=4, lanes=2)
    takes, gives = registry.times(p, np.zeros(2 * p.input.words, np.int64))
    assert np.array_equal(takes, np.arange(2 * 30))
    first = [10 + 2, 10 + 3, 10 + 6, 10 + 7]  # row 1, columns 1 and 3, two beats each
    assert gives.tolist() == [k + 1 for k in first] + [30 + k + 1 for k in first]


def test_a_held_output_stops_only_words_that_complete_a_window() -> None:
    p = node((2, 4), (2, 2))
    takes, gives = registry.times(p, np.zeros(8, np.int64), np.array([50, 0]))
    assert takes.tolist() == [0, 1, 2, 3, 4, 5, 6, 50]
    assert gives.tolist() == [50, 51]


def test_kernel_parameters() -> None:
    p = node((7, 5), (2, 3), channels=4, lanes=2, function="sum", signed=True)
    assert kernel.module(p) == "ex_pool"
    assert backends.of(p).memories(p, {}) == {}
    assert kernel.parameters(p) == {
        "FUNCTION": 1, "LANES": 2, "IN_BITS": 4, "IN_SIGNED": 1, "OUT_BITS": 7, "C": 4,
        "H": 7, "W": 5, "KH": 2, "KW": 3,
    }  # fmt: skip
