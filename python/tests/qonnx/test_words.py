"""Sentences that must name what is at fault, and what to do."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exeunt.errors import InputError
from exeunt.hls.front import finn_env, limits, shadow
from exeunt.qonnx import file, meaning


def norm_behind_the_last_layer(b: Any) -> None:
    b.exit(b.norm(b.linear(b.conv("image", 4), 3)))


def scales_of_channels_behind_the_last_layer(b: Any) -> None:
    x = b.linear(b.conv("image", 4), 3)
    x = b.node("Mul", x, b.constant([1.0, 2.0, 3.0]), shape=(1, 3))
    b.exit(b.node("Mul", x, b.constant(2.0), shape=(1, 3)))


def norm_between(b: Any) -> None:
    x = b.norm(b.conv("image", 4))
    b.exit(b.linear(x, 3))


def norm_of_an_arm(b: Any) -> None:
    x = b.conv("image", 4, pad=1)
    y = b.norm(b.conv(x, 4, pad=1))
    b.exit(b.linear(b.quant(b.node("Add", x, y, shape=b.shapes[x])), 3))


def sigmoid_at_the_logits(b: Any) -> None:
    b.exit(b.node("Sigmoid", b.linear(b.conv("image", 4), 3), shape=(1, 3)))


def channels_as_rows(b: Any) -> None:
    x = b.node("Transpose", b.conv("image", 4), shape=(1, 6, 6, 4), perm=[0, 2, 3, 1])
    b.exit(b.linear(b.conv(x, 4), 3))


def functions_in_two_orders(b: Any) -> None:
    x = b.conv("image", 4, act=False)
    y = b.node("Transpose", x, shape=(1, 4, 6, 6), perm=[0, 1, 3, 2])
    y = b.node("Add", b.node("Tanh", x, shape=b.shapes[x]), y, shape=b.shapes[x])
    b.exit(b.linear(b.quant(y), 3))


SENTENCES: dict[Callable[[Any], None], str] = {
    norm_behind_the_last_layer: (
        "exit 0 must end in one scale but BatchNormalization (node #) ends in 3 scales from FROM "
        "to TO; leave it out"
    ),
    scales_of_channels_behind_the_last_layer: (
        "exit 0 must end in one scale but Mul (node #) ends in 3 scales from FROM to TO; leave it "
        "out"
    ),
    norm_between: (
        "Gemm (node #) must take integers with one scale but BatchNormalization (node #) gives 4 "
        "scales from FROM to TO; put a quantizer with one scale between them"
    ),
    norm_of_an_arm: (
        "Add (node #) must join integers with one scale but BatchNormalization (node #) gives 4 "
        "scales from FROM to TO; put a quantizer with one scale in front of it"
    ),
    functions_in_two_orders: (
        "Add (node #) must combine functions of one tensor in one order but one of them was "
        "rearranged; leave the Reshape or Transpose between them out"
    ),
    sigmoid_at_the_logits: (
        "exit 0 must give logits that are integers with a scale but Sigmoid (node #) gives real "
        "numbers; leave it out, since exits decide on what is in front of it, or put a quantizer "
        "behind it"
    ),
    channels_as_rows: (
        "Conv (node #) must work on a map whose channels are those of the layer in front of it, or "
        "of the images, but they were rearranged; leave the Reshape or Transpose out, or give "
        "images whose channels come last"
    ),
}


@pytest.mark.parametrize("network", SENTENCES, ids=lambda n: n.__name__)
def test_a_sentence(network: Callable[[Any], None], builder: type, tmp_path: Path) -> None:
    b = builder((8, 8, 1))
    network(b)
    path = b.save(tmp_path / "model.onnx")
    with pytest.raises(InputError) as error:
        meaning.integers(file.load(path))
    said = re.sub(r"\(node \w+_\d+\)", "(node #)", str(error.value))
    said = re.sub(r"from -?[\d.e-]+ to -?[\d.e-]+", "from FROM to TO", said)
    assert said == f"{path}: {SENTENCES[network]}"


@pytest.mark.parametrize("opset", [11, 20])
@pytest.mark.parametrize("long", [False, True])
@pytest.mark.parametrize("per_channel", [False, True])
def test_a_matrix_along_the_channels_is_a_convolution(
    per_channel: bool, long: bool, opset: int, builder: type, tmp_path: Path
) -> None:
    """A linear layer on (1, H, W, C) or (1, L, C) works on each pixel."""
    b = builder((6, 5, 1))
    x = b.conv("image", 4)
    x = b.node("Transpose", x, shape=(1, 4, 3, 4), perm=[0, 2, 3, 1])
    if long:
        x = b.node("Reshape", x, b.constant([1, 12, 4], np.int64), shape=(1, 12, 4))
    shape = (*b.shapes[x][:-1], 5)
    scale = np.linspace(0.1, 0.2, 5) if per_channel else 0.125
    y = b.node("MatMul", x, b.integers(b.random.integers(-7, 8, (4, 5)), 4, scale=scale),
               shape=shape)  # fmt: skip
    b.shapes[y] = shape
    y = b.quant(b.node("Relu", y, shape=shape), 4, scale=0.31)
    y = b.node("Flatten", y, shape=(1, 60), axis=1)
    b.exit(b.linear(y, 3))
    model = b.model()
    model.opset_import[0].version = opset
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    graph = file.load(path)
    network = meaning.integers(graph)
    limits.parts(network)
    images = np.random.default_rng(3).integers(0, 256, (4, 6, 5, 1)).astype(np.uint8)
    with finn_env.quiet():
        shadow.check(graph, network, network.tensors(images))
        from qonnx.core.modelwrapper import ModelWrapper
        from qonnx.core.onnx_exec import execute_onnx
        from qonnx.transformation.infer_shapes import InferShapes

        given = ModelWrapper(str(path)).transform(InferShapes())
        (got,) = network.logits(images)
        assert np.ptp(got, axis=0).any()
        for k, image in enumerate(images):
            x = image.transpose(2, 0, 1)[None].astype(np.float32)
            want = next(iter(execute_onnx(given, {"image": x}).values())).reshape(-1)
            assert np.abs(got[k] - want / network.exits[0].scale).max() < 0.02
