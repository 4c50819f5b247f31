"""Networks that are correct are taken, and mean in integers what QONNX computes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from exeunt.errors import InputError
from exeunt.hls.front import limits, shadow
from exeunt.qonnx import file, meaning
from exeunt.qonnx.integers import IntegerNetwork, Matrix, Pool

IMAGES = (np.random.default_rng(7).integers(0, 256, (3, 6, 6, 2))).astype(np.uint8)


def read(path: Path) -> IntegerNetwork:
    network = meaning.integers(file.load(path))
    limits.parts(network)
    return network


def executed(path: Path, images: np.ndarray = IMAGES) -> list[np.ndarray]:
    """What QONNX's own execution of the file gives, exit by exit."""
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx
    from qonnx.transformation.infer_shapes import InferShapes

    model = ModelWrapper(str(path)).transform(InferShapes())
    name, outputs = model.graph.input[0].name, [o.name for o in model.graph.output]
    runs = [
        execute_onnx(model, {name: x.transpose(2, 0, 1)[None].astype(np.float32)}) for x in images
    ]
    return [np.concatenate([r[o] for r in runs]).reshape(len(images), -1) for o in outputs]


def same(b: Any, tmp_path: Path, *, tolerance: float = 0.0, images: np.ndarray = IMAGES) -> None:
    """The integers of a built network are QONNX's logits, which are not all the same."""
    path = b.save(tmp_path / "model.onnx")
    network = read(path)
    wanted = executed(path, images)
    for e, got, want in zip(network.exits, network.logits(images), wanted, strict=True):
        assert np.abs(got - want / e.scale).max() <= tolerance, (got, want / e.scale)
        assert np.ptp(got, axis=0).any(), "the test network answers always the same"


def halves(b: Any, *, mode: str = "ROUND", weights: str = "ROUND", **quantizer: Any) -> Any:
    """Two exits with scales that are powers of two: float32 is exact, and there are many ties."""

    def conv(x: str) -> str:
        size = (3, b.shapes[x][1], 3, 3)
        values = b.random.integers(-8, 8, size) + b.random.choice([0, 0.5, 0.25], size)
        y = b.node("Conv", x, b.integers(values, 4, mode=weights), shape=(1, 3, 6, 6), pads=[1] * 4)
        return b.quant(y, mode=mode, **quantizer)

    def head(x: str) -> str:
        w = b.integers(b.random.integers(-8, 8, (108, 4)), 4)
        return b.exit(b.node("MatMul", b.flatten(x), w, shape=(1, 4)))

    x = conv(b.node("Mul", "image", b.constant(1 / 64), shape=b.shapes["image"]))
    head(x)
    head(conv(x))
    return b


MODES = ["ROUND", "HALF_EVEN", "CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN"]


@pytest.mark.parametrize("mode", MODES)
def test_rounding_of_activations_and_of_weights(mode: str, builder: type, tmp_path: Path) -> None:
    same(halves(builder((6, 6, 2)), mode=mode, scale=0.5, signed=True), tmp_path)
    same(halves(builder((6, 6, 2)), weights=mode, scale=0.5, signed=True), tmp_path)


@pytest.mark.parametrize(
    "quantizer",
    [
        {"bits": 4, "scale": 0.5, "zero": 3.0},
        {"bits": 4, "scale": 0.5, "zero": -2.0, "signed": True},
        {"bits": 3, "scale": 1.0, "signed": True, "narrow": 1},
        {"bits": 4, "scale": 0.5, "narrow": 1},
        {"bits": 8, "scale": 0.0625, "signed": True},
        {"bits": 1, "scale": 4.0},
        {"bits": 1, "scale": 2.0, "signed": True},
        {"bits": 4, "scale": -0.5, "signed": True},
        {"bits": 4, "scale": -0.5, "zero": 5.0},
    ],
    ids=str,
)
@pytest.mark.parametrize("mode", ["ROUND", "FLOOR"])
def test_quantizers_of_every_kind(
    quantizer: dict[str, Any], mode: str, builder: type, tmp_path: Path
) -> None:
    same(halves(builder((6, 6, 2)), mode=mode, **quantizer), tmp_path)


