"""Functions that choose: limits, conditions, shrinking, and functions taken without a quantizer."""

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
from exeunt.qonnx.tables import Function

SHAPE = (6, 6, 1)
IMAGES = np.random.default_rng(5).integers(0, 256, (4, *SHAPE)).astype(np.uint8)


def agrees(b: Any, tmp_path: Path) -> None:
    """The integers are those of the file, node by node, and of QONNX's execution at its end."""
    path = b.save(tmp_path / "model.onnx")
    graph = file.load(path)
    network = meaning.integers(graph)
    limits.parts(network)
    with finn_env.quiet():
        shadow.check(graph, network, network.tensors(IMAGES))
        from qonnx.core.modelwrapper import ModelWrapper
        from qonnx.core.onnx_exec import execute_onnx
        from qonnx.transformation.infer_shapes import InferShapes

        written = ModelWrapper(file.to_model(graph))  # the plain form is a legal file, too
        given = [ModelWrapper(str(path)).transform(InferShapes()), written.transform(InferShapes())]
        (got,) = network.logits(IMAGES)
        assert np.ptp(got, axis=0).any()
        e = network.exits[0]
        for model in given:
            name = model.graph.input[0].name
            for k, image in enumerate(IMAGES):
                x = image.transpose(2, 0, 1)[None].astype(np.float32)
                want = next(iter(execute_onnx(model, {name: x}).values())).reshape(-1)
                assert np.abs(got[k] - (want - e.offset) / e.scale).max() < 0.02


class Writer:
    """Nodes on a tensor of a builder."""

    def __init__(self, b: Any, x: str) -> None:
        self.b, self.x = b, x

    def __call__(self, operator: str, *inputs: Any, **attributes: Any) -> str:
        """Inputs are names, or numbers."""
        given = [i if isinstance(i, str) else self.b.constant(i) for i in inputs]
        shape = self.b.shapes[self.x]
        return str(self.b.node(operator, *given, shape=shape, **attributes))


CHANNELS = np.array([0.5, 1.0, 1.5, 2.0], np.float32).reshape(4, 1, 1)

CHOICES: dict[str, Callable[[Writer, str], str]] = {
    "limits": lambda n, x: n("Min", n("Max", x, 0.3), 1.4),
    "limits of channels, constants first": lambda n, x: n("Min", CHANNELS, n("Max", 0.1, x)),
    "three": lambda n, x: n("Max", 0.2, x, CHANNELS / 4),
    "maximum of two functions": lambda n, x: n("Max", n("Neg", x), n("Tanh", x)),
    "hard shrink": lambda n, x: n("Where", n("LessOrEqual", n("Abs", x), 0.6), 0.0, x),
    "Shrink": lambda n, x: n("Shrink", x, lambd=0.6, bias=0.25),
    "soft shrink": lambda n, x: n("Shrink", x, lambd=0.4, bias=0.4),
    "ThresholdedRelu": lambda n, x: n("ThresholdedRelu", x, alpha=0.7),
    "softplus of torch": lambda n, x: n("Where", n("Greater", x, 2.0), x, n("Softplus", x)),
    "leaky": lambda n, x: n("Where", n("Less", x, 0.0), n("Mul", x, 0.2), x),
    "gate": lambda n, x: n("Mul", n("Cast", n("GreaterOrEqual", x, 0.4), to=1), x),
    "constant choices": lambda n, x: n("Where", n("Less", 0.4, x), CHANNELS, -1.0),
    "constant first": lambda n, x: n("Where", n("GreaterOrEqual", 0.4, x), n("Neg", x), x),
    "two functions compared": lambda n, x: n("Where", n("Less", n("Abs", x), n("Exp", x)), x, 2.0),
    "band": lambda n, x: n(
        "Where", n("And", n("Greater", x, -0.5), n("Not", n("Greater", x, 1.0))), n("Abs", x), 0.0
    ),
    "outside": lambda n, x: n("Where", n("Or", n("Less", x, 0.0), n("Greater", x, 1.0)), x, 0.5),
}


@pytest.mark.parametrize("mode", ["ROUND", "FLOOR"])
@pytest.mark.parametrize("name", CHOICES)
def test_choices(name: str, mode: str, builder: type, tmp_path: Path) -> None:
    b = builder(SHAPE)
    x = b.node("Add", b.conv("image", 4, act=False), b.constant(-0.6113), shape=(1, 4, 4, 4))
    y = b.quant(CHOICES[name](Writer(b, x), x), 4, signed=True, scale=0.21, mode=mode, zero=1.0)
    b.variance[y] = 1.0
    b.exit(b.linear(y, 3))
    agrees(b, tmp_path)


@pytest.mark.parametrize("name", ["limits", "hard shrink", "leaky", "band"])
def test_choices_of_pooled_sums(name: str, builder: type, tmp_path: Path) -> None:
    """Channels that fall with their sums, too."""
    b = builder(SHAPE)
    x = b.pool(b.conv("image", 4, act=False), "MaxPool", 2, stride=1)
    x = b.node("Sub", x, b.constant(1.4), shape=b.shapes[x])
    y = b.quant(CHOICES[name](Writer(b, x), x), 4, signed=True, scale=0.21)
    b.variance[y] = 1.0
    b.exit(b.linear(y, 3))
    agrees(b, tmp_path)


