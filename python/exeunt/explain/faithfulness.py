"""How far a map in integers says what the map without rounding says, in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from exeunt.graph import Accelerator
from exeunt.reference.network import modified
from exeunt.reference.prepared import Prepared

Numbers = npt.NDArray[Any]
STEPS = 20  # shares of the pixels that are flipped
ORDERS = 3  # random ones


def ranks(values: Numbers) -> npt.NDArray[np.float64]:
    """Ranks of a vector (n,), equal values at their mean rank."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(count)
    return (ends - (count - 1) / 2)[place.reshape(-1)]


def spearman(a: Numbers, b: Numbers) -> float:
    """Mean rank correlation of maps (N, ...); where both hold but one value 1, where one does 0."""
    found = []
    for x, y in zip(a.reshape(len(a), -1), b.reshape(len(b), -1), strict=True):
        p, q = ranks(x), ranks(y)
        p, q = p - p.mean(), q - q.mean()
        size = float(np.sqrt((p @ p) * (q @ q)))
        found.append(float(p @ q) / size if size else float(not p.any() and not q.any()))
    return float(np.mean(found))


def top_overlap(a: Numbers, b: Numbers, share: float = 0.1) -> float:
    """How much of the most relevant share of the pixels (N, H, W) both have, on average."""
    found = []
    for x, y in zip(a.reshape(len(a), -1), b.reshape(len(b), -1), strict=True):
        size = max(1, round(share * len(x)))
        first, second = (set(np.argsort(-z, kind="stable")[:size]) for z in (x, y))
        found.append(len(first & second) / size)
    return float(np.mean(found))


def relevance(maps: Numbers, method: str) -> npt.NDArray[np.float64]:
    """How relevant each pixel is, (N, H, W): of a gradient the size, else the sum of channels."""
    values = np.asarray(maps, np.float64)
    return np.abs(values).sum(axis=3) if method == "saliency" else values.sum(axis=3)


def enlarged(relevant: npt.NDArray[np.float64], size: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Maps (N, h, w) in the size of the image, each pixel as the nearest one, so Grad-CAM's."""
    rows = np.arange(size[0]) * relevant.shape[1] // size[0]
    columns = np.arange(size[1]) * relevant.shape[2] // size[1]
    return relevant[:, rows][:, :, columns]


class Flips:
    """Flips pixels to the mean image, the most relevant ones first.

    Args:
        accelerator: the compiled graph.
        exit_index: whose answer is watched.
        images: uint8 (N, H, W, C).
        classes: int64 (N,), whose probability is watched.
        base: (H, W, C), what pixels become.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        exit_index: int,
        images: npt.NDArray[np.uint8],
        classes: npt.NDArray[np.int64],
        base: Numbers,
    ) -> None:
        self._logits = _logits(accelerator, exit_index)
        self._scale = accelerator.logit_scales[exit_index]
        self._images, self._classes = images, classes
        self._base = np.rint(base).astype(np.uint8)

    def auc(self, relevant: Numbers) -> float:
        """Area under the class's probability, 0..1, for relevance (N, H, W)."""
        count, pixels = len(self._images), relevant[0].size
        order = np.argsort(-relevant.reshape(count, pixels), axis=1, kind="stable")
        place = np.empty_like(order)
        np.put_along_axis(place, order, np.broadcast_to(np.arange(pixels), order.shape), axis=1)
        place = place.reshape(*self._images.shape[:3], 1)
        curve = []
        for step in range(STEPS + 1):
            flipped = place < round(step * pixels / STEPS)
            logits = self._logits(np.where(flipped, self._base, self._images))
            powers = np.exp((logits - logits.max(axis=1, keepdims=True)) * self._scale)
            chosen = powers[np.arange(count), self._classes] / powers.sum(axis=1)
            curve.append(float(chosen.mean()))
        return float((np.sum(curve) - (curve[0] + curve[-1]) / 2) / STEPS)

    def random(self, seed: int = 0) -> float:
        """The same in random order, mean of several."""
        source = np.random.default_rng(seed)
        shape = self._images.shape[:3]
        return float(np.mean([self.auc(source.random(shape)) for _ in range(ORDERS)]))


def _logits(
    accelerator: Accelerator, exit_index: int
) -> Callable[[npt.NDArray[np.uint8]], Numbers]:
    prepared = Prepared(accelerator)

    def run(images: npt.NDArray[np.uint8]) -> Numbers:
        x: Numbers = modified(accelerator, images).reshape(len(images), -1)
        for stage in range(exit_index + 1):
            x, logits = prepared.stage(stage, x)
        return np.asarray(logits, np.float64).copy()

    return run