def test_bipolar_weights_and_activations(builder: type, tmp_path: Path) -> None:
    b = builder((6, 6, 2))

    def sign(x: str, scale: float) -> str:
        return b.node("BipolarQuant", x, b.constant(scale), shape=b.shapes.get(x, ()))

    def weights(*shape: int) -> str:
        return sign(b.constant(b.random.normal(size=shape)), 0.5)

    x = b.node("Sub", "image", b.constant(128.0), shape=b.shapes["image"])
    x = sign(b.norm(b.node("Conv", x, weights(4, 2, 3, 3), shape=(1, 4, 4, 4))), 0.25)
    b.exit(b.node("MatMul", b.flatten(x), weights(64, 3), shape=(1, 3)))
    x = sign(b.node("Conv", x, weights(4, 4, 3, 3), shape=(1, 4, 4, 4), pads=[1] * 4), 2.0)
    b.exit(b.node("MatMul", b.flatten(x), weights(64, 3), shape=(1, 3)))
    graph = file.load(b.save(tmp_path / "model.onnx"))
    network = meaning.integers(graph)
    assert all(np.ptp(x) for x in network.logits(IMAGES))
    shadow.check(graph, network, network.tensors(IMAGES))


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("signed", [False, True])
def test_the_smallest_weight_behind_a_negative_scale(
    bits: int, signed: bool, builder: type, tmp_path: Path
) -> None:
    """The sum of a falling function is negated, and with it -8, which becomes 8."""
    b, low = builder((6, 6, 2), bits), -(1 << (bits - 1))
    x = "image"
    for _ in range(2):
        values = b.random.integers(low, -low, (4, b.shapes[x][1], 3, 3))
        values[0] = low
        y = b.node("Conv", x, b.integers(values, bits), shape=(1, 4, 6, 6), pads=[1] * 4)
        b.variance[y] = b.variance[x] * 9 * (low / 8) ** 2 * 2
        y = b.norm(y)
        gamma = b.initializers[next(i for i, t in enumerate(b.initializers)
                                    if t.name == b.nodes[-1].input[1])]  # fmt: skip
        flipped = numpy_helper.to_array(gamma).copy()
        flipped[0] = -abs(flipped[0])
        gamma.CopyFrom(numpy_helper.from_array(flipped, gamma.name))
        x = b.quant(y, signed=signed, scale=0.25)
        b.exit(b.linear(x, 3))
    path = b.save(tmp_path / "model.onnx")
    network = read(path)
    first = next(o for o in network.operations if isinstance(o, Matrix))
    assert first.weights[0].min() == -low, "the row was not negated"
    same(b, tmp_path, tolerance=0.01)


def test_bias_far_beyond_the_sums(builder: type, tmp_path: Path) -> None:
    """Channels that are always at one end of the range are no reason to refuse."""
    b, x = builder((6, 6, 2)), "image"
    for shift in ([0.0, 1e6, -1e6, 1e30], [0.0, -1e30, 5.0, 1e9]):
        x = b.node("Add", b.conv(x, 4, 3, act=False), b.constant(np.reshape(shift, (4, 1, 1))),
                   shape=(1, 4, b.shapes[x][2] - 2, b.shapes[x][3] - 2))  # fmt: skip
        x = b.quant(x, scale=0.5)
        b.exit(b.linear(x, 3))
    same(b, tmp_path, tolerance=0.01)


def test_a_zero_factor_is_a_constant(builder: type, tmp_path: Path) -> None:
    b = builder((6, 6, 2))
    x = b.conv("image", 4)
    gamma = next(n for n in b.nodes if n.op_type == "BatchNormalization").input[1]
    at = next(i for i, t in enumerate(b.initializers) if t.name == gamma)
    b.initializers[at].CopyFrom(numpy_helper.from_array(np.float32([1, 0, -1, 2]), gamma))
    b.exit(b.linear(x, 3))
    b.exit(b.linear(b.conv(x, 4), 3))
    same(b, tmp_path, tolerance=0.01)


