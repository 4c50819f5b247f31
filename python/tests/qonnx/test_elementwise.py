"""Elementwise functions in front of quantizers: found from the function, for every rounding."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exeunt.hls.front import finn_env, limits, shadow
from exeunt.qonnx import file, meaning

IMAGES = np.random.default_rng(5).integers(0, 256, (4, 6, 6, 1)).astype(np.uint8)


def single(operator: str, **attributes: object) -> Callable[[Any, str], str]:
    def put(b: Any, x: str) -> str:
        return b.node(operator, x, shape=b.shapes[x], **attributes)

    return put


def product(b: Any, x: str) -> str:
    """x * exp(x) of positive x: it rises."""
    x = b.node("Relu", x, shape=b.shapes[x])
    return b.node("Mul", x, b.node("Exp", x, shape=b.shapes[x]), shape=b.shapes[x])


def skipped(b: Any, x: str) -> str:
    """x + tanh(x): two functions of one sum."""
    return b.node("Add", x, b.node("Tanh", x, shape=b.shapes[x]), shape=b.shapes[x])


def positive(operator: str) -> Callable[[Any, str], str]:
    def put(b: Any, x: str) -> str:
        x = b.node("Add", b.node("Relu", x, shape=b.shapes[x]), b.constant(0.25), shape=b.shapes[x])
        return b.node(operator, x, shape=b.shapes[x])

    return put


def squared(b: Any, x: str) -> str:
    x = b.node("Relu", x, shape=b.shapes[x])
    return b.node("Pow", x, b.constant(2.0), shape=b.shapes[x])


def bent(operator: str, **attributes: object) -> Callable[[Any, str], str]:
    """It falls, then rises, within what comes."""

    def put(b: Any, x: str) -> str:
        x = b.node("Sub", x, b.constant(1.5), shape=b.shapes[x])
        return b.node(operator, x, shape=b.shapes[x], **attributes)

    return put


def silu(b: Any, x: str) -> str:
    x = b.node("Sub", x, b.constant(1.5), shape=b.shapes[x])
    return b.node("Mul", x, b.node("Sigmoid", x, shape=b.shapes[x]), shape=b.shapes[x])


def silu_of_integers(b: Any, x: str) -> str:
    """Behind a quantizer, and in front of a pool."""
    x = silu(b, b.quant(x, 5, signed=True, scale=0.2))
    return b.node("MaxPool", x, shape=(1, 4, 2, 2), kernel_shape=[2, 2], strides=[2, 2])


def parabola(b: Any, x: str) -> str:
    return b.node("Pow", x, b.constant(2.0), shape=b.shapes[x])


FUNCTIONS: dict[str, Callable[[Any, str], str]] = {
    "Softplus": single("Softplus"),
    "Elu": single("Elu", alpha=0.7),
    "Selu": single("Selu"),
    "Celu": single("Celu", alpha=0.5),
    "HardSigmoid": single("HardSigmoid"),
    "Softsign": single("Softsign"),
    "Exp": single("Exp"),
    "Erf": single("Erf"),
    "Round": single("Round"),
    "Floor": single("Floor"),
    "Ceil": single("Ceil"),
    "Sign": single("Sign"),
    "Neg": single("Neg"),
    "Sqrt": positive("Sqrt"),
    "Log": positive("Log"),
    "Abs": positive("Abs"),
    "HardSwish": positive("HardSwish"),
    "Gelu": positive("Gelu"),
    "Mish": positive("Mish"),
    "Pow": squared,
    "bent Abs": bent("Abs"),
    "bent HardSwish": bent("HardSwish"),
    "bent Mish": bent("Mish"),
    "bent Gelu": bent("Gelu"),
    "bent Gelu by tanh": bent("Gelu", approximate="tanh"),
    "bent Pow": parabola,
    "SiLU": silu,
    "SiLU of integers": silu_of_integers,
    "product": product,
    "skipped": skipped,
}


@pytest.mark.parametrize("mode", ["ROUND", "FLOOR"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_in_front_of_a_quantizer(
    name: str, mode: str, builder: type, tmp_path: Path
) -> None:
    b = builder((6, 6, 1))
    y = FUNCTIONS[name](b, b.conv("image", 4, act=False))
    x = b.quant(y, 4, signed=True, scale=0.21, mode=mode, zero=1.0)
    b.variance[x] = 1.0
    b.exit(b.linear(x, 3))
    path = b.save(tmp_path / "model.onnx")
    graph = file.load(path)
    network = meaning.integers(graph)
    limits.parts(network)
    with finn_env.quiet():
        shadow.check(graph, network, network.tensors(IMAGES))
    (logits,) = network.logits(IMAGES)
    assert np.ptp(logits, axis=0).any()


def agrees(b: Any, tmp_path: Path) -> np.ndarray:
    """The logits, of integers that are those of the file node by node."""
    graph = file.load(b.save(tmp_path / "model.onnx"))
    network = meaning.integers(graph)
    limits.parts(network)
    with finn_env.quiet():
        shadow.check(graph, network, network.tensors(IMAGES))
    (logits,) = network.logits(IMAGES)
    assert np.ptp(logits, axis=0).any()
    return logits


@pytest.mark.parametrize("group", [2, 4])
@pytest.mark.parametrize("name", ["SiLU", "bent Abs"])
def test_a_bent_function_behind_groups(
    name: str, group: int, builder: type, tmp_path: Path
) -> None:
    b = builder((6, 6, 1))
    x = b.conv(b.conv("image", 4), 8, 2, group=group, act=False)
    x = b.quant(FUNCTIONS[name](b, x), 4, signed=True, scale=0.21)
    b.variance[x] = 1.0
    b.exit(b.linear(x, 3))
    agrees(b, tmp_path)


def test_a_bent_function_may_use_all_levels_twice(builder: type, tmp_path: Path) -> None:
    """|x| of 8 bits falls by 255 levels and rises by 255, from another one in each channel."""
    b = builder((6, 6, 1))
    x = b.norm(b.conv("image", 4, act=False))
    x = b.quant(b.node("Abs", x, shape=b.shapes[x]), 8, scale=0.01)
    b.variance[x] = 1.0
    b.exit(b.linear(x, 3))
    agrees(b, tmp_path)


def test_two_functions_of_one_pool(builder: type, tmp_path: Path) -> None:
    """A max pool on its way to a quantizer is no hindrance to x * sigmoid(x)."""
    b = builder((6, 6, 1))
    x = b.pool(b.conv("image", 4, norm=False, act=False), size=2)
    x = b.node("Mul", x, b.constant(1.5 / np.sqrt(b.variance[x])), shape=b.shapes[x])
    x = b.quant(silu(b, x), 4, signed=True, scale=0.21)
    b.variance[x] = 1.0
    b.exit(b.linear(x, 3))
    agrees(b, tmp_path)


@pytest.mark.parametrize("first", ["", "Neg"])
def test_a_max_pool_of_sums_that_fall(first: str, builder: type, tmp_path: Path) -> None:
    """Behind a norm some channels fall with their sums; their pool is needed without levels."""
    b = builder((6, 6, 1))
    x = b.conv("image", 6, act=False)
    x = b.node(first, x, shape=b.shapes[x]) if first else x
    x = b.node("Neg", b.pool(x, size=2), shape=(1, 6, 2, 2))
    x = b.quant(b.pool(x, size=2, stride=1), 4, signed=True, scale=0.3)
    b.variance[x] = 1.0
    b.exit(b.linear(x, 3))
    agrees(b, tmp_path)


@pytest.mark.parametrize("name", ["Sign", "Floor", "Ceil", "Round"])
def test_sums_of_zero_are_zero(name: str, builder: type, tmp_path: Path) -> None:
    """Scales that float32 does not have leave a little on either side of a function's jump."""
    b = builder((6, 6, 1))
    x = b.conv("image", 2, 1, norm=False, act=False, per_channel=False)
    x = b.quant(b.node("Relu", x, shape=b.shapes[x]), 2, scale=0.7)
    pairs = np.array([[1, -1], [1, 1]]).reshape(2, 2, 1, 1)
    x = b.node("Conv", x, b.integers(pairs, 2, scale=0.3), shape=(1, 2, 6, 6), kernel_shape=[1, 1])
    half = 0.5 * 0.21 if name == "Round" else 0.0  # of its steps
    for kind, value in (("Add", 0.1), ("Sub", 0.1), ("Div", 0.21), ("Add", half / 0.21)):
        x = b.node(kind, x, b.constant(value), shape=b.shapes[x])
    x = b.quant(b.node(name, x, shape=b.shapes[x]), 4, signed=True, scale=0.9)
    b.variance[x] = 1.0
    b.exit(b.linear(x, 3))
    agrees(b, tmp_path)


