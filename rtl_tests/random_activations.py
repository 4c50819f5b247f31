"""Random functions and quantizers, as they stand between the layers of a QONNX file.

Scales are random reals, so that hardly any value lies on the edge between two levels, where
float32 and integers may differ.
"""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from typing import Any

import numpy as np

BUILDER = Path(__file__).resolve().parents[1] / "python" / "tests" / "qonnx" / "builder.py"
ROUNDINGS = (
    *("ROUND",) * 6,
    *("FLOOR", "CEIL", "UP", "DOWN", "HALF_UP", "HALF_DOWN", "HALF_EVEN"),
)
RISING = (
    *("", "Relu", "Relu", "Relu", "Relu", "Relu6", "Hardtanh", "Sigmoid", "HardSigmoid", "Tanh"),
    *("LeakyRelu", "PRelu", "Elu", "Selu", "Celu", "Softplus", "Softsign", "Erf", "decay", "root"),
    *("log1p", "Round", "Floor", "Ceil", "Sign", "Neg", "skip", "clamp", "clamp"),
)
BENT = (
    *("Abs", "square", "HardSwish", "Mish", "Gelu", "fast Gelu", "SiLU", "Shrink", "choice"),
    *("ThresholdedRelu", "hard shrink", "long softplus", "gate"),
)
UNSIGNED = {
    *("Relu", "Relu6", "Sigmoid", "HardSigmoid", "Softplus", "decay", "root", "log1p", "Abs"),
    *("square", "ThresholdedRelu", "long softplus"),
}
BOUNDED = {"Sigmoid", "HardSigmoid", "Tanh", "Softsign", "Erf", "decay", "Sign", "Hardtanh"}
UNSCALED = {"", "Relu", "LeakyRelu", "PRelu", "Neg"}  # work at any size of what comes in
JUMPS = {"Round", "Floor", "Ceil", "Sign"}
NEWER = {
    "Gelu": 20,
    "fast Gelu": 20,
    "Mish": 18,
    "HardSwish": 14,
    "Celu": 12,
    "hard shrink": 12,
    "gate": 12,
    "choice": 12,
}  # opsets that know them
TABLED = 16  # bits of the integers in front of a function that rises and falls