# Ties and tolerances ----------------------------------------------------------------------------


@pytest.mark.parametrize("scales", [(0.1, 0.3, 0.05), (0.73, 0.73, 0.05), (0.07, 0.35, 0.3)])
def test_a_tie_is_one_at_any_scale(
    scales: tuple[float, float, float], builder: type, tmp_path: Path
) -> None:
    """0.5 steps are 0.5 steps although float32 has neither scale: halves go to the even level."""
    first, second, weight = scales
    b = builder((1, 1, 1))
    b.exit(
        b.node("MatMul", b.flatten("image"), b.integers([[1, 2]], 3, scale=weight), shape=(1, 2))
    )
    x = b.quant("image", 8, scale=1.0, signed=True)
    b.nodes.clear()
    b.outputs.clear()
    x = b.node("Mul", "image", b.constant(weight * first / second), shape=(1, 1, 1, 1))
    x = b.quant(x, 8, scale=first * weight)
    y = b.node("MatMul", b.flatten(x), b.integers([[1]], 3, scale=1.0), shape=(1, 1))
    y = b.quant(y, 8, scale=second * weight)
    b.exit(b.node("MatMul", y, b.integers([[1, -1]], 3, scale=1.0), shape=(1, 2)))
    images = np.arange(256, dtype=np.uint8).reshape(-1, 1, 1, 1)
    network = meaning.integers(file.load(b.save(tmp_path / "model.onnx")))
    from fractions import Fraction

    exact = [Fraction(str(s)) for s in scales]

    def level(value: Fraction) -> int:
        return min(255, round(value))  # Python's round is exact and half to even

    wanted = []
    for n in range(256):
        inner = level(n * exact[2] * exact[0] / exact[1] / (exact[0] * exact[2]))
        wanted.append(level(inner * exact[0] * exact[2] / (exact[1] * exact[2])))
    assert network.logits(images)[0][:, 0].tolist() == wanted


def test_logits_may_be_quantized(builder: type, tmp_path: Path) -> None:
    b = builder((6, 6, 2))
    x = b.conv("image", 4)
    b.exit(b.quant(b.linear(x, 3), 8, signed=True, scale=0.01))
    b.exit(b.quant(b.linear(b.conv(x, 4), 3), 8, signed=True, scale=0.02))
    path = b.save(tmp_path / "model.onnx")
    network = read(path)
    assert network.scales == pytest.approx([0.01, 0.02])
    for got, want, scale in zip(
        network.logits(IMAGES), executed(path), network.scales, strict=True
    ):
        assert np.abs(got - want / scale).max() < 1.01  # a tie may fall to either side
        assert np.mean(got != np.rint(want / scale)) < 0.2


def test_a_wide_layer_is_exact(builder: type, tmp_path: Path) -> None:
    """Sums beyond 2**24, which float32 does not hold."""
    b = builder((8, 8, 4))
    x = b.node("Mul", "image", b.constant(1.0), shape=b.shapes["image"])
    x = b.conv(x, 300, 1, bits=8, weight_bits=8)
    y = b.conv(x, 2, 1)
    values = b.random.integers(-127, 128, (19200, 2))
    b.exit(b.node("MatMul", b.flatten(x), b.integers(values, 8), shape=(1, 2)))
    b.exit(b.linear(y, 2))
    images = np.full((1, 8, 8, 4), 255, np.uint8)
    network = read(b.save(tmp_path / "model.onnx"))
    found = network.tensors(images)
    dense = next(o for o in network.operations if isinstance(o, Matrix) and o.window is None)
    x64 = found[dense.source.name].astype(np.int64).reshape(1, -1)
    assert np.abs(dense.weights).sum(axis=1).max() * 255 > 1 << 24
    assert np.array_equal(network.logits(images)[0], x64 @ dense.weights.T)


# The image --------------------------------------------------------------------------------------