@pytest.mark.parametrize("mode", ["ROUND", "CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN"])
@pytest.mark.parametrize("version", [1, 2])
def test_truncation_is_qonnxs(mode: str, version: int, builder: type, tmp_path: Path) -> None:
    from qonnx.custom_op.general.trunc import trunc_v1, trunc_v2

    b = builder((6, 6, 1))
    signs = b.integers([[[[1.0]]], [[[-1.0]]]], 2, scale=1.0)
    x = b.node("Conv", "image", signs, shape=(1, 2, 6, 6), kernel_shape=[1, 1])
    x = b.quant(x, 8, signed=True, scale=4.0)
    b.variance[x] = 60.0**2
    given = (4.0, 0.0, 8.0, 32.0, 5.0) if version == 2 else (4.0, 0.0, 8.0, 5.0)
    more = {"signed": 1, "narrow": 0} if version == 2 else {}
    x = b.node("Trunc", x, *map(b.constant, given), shape=b.shapes[x], rounding_mode=mode, **more)
    b.exit(b.linear(x, 3))
    graph = file.load(b.save(tmp_path / "model.onnx"))
    network = meaning.integers(graph)
    tensors = network.tensors(IMAGES)
    view = network.views[x]
    found = view(tensors[view.base])
    before = next(v for k, v in network.views.items() if k == graph.nodes[2].output)
    values = before(tensors[before.base])
    arrays = [np.float32(v) for v in given]
    if version == 2:
        want = trunc_v2(values, *arrays[:3], 0, 1, *arrays[3:], mode)
    else:
        want = trunc_v1(values, *arrays, mode)
    assert np.array_equal(found, want)
    assert len(np.unique(want)) > 5


