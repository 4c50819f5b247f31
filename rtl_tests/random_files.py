"""Random QONNX files as somebody else's exporter might write them.

Convolutions of every kind, pools, sums, concatenations, functions, up to six exits.

Built with `python/tests/qonnx/builder.py`. Scales are random reals, so that hardly any value lies
on the edge between two levels, where float32 and integers may differ.
"""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from typing import Any

import numpy as np

BUILDER = Path(__file__).resolve().parents[1] / "python" / "tests" / "qonnx" / "builder.py"
LARGEST = 700  # elements of a map, so that a simulation ends soon
FUNCTIONS = ("Relu", "Relu", "Relu", "Sigmoid", "Tanh", "LeakyRelu", "HardSigmoid", "")


def _builder() -> Any:
    spec = importlib.util.spec_from_file_location("qonnx_builder", BUILDER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Builder


class Random:
    """Grows a network at random; `save` writes it."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng([77, seed])
        flat = self.random.random() < 0.15
        height = 1 if flat else int(self.random.integers(2, 12))
        self.shape = (height, int(self.random.integers(3, 14)), int(self.pick(1, 1, 2, 3)))
        self.b = _builder()(self.shape, seed=seed)
        self.exits = int(self.pick(1, 1, 2, 2, 3, 4, 6))
        x = "image"
        for _ in range(self.exits):
            for _ in range(int(self.random.integers(1, 3))):
                x = self.block(x)
            self.head(x)

    def pick(self, *values: Any) -> Any:
        return values[int(self.random.integers(len(values)))]

    def chance(self, share: float) -> bool:
        return bool(self.random.random() < share)

    # Activations ------------------------------------------------------------------------------

    def scale(self, x: str, bits: int, signed: bool) -> float:
        """That lets most values of a tensor through."""
        reach = 2.2 * float(np.sqrt(self.b.variance[x]) + 1e-6)
        levels = max(1, 2 ** (bits - int(signed)) - 1)
        return float(np.float32(reach / levels * self.random.uniform(0.6, 1.4)))

    def quantized(self, x: str) -> str:
        """A function, perhaps, and a quantizer."""
        function = self.pick(*FUNCTIONS)
        signed = function in ("", "Tanh", "LeakyRelu")
        bits = int(self.pick(1, 2, 2, 3, 4, 4, 5, 6, 8))
        if signed and bits == 1:
            bits = 2
        if function:
            before = self.b.variance[x]
            x = self.b.node(function, x, shape=self.b.shapes[x])
            bounded = function in ("Sigmoid", "Tanh", "HardSigmoid")
            self.b.variance[x] = 0.25 if bounded else before
        made = self.b.quant(
            x, bits, signed=signed, scale=self.scale(x, bits, signed),
            narrow=int(bits > 1 and self.chance(0.2)),
            mode=self.pick("ROUND", "ROUND", "FLOOR", "CEIL"),
        )  # fmt: skip
        self.b.variance[made] = self.b.variance[x]
        return str(made)

    # Blocks -----------------------------------------------------------------------------------

    def block(self, x: str) -> str:
        kind = self.pick("conv", "conv", "conv", "pool", "residual", "concat")
        found: str = getattr(self, kind)(x)
        return found

    def conv(self, x: str, channels: int | None = None, same: bool = False) -> str:
        _, _, h, w = self.b.shapes[x]
        if same:
            kernel = tuple(int(self.pick(1, 3)) if side > 1 else 1 for side in (h, w))
            pads = (kernel[0] // 2, kernel[1] // 2) * 2
            stride = (1, 1)
        else:
            kernel = tuple(int(self.random.integers(1, min(4, side) + 1)) for side in (h, w))
            pads = tuple(int(self.random.integers(0, k)) for k in (*kernel, *kernel))
            stride = tuple(int(self.pick(1, 1, 1, 2, 3, 5)) for _ in range(2))
        before = self.b.shapes[x][1]
        group, holes = 1, (1, 1)
        if self.chance(0.3):
            common = math.gcd(before, channels or before)
            group = int(self.pick(*(g for g in range(1, common + 1) if common % g == 0)))
        channels = channels or group * int(self.random.integers(1, max(2, 8 // group)))
        if not same and self.chance(0.2):
            holes = tuple(
                int(self.random.integers(1, (side - 1) // max(1, k - 1) + 1)) if 1 < k < side else 1
                for k, side in zip(kernel, (h, w), strict=True)
            )
        y = self.b.conv(
            x, channels, kernel, stride=stride, pad=pads, group=group, dilation=holes,
            weight_bits=int(self.pick(2, 3, 4, 4, 6, 8)), per_channel=self.chance(0.5),
            bias=self.chance(0.3), norm=self.chance(0.7), act=False,
        )  # fmt: skip
        return self.quantized(y)

    def pool(self, x: str) -> str:
        if x == "image":
            return self.conv(x)
        _, _, h, w = self.b.shapes[x]
        size = tuple(int(self.random.integers(1, min(3, side) + 1)) for side in (h, w))
        kind = self.pick("MaxPool", "AveragePool")
        stride = tuple(int(self.pick(1, 2, 3)) for _ in size)
        pads = tuple(int(self.random.integers(0, k)) for k in (*size, *size))
        if self.chance(0.5):
            pads = (0, 0, 0, 0)
        more = {} if kind == "MaxPool" else {"count_include_pad": int(self.chance(0.5))}
        y = self.b.pool(x, kind, size, stride=stride, pad=pads, **more)
        return y if kind == "MaxPool" else self.quantized(y)

    def arms(self, x: str) -> tuple[str, str]:
        """Two ways from a map to maps of one height and width."""
        first = self.conv(x, same=True)
        second = x if x != "image" and self.chance(0.5) else self.conv(x, same=True)
        return first, second

    def residual(self, x: str) -> str:
        channels = int(self.random.integers(1, 6))
        if x != "image" and self.chance(0.5):
            channels = self.b.shapes[x][1]
        first = self.conv(x, channels, same=True)
        if self.chance(0.3):
            first = self.conv(first, channels, same=True)
        plain = x != "image" and self.b.shapes[x][1] == channels
        second = x if plain and self.chance(0.7) else self.conv(x, channels, same=True)
        if self.chance(0.6):  # one scale for both, or one with a ratio
            scale = float(np.float32(self.random.uniform(0.1, 0.6)))
            first = self.shared(first, scale)
            second = self.shared(second, scale * int(self.pick(1, 1, 2, 3)))
        y = self.b.node(self.pick("Add", "Add", "Sub"), first, second, shape=self.b.shapes[first])
        self.b.variance[y] = self.b.variance[first] + self.b.variance[second]
        return self.quantized(y)

    def shared(self, x: str, scale: float) -> str:
        y = self.b.quant(x, int(self.pick(3, 4, 5)), signed=True, scale=scale)
        self.b.variance[y] = self.b.variance[x]
        return str(y)

    def concat(self, x: str) -> str:
        ways = list(self.arms(x))
        if self.chance(0.4):
            ways.append(self.conv(x, same=True))
        n, _, h, w = self.b.shapes[ways[0]]
        channels = sum(self.b.shapes[way][1] for way in ways)
        y = self.b.node("Concat", *ways, shape=(n, channels, h, w), axis=1)
        return self.quantized(y)

    # Exits ------------------------------------------------------------------------------------

    def head(self, x: str) -> None:
        _, c, h, w = self.b.shapes[x]
        if x != "image" and h * w > 1 and self.chance(0.3):
            pooled = self.pick("GlobalAveragePool", "ReduceMean", "GlobalMaxPool")
            if pooled == "ReduceMean":
                x = self.b.mean(x, keepdims=int(self.chance(0.5)))
            else:
                x = self.b.node(pooled, x, shape=(1, c, 1, 1))
            x = self.quantized(x)
        if len(self.b.shapes[x]) == 4 and self.chance(0.2):  # another order of the features
            n, c, h, w = self.b.shapes[x]
            x = self.b.node("Transpose", x, shape=(n, h, w, c), perm=[0, 2, 3, 1])
        if self.chance(0.2):
            x = self.quantized(self.b.linear(x, int(self.random.integers(2, 8))))
        self.b.exit(self.b.linear(x, self.classes, weight_bits=int(self.pick(2, 4, 6))))

    @property
    def classes(self) -> int:
        return 2 + self.shape[1] % 5

    def save(self, path: Path) -> Path:
        found: Path = self.b.save(path)
        return found
