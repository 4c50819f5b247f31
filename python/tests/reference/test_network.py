"""The reference of a whole accelerator against a plain computation, element by element."""

import numpy as np
import numpy.typing as npt

from exeunt import samples
from exeunt.graph import Accelerator, Integer, Node, Stream
from exeunt.kernels import mvu
from exeunt.kernels.mvu import Mvu
from exeunt.kernels.pool import Pool
from exeunt.kernels.reduce import Reduce
from exeunt.kernels.swg import Swg
from exeunt.reference import network

IntArray = npt.NDArray[np.int64]


def _node(node: Node, accelerator: Accelerator, x: IntArray) -> IntArray:
    """One frame through one node, as its docstring in `exeunt.graph` says."""
    x = x.reshape(node.input.shape)
    arrays = accelerator.of(node)
    y = np.zeros(node.output.shape, np.int64)
    if isinstance(node, Swg):
        top, left, bottom, right = node.pad
        padded = np.pad(x, ((top, bottom), (left, right), (0, 0)))
        for oy in range(y.shape[0]):
            for ox in range(y.shape[1]):
                a, b = oy * node.stride[0], ox * node.stride[1]
                window = padded[a : a + node.kernel[0], b : b + node.kernel[1]]
                y[oy, ox] = window.reshape(-1)
    elif isinstance(node, Mvu):
        for oy in range(y.shape[0]):
            for ox in range(y.shape[1]):
                sums = arrays["weights"].astype(np.int64) @ x[oy, ox]
                if node.levels:
                    passed = sums[:, None] >= arrays["thresholds"]
                    sums = node.bias + passed.sum(axis=1)
                y[oy, ox] = sums
    elif isinstance(node, Pool):
        kh, kw = node.kernel
        for oy in range(y.shape[0]):
            for ox in range(y.shape[1]):
                window = x[oy * kh : (oy + 1) * kh, ox * kw : (ox + 1) * kw]
                y[oy, ox] = window.max(axis=(0, 1))
    elif isinstance(node, Reduce):
        y[0, 0] = x.reshape(-1, y.shape[2]).sum(axis=0)
    else:
        y = x.reshape(node.output.shape)
    return y


def test_every_stream_of_every_frame() -> None:
    whole = samples.accelerator()
    images = samples.images(5, seed=2)
    found = network.run(whole, images, batch=2, streams=True)
    for n, image in enumerate(images):
        x: IntArray = image.astype(np.int64)
        for i, (segment, head) in enumerate(zip(whole.segments, whole.heads, strict=True)):
            for node in segment.nodes:
                x = _node(node, whole, x)
                np.testing.assert_array_equal(found.streams[node.name][n], x, node.name)
            y = x
            for node in head.nodes:
                y = _node(node, whole, y)
                np.testing.assert_array_equal(found.streams[node.name][n], y, node.name)
            np.testing.assert_array_equal(found.logits[i][n], y.reshape(-1))


def test_batches_make_no_difference_and_are_told() -> None:
    whole = samples.accelerator()
    images = samples.images(10, seed=3)
    seen: list[int] = []
    a = network.run(whole, images, batch=4, progress=seen.append)
    b = network.run(whole, images)
    assert seen == [4, 8, 10]
    assert not a.streams
    for x, y in zip(a.logits, b.logits, strict=True):
        assert x.dtype == np.int64
        np.testing.assert_array_equal(x, y)


def test_no_images() -> None:
    whole = samples.accelerator()
    assert [x.shape for x in network.run(whole, samples.images(0)).logits] == [(0, 10)] * 3


def test_the_sample_uses_its_levels() -> None:
    """A random accelerator whose activations were all alike would test nothing."""
    found = network.run(samples.accelerator(), samples.images(100), streams=True)
    for name, x in found.streams.items():
        if "mvu" in name:
            assert len(np.unique(x)) > 8, name


def test_multiplies() -> None:
    whole = samples.accelerator()
    assert network.multiplies(whole.segments[0]) == 64 * 9 * 4
    assert network.multiplies(whole.heads[0]) == 4 * 10
    assert network.multiplies(whole.segments[2].nodes[:1]) == 0


def test_wide_sums_are_exact():
    """Beyond the 24 bits of float32's integers a matrix-vector unit counts in float64."""
    wide = Stream((1, 1, 520), Integer(8), 1)
    node = Mvu("m", wide, Stream((1, 1, 2), Integer(26, signed=True), 1), weight_bits=8)
    weights = np.full((2, 520), 127)
    weights[1, 1:] = -128
    x = np.full((1, 1, 1, 520), 255, np.uint8)
    x[..., 7] = 254
    want = x.reshape(1, -1).astype(np.int64) @ weights.T
    assert want[0, 0] > 1 << 24
    assert want[0, 0] % 2
    assert (mvu.values(node, {"weights": weights}, x).reshape(1, 2) == want).all()