@pytest.mark.parametrize("version", [1, 2])
def test_truncation_to_a_sign_is_no_bipolar_one(
    version: int, builder: type, tmp_path: Path
) -> None:
    """Of one bit with a sign QONNX's Trunc gives -1 and 0, its Quant -1 and 1."""
    from qonnx.custom_op.general.trunc import trunc_v1, trunc_v2

    b = builder((6, 6, 1))
    x = b.quant(b.conv("image", 2, act=False), 3, signed=True, scale=0.4)
    given = (0.4, 0.0, 3.0, 1.6, 1.0) if version == 2 else (0.4, 0.0, 3.0, 0.0)
    more = {"signed": 1, "narrow": 0} if version == 2 else {}
    y = b.node("Trunc", x, *map(b.constant, given), shape=b.shapes[x], rounding_mode="FLOOR",
               **more)  # fmt: skip
    b.exit(b.linear(y, 3))
    network = meaning.integers(file.load(b.save(tmp_path / "model.onnx")))
    tensors = network.tensors(IMAGES)
    values, found = (network.views[name](tensors[network.views[name].base]) for name in (x, y))
    arrays = [np.float32(v) for v in given]
    if version == 2:
        want = trunc_v2(values, *arrays[:3], 0, 1, *arrays[3:], "FLOOR")
    else:
        want = trunc_v1(values, *arrays, "FLOOR")
    assert np.allclose(found, want)
    assert len(np.unique(want)) == 2


def test_the_older_truncation_has_no_limit(builder: type, tmp_path: Path) -> None:
    """31 / 2 rounded up is 16, which four bits do not hold."""
    from qonnx.custom_op.general.trunc import trunc_v1

    b = builder((6, 6, 1))
    x = b.quant(b.node("Relu", b.conv("image", 2, act=False), shape=(1, 2, 4, 4)), 5, scale=0.01)
    given = (0.01, 0.0, 5.0, 4.0)
    y = b.node("Trunc", x, *map(b.constant, given), shape=b.shapes[x], rounding_mode="UP")
    b.exit(b.linear(y, 3))
    network = meaning.integers(file.load(b.save(tmp_path / "model.onnx")))
    tensors = network.tensors(IMAGES)
    values, found = (network.views[name](tensors[network.views[name].base]) for name in (x, y))
    want = trunc_v1(values, *(np.float32(v) for v in given), "UP")
    assert np.allclose(found, want)
    assert np.isclose(want.max(), 16 * 0.01)
