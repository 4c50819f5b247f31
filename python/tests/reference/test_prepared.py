"""The prepared reference: word for word what the kernels' references compute."""

import dataclasses

import numpy as np
import numpy.typing as npt
import pytest

from exeunt import samples
from exeunt.graph import Accelerator, Dataflow, Integer, Node, Stream
from exeunt.kernels import mvu
from exeunt.kernels.mvu import Mvu
from exeunt.kernels.parts import levels
from exeunt.kernels.parts.fast import Matrix, Paired, paired
from exeunt.kernels.pool import Pool
from exeunt.kernels.reduce import Reduce
from exeunt.kernels.swg import Swg, bands
from exeunt.kernels.swg import kind as swg
from exeunt.kernels.threshold import Threshold
from exeunt.reference import network, prepared

Images = npt.NDArray[np.uint8]
SIGNED = Integer(5, signed=True)


def same(accelerator: Accelerator, images: Images, *, batch: int = 256) -> None:
    expected = network.run(accelerator, images, streams=True).logits
    found = prepared.Prepared(accelerator).logits(images, batch=batch)
    for mine, theirs in zip(found, expected, strict=True):
        assert mine.dtype == np.int64
        np.testing.assert_array_equal(mine, theirs)
    assert any(np.ptp(x, axis=0).any() for x in found), "the test network answers always the same"


@pytest.mark.parametrize("batch", [1, 4, 9, 256])
def test_a_network(batch: int) -> None:
    same(samples.accelerator(), samples.images(9, seed=4), batch=batch)


def test_a_network_of_pools_alone() -> None:
    same(samples.pooling(), samples.images(5, size=16, channels=4))


def test_calls_do_not_disturb_each_other() -> None:
    whole = samples.accelerator()
    ready = prepared.Prepared(whole)
    many, few = samples.images(20, seed=1), samples.images(3, seed=2)
    first = ready.logits(many, batch=8)
    kept = [x.copy() for x in first]
    for mine, theirs in zip(
        ready.logits(few, batch=8), network.run(whole, few).logits, strict=True
    ):
        np.testing.assert_array_equal(mine, theirs)
    for x, y in zip(first, kept, strict=True):
        np.testing.assert_array_equal(x, y)


GEOMETRIES = [  # (H, W, C), kernel, stride, pad
    ((5, 6, 3), (3, 3), (1, 1), (1, 1, 1, 1)),
    ((8, 8, 1), (3, 3), (2, 2), (1, 1, 1, 1)),
    ((7, 5, 2), (2, 3), (3, 2), (0, 2, 1, 0)),
    ((6, 6, 2), (5, 1), (1, 1), (4, 0, 4, 0)),
    ((4, 9, 1), (1, 4), (1, 3), (0, 0, 0, 0)),
    ((3, 3, 2), (2, 2), (2, 2), (2, 0, 2, 0)),  # rows of outputs that see nothing but padding
]


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("dtype", [Integer(8), SIGNED])
@pytest.mark.parametrize("way", [bands.Bands, bands.Windows])
def test_windows_into_a_matrix(
    geometry: tuple[tuple[int, int, int], tuple[int, int], tuple[int, int], tuple],
    dtype: Integer,
    way: type,
) -> None:
    (h, w, c), (kh, kw), stride, pad = geometry
    oh = (h + pad[0] + pad[2] - kh) // stride[0] + 1
    ow = (w + pad[1] + pad[3] - kw) // stride[1] + 1
    between = Stream((oh, ow, kh * kw * c), dtype, 1)
    first = Swg(
        "swg", Stream((h, w, c), dtype, 1), between, kernel=(kh, kw), stride=stride, pad=pad
    )
    second = Mvu("mvu", between, Stream((oh, ow, 4), Integer(24, signed=True), 1))
    random = np.random.default_rng(5)
    weights = random.integers(-8, 8, (4, kh * kw * c))
    step = way(first, weights, np.dtype(np.float32))
    for frames in (3, 7, 2):
        x = random.integers(dtype.min, dtype.max + 1, (frames, h, w, c))
        expected = mvu.values(second, {"weights": weights}, swg.values(first, {}, x))
        found = step(x.reshape(frames, -1).astype(np.float32))
        np.testing.assert_array_equal(found.reshape(expected.shape), expected)


def test_windows_of_a_few_frames_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bands, "GATHERED", 100)
    test_windows_into_a_matrix(GEOMETRIES[0], SIGNED, bands.Windows)


@pytest.mark.parametrize("frames", [1, 2, 5, 8])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_two_frames_at_once(frames: int, dtype: type) -> None:
    """Sums up to the largest of both signs, which the float type just has room for."""
    most, limit = (2047, 1 << 12) if dtype is np.float32 else ((1 << 25) - 1, 1 << 27)
    weights = np.array([[most, -most, 1]])
    linear = Matrix(weights, 1, np.dtype(dtype))
    step = paired(linear, np.dtype(dtype), most=most, bound=2 * most + 1)
    assert isinstance(step, Paired)
    random = np.random.default_rng(frames)
    rows = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0], [1, 1, 1], [-1, -1, -1]])
    for _ in range(20):
        x = rows[random.integers(0, 5, frames)]
        found = step(x.astype(dtype))
        np.testing.assert_array_equal(found, x @ weights.T)
    assert paired(linear, np.dtype(dtype), most=most, bound=limit) is linear
    assert paired(linear, np.dtype(dtype), most=most + 1, bound=limit - 1) is linear


