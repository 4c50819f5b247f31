"""Pools as files have them: padding on one side, rounding up, shifts in front of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exeunt.errors import InputError
from exeunt.hls.front import finn_env, limits, shadow
from exeunt.qonnx import exits, file, meaning

SHAPE = (7, 6, 2)
IMAGES = np.random.default_rng(8).integers(0, 256, (4, *SHAPE)).astype(np.uint8)


def agrees(b: Any, tmp_path: Path) -> None:
    """The integers are those of the file, node by node, and of ONNX Runtime at its end."""
    graph = file.load(b.save(tmp_path / "model.onnx"))
    network = meaning.integers(graph)
    limits.parts(network)
    with finn_env.quiet():
        shadow.check(graph, network, network.tensors(IMAGES))
    (got,) = network.logits(IMAGES)
    assert np.ptp(got, axis=0).any()
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx
    from qonnx.transformation.infer_shapes import InferShapes

    model = ModelWrapper(str(tmp_path / "model.onnx")).transform(InferShapes())
    e = network.exits[0]
    for k, image in enumerate(IMAGES):
        found = execute_onnx(model, {"image": image.transpose(2, 0, 1)[None].astype(np.float32)})
        want = next(iter(found.values())).reshape(-1)
        assert np.abs(got[k] - (want - e.offset) / e.scale).max() < 0.02


@pytest.mark.parametrize("pads", [(0, 0, 1, 1), (1, 0, 0, 1), (0, 1, 1, 0), (1, 1, 0, 0)])
@pytest.mark.parametrize("kind", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize("signed", [False, True])
def test_pads_on_one_side(
    kind: str, pads: tuple[int, int, int, int], signed: bool, builder: type, tmp_path: Path
) -> None:
    b = builder(SHAPE)
    x = b.conv("image", 3, pad=1, signed=signed)
    x = b.quant(b.pool(x, kind, 2, stride=1, pad=pads), 4, signed=signed, scale=0.27)
    b.exit(b.linear(x, 3))
    agrees(b, tmp_path)


@pytest.mark.parametrize("counted", [0, 1])
def test_an_average_of_shifted_sums(counted: int, builder: type, tmp_path: Path) -> None:
    """A bias counts as often as there are pixels in the window; padding is zero and has none.

    Some channels fall with their sums.
    """
    b = builder(SHAPE)
    x = b.conv("image", 6, pad=1, bias=True, act=False)
    x = b.pool(x, "AveragePool", 3, stride=2, pad=(1, 1, 1, 1), count_include_pad=counted)
    x = b.quant(x, 4, signed=True, scale=0.2)
    b.exit(b.linear(x, 3))
    agrees(b, tmp_path)


def test_rounding_up_and_counting_the_padding_is_torchs(builder: type, tmp_path: Path) -> None:
    """Padding counts where the file asks for it; what rounding up adds behind it never does."""
    from torch import from_numpy
    from torch.nn.functional import avg_pool2d

    random = np.random.default_rng(0)
    for attempt in range(12):
        kernel, stride = ([int(v) for v in random.integers(2, 5, 2)] for _ in range(2))
        pad = [int(random.integers(0, k // 2 + 1)) for k in kernel]
        counted = attempt % 2
        b = builder(SHAPE, attempt)
        x = b.quant("image", 8, scale=1.0)
        y = b.pool(x, "AveragePool", tuple(kernel), stride=tuple(stride), pad=(*pad, *pad),
                   ceil_mode=1, count_include_pad=counted)  # fmt: skip
        b.variance[y] = 60.0**2
        q = b.quant(y, 8, scale=1.0, mode="FLOOR")
        b.exit(b.linear(q, 3))
        network = meaning.integers(file.load(b.save(tmp_path / "model.onnx")))
        view = network.views[q]
        found = view(network.tensors(IMAGES)[view.base])
        images = from_numpy(IMAGES.transpose(0, 3, 1, 2).astype(np.float64))
        want = avg_pool2d(images, kernel, stride, pad, ceil_mode=True,
                          count_include_pad=bool(counted)).numpy()  # fmt: skip
        assert b.shapes[y] == (1, *want.shape[1:])
        assert np.array_equal(found, np.floor(want + 1e-6)), (kernel, stride, pad, counted)


def test_logits_that_are_never_negative_may_have_a_bias(builder: type, tmp_path: Path) -> None:
    b = builder(SHAPE)
    x = b.quant(b.node("GlobalMaxPool", "image", shape=(1, 2, 1, 1)), 4, scale=17.0)
    w = b.integers(np.array([[1, 2], [3, 1], [2, 2]]), 4)
    bias = b.integers(np.array([5, 1, 9]), 8, scale=17.0 * 0.125)
    b.exit(b.node("Gemm", b.flatten(x), w, bias, shape=(1, 3), transB=1))
    agrees(b, tmp_path)
    network = meaning.integers(file.load(tmp_path / "model.onnx"))
    assert network.exits[0].logits.low == -1
    assert len(exits.parts(network)[1].operations) == 1, "nothing stands behind the matrix"


def averaged_twice(b: Any) -> str:
    x = b.pool(b.conv("image", 3, pad=1), "AveragePool", 3, stride=1, pad=1)
    return b.pool(x, "AveragePool", 2)


def largest_of_bent(b: Any) -> str:
    x = b.node("Abs", b.conv("image", 3, pad=1, act=False), shape=(1, 3, 7, 6))
    x = b.pool(x, size=2)
    return b.node("Neg", x, shape=b.shapes[x])


REFUSED = {
    averaged_twice: (
        "FILE: AveragePool (node AveragePool_#) must average values that depend on their channel "
        "alone but they depend on the pixel; quantize in front of it"
    ),
    largest_of_bent: (
        "FILE: MaxPool (node MaxPool_#) takes the maximum of values that rise and fall with the "
        "sums in front of it and Neg (node Neg_#) needs it before a quantizer; quantize in front "
        "of the pool"
    ),
}


@pytest.mark.parametrize("made", REFUSED, ids=lambda f: f.__name__)
def test_refusals(made: Any, builder: type, tmp_path: Path) -> None:
    b = builder(SHAPE)
    b.exit(b.linear(b.quant(made(b), 4, signed=True), 3))
    path = b.save(tmp_path / "model.onnx")
    with pytest.raises(InputError) as error:
        meaning.integers(file.load(path))
    assert re.sub(r"_\d+\)", "_#)", str(error.value)).replace(str(path), "FILE") == REFUSED[made]