def test_a_shift_of_the_image_is_part_of_the_thresholds(builder: type, tmp_path: Path) -> None:
    b = builder((6, 6, 2))
    x = b.node("Sub", "image", b.constant([[[100.0]], [[90.0]]]), shape=b.shapes["image"])
    x = b.node("Div", x, b.constant([[[50.0]], [[50.0]]]), shape=b.shapes["image"])
    b.variance[x] = 2.0
    x = b.conv(x, 4)
    b.exit(b.linear(x, 3))
    b.exit(b.linear(b.conv(x, 4), 3))
    same(b, tmp_path, tolerance=0.01)


def test_a_quantizer_on_the_image_is_a_table(builder: type, tmp_path: Path) -> None:
    b = builder((6, 6, 2))
    shift = b.node("Sub", "image", b.constant(127.0), shape=b.shapes["image"])
    x = b.quant(shift, 4, signed=True, scale=16.0)
    b.variance[x] = 50.0**2
    x = b.conv(x, 4, pad=1)
    b.exit(b.linear(x, 3))
    b.exit(b.linear(b.conv(x, 4), 3))
    same(b, tmp_path, tolerance=0.01)


def test_a_quantizer_that_changes_no_pixel_costs_nothing(builder: type, tmp_path: Path) -> None:
    b = builder((6, 6, 2))
    x = b.node("Div", "image", b.constant(255.0), shape=b.shapes["image"])
    b.variance[x] = 1 / 3
    x = b.conv(b.quant(x, 8, scale=1 / 255), 4)
    b.exit(b.linear(x, 3))
    b.exit(b.linear(b.conv(x, 4), 3))
    network = read(b.save(tmp_path / "model.onnx"))
    assert isinstance(network.operations[0], Matrix)
    same(b, tmp_path, tolerance=0.01)


# Operators --------------------------------------------------------------------------------------

ELEMENTWISE: dict[str, Callable[[Any, str], str]] = {
    "relu6": lambda b, x: b.node("Clip", x, b.constant(0.0), b.constant(1.5), shape=b.shapes[x]),
    "clip": lambda b, x: b.node("Clip", x, "", b.constant(0.5), shape=b.shapes[x]),
    "leaky": lambda b, x: b.node("LeakyRelu", x, shape=b.shapes[x], alpha=0.25),
    "prelu": lambda b, x: b.node("PRelu", x, b.constant([[[0.5]], [[0.0]], [[2.0]], [[1.0]]]),
                                 shape=b.shapes[x]),
    "sigmoid": lambda b, x: b.node("Sigmoid", x, shape=b.shapes[x]),
    "tanh": lambda b, x: b.node("Tanh", x, shape=b.shapes[x]),
    "minus": lambda b, x: b.node("Sub", b.constant(1.0), x, shape=b.shapes[x]),
    "twice": lambda b, x: b.norm(b.node("Relu", b.norm(x), shape=b.shapes[x])),
    "dropout": lambda b, x: b.node("Dropout", b.node("Identity", x, shape=b.shapes[x]),
                                   shape=b.shapes[x]),
}  # fmt: skip


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_a_quantizer_behind_an_elementwise_function(
    name: str, builder: type, tmp_path: Path
) -> None:
    b = builder((6, 6, 2))
    x = ELEMENTWISE[name](b, b.conv("image", 4, act=False))
    x = b.quant(x, 4, scale=0.13, signed=True)
    b.exit(b.linear(x, 3))
    b.variance[x] = 1.0
    y = ELEMENTWISE[name](b, b.conv(x, 4, pad=1, act=False))
    b.exit(b.linear(b.quant(y, 4, scale=0.13, signed=True), 3))
    same(b, tmp_path, tolerance=0.01)


def test_a_relu_behind_a_quantizer_keeps_integers(builder: type, tmp_path: Path) -> None:
    b = builder((6, 6, 2))
    x = b.conv("image", 4, signed=True)
    x = b.node("Relu", x, shape=b.shapes[x])
    b.exit(b.linear(x, 3))
    x = b.conv(x, 4)
    b.exit(b.linear(x, 3))
    path = b.save(tmp_path / "model.onnx")
    network = meaning.integers(file.load(path))
    for e, got, want in zip(network.exits, network.logits(IMAGES), executed(path), strict=True):
        assert np.abs(got - want / e.scale).max() < 0.01


