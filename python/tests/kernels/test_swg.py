"""Sliding windows: values against torch's unfold, frame periods, stalls, small frames."""

import itertools

import numpy as np
import pytest

from exeunt.graph import Integer, Stream
from exeunt.hls.back.kernels import registry as backends
from exeunt.hls.back.kernels import swg as kernel
from exeunt.kernels import registry
from exeunt.kernels.swg import Swg
from exeunt.kernels.swg import kind as swg

torch = pytest.importorskip("torch")

SIZES = ((3, 3), (4, 6), (8, 8), (9, 4), (14, 14), (28, 28), (5, 1), (1, 1), (4, 2))
KERNELS = ((1, 1), (2, 2), (3, 3), (5, 5), (3, 1), (2, 3))
STRIDES = ((1, 1), (2, 2), (1, 2), (3, 3))


def window(
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    pad: tuple[int, int, int, int],
    *,
    channels: int = 1,
    simd: int = 1,
    parallel: bool = False,
) -> Swg:
    (h, w), (kh, kw), (sh, sw) = size, kernel, stride
    top, left, bottom, right = pad
    oh, ow = (h + top + bottom - kh) // sh + 1, (w + left + right - kw) // sw + 1
    depth = kh * kw * channels
    return Swg(
        "window",
        Stream((h, w, channels), Integer(8), channels if parallel else simd),
        Stream((oh, ow, depth), Integer(8), depth if parallel else simd),
        kernel=kernel,
        stride=stride,
        pad=pad,
        parallel=parallel,
    )


def fits(size: tuple[int, int], kernel: tuple[int, int], pad: tuple[int, int, int, int]) -> bool:
    top, left, bottom, right = pad
    inside = kernel[0] <= size[0] + top + bottom and kernel[1] <= size[1] + left + right
    return inside and max(top, bottom) < kernel[0] and max(left, right) < kernel[1]


@pytest.mark.parametrize("pad", [(0, 0, 0, 0), (1, 1, 1, 1), (0, 1, 1, 0), (2, 0, 1, 2)])
@pytest.mark.parametrize("kernel_", KERNELS)
def test_values_equal_unfold(kernel_: tuple[int, int], pad: tuple[int, int, int, int]) -> None:
    rng = np.random.default_rng(1)
    for size, stride, channels in itertools.product(SIZES[:4], STRIDES, (1, 3)):
        if not fits(size, kernel_, pad):
            continue
        node = window(size, kernel_, stride, pad, channels=channels)
        x = rng.integers(-128, 128, (2, *size, channels)).astype(np.int16)
        top, left, bottom, right = pad
        image = torch.nn.functional.pad(
            torch.from_numpy(x).permute(0, 3, 1, 2).double(), (left, right, top, bottom)
        )
        columns = torch.nn.functional.unfold(image, kernel_, stride=stride)  # N, C*KH*KW, L
        oh, ow, depth = node.output.shape
        expected = columns.reshape(2, channels, depth // channels, oh, ow)
        expected = expected.permute(0, 3, 4, 2, 1).reshape(2, oh, ow, depth)
        y = swg.values(node, {}, x.reshape(2, -1))
        assert y.dtype == x.dtype
        assert np.array_equal(y, expected.numpy())


@pytest.mark.parametrize("parallel", [False, True])
def test_period_without_waiting(parallel: bool) -> None:
    pads = ((0, 0, 0, 0), (1, 1, 1, 1), (2, 2, 2, 2), (0, 1, 1, 0))
    for size, kernel_, stride, pad in itertools.product(SIZES, KERNELS, STRIDES, pads):
        over = pad[0] + pad[2] >= kernel_[0] or pad[1] + pad[3] >= kernel_[1]
        if not fits(size, kernel_, pad) or (parallel and (over or pad[3] > size[1])):
            continue
        node = window(size, kernel_, stride, pad, channels=2, simd=1, parallel=parallel)
        _takes, gives = registry.times(node, np.zeros(5 * node.input.words, np.int64))
        frames = gives.reshape(5, -1)[:, -1]
        assert frames[-1] - frames[-2] == swg.period(node), f"{node}"
        if not over:
            assert swg.period(node) == max(node.input.words, node.output.words)


@pytest.mark.parametrize("parallel", [False, True])
def test_last_window_does_not_wait_for_the_next_frame(parallel: bool) -> None:
    node = window((6, 5), (3, 3), (1, 1), (1, 1, 1, 1), parallel=parallel)
    words = node.input.words
    offered = np.zeros(3 * words, np.int64)
    offered[words:] = 5000
    offered[2 * words + 1 :] = 9000
    _, gives = registry.times(node, offered)
    frames = gives.reshape(3, -1)
    assert frames[0, -1] < 1000
    assert 5000 < frames[1, -1] < 6000
    assert frames[2, -1] < 10000


@pytest.mark.parametrize("parallel", [False, True])
def test_a_sink_that_always_accepts_changes_nothing(parallel: bool) -> None:
    rng = np.random.default_rng(3)
    for pad, stride in itertools.product(((1, 1, 1, 1), (0, 0, 0, 0)), ((1, 1), (2, 2))):
        node = window((7, 6), (3, 3), stride, pad, channels=2, parallel=parallel)
        offered = np.cumsum(rng.random(3 * node.input.words) < 0.2) * 7
        alone = registry.times(node, offered)
        ready = np.zeros(3 * node.output.words, np.int64)
        for a, b in zip(alone, registry.times(node, offered, ready), strict=True):
            assert np.array_equal(a, b)


def test_stalls_delay_but_never_reorder() -> None:
    rng = np.random.default_rng(4)
    for parallel in (False, True):
        node = window((5, 6), (3, 3), (1, 1), (1, 1, 1, 1), parallel=parallel)
        offered = np.zeros(2 * node.input.words, np.int64)
        ready = np.cumsum(rng.integers(0, 9, 2 * node.output.words))
        takes, gives = registry.times(node, offered, ready)
        free_takes, free_gives = registry.times(node, offered)
        assert (gives >= np.maximum(ready, free_gives)).all()
        assert (takes >= free_takes).all()
        assert (np.diff(gives) > 0).all()
        assert (np.diff(takes) > 0).all()


def test_kernel_parameters() -> None:
    serial = window((4, 6), (2, 3), (1, 2), (0, 1, 1, 2), channels=6, simd=3)
    assert kernel.module(serial) == "ex_swg"
    assert kernel.parameters(serial) == {
        "BITS": 8, "SIMD": 3, "C": 6, "H": 4, "W": 6, "KH": 2, "KW": 3, "SH": 1, "SW": 2,
        "PT": 0, "PL": 1, "PB": 1, "PR": 2, "DH": 1, "DW": 1, "BLOCKS": 1,
    }  # fmt: skip
    parallel = window((4, 6), (2, 3), (1, 2), (0, 1, 1, 2), channels=6, parallel=True)
    assert kernel.module(parallel) == "ex_swg_parallel"
    assert "SIMD" not in kernel.parameters(parallel)
    assert backends.of(serial).memories(serial, {}) == {}
