"""Sums that lie between two levels: the integers against decimal arithmetic.

float32 holds no scale of 0.05 or 0.1, and its noise decides such sums one way or the other. They
are meant as they are written: here the decimals decide, exactly, halves to even.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save

from exeunt.qonnx import file, meaning

IMAGES = np.random.default_rng(9).integers(0, 256, (60, 8, 8, 1)).astype(np.uint8)
IMAGES[:20] //= 16
WEIGHT = 0.05


class Drawn:
    """A network of two exits as QONNX, and its weights as integers."""

    def __init__(self, seed: int, *, activation: float, logits: float | None) -> None:
        self.random = np.random.default_rng(seed)
        self.constants: list[Any] = []
        self.nodes: list[Any] = []
        self.weights: list[np.ndarray] = []
        first = self.conv("x", 1, activation)
        second = self.conv(first, 8, activation)
        self.exits = [self.head(first, logits), self.head(second, logits)]

    def constant(self, value: Any) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, np.float32), name))
        return name

    def node(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], domain=domain, **attributes))
        return name

    def quant(self, x: str, scale: float, bits: int, *, signed: int) -> str:
        return self.node(
            "Quant", x, self.constant(scale), self.constant(0), self.constant(bits),
            domain="qonnx.custom_op.general", signed=signed, narrow=signed, rounding_mode="ROUND",
        )  # fmt: skip

    def weight(self, *shape: int) -> str:
        self.weights.append(self.random.integers(-7, 8, shape))
        return self.quant(self.constant(self.weights[-1] * WEIGHT), WEIGHT, 4, signed=1)

    def conv(self, x: str, channels: int, scale: float) -> str:
        y = self.node("Conv", x, self.weight(8, channels, 3, 3), kernel_shape=[3, 3], pads=[1] * 4)
        return self.quant(self.node("Relu", y), scale, 4, signed=0)

    def head(self, x: str, scale: float | None) -> str:
        flat = self.node("Flatten", x, axis=1)
        y = self.node("MatMul", flat, self.weight(512, 10))
        return y if scale is None else self.quant(y, scale, 8, signed=1)

    def save(self, path: Path) -> Path:
        def value(name: str, shape: list[int]) -> Any:
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

        graph = helper.make_graph(
            self.nodes, "ties", [value("x", [1, 1, 8, 8])],
            [value(name, [1, 10]) for name in self.exits], self.constants,
        )  # fmt: skip
        domains = [("", 13), ("qonnx.custom_op.general", 1)]
        opsets = [helper.make_opsetid(name, version) for name, version in domains]
        save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
        return path


def levels(
    sums: np.ndarray, step: Decimal, low: int, high: int, seen: Callable[[Decimal], None]
) -> np.ndarray:
    """Round and clip sums that count `step` levels each."""
    values, places = np.unique(sums, return_inverse=True)
    found = []
    for value in values.tolist():
        real = value * step
        seen(real)
        found.append(min(high, max(low, int(real.to_integral_value(ROUND_HALF_EVEN)))))
    return np.array(found)[places].reshape(sums.shape)


def convolved(x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    return np.einsum("nchwij,ocij->nohw", windows, weights)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("activation", "logits"), [(0.1875, 0.1), (0.73, None), (0.1, 0.1)], ids=str
)
def test_ties(seed: int, activation: float, logits: float | None, tmp_path: Path) -> None:
    drawn = Drawn(seed, activation=activation, logits=logits)
    network = meaning.integers(file.load(drawn.save(tmp_path / "model.onnx")))
    between = [0]

    def seen(real: Decimal) -> None:
        between[0] += abs(abs(real % 1) - Decimal("0.5")) < Decimal("1e-6")

    first, head, second, last = (drawn.weights[k] for k in (0, 2, 1, 3))
    with localcontext() as context:
        context.prec = 60
        weight, scale = Decimal(str(WEIGHT)), Decimal(str(activation))
        images = IMAGES.transpose(0, 3, 1, 2).astype(np.int64)
        x = levels(convolved(images, first), weight / scale, 0, 15, seen)
        expected = [x.reshape(len(x), -1) @ head]
        x = levels(convolved(x, second), weight, 0, 15, seen)
        expected.append(x.reshape(len(x), -1) @ last)
        if logits is not None:
            step = weight * scale / Decimal(str(logits))
            expected = [levels(sums, step, -127, 127, seen) for sums in expected]
    assert between[0] > 10, "no sum lies between two levels"
    for found, wanted in zip(network.logits(IMAGES), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
        assert np.ptp(wanted, axis=0).any()