def test_pools_in_front_of_their_quantizers(builder: type, tmp_path: Path) -> None:
    b = builder((6, 6, 2))
    x = b.pool(b.conv("image", 4, pad=1, act=False), size=3, stride=2, pad=1)
    x = b.quant(b.node("Relu", x, shape=b.shapes[x]))
    b.variance[x] = 1.0
    b.exit(b.linear(x, 3))
    y = b.pool(b.conv(x, 4, 1, bias=True, act=False), "AveragePool", size=3, stride=1)
    b.exit(b.linear(b.quant(y, 4, signed=True), 3))
    network = read(b.save(tmp_path / "model.onnx"))
    functions = [(o.function, o.source.low) for o in network.operations if isinstance(o, Pool)]
    assert functions[0] == ("max", 0), "a max pool works on the narrow integers"
    same(b, tmp_path, tolerance=0.01)


def test_a_global_average_in_front_of_the_last_layer(builder: type, tmp_path: Path) -> None:
    b = builder((6, 6, 2))
    x = b.conv("image", 4)
    b.exit(b.linear(b.mean(x), 3))
    b.exit(b.linear(b.mean(b.conv(x, 4), 0), 3))
    same(b, tmp_path, tolerance=0.01)


@pytest.mark.parametrize("axis", [(0, 2, 3, 1), (0, 3, 2, 1)])
def test_a_rearranged_map_is_flattened_in_its_order(
    axis: tuple[int, ...], builder: type, tmp_path: Path
) -> None:
    b = builder((6, 5, 2))
    x = b.conv("image", 3)
    n = b.shapes[x]
    y = b.node("Transpose", x, shape=tuple(n[a] for a in axis), perm=axis)
    wanted = b.constant([1, -1], np.int64)
    b.exit(b.linear(b.node("Reshape", y, wanted, shape=(1, 36)), 3))
    x = b.conv(x, 4)
    y = b.node("Transpose", x, shape=(1, 2, 1, 4), perm=(0, 2, 3, 1))
    y = b.node("Transpose", y, shape=(1, 4, 2, 1), perm=(0, 3, 1, 2))
    b.exit(b.linear(y, 3))
    images = np.random.default_rng(0).integers(0, 256, (3, 6, 5, 2)).astype(np.uint8)
    same(b, tmp_path, tolerance=0.01, images=images)


# Sides of one -----------------------------------------------------------------------------------


def test_rows_of_a_kernel_that_see_padding_alone_go(builder: type, tmp_path: Path) -> None:
    b = builder((1, 6, 2))
    x = b.conv("image", 4, 3, pad=1)
    b.exit(b.linear(x, 3))
    x = b.conv(x, 4, (1, 6), pad=0)
    x = b.conv(x, 5, 3, pad=1, stride=2)
    b.exit(b.linear(b.pool(x, size=1), 3))
    network = read(b.save(tmp_path / "model.onnx"))
    kernels = [o.window.kernel for o in network.operations if isinstance(o, Matrix) and o.window]
    assert kernels == [(1, 3), (1, 6), (1, 1)]
    images = np.random.default_rng(0).integers(0, 256, (3, 1, 6, 2)).astype(np.uint8)
    same(b, tmp_path, tolerance=0.01, images=images)


# The exits --------------------------------------------------------------------------------------


def exits(b: Any, order: list[int], names: list[str]) -> onnx.ModelProto:
    x, found = "image", []
    for _ in range(3):
        x = b.conv(x, 4, pad=1)
        found.append(b.exit(b.linear(x, 3)))
    model = onnx.load(b.save(Path(b.folder) / "three.onnx"))
    outputs = [model.graph.output[i] for i in order]
    del model.graph.output[:]
    model.graph.output.extend(
        onnx.ValueInfoProto.FromString(o.SerializeToString()) for o in outputs
    )
    renamed = dict(zip(found, names, strict=True))
    for node in model.graph.node:
        for names_ in (node.input, node.output):
            names_[:] = [renamed.get(n, n) for n in names_]
    for output in model.graph.output:
        output.name = renamed[output.name]
    return model


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 2, 0]])
def test_outputs_in_any_order_are_sorted_by_depth(
    order: list[int], builder: type, tmp_path: Path
) -> None:
    b = builder((6, 6, 2))
    b.folder = tmp_path
    model = exits(b, order, ["a", "b", "c"])
    network = meaning.integers(file.read(model, "FILE"))
    assert [e.output for e in network.exits] == ["a", "b", "c"]
    assert network.multiplies() == sorted(network.multiplies())