@pytest.mark.parametrize(
    "make",
    [
        lambda n, x: n("Abs", x),
        lambda n, x: n("Where", n("LessOrEqual", n("Abs", x), 0.6), 0.0, x),
        lambda n, x: n("Max", x, 0.5),
    ],
    ids=["Abs", "hard shrink", "Max"],
)
def test_functions_of_integers_that_give_integers(
    make: Callable[[Writer, str], str], builder: type, tmp_path: Path
) -> None:
    """A convolution takes them without a quantizer, whether they rise or not."""
    b = builder(SHAPE)
    x = b.conv("image", 4, act=False)
    x = b.node("Sub", x, b.constant(1.0), shape=b.shapes[x])
    x = b.quant(x, 4, signed=True, scale=0.25)
    b.variance[x] = 1.0
    y = make(Writer(b, x), x)
    b.variance[y] = 1.0
    b.exit(b.linear(b.conv(y, 4), 3))
    agrees(b, tmp_path)


REFUSED: dict[str, tuple[Callable[[Any, str], str], str]] = {
    "another tensor": (
        lambda b, x: Writer(b, x)("Where", Writer(b, x)("Less", x, 0.3), b.conv("image", 4), x),
        "Where (node #) joins 3 streams but only Add, Sub and Concat may; join them with one of "
        "these",
    ),
    "numbers as a condition": (
        lambda b, x: Writer(b, x)("Where", x, 0.0, 1.0),
        "Where (node #) must take a condition but takes numbers, t11; see the table of operators "
        "in hls/README.md",
    ),
    "a condition as numbers": (
        lambda b, x: Writer(b, x)("Relu", Writer(b, x)("Less", x, 0.3)),
        "Relu (node #) must take numbers but takes a condition, t13; see the table of operators in "
        "hls/README.md",
    ),
    "numbers in a conjunction": (
        lambda b, x: Writer(b, x)("And", Writer(b, x)("Less", x, 0.3), x),
        "And (node #) must take a condition but takes numbers, t11; see the table of operators in "
        "hls/README.md",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, builder: type, tmp_path: Path) -> None:
    make, sentence = REFUSED[name]
    b = builder(SHAPE)
    x = b.conv("image", 4, act=False)
    b.exit(b.linear(b.quant(make(b, x)), 3))
    path = b.save(tmp_path / "model.onnx")
    with pytest.raises(InputError) as error:
        meaning.integers(file.load(path))
    said = re.sub(r"\(node \w+_\d+\)", "(node #)", str(error.value))
    assert said == f"{path}: {sentence}"


REDUCED = [
    (kind, axes, keep)
    for kind in ("ReduceMax", "ReduceMean", "ReduceSum")
    for axes in ((2, 3), (-1, -2), (3,), (2,))
    for keep in (0, 1)
]


@pytest.mark.parametrize(("kind", "axes", "keep"), REDUCED, ids=str)
def test_reductions_over_height_and_width(
    kind: str, axes: tuple[int, ...], keep: int, builder: type, tmp_path: Path
) -> None:
    b = builder((6, 7, 1))
    x = b.conv("image", 4, pad=1)
    given = [(1 if k + 2 in [a % 4 for a in axes] else s) for k, s in enumerate((6, 7))]
    shape = (1, 4, *given) if keep else (1, 4, *(s for s in given if s > 1))
    y = b.node(kind, x, b.constant(axes, np.int64), shape=shape, keepdims=keep)
    if kind == "ReduceSum":
        y = b.node("Mul", y, b.constant(0.11), shape=shape)
    y = b.quant(y, 6, scale=0.0917)
    wanted = b.constant([1, int(np.prod(shape))], np.int64)
    y = b.node("Reshape", y, wanted, shape=(1, int(np.prod(shape))))
    b.variance[y] = 1.0
    b.exit(b.linear(y, 3))
    path = b.save(tmp_path / "model.onnx")
    graph = file.load(path)
    network = meaning.integers(graph)
    limits.parts(network)
    images = np.random.default_rng(6).integers(0, 256, (3, 6, 7, 1)).astype(np.uint8)
    with finn_env.quiet():
        shadow.check(graph, network, network.tensors(images))
        from qonnx.core.modelwrapper import ModelWrapper
        from qonnx.core.onnx_exec import execute_onnx
        from qonnx.transformation.infer_shapes import InferShapes

        model = ModelWrapper(str(path)).transform(InferShapes())
        (got,) = network.logits(images)
        assert np.ptp(got, axis=0).any()
        for k, image in enumerate(images):
            x = image.transpose(2, 0, 1)[None].astype(np.float32)
            want = next(iter(execute_onnx(model, {"image": x}).values())).reshape(-1)
            assert np.abs(got[k] - want / network.exits[0].scale).max() < 0.02


def test_what_float32_cannot_tell_apart_is_equal() -> None:
    """3 * 0.1 and 0.3 are not the same in float32, but meant to be."""
    tenth, limit = np.float64(np.float32(0.1)), np.float64(np.float32(0.3))
    function = Function().then("affine", tenth)
    n = np.arange(6.0)
    assert function.then("reaches", 0.0, limit)(n).tolist() == [0, 0, 0, 1, 1, 1]
    assert function.then("above", 0.0, limit)(n).tolist() == [0, 0, 0, 0, 1, 1]
    assert function.then("beyond", limit)(n)[:4].tolist() == [0, 0, 0, 0]
    near = np.array([limit * (1 + 3e-7)])
    assert Function().then("above", 0.0, limit)(near).tolist() == [1]