def builder() -> Any:
    """The class that writes QONNX graphs."""
    spec = importlib.util.spec_from_file_location("qonnx_builder", BUILDER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Builder


class Activations:
    """Draws; `b` is the network so far.

    `steps`: scale of each tensor of integers with one scale; `bits`: width of its integers, or of
    those that a tensor is a function of; `tops`: largest value of tensors of pixels; `plain`: coded
    so that QCDQ can have it, too.
    """

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng([77, seed])
        self.opset = int(self.pick(20, 20, 20, 11, 13, 15, 17, 18, 19, 21))
        self.plain = self.opset >= 13 and self.chance(0.12)
        self.steps: dict[str, float] = {}
        self.bits: dict[str, float] = {"image": 8}
        self.tops: dict[str, float] = {"image": 255.0}
        self.b: Any = None

    def pick(self, *values: Any) -> Any:
        return values[int(self.random.integers(len(values)))]

    def chance(self, share: float) -> bool:
        return bool(self.random.random() < share)

    def real(self, low: float, high: float) -> float:
        return float(np.float32(self.random.uniform(low, high)))

    def node(self, kind: str, x: str, *more: str, **attributes: Any) -> str:
        """An elementwise node, which knows of its tensor what was known before."""
        y = str(self.b.node(kind, x, *more, shape=self.b.shapes[x], **attributes))
        self.bits[y] = self.bits[x]
        return y

    def by(self, kind: str, x: str, value: Any) -> str:
        return self.node(kind, x, self.b.constant(np.asarray(value, np.float32)))

    def spread(self, x: str) -> float:
        return float(np.sqrt(self.b.variance[x]) + 1e-6)

    # Functions --------------------------------------------------------------------------------

    def function(self, x: str) -> tuple[str, bool]:
        """A function, perhaps none, of a tensor; and whether it can be negative."""
        names = BENT if self.chance(0.12) else RISING
        name = self.pick(*(f for f in names if self.opset >= NEWER.get(f, 0)))
        bent = name in BENT or name == "skip"
        if bent and self.bits[x] >= TABLED - 1:
            x = self.levels(x, 8, signed=True)
        before = self.b.variance[x]
        if name not in UNSCALED:  # bring it to where the function bends
            factor, kind = self.real(0.7, 1.5) / self.spread(x), self.pick("Mul", "Div")
            x = self.by(kind, x, factor if kind == "Mul" else 1 / factor)
            before = self.b.variance[x] = 1.0
        if name in JUMPS:  # sums of zero are none, which float32 has on either side of it
            x = self.by("Add", x, self.real(0.01, 0.2))
        y = self._made(name, x) if name else x
        self.b.variance[y] = 0.25 if name in BOUNDED else before
        return y, name not in UNSIGNED

    def _made(self, name: str, x: str) -> str:
        b = self.b
        if name == "Relu6":
            return self.node("Clip", x, b.constant(0.0), b.constant(self.real(0.5, 2.0)))
        if name == "Hardtanh":
            return self.node("Clip", x, b.constant(-1.0), b.constant(1.0))
        if name == "PRelu":
            shape = self.b.shapes[x]
            channels = (1, shape[1], *(1 for _ in shape[2:])) if self.chance(0.5) else ()
            slope = self.random.uniform(0.05, 0.6, channels[1:])
            return self.node("PRelu", x, b.constant(slope))
        if name == "decay":
            return self.node("Exp", self.node("Neg", self.node("Relu", x)))
        if name == "root":
            return self.node("Sqrt", self.node("Relu", x))
        if name == "log1p":
            return self.node("Log", self.by("Add", self.node("Relu", x), 1.0))
        if name == "clamp":
            ends = b.constant(self.real(-1.5, -0.5)), b.constant(self.real(0.5, 1.5))
            if self.chance(0.3):
                y = str(b.node("Max", ends[0], self.node("Min", x, ends[1]), shape=b.shapes[x]))
                self.bits[y] = self.bits[x]
                return y
            return self.node("Min", self.node("Max", x, ends[0]), ends[1])
        if name == "Shrink":
            return self.node("Shrink", x, lambd=self.real(0.3, 0.9), bias=self.real(0.0, 0.3))
        if name == "ThresholdedRelu":
            return self.node("ThresholdedRelu", x, alpha=self.real(0.2, 0.9))
        if name == "hard shrink":  # as torch.onnx writes it
            inside = self.by("LessOrEqual", self.node("Abs", x), self.real(0.3, 0.9))
            return self.node("Where", inside, b.constant(0.0), x)
        if name == "long softplus":  # as torch.onnx writes it, with a nearer end
            far = self.by("Greater", x, self.real(1.0, 3.0))
            return self.node("Where", far, x, self.node("Softplus", x))
        if name == "gate":  # a condition as a number
            inside = self.by(self.pick("GreaterOrEqual", "Greater"), x, self.real(-0.5, 0.5))
            return self.node("Mul", x, self.node("Cast", inside, to=1))
        if name == "choice":
            operator = self.pick("And", "Or")
            side = 1.0 if operator == "And" else -1.0
            low = self.by("Less", x, side * self.real(0.3, 1.0))
            high = self.node("Not", self.by("LessOrEqual", x, -side * self.real(0.3, 1.0)))
            return self.node("Where", self.node(operator, low, high), self.node("Neg", x), x)
        if name == "square":
            return self.by("Pow", x, 2.0)
        if name == "SiLU":
            return self.node("Mul", x, self.node("Sigmoid", x))
        if name == "skip":
            return self.node("Add", x, self.node(self.pick("Tanh", "Relu", "Sigmoid"), x))
        if name == "fast Gelu":
            return self.node("Gelu", x, approximate="tanh")
        return self.node(name, x)

    # Quantizers -------------------------------------------------------------------------------

    def scale(self, x: str, bits: int, signed: bool) -> float:
        """That lets most values of a tensor through."""
        levels = max(1, 2 ** (bits - int(signed)) - 1)
        return float(np.float32(2.2 * self.spread(x) / levels * self.random.uniform(0.6, 1.4)))

    def quantized(self, x: str) -> str:
        """A function, perhaps, and a quantizer, perhaps behind one with a scale per channel."""
        if x in self.tops:
            return self.pixels(x)
        x, signed = self.function(x)
        channels = self.b.shapes[x][1]
        if self.chance(0.06) and channels > 1:
            bits = int(self.pick(4, 6, 8))
            ones = (1, channels, *(1 for _ in self.b.shapes[x][2:]))
            scale = self.scale(x, bits, signed) * self.random.uniform(0.6, 1.5, ones)
            y = self.b.quant(x, bits, signed=signed, scale=np.float32(scale))
            self.b.variance[y], self.bits[y] = self.b.variance[x], bits
            x = y
            if len(self.b.shapes[x]) == 4 and min(self.b.shapes[x][2:]) > 1 and self.chance(0.3):
                x = self.b.pool(x, "MaxPool", 2, stride=1, pad=(0, 0, 1, 1))
                self.bits[x] = bits
        bits = int(self.pick(1, 2, 2, 3, 4, 4, 4, 5, 6, 7, 8))
        if signed and bits == 1 and (self.plain or self.chance(0.5)):
            bits = 2
        x = self.levels(x, bits, signed=signed)
        return self.truncated(x) if bits > 3 and self.chance(0.08) else x

    def pixels(self, x: str) -> str:
        """A quantizer that gives different levels to pixels, or to a pool of them."""
        bits = int(self.pick(2, 3, 4, 6, 8))
        return self.levels(
            x, bits, signed=False, scale=self.real(0.8, 1.2) * self.tops[x] / 2**bits
        )

    def levels(self, x: str, bits: int, *, signed: bool, scale: float | None = None) -> str:
        """A quantizer of any kind with one scale."""
        found = scale is None
        scale, zero = scale or self.scale(x, bits, signed), 0.0
        if signed and bits == 1:
            y = self.bipolar(x, scale)
        else:
            if found and bits > 1 and not self.plain and self.chance(0.08):
                zero = float(self.random.integers(1, 2 ** (bits - 1)))
            if found and bits > 1 and not self.plain and self.chance(0.02):
                scale = -scale
            y = self.b.quant(
                x, bits, signed=signed, scale=scale, zero=zero,
                narrow=int(bits > 1 and self.chance(0.2)),
                mode="ROUND" if self.plain else self.pick(*ROUNDINGS),
            )  # fmt: skip
        self.b.variance[y] = self.b.variance[x]
        self.steps[y], self.bits[y] = abs(scale), bits + bool(zero)
        return str(y)

    def bipolar(self, x: str, scale: float) -> str:
        """-1 or 1; a random shift in front of it leaves no value at the edge."""
        x = self.by("Add", x, self.spread(x) * self.real(0.01, 0.2))
        step = self.b.constant(np.float32(scale))
        if self.chance(0.5):
            return str(self.b.node("BipolarQuant", x, step, shape=self.b.shapes[x]))
        return str(self.b.quant(x, 1, signed=True, scale=np.float32(scale)))

    def truncated(self, x: str, bits: int | None = None) -> str:
        """QONNX's Trunc, of either version, on integers with one scale."""
        step, width = self.steps[x], int(bits or self.bits[x])
        less = int(self.random.integers(max(1, width - 8), max(1, width - 8) + 2))
        mode = self.pick("FLOOR", "FLOOR", "CEIL", "ROUND", "UP", "DOWN", "HALF_UP", "HALF_DOWN")
        b = self.b
        given = [step, 0.0, float(width)]
        more: dict[str, Any] = {}
        if self.truncs == 2:
            given += [step * 2.0**less, float(max(2, width - less))]
            more = {"signed": 1, "narrow": 0}
        else:
            given += [float(width - less)]
        y = str(b.node("Trunc", x, *map(b.constant, given), shape=b.shapes[x],
                       rounding_mode=mode, **more))  # fmt: skip
        self.bits[y] = width - less + 1
        self.steps[y] = step * (2.0**less if self.truncs == 2 else 1.0)
        b.variance[y] = b.variance[x] / (1.0 if self.truncs == 2 else 4.0**less)
        return y

    @property
    def truncs(self) -> int:
        """Which version of Trunc the file has."""
        return 2 if self.opset % 2 == 0 else 1


def reach(bits: float, weight_bits: int, terms: int) -> float:
    """Bits of a sum of products."""
    return bits + weight_bits + math.log2(max(1, terms))