def test_numbers_in_the_names_of_outputs_count(builder: type, tmp_path: Path) -> None:
    b = builder((6, 6, 2))
    b.folder = tmp_path
    model = exits(b, [2, 0, 1], ["exit0", "exit1", "exit2"])
    network = meaning.integers(file.read(model, "FILE"))
    assert [e.output for e in network.exits] == ["exit0", "exit1", "exit2"]
    b = builder((6, 6, 2))
    b.folder = tmp_path
    with pytest.raises(InputError) as error:
        meaning.integers(file.read(exits(b, [0, 1, 2], ["exit2", "exit1", "exit0"]), "FILE"))
    assert str(error.value) == (
        "FILE: the exits must be ordered by depth but exit 2 can answer before exit 0; "
        "give its logits first"
    )


# Random networks --------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(12))
def test_random_networks(seed: int, builder: type, tmp_path: Path) -> None:
    b, shape = random_network(builder, seed)
    images = np.random.default_rng(seed).integers(0, 256, (2, *shape)).astype(np.uint8)
    path = b.save(tmp_path / "model.onnx")
    network = meaning.integers(file.load(path))
    limits.parts(network)
    wanted = executed(path, images)
    for e, got, want in zip(network.exits, network.logits(images), wanted, strict=True):
        steps = want / e.scale
        assert np.abs(got - steps).max() <= 0.01 + 1e-5 * np.abs(steps).max()


def random_network(builder: type, seed: int) -> tuple[Any, tuple[int, int, int]]:
    """One to three exits on a small map, layers, bits, pads, pools and signs at random."""
    random = np.random.default_rng([seed, 1])
    shape = (int(random.integers(4, 9)), int(random.integers(4, 9)), int(random.integers(1, 4)))
    b = builder(shape, seed)
    x = "image"

    def layer(x: str) -> str:
        height, width = b.shapes[x][2:]
        kernel = (int(random.integers(1, min(3, height) + 1)),
                  int(random.integers(1, min(3, width) + 1)))  # fmt: skip
        pads = tuple(int(random.integers(0, k)) for k in (kernel * 2))
        x = b.conv(
            x,
            int(random.integers(1, 6)),
            kernel,
            stride=int(random.integers(1, 3)),
            pad=pads,
            bits=int(random.integers(2, 7)),
            weight_bits=int(random.integers(2, 9)),
            signed=bool(random.integers(2)),
            per_channel=bool(random.integers(2)),
            bias=bool(random.integers(2)),
        )
        small = min(b.shapes[x][2:])
        if random.integers(3) == 0 and small > 1:
            size = int(random.integers(2, small + 1))
            kind = ["MaxPool", "AveragePool"][int(random.integers(2))]
            x = b.pool(x, kind, size, stride=int(random.integers(1, size + 1)))
            if kind == "AveragePool":
                x = b.quant(x, 4, scale=0.21, signed=True)
        return x

    for _ in range(int(random.integers(1, 4))):
        for _ in range(int(random.integers(1, 3))):
            x = layer(x)
        y = x
        if random.integers(2):
            y = b.linear(y, 7, act=True, bits=5, bias=bool(random.integers(2)))
        b.exit(b.linear(y, 3))
    return b, shape


