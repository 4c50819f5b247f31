"""Random QONNX files as somebody else's exporter might write them.

Layers of every kind of the table in hls/README.md in any order, one to eight exits, and the forms
in which exporters write them (`random_forms`). Built with `python/tests/qonnx/builder.py`.
"""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import random_forms
from random_activations import Activations, builder, reach

from exeunt.config.preprocess import Preprocess

Pads = tuple[int, int, int, int]
WEIGHT = 0.02  # scale of the builder's weights


class Random(Activations):
    """Grows a network at random; `save` writes it."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        flat = self.chance(0.2)
        self.row = flat and self.chance(0.6)  # written in one dimension
        height = 1 if flat else int(self.random.integers(1, 12))
        self.shape = (height, int(self.random.integers(3, 14)), int(self.pick(1, 1, 2, 3)))
        self.b = builder()(self.shape, seed=seed)
        self.classes = int(self.pick(2, 3, 4, 5, 6, 10))
        self.preprocess: Preprocess | None = None
        x = self.image()
        exits = int(self.pick(1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 4, 5, 6, 8))
        blocks = [self.pick(0, 1, 2, 2, 3), *(self.pick(0, 1, 1, 2) for _ in range(exits - 1)), 1]
        for count, later in pairwise(blocks):
            for _ in range(count):
                x = self.block(x)
            x = self.head(x, alone=later > 0)

    def image(self) -> str:
        """The image as the network takes it: as it is, or normalised and quantized."""
        x, channels = "image", self.shape[2]
        if self.chance(0.12):
            mean = tuple(self.real(0.3, 0.6) for _ in range(self.pick(1, channels)))
            shifts = self.chance(0.7)
            count = self.pick(1, channels) if shifts else 1
            std = tuple(self.real(0.15, 0.3) for _ in range(count))
            self.preprocess = Preprocess(
                scale=self.real(0.0035, 0.0045), mean=mean if shifts else (0.0,), std=std
            )
            self.b.variance[x] = 1.0
            self.tops[x] = 255.0 * self.preprocess.scale / std[0]
            return self.levels(x, int(self.pick(4, 6, 8)), signed=True) if shifts else x
        if self.chance(0.12):
            ones = (1, self.pick(1, channels), 1, 1)
            x = self.by("Sub", x, self.random.uniform(100, 150, ones))
            factor, kind = self.real(0.5, 2.0), self.pick("Mul", "Div")
            x = self.by(kind, x, factor * self.random.uniform(0.9, 1.1, ones))
            self.b.variance[x] = (75.0 * (factor if kind == "Mul" else 1 / factor)) ** 2
            return self.levels(x, int(self.pick(3, 4, 8)), signed=True)
        return x

    # Blocks -----------------------------------------------------------------------------------

    def block(self, x: str) -> str:
        vector = len(self.b.shapes[x]) == 2
        kinds = ("conv", "conv", "conv", "conv", "pool", "pool", "residual", "concat")
        kind = "dense" if not vector and self.chance(0.06) else self.pick(*kinds)
        if vector:
            kind = self.pick("dense", "dense", "residual", "concat")
        found: str = getattr(self, kind)(x)
        return found

    def weights(self) -> int:
        return int(self.pick(*((2, 3, 4, 4, 6, 8) if self.plain else (1, 1, 2, 2, 3, 4, 5, 6, 8))))

    def dense(self, x: str, features: int | None = None, **more: Any) -> str:
        """A linear layer and its quantizer."""
        return self.quantized(self.linear(x, features or int(self.random.integers(2, 9)), **more))

    def linear(self, x: str, features: int, **more: Any) -> str:
        weight_bits, terms = self.weights(), int(np.prod(self.b.shapes[x]))
        given = {"per_channel": self.chance(0.3), "bias": self.chance(0.3), **more}
        y = self.b.linear(x, features, weight_bits=weight_bits, **given)
        self.bits[y] = reach(self.bits[x], weight_bits, terms)
        return str(y)

    def pads(self, kernel: tuple[int, int]) -> Pads:
        if self.chance(0.4):
            return 0, 0, 0, 0
        top, left, bottom, right = (int(self.random.integers(0, k)) for k in (*kernel, *kernel))
        return top, left, bottom, right

    def conv(self, x: str, channels: int | None = None, same: bool = False) -> str:
        """A convolution of any kind, and its quantizer; a pool, perhaps, between them."""
        if len(self.b.shapes[x]) == 2:
            return self.dense(x, channels)
        _, before, h, w = self.b.shapes[x]
        kernel = tuple(int(self.random.integers(1, min(4, side) + 1)) for side in (h, w))
        stride = tuple(int(self.pick(1, 1, 1, 2, 3, 5)) for _ in kernel)
        pads, holes = self.pads(kernel), (1, 1)
        if same:
            kernel = tuple(int(self.pick(1, 3)) if side > 1 else 1 for side in (h, w))
            pads, stride = (kernel[0] // 2, kernel[1] // 2) * 2, (1, 1)
        elif self.chance(0.2):
            holes = tuple(
                int(self.random.integers(1, (side - 1) // max(1, k - 1) + 1)) if 1 < k < side else 1
                for k, side in zip(kernel, (h, w), strict=True)
            )
        group = 1
        if self.chance(0.3):
            common = math.gcd(before, channels or before)
            group = int(self.pick(*(g for g in range(1, common + 1) if common % g == 0)))
        channels = channels or group * int(self.random.integers(1, max(2, 8 // group)))
        late = not same and self.chance(0.12)
        weight_bits = self.weights()
        y = self.b.conv(
            x, channels, kernel, stride=stride, pad=pads, group=group, dilation=holes,
            weight_bits=weight_bits, per_channel=self.chance(0.5),
            bias=self.chance(0.3), norm=self.chance(0.7), act=False,
        )  # fmt: skip
        self.bits[y] = reach(self.bits[x], weight_bits, int(np.prod(kernel)) * before // group)
        return self.quantized(self.pooled(y, self.pick("MaxPool", "AveragePool")) if late else y)

    # Pools ------------------------------------------------------------------------------------

    def pool(self, x: str) -> str:
        kind = self.pick("MaxPool", "AveragePool")
        y = self.pooled(x, kind)
        if kind == "MaxPool":
            return y
        if x in self.steps and y in self.steps:  # integers over the number of pixels
            if self.bits[y] <= 8 and self.chance(0.3):
                return y
            if self.chance(0.3):
                return self.truncated(y, math.ceil(self.bits[y]))
        return self.quantized(y)

    def pooled(self, x: str, kind: str) -> str:
        """A pool with any window, whose mean is of integers with a scale where all pixels count."""
        _, _, h, w = self.b.shapes[x]
        size = tuple(int(self.random.integers(1, min(4, side) + 1)) for side in (h, w))
        stride = tuple(int(self.pick(1, 2, 3, 5)) for _ in size)
        pads, more = self.pads(size), {}
        if self.chance(0.4):
            more["ceil_mode"] = 1
        if kind == "AveragePool":
            more["count_include_pad"] = int(self.chance(0.5))
            if self.opset < 19:  # earlier versions say nothing of it
                more.pop("ceil_mode", None)
        y = str(self.b.pool(x, kind, size, stride=stride, pad=pads, **more))
        terms = int(np.prod(size)) if kind == "AveragePool" else 1
        if x in self.tops:
            self.tops[y] = self.tops[x]
        self.bits[y] = self.bits[x] + math.log2(terms)
        whole = kind == "MaxPool" or (
            "ceil_mode" not in more and (more.get("count_include_pad") or not any(pads))
        )
        if x in self.steps and whole:
            self.steps[y] = self.steps[x] / terms
        if self.preprocess is None and x == "image" and whole:
            self.steps[y] = 1.0 / terms
        return y

    # Streams that meet ------------------------------------------------------------------------

    def residual(self, x: str) -> str:
        shape = self.b.shapes[x]
        channels = shape[1] if self.chance(0.6) else int(self.random.integers(1, 6))
        first = self.conv(x, channels, same=True)
        if self.chance(0.3):
            first = self.conv(first, channels, same=True)
        plain = x in self.steps and shape[1] == channels
        second = x if plain and self.chance(0.7) else self.conv(x, channels, same=True)
        arms = [first, second]
        if self.chance(0.15):
            arms.append(self.conv(x, channels, same=True))
        if self.chance(0.75) or len(arms) > 2 or max(self.bits[a] for a in arms) > 4:
            scale = self.real(0.1, 0.6) * self.spread(first)  # for all, or with a ratio
            arms = [self.shared(arm, scale * int(self.pick(1, 1, 1, 2, 3))) for arm in arms]
        kind = "Sum" if len(arms) > 2 else self.pick("Add", "Add", "Sum", "Sub")
        y = self.b.node(kind, *arms, shape=self.b.shapes[first])
        self.b.variance[y] = sum(self.b.variance[a] for a in arms)
        self.bits[y] = max(self.bits[a] for a in arms) + 3
        return self.quantized(y)

    def shared(self, x: str, scale: float) -> str:
        y = self.b.quant(x, int(self.pick(3, 4, 5)), signed=True, scale=np.float32(scale))
        self.b.variance[y], self.bits[y], self.steps[y] = self.b.variance[x], 5, scale
        return str(y)

    def concat(self, x: str) -> str:
        ways = [self.conv(x, same=True) for _ in range(self.pick(1, 2, 2, 3))]
        if len(ways) == 1 or self.chance(0.3):
            ways.append(x if x in self.steps or x == "image" else self.conv(x, same=True))
        n, _, *rest = self.b.shapes[ways[0]]
        channels = sum(self.b.shapes[way][1] for way in ways)
        y = self.b.node("Concat", *ways, shape=(n, channels, *rest), axis=1)
        self.bits[y] = max(self.bits[way] for way in ways)
        self.b.variance[y] = float(np.mean([self.b.variance[way] for way in ways]))
        return self.quantized(y)

    # Exits ------------------------------------------------------------------------------------

    def head(self, x: str, *, alone: bool) -> str:
        """An exit at `x`, with layers if it is alone there; gives what the next segment takes."""
        before = x
        if len(self.b.shapes[x]) == 4:
            if alone and self.chance(0.08):
                self.b.exit(self.only_pool(x))
                return before
            if self.chance(0.3):
                x = self.whole(x)
            if (
                len(self.b.shapes[x]) == 4 and self.chance(0.2) and not self.row
            ):  # another order of the features
                n, c, h, w = self.b.shapes[x]
                x = self.b.node("Transpose", x, shape=(n, h, w, c), perm=[0, 2, 3, 1])
                self.bits[x] = 8
        if alone and self.chance(0.2):
            x = self.dense(x)
        bias = self.bias(x) if x in self.steps and self.chance(0.25) else False
        y = self.linear(x, self.classes, per_channel=False, bias=bias)
        if self.chance(0.15):
            bits, scale = int(self.pick(4, 6, 8)), self.scale(y, 6, signed=True)
            made = self.b.quant(y, bits, signed=True, scale=scale)
            self.bits[made], self.b.variance[made], self.steps[made] = (
                bits,
                self.b.variance[y],
                scale,
            )
            y = made
        if self.chance(0.06):
            y = self.b.node(self.pick("Softmax", "LogSoftmax"), y, shape=self.b.shapes[y], axis=1)
        name = self.b.exit(y)
        return self.moved(y, name) if y in self.steps and self.chance(0.3) else before

    def moved(self, x: str, name: str) -> str:
        """A tensor under the name that an exit gave it: others read it, too."""
        for known in (self.bits, self.steps, self.b.variance, self.b.shapes):
            known[name] = known[x]
        return name

    def whole(self, x: str) -> str:
        """A pool of the whole map, and a quantizer."""
        _, c, h, w = self.b.shapes[x]
        kind = self.pick(
            "GlobalAveragePool", "ReduceMean", "GlobalMaxPool", "ReduceMax", "ReduceSum"
        )
        if kind.startswith("Reduce"):
            y = self.b.reduced(kind, x, keepdims=int(self.chance(0.5)))
        else:
            y = self.b.node(kind, x, shape=(1, c, 1, 1))
        self.bits[y] = self.bits[x] + (
            0 if kind in ("GlobalMaxPool", "ReduceMax") else math.log2(h * w)
        )
        if kind == "ReduceSum":
            self.b.variance[y] *= h * w
            if x in self.tops:
                self.tops[y] = self.tops[x] * h * w
                return self.quantized(y)
        if x in self.tops:
            self.tops[y] = self.tops[x]
        return self.quantized(y)

    def only_pool(self, x: str) -> str:
        """Logits that are a pool of a map with a channel per class."""
        x = self.conv(x, self.classes, same=True)
        kind = self.pick("GlobalAveragePool", "GlobalMaxPool")
        y = self.b.node(kind, x, shape=(1, self.classes, 1, 1))
        return str(self.b.flatten(y))

    def bias(self, x: str) -> str:
        """A bias on the grid of the sums, quantized as Brevitas does."""
        scale = np.float32(self.steps[x] * WEIGHT)
        return str(self.b.integers(self.random.integers(-99, 99, self.classes), 8, scale=scale))

    def save(self, folder: Path) -> random_forms.Case:
        """The file in one of the forms that exporters give it."""
        return random_forms.save(self, folder)