def test_matrices_that_are_large_enough_go_in_pairs() -> None:
    """A network of bits; frames are odd in number, so that one is alone."""
    random, bit = np.random.default_rng(1), Integer(1)
    image, between = Stream((8, 8, 8), bit, 1), Stream((6, 6, 72), bit, 1)
    pixels, logits = Stream((6, 6, 8), bit, 1), Stream((1, 1, 4), Integer(12, signed=True), 1)
    first = Mvu("m", between, pixels, weight_bits=2, levels=1)
    arrays = {
        "t.thresholds": np.full((8, 1), 128),
        "m.weights": random.integers(0, 2, (8, 72)) * 2 - 1,
        "m.thresholds": random.integers(-2, 3, (8, 1)),
        "h.weights": random.integers(0, 2, (4, 288)) * 2 - 1,
    }
    short = {name: arrays[f"m.{name}"] for name in ("weights", "thresholds")}
    assert isinstance(mvu.steps(first, short, np.dtype(np.float32), None)[0], Paired)
    nodes = (
        Threshold("t", Stream((8, 8, 8), Integer(8), 1), image, levels=1),
        Swg("w", image, between, kernel=(3, 3)),
        first,
    )
    head = Mvu("h", Stream((1, 1, 288), bit, 1), logits, weight_bits=2)
    whole = Accelerator(
        "bits", (Dataflow("seg0", nodes[0].input, nodes),),
        (Dataflow("head0", pixels, (head,)),), (1.0,), arrays,
    )  # fmt: skip
    same(whole, samples.images(9, size=8, channels=8), batch=5)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("bias", [0, -2])
def test_few_levels(count: int, bias: int) -> None:
    random = np.random.default_rng(count)
    thresholds = np.sort(random.integers(-40, 41, (3, count)))
    thresholds[0, -1] = 1 << 23  # never reached
    x = random.integers(-40, 41, (7, 12))
    output = Integer(4, signed=True)
    step = levels.step(
        thresholds, 12, bias=bias, output=output, span=(-40, 40), dtype=np.dtype(np.float32)
    )
    expected = bias + (x.reshape(-1, 3, 1) >= thresholds).sum(axis=2).reshape(7, 12)
    for _ in range(2):
        np.testing.assert_array_equal(step(x.astype(np.float32)), expected)


def test_small_maps_go_in_bands_and_large_ones_in_windows() -> None:
    def choice(size: int) -> bool:
        between = Stream((size, size, 288), Integer(4), 1)
        first = Swg(
            "swg", Stream((size, size, 32), Integer(4), 1), between, kernel=(3, 3), pad=(1, 1, 1, 1)
        )
        return bands.in_bands(first, 32)

    assert choice(4)
    assert not choice(28)


def thresholded(logit_bits: int = 16) -> Accelerator:
    """Two exits: thresholds on the image, an overlapping maximum, levels of signed values."""
    random = np.random.default_rng(3)
    image, four = Stream((6, 6, 2), Integer(8), 1), Integer(4, signed=True)
    levels = Stream(image.shape, four, 1)
    windows = Stream((2, 2, 18), four, 1)
    pooled = Stream((2, 2, 2), four, 1)
    sums = Stream((2, 2, 3), Integer(4), 1)
    logits = Stream((1, 1, 8), Integer(logit_bits, signed=True), 1)
    flat = Stream((1, 1, 8), four, 1)
    nodes: tuple[Node, ...] = (
        Threshold("t", image, levels, levels=15, bias=-8),
        Swg("w", levels, windows, kernel=(3, 3), stride=(3, 3)),
        Reduce("r", windows, pooled, function="max", count=9),
    )
    seg1: tuple[Node, ...] = (Mvu("m", pooled, sums, weight_bits=8, levels=15),)
    arrays = {
        "t.thresholds": np.sort(random.integers(0, 256, (2, 15)), axis=1),
        "m.weights": random.integers(-128, 128, (3, 2)),
        "m.thresholds": np.sort(random.integers(-256, 256, (3, 15))),
        "h0.weights": random.integers(-8, 8, (8, 8)),
        "h1.weights": random.integers(-8, 8, (8, 3)),
    }
    total = Stream((1, 1, 3), Integer(6), 1)
    return Accelerator(
        "thresholded",
        (Dataflow("seg0", image, nodes), Dataflow("seg1", pooled, seg1)),
        (
            Dataflow("head0", pooled, (Mvu("h0", flat, logits),)),
            Dataflow(
                "head1",
                sums,
                (
                    Pool("p", sums, Stream((1, 2, 3), Integer(5), 1), "sum", kernel=(2, 1)),
                    Reduce("s", Stream((1, 2, 3), Integer(5), 1), total, function="sum", count=2),
                    Mvu("h1", total, logits),
                ),
            ),
        ),
        (1.0, 1.0),
        arrays,
    )


def test_every_other_kind() -> None:
    same(thresholded(), samples.images(30, size=6, channels=2))


def test_channels_with_too_many_values_for_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(levels, "TABLE_ENTRIES", 100)
    same(thresholded(), samples.images(30, size=6, channels=2))


def test_sums_beyond_float32() -> None:
    whole = thresholded(40)
    arrays = dict(whole.arrays)
    arrays["h1.weights"] = arrays["h1.weights"] * (1 << 22) + 1
    same(dataclasses.replace(whole, arrays=arrays), samples.images(30, size=6, channels=2))
