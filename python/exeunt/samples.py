"""Small random accelerators: for tests, benches and a first look at a tool chain.

They have the shapes of trained networks (convolution, pool, linear heads), random weights, and
thresholds placed so that all output levels occur.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from exeunt.graph import Accelerator, Chain, IntArray, Integer, Node, Stream
from exeunt.kernels.mvu import Mvu
from exeunt.kernels.pool import Pool
from exeunt.kernels.reduce import Reduce
from exeunt.kernels.swg import Swg
from exeunt.kernels.width import Width


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


class _Builder:
    """Appends nodes to a chain, converting lanes where they differ."""

    def __init__(self, name: str, stream: Stream, arrays: dict[str, IntArray], seed: int) -> None:
        self.name = name
        self.first = stream
        self.stream = stream
        self.nodes: list[Node] = []
        self.arrays = arrays
        self.random = np.random.default_rng(seed)

    def _name(self, kind: str) -> str:
        return f"{self.name}_{len(self.nodes)}_{kind}"

    def _add(self, node: Node) -> None:
        self.nodes.append(node)
        self.stream = node.output

    def lanes(self, lanes: int) -> None:
        """Convert to `lanes` elements a beat."""
        if self.stream.lanes != lanes:
            assert max(self.stream.lanes, lanes) % min(self.stream.lanes, lanes) == 0, self.name
            flat = Stream((1, 1, self.stream.elements), self.stream.dtype, lanes)
            shape = self.stream.shape if self.stream.shape[2] % lanes == 0 else flat.shape
            out = Stream(shape, self.stream.dtype, lanes)
            self._add(Width(self._name("width"), self.stream, out))

    def swg(self, lanes: int, *, parallel: bool) -> None:
        """3x3 windows with padding 1."""
        h, w, c = self.stream.shape
        self.lanes(c if parallel else lanes)
        out = Stream((h, w, 9 * c), self.stream.dtype, 9 * c if parallel else lanes)
        self._add(
            Swg(self._name("swg"), self.stream, out, kernel=(3, 3), pad=(1, 1, 1, 1),
                parallel=parallel)
        )  # fmt: skip

    def mvu(self, height: int, *, simd: int, pe: int, bits: int, levels: int) -> None:
        """Matrix-vector unit of random 4 bit weights; `levels` 0 gives accumulators."""
        self.lanes(simd)
        h, w, width = self.stream.shape
        weights = self.random.integers(-7, 8, (height, width))
        low = np.minimum(weights, 0).sum(1) * self.stream.dtype.max
        high = np.maximum(weights, 0).sum(1) * self.stream.dtype.max
        accumulator = Integer.covering(min(int(low.min()), -1), int(high.max()))
        dtype = Integer(bits) if levels else accumulator
        node = Mvu(
            self._name("mvu"), self.stream, Stream((h, w, height), dtype, pe),
            weight_bits=4, accumulator=accumulator, levels=levels,
        )  # fmt: skip
        self.arrays[f"{node.name}.weights"] = weights
        if levels:
            spread = np.sqrt((weights**2).sum(1)) * self.stream.dtype.max / np.sqrt(12)
            middle = weights.sum(1) * self.stream.dtype.max / 2
            steps = [NormalDist().inv_cdf((k + 1) / (levels + 1)) for k in range(levels)]
            table = middle[:, None] + spread[:, None] * np.array(steps) / 2
            self.arrays[f"{node.name}.thresholds"] = np.round(table).astype(np.int64)
        self._add(node)

    def pool(self) -> None:
        """2x2 maximum."""
        h, w, c = self.stream.shape
        out = Stream((h // 2, w // 2, c), self.stream.dtype, self.stream.lanes)
        self._add(Pool(self._name("pool"), self.stream, out))

    def reduce(self) -> None:
        """Global sum."""
        h, w, c = self.stream.shape
        dtype = Integer.covering(0, h * w * self.stream.dtype.max)
        out = Stream((1, 1, c), dtype, self.stream.lanes)
        self._add(Reduce(self._name("reduce"), self.stream, out, function="sum", count=h * w))

    def flatten(self, lanes: int) -> None:
        """The whole map as one vector, `lanes` a beat."""
        self.lanes(lanes)
        flat = Stream((1, 1, self.stream.elements), self.stream.dtype, self.stream.lanes)
        self.stream = flat

    def chain(self) -> Chain:
        """The chain, with FIFOs of two words until they are sized."""
        return Chain(self.name, self.first, tuple(self.nodes), (2,) * len(self.nodes))


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
    levels = (1 << bits) - 1
    segments, heads = [], []
    for i, stage in enumerate(stages):
        body = _Builder(f"seg{i}", stream, arrays, seed * 100 + 2 * i)
        swg_lanes = np.gcd(stage.simd, stream.shape[2]) if stage.simd > 1 else 1
        body.swg(int(swg_lanes), parallel=stage.parallel)
        body.mvu(stage.channels, simd=stage.simd, pe=stage.pe, bits=bits, levels=levels)
        if stage.pool:
            body.pool()
        stream = body.stream
        head = _Builder(f"head{i}", stream, arrays, seed * 100 + 2 * i + 1)
        if stage.reduce:
            head.reduce()
        head.flatten(stage.head_simd)
        head.mvu(classes, simd=stage.head_simd, pe=stage.head_pe, bits=0, levels=0)
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
    streams = [Stream((n, n, 4), Integer(8), 2) for n in (16, 8, 4, 2)]
    segments, heads = [], []
    for i, (x, y) in enumerate(pairwise(streams)):
        segments.append(Chain(f"seg{i}", x, (Pool(f"seg{i}_pool", x, y),), (2,)))
        count = y.shape[0] * y.shape[1]
        logits = Stream((1, 1, 4), Integer(17, signed=True), 2)
        total = Reduce(f"head{i}_sum", y, logits, function="sum", count=count)
        heads.append(Chain(f"head{i}", y, (total,), (2,)))
    return Accelerator("pooling", tuple(segments), tuple(heads), (1.0, 1.0, 1.0), {})


def without_exits(full: Accelerator) -> Accelerator:
    """The same backbone with its last head alone: one chain, one exit."""
    nodes = tuple(n for s in full.segments for n in s.nodes)
    fifos = tuple(d for s in full.segments for d in s.fifos)
    body = Chain("seg0", full.segments[0].input, nodes, fifos)
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