def test_padding_of_an_average_is_zero_also_where_no_level_is(
    builder: type, tmp_path: Path
) -> None:
    """Levels that the values never reach are left out; a padded zero may be one of them."""
    b = builder((6, 6, 2))
    x = b.node("Sigmoid", b.conv("image", 3, act=False), shape=(1, 3, 4, 4))
    x = b.quant(x, 4, scale=0.0789)
    x = b.node("Clip", x, b.constant(0.4), b.constant(0.9), shape=b.shapes[x])
    x = b.quant(x, 4, scale=0.0789)
    y = b.pool(x, "AveragePool", 2, stride=1, pad=(1, 0, 0, 1), count_include_pad=1)
    b.exit(b.linear(b.quant(y, 4, scale=0.0613), 3))
    same(b, tmp_path, tolerance=0.02)
    network = read(tmp_path / "model.onnx")
    pool = next(o for o in network.operations if isinstance(o, Pool))
    assert pool.source.low > 0


def test_ranges_count_the_zeros_of_padding(builder: type, tmp_path: Path) -> None:
    """Where a quantizer never gives zero, the smallest sum is at the border."""
    b = builder((4, 4, 1))
    x = b.node("Mul", "image", b.constant(0.05), shape=b.shapes["image"])
    x = b.node("Clip", x, b.constant(5.0), b.constant(7.0), shape=b.shapes[x])
    x = b.quant(x, 3, scale=1.0)
    y = b.node("Conv", x, b.integers(np.full((1, 1, 3, 3), 3), 4), shape=(1, 1, 4, 4),
               kernel_shape=[3, 3], pads=[1] * 4)  # fmt: skip
    b.exit(b.linear(b.quant(y, 4, scale=2.0), 3))
    network = meaning.integers(file.load(b.save(tmp_path / "model.onnx")))
    images = np.stack([np.zeros((4, 4, 1)), np.full((4, 4, 1), 255)]).astype(np.uint8)
    values = network.tensors(images)
    matrix = next(o for o in network.operations if isinstance(o, Matrix))
    assert values[matrix.result.name].min() == 4 * 5 * 3  # a corner sees four pixels
    for operation in network.operations:
        found, tensor = values[operation.result.name], operation.result
        assert tensor.low <= found.min(), tensor
        assert tensor.high >= found.max(), tensor


def test_single_bits_pass_thresholds_between_their_sums(builder: type, tmp_path: Path) -> None:
    """Sums of four times -1 or 1 are even; thresholds on odd integers lie between them."""
    b = builder((6, 6, 2))
    x = b.conv("image", 4, act=False)
    x = b.node("Sub", x, b.constant(1.0), shape=b.shapes[x])
    x = b.node("BipolarQuant", x, b.constant(0.25), shape=b.shapes[x])
    values = b.constant(b.random.normal(size=(6, 4, 1, 1)))
    weights = b.node("BipolarQuant", values, b.constant(1.0), shape=())
    y = b.node("Conv", x, weights, shape=(1, 6, 4, 4), kernel_shape=[1, 1])
    b.exit(b.linear(b.quant(y, 4, scale=0.75, signed=True, mode="FLOOR"), 3))
    y = b.node("Add", y, b.constant(1.0), shape=b.shapes[y])
    b.exit(b.linear(b.quant(y, 2, scale=0.625), 3))
    graph = file.load(b.save(tmp_path / "model.onnx"))
    network = meaning.integers(graph)
    single = [o.result for o in network.operations if (o.result.low, o.result.high) == (0, 1)]
    assert single, "the activations are bits"
    values = network.tensors(IMAGES)
    assert np.ptp(values[single[0].name])
    shadow.check(graph, network, values)


def test_a_bias_is_on_the_grid_up_to_float32(builder: type, tmp_path: Path) -> None:
    b = builder((6, 6, 2))
    y = b.linear(b.conv("image", 4), 11)
    step = 0.25 * 0.02  # of the sums, which float32 does not have
    y = b.node("Add", y, b.constant(step * np.arange(-5.0, 6.0)), shape=b.shapes[y])
    b.exit(y)
    same(b, tmp_path, tolerance=0.01)
    network = read(tmp_path / "model.onnx")
    matrix = network.makers[network.exits[0].logits.name]
    assert isinstance(matrix, Matrix)
    assert matrix.offsets is not None
    assert np.diff(matrix.offsets).tolist() == [1] * 10
