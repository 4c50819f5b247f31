"""Graphs whose explanations are tested, here and in RTL."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np

from exeunt import samples
from exeunt.graph import Accelerator, Integer, Stream
from exeunt.kernels.layer import Matrix, Pooling
from exeunt.kernels.lowering import lower
from exeunt.kernels.registry import foldings
from exeunt.window import Window


def compiled(layers: list[list[Any]], image: Stream, seed: int) -> Accelerator:
    """One exit of random foldings: layers of the segment, layers of the head."""
    random = np.random.default_rng(seed)
    arrays, chains, stream = {}, [], image
    for name, found in zip(("seg0", "head0"), layers, strict=True):
        folds = [random.choice(list(foldings(layer))) for layer in found]
        chain, more = lower(name, found, folds, source=stream)
        stream, arrays = chain.output, arrays | more
        chains.append(chain)
    return Accelerator("made", (chains[0],), (chains[1],), (1.0,), arrays)


def _depthwise(seed: int, groups: int, function: str, overlapping: bool) -> Accelerator:
    """A grouped convolution, a pool (overlapping windows or tiles), a dense head."""
    random = np.random.default_rng(seed)
    four, byte, wide = Integer(4), Integer(8), Integer(20, signed=True)
    columns = 9 * 4 // groups
    weights = random.integers(-7, 8, (8, columns))
    low = np.minimum(weights, 0).sum(1)[:, None] * 255
    high = np.maximum(weights, 0).sum(1)[:, None] * 255
    levels = np.round(low + (high - low) * (0.3 + 0.03 * np.arange(15))).astype(np.int64)
    convolution = Matrix(
        (7, 7, 4), byte, (7, 7, 8), four, columns=columns, groups=groups, weight_bits=4, levels=15,
        window=Window((3, 3), (1, 1), (1, 1, 1, 1)), accumulator=wide,
        arrays={"weights": weights, "thresholds": levels},
    )  # fmt: skip
    window = (
        Window((3, 3), (2, 2), (1, 1, 1, 1)) if overlapping else Window((2, 2), (2, 2), (0,) * 4)
    )
    size = 4 if overlapping else 3
    pooled = four if function == "max" else Integer(8)
    pool = Pooling((7, 7, 8), four, (size, size, 8), pooled, function=function, window=window)
    head = random.integers(-7, 8, (5, size * size * 8))
    matrix = Matrix(
        (1, 1, size * size * 8), pooled, (1, 1, 5), wide, columns=size * size * 8, weight_bits=4,
        accumulator=wide, arrays={"weights": head}, flat=True,
    )  # fmt: skip
    return compiled([[convolution, pool], [matrix]], Stream((7, 7, 4), byte, 1), seed)


GRAPHS = {
    "three exits": lambda: samples.accelerator(seed=5),
    "sums and concatenation": lambda: samples.residual(seed=3),
    "pools alone": samples.pooling,
    **{
        f"tangled {seed}": functools.partial(samples.tangled, seed, steps=9)
        for seed in (1, 2, 6, 7, 9, 12)
    },
    "depthwise": lambda: _depthwise(0, 4, "max", False),
    "groups, overlapping maximum": lambda: _depthwise(1, 2, "max", True),
    "overlapping sum": lambda: _depthwise(2, 1, "sum", True),
    "tiled sum with a rest": lambda: _depthwise(3, 4, "sum", False),
}


def straight(accelerator: Accelerator) -> Accelerator:
    """The same with the thresholds of each channel at equal distances, as quantizers have them."""
    arrays = dict(accelerator.arrays)
    for name, table in arrays.items():
        if name.endswith(".thresholds"):
            step = np.maximum((table[:, -1:] - table[:, :1]) / max(table.shape[1] - 1, 1), 1)
            arrays[name] = np.ceil(table[:, :1] + step * np.arange(table.shape[1])).astype(np.int64)
    return dataclasses.replace(accelerator, arrays=arrays)


def frames(accelerator: Accelerator, count: int = 6, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (count, *accelerator.image_shape)).astype(np.uint8)
