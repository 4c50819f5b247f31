"""Small random accelerators: for tests, benches and a first look at a tool chain.

They have the shapes of trained networks (convolution, pool, linear heads), random weights, and
thresholds placed so that all output levels occur.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from functools import reduce
from statistics import NormalDist
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from exeunt.graph import Accelerator, Dataflow, IntArray, Integer, Stream
from exeunt.kernels.layer import (
    Addition,
    Concatenation,
    Fold,
    Layer,
    Levels,
    Matrix,
    Pooling,
    Windows,
)
from exeunt.kernels.lowering import Lowering
from exeunt.kernels.registry import foldings
from exeunt.window import Window

WIDE = 12  # bits above which a random graph has thresholds before it goes on


@dataclass(frozen=True)
class Stage:
    """One convolution (3x3, padding 1), an optional 2x2 pool, and a head.

    `simd`, `pe`: lanes of the convolution's matrix-vector unit; `parallel`: whole windows a beat.
    `head_simd`, `head_pe`: lanes of the head's matrix-vector unit; `reduce`: global pool first.
    """

    channels: int
    simd: int = 1
    pe: int = 1
    pool: bool = True
    parallel: bool = False
    reduce: bool = True
    head_simd: int = 1
    head_pe: int = 1


SMALL = (
    Stage(4, simd=3, pe=2),
    Stage(6, simd=2, pe=3, pool=False),
    Stage(8, simd=3, pe=4, reduce=False, head_simd=4, head_pe=2),
)


class _Builder(Lowering):
    """Appends layers to a chain, converting lanes where they differ."""

    def __init__(self, name: str, stream: Stream, seed: int) -> None:
        super().__init__(name, stream)
        self.first = stream
        self.random = np.random.default_rng(seed)

    def convolution(self, height: int, *, simd: int, pe: int, bits: int, parallel: bool) -> None:
        """3x3 windows with padding 1, and a matrix of `height` rows behind them."""
        h, w, c = self.stream.shape
        lanes = c if parallel else int(np.gcd(simd, c))
        window = Window((3, 3), (1, 1), (1, 1, 1, 1))
        source = self.stream.dtype
        windows = Windows(self.stream.shape, source, (h, w, 9 * c), source, window=window)
        self.lower(windows, Fold(lanes, 9 * c if parallel else lanes, parallel=parallel))
        self.matrix(height, simd=simd, pe=pe, bits=bits)

    def matrix(self, height: int, *, simd: int, pe: int, bits: int = 0) -> None:
        """A matrix of random 4 bit weights; without `bits` it gives accumulators."""
        levels = (1 << bits) - 1 if bits else 0
        h, w, width = self.stream.shape
        weights = self.random.integers(-7, 8, (height, width))
        source = self.stream.dtype
        low = np.minimum(weights, 0).sum(1) * source.max
        high = np.maximum(weights, 0).sum(1) * source.max
        accumulator = Integer.covering(min(int(low.min()), -1), int(high.max()))
        arrays: dict[str, IntArray] = {"weights": weights}
        if levels:
            spread = np.sqrt((weights**2).sum(1)) * source.max / np.sqrt(12)
            middle = weights.sum(1) * source.max / 2
            steps = [NormalDist().inv_cdf((k + 1) / (levels + 1)) for k in range(levels)]
            table = middle[:, None] + spread[:, None] * np.array(steps) / 2
            arrays["thresholds"] = np.round(table).astype(np.int64)
        layer = Matrix(
            self.stream.shape, source, (h, w, height), Integer(bits) if bits else accumulator,
            columns=width, weight_bits=4, levels=levels, accumulator=accumulator, arrays=arrays,
        )  # fmt: skip
        self.lower(layer, Fold(simd, pe))

    def maximum(self) -> None:
        """The maximum of 2x2."""
        h, w, c = self.stream.shape
        window = Window((2, 2), (2, 2), (0, 0, 0, 0))
        dtype, lanes = self.stream.dtype, self.stream.lanes
        layer = Pooling((h, w, c), dtype, (h // 2, w // 2, c), dtype, window=window)
        self.lower(layer, Fold(lanes, lanes))

    def sum(self, dtype: Integer | None = None) -> None:
        """The sum of the whole map."""
        h, w, c = self.stream.shape
        source, lanes = self.stream.dtype, self.stream.lanes
        result = dtype or Integer.covering(0, h * w * source.max)
        layer = Pooling((h, w, c), source, (1, 1, c), result, function="sum")
        self.lower(layer, Fold(lanes, lanes))

    def flatten(self, lanes: int) -> None:
        """The whole map as one vector, `lanes` a beat."""
        self.adapt(self.stream.shape, lanes)
        flat = Stream((1, 1, self.stream.elements), self.stream.dtype, self.stream.lanes)
        self.stream = flat

    def chain(self) -> Dataflow:
        """All kernels, with FIFOs of two words until they are sized."""
        return self.dataflow(self.first)


def accelerator(
    stages: tuple[Stage, ...] = SMALL,
    *,
    size: int = 8,
    classes: int = 10,
    bits: int = 4,
    seed: int = 0,
    sized: bool = True,
) -> Accelerator:
    """A random accelerator for `size` x `size` x 1 images of 8 bits.

    Args:
        stages: one per exit.
        size: height and width of the image.
        classes: logits of every head.
        bits: of the activations.
        seed: of the weights.
        sized: choose FIFO depths with `exeunt.reference.pipeline`; else two words each.
    """
    from exeunt.reference import pipeline

    arrays: dict[str, IntArray] = {}
    stream = Stream((size, size, 1), Integer(8), 1)
    segments, heads = [], []
    for i, stage in enumerate(stages):
        body = _Builder(f"seg{i}", stream, seed * 100 + 2 * i)
        body.convolution(
            stage.channels, simd=stage.simd, pe=stage.pe, bits=bits, parallel=stage.parallel
        )
        if stage.pool:
            body.maximum()
        stream = body.stream
        head = _Builder(f"head{i}", stream, seed * 100 + 2 * i + 1)
        if stage.reduce:
            head.sum()
        head.flatten(stage.head_simd)
        head.matrix(classes, simd=stage.head_simd, pe=stage.head_pe)
        arrays |= body.arrays | head.arrays
        segment_chain, head_chain = body.chain(), head.chain()
        if sized:
            segment_chain, head_chain = pipeline.with_depths(segment_chain, head_chain)
        segments.append(segment_chain)
        heads.append(head_chain)
    return Accelerator("sample", tuple(segments), tuple(heads), (1.0,) * len(stages), arrays)


def pooling() -> Accelerator:
    """Three exits without weights: 2x2 maximum pools, and sums as logits of four classes.

    The smallest accelerator that uses the whole controller; 16 x 16 x 4 images of 8 bits.
    """
    stream = Stream((16, 16, 4), Integer(8), 2)
    segments, heads = [], []
    for i in range(3):
        body = _Builder(f"seg{i}", stream, 0)
        body.maximum()
        stream = body.stream
        head = _Builder(f"head{i}", stream, 0)
        head.sum(Integer(17, signed=True))
        segments.append(body.chain())
        heads.append(head.chain())
    return Accelerator("pooling", tuple(segments), tuple(heads), (1.0, 1.0, 1.0), {})


def residual(*, lanes: int = 2, seed: int = 0) -> Accelerator:
    """Two exits whose segments part and meet: a sum with two scales, and a concatenation.

    8 x 8 x 2 images of 8 bits; `lanes` of every layer that can have as many.
    """
    from exeunt.kernels.lowering import lower
    from exeunt.reference import pipeline

    random = np.random.default_rng(seed)
    four, wide = Integer(4), Integer(8, signed=True)
    size = (8, 8, 4)

    def levels(shape: tuple[int, int, int], source: Integer, behind: int = 1) -> Levels:
        part = 1 if source.bits <= 8 else 16  # sums lie in the middle of what they could be
        middle, span = (source.max + source.min) / 2, (source.max - source.min) / 2 / part
        rows = np.sort(np.round(middle + span * random.uniform(-1, 1, (shape[2], 15))), axis=1)
        return Levels(
            shape, source, shape, four, levels=15, behind=(behind,),
            arrays={"thresholds": rows.astype(np.int64)},
        )  # fmt: skip

    def convolution(height: int, source: Integer, channels: int) -> list[Layer]:
        weights = random.integers(-7, 8, (height, 9 * channels))
        found = Integer.covering(-7 * 9 * channels * source.max, 7 * 9 * channels * source.max)
        shape, window = (8, 8, channels), Window((3, 3), (1, 1), (1, 1, 1, 1))
        matrix = Matrix(
            (8, 8, 9 * channels), source, (8, 8, height), found, columns=9 * channels,
            weight_bits=4, accumulator=found, arrays={"weights": weights},
        )  # fmt: skip
        return [
            Windows(shape, source, (8, 8, 9 * channels), source, window=window),
            matrix, levels((8, 8, height), found),
        ]  # fmt: skip

    def head(channels: int) -> list[Layer]:
        weights = random.integers(-7, 8, (4, channels))
        total = Integer.covering(0, 64 * 15)
        logits = Integer.covering(-7 * channels * total.max, 7 * channels * total.max)
        return [
            Pooling((8, 8, channels), four, (1, 1, channels), total, function="sum"),
            Matrix(
                (1, 1, channels), total, (1, 1, 4), logits, columns=channels, weight_bits=4,
                accumulator=logits, arrays={"weights": weights},
            ),
        ]  # fmt: skip

    summed = Integer.covering(-3 * 15, 2 * 15)
    first = [
        *convolution(4, Integer(8), 2),
        *convolution(4, four, 4),
        Addition(size, four, size, summed, other=size, other_source=four, factors=(2, -3),
                 behind=(1, 4)),
        levels(size, summed),
    ]  # fmt: skip
    narrow = levels(size, four)
    second = [
        narrow,
        *convolution(2, four, 4),
        Concatenation((8, 8, 2), four, (8, 8, 6), wide, other=size, other_source=four,
                      factors=(1, 3), behind=(1, 4)),
        levels((8, 8, 6), wide),
    ]  # fmt: skip
    arrays: dict[str, IntArray] = {}
    chains: list[Dataflow] = []
    stream = Stream((8, 8, 2), Integer(8), min(lanes, 2))
    for name, layers in (("seg0", first), ("head0", head(4)), ("seg1", second), ("head1", head(6))):
        folds = [
            next(f for f in foldings(y) if f.pe == math.gcd(lanes, y.output[2]) and not f.parallel)
            for y in layers
        ]
        made, found = lower(name, layers, folds, source=stream)
        arrays |= found
        chains.append(made)
        if name.startswith("seg"):
            stream = made.output
    pairs = [pipeline.with_depths(*pair) for pair in (chains[:2], chains[2:])]
    return Accelerator(
        "residual", tuple(p[0] for p in pairs), tuple(p[1] for p in pairs), (1.0, 1.0), arrays
    )


def tangled(seed: int, *, size: int = 4, steps: int = 6) -> Accelerator:
    """One exit behind a random graph of convolutions, thresholds, sums and concatenations.

    `size` x `size` x 2 images of 8 bits, four classes; lanes are random.

    Args:
        seed: of shape, lanes and numbers.
        size: height and width of every map.
        steps: layers, copies for a further reader among them; what is then open is concatenated.
    """
    from exeunt.kernels.lowering import lower
    from exeunt.reference import pipeline

    random = np.random.default_rng(seed)
    made = _Tangle((size, size, 2), random)
    for _ in range(steps):
        made.step()
    layers = made.closed()
    channels = layers[-1].output[2]
    total = Integer.covering(0, size * size * layers[-1].result.max)
    weights = random.integers(-7, 8, (4, channels))
    logits = Integer.covering(-7 * channels * total.max, 7 * channels * total.max)
    head: list[Layer] = [
        Pooling(
            layers[-1].output, layers[-1].result, (1, 1, channels), total, function="sum"
        ),
        Matrix(
            (1, 1, channels), total, (1, 1, 4), logits, columns=channels, weight_bits=4,
            accumulator=logits, arrays={"weights": weights},
        ),
    ]  # fmt: skip
    arrays: dict[str, IntArray] = {}
    chains: list[Dataflow] = []
    stream = Stream((size, size, 2), Integer(8), int(random.choice([1, 2])))
    for name, found in (("seg0", layers), ("head0", head)):
        folds = [random.choice(list(foldings(layer))) for layer in found]  # type: ignore[arg-type]
        chain, more = lower(name, found, folds, source=stream)
        stream, arrays = chain.output, arrays | more
        chains.append(chain)
    segment, last = pipeline.with_depths(*chains)
    return Accelerator(f"tangled{seed}", (segment,), (last,), (1.0,), arrays)


_Open: TypeAlias = tuple[int, tuple[int, int, int], Integer]  # place, shape and type of a layer


class _Tangle:
    """Layers of maps of one size; `open` are those that still want a reader, by their place."""

    def __init__(self, shape: tuple[int, int, int], random: np.random.Generator) -> None:
        self.layers: list[Layer] = []
        self.random = random
        self.open: list[_Open] = [(-1, shape, Integer(8))]

    def step(self) -> None:
        """A layer more, or a reader more for what is there."""
        kind = self.random.choice(["levels", "convolution", "again", "again", "sum", "channels"])
        order = self.random.permutation(len(self.open))
        first = self.open[order[0]]
        if kind == "again":
            self.open.append(first)
        elif kind == "levels" or first[2].bits > WIDE:
            self._levels(first)
        elif kind == "convolution":
            self._convolution(first)
        else:
            for other in (self.open[n] for n in order[1:]):
                if other[2].bits <= WIDE and (kind == "channels" or other[1] == first[1]):
                    self._join(first, other, concat=kind == "channels")
                    break

    def closed(self) -> list[Layer]:
        """All layers: what was open is put together and made 3 bits wide."""
        for wide in [o for o in self.open if o[2].bits > WIDE]:
            self._levels(wide)
        while len(self.open) > 1:
            self._join(self.open[0], self.open[1], concat=True)
        self._levels(self.open[0], bits=3)
        return self.layers

    def _add(self, layer: Layer, *taken: _Open) -> None:
        self.layers.append(layer)
        for one in taken:
            self.open.remove(one)
        self.open.append((len(self.layers) - 1, layer.output, layer.result))

    def _behind(self, place: int) -> int:
        return len(self.layers) - place

    def _levels(self, source: _Open, bits: int = 0) -> None:
        place, shape, dtype = source
        result = Integer(bits or int(self.random.integers(1, 5)))
        span = (dtype.max - dtype.min) / (2 if dtype.bits <= 8 else 16)
        middle = (dtype.max + dtype.min) / 2
        rows = middle + span * self.random.uniform(-1, 1, (shape[2], result.max))
        self._add(
            Levels(
                shape, dtype, shape, result, levels=result.max, behind=(self._behind(place),),
                arrays={"thresholds": np.sort(np.round(rows).astype(np.int64), axis=1)},
            ),
            source,
        )  # fmt: skip

    def _convolution(self, source: _Open) -> None:
        place, (h, w, c), dtype = source
        if dtype.bits > 8 or dtype.signed:
            self._levels(source)
            return self._convolution(self.open[-1])
        rows = int(self.random.integers(1, 5))
        window = Window((3, 3), (1, 1), (1, 1, 1, 1))
        self._add(
            Windows((h, w, c), dtype, (h, w, 9 * c), dtype, window=window,
                    behind=(self._behind(place),)),
            source,
        )  # fmt: skip
        bound = 63 * c * dtype.max
        found = Integer.covering(-bound, bound)
        self._add(
            Matrix(
                (h, w, 9 * c), dtype, (h, w, rows), found, columns=9 * c, weight_bits=4,
                accumulator=found,
                arrays={"weights": self.random.integers(-7, 8, (rows, 9 * c))},
            ),
            self.open[-1],
        )  # fmt: skip
        return self._levels(self.open[-1])

    def _join(
        self,
        first: _Open,
        other: _Open,
        *,
        concat: bool,
    ) -> None:
        factors = (int(self.random.integers(-3, 6)), int(self.random.integers(-3, 6)))
        ends = [
            sorted((f * t.min, f * t.max))
            for f, (_, _, t) in zip(factors, (first, other), strict=True)
        ]
        if concat:
            result = Integer.covering(min(e[0] for e in ends), max(e[1] for e in ends))
        else:
            result = Integer.covering(sum(e[0] for e in ends), sum(e[1] for e in ends))
        kind = Concatenation if concat else Addition
        h, w, c = first[1]
        output = (h, w, c + other[1][2] if concat else c)
        layer = kind(
            first[1], first[2], output, result, other=other[1], other_source=other[2],
            factors=factors, behind=(self._behind(first[0]), self._behind(other[0])),
        )  # fmt: skip
        self._add(layer, first, other)


def without_exits(full: Accelerator) -> Accelerator:
    """The same backbone with its last head alone: one chain, one exit."""
    body = reduce(Dataflow.then, full.segments)
    head = dataclasses.replace(full.heads[-1], name="head0")
    return dataclasses.replace(
        full, segments=(body,), heads=(head,), logit_scales=full.logit_scales[-1:]
    )


def images(count: int, *, size: int = 8, channels: int = 1, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Random uint8 images (count, size, size, channels): smooth blobs, so that scores vary."""
    if channels > 1:
        planes = [images(count, size=size, seed=seed * channels + c) for c in range(channels)]
        return np.concatenate(planes, axis=3)
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:size, 0:size] / size
    middle = random.uniform(0, 1, (count, 2, 1, 1))
    width = random.uniform(0.1, 0.6, (count, 1, 1))
    blob = np.exp(-((y - middle[:, 0]) ** 2 + (x - middle[:, 1]) ** 2) / width**2)
    noise = random.uniform(0, 0.3, (count, size, size))
    return np.clip(255 * (0.8 * blob + noise), 0, 255).astype(np.uint8)[..., None]
