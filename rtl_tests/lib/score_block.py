"""Corners and references of score blocks, for the standard test of `lib.bench`.

A score block is a stream block like a kernel: logits in, one word {score, class} per frame out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from lib.bench import Corner, check_stream_block, stream_ports

from exeunt import criteria
from exeunt.criteria import Criterion, Logits
from exeunt.graph import IntArray, Integer, Node, Stream

FRAMES = 12


@dataclass(frozen=True)
class Score(Node):
    """The score block of `criterion` as a node: (1, 1, classes) logits to one word."""

    kind: ClassVar[str] = "score"
    criterion: str = criteria.DEFAULT
    scale: float = 1.0

    @property
    def of(self) -> Criterion:
        return criteria.get(self.criterion)

    @property
    def logits(self) -> Logits:
        stream = self.input
        return Logits(stream.elements, stream.lanes, stream.dtype.bits, self.scale)


def corner(criterion: str, lanes: int, classes: int, bits: int, scale: float = 1.0) -> Corner:
    """The score block of a criterion for `classes` logits of `bits` bits, `lanes` a beat."""
    logits = Logits(classes, lanes, bits, scale)
    found = criteria.get(criterion)
    name = f"{criterion}_lanes{lanes}_classes{classes}_bits{bits}"
    name += "" if scale == 1 else f"_scale{scale:g}".replace(".", "p")
    width = found.score_bits(logits) + logits.class_bits
    node = Score(
        name,
        Stream((1, 1, classes), Integer(bits, signed=True), lanes),
        Stream((1, 1, 1), Integer(width), 1),
        criterion=criterion,
        scale=scale,
    )
    return Corner(
        name=name,
        module=found.module,
        parameters={
            "PE": lanes, "CLASSES": classes, "BITS": bits, **found.parameters(logits, name),
        },
        ports=stream_ports(node.input.width, width),
        node=node,
        reference=__name__,
        sleeps=found.sleeps,
        memories=found.memories(logits, name),
    )  # fmt: skip


def check(criterion: str, corners: list[Corner]) -> None:
    """The standard test: values and exact cycles, stalls against idles, a reset in mid-frame."""
    check_stream_block(criterion, corners, frames=FRAMES)


def inputs(node: Score, frames: int, seed: int) -> npt.NDArray[np.int64]:
    """Frames (N, 1, 1, classes): uniform, tied, extreme, constant and repeated ones."""
    rng = np.random.default_rng(seed)
    low, high = node.input.dtype.min, node.input.dtype.max
    x = rng.integers(low, high + 1, (frames, *node.input.shape))
    x[1::4] = rng.integers(max(low, -2), min(high, 1) + 1, x[1::4].shape)
    x[2] = np.where(rng.random(x[2].shape) < 0.5, low, high)
    x[3], x[4] = low, high
    x[6], x[6, ..., -1] = low, high
    x[7:11], x[7:11, ..., 0] = low, high
    return x.astype(np.int64)


def values(node: Score, arrays: Mapping[str, IntArray], x: IntArray) -> npt.NDArray[np.int64]:
    """Words (N, 1, 1, 1): class in the low bits, the signed score above it."""
    del arrays
    frames = x.reshape(len(x), -1)
    if node.of.history is not None:  # a run begins with a reset
        (classes, scores), _ = node.of.history.values(frames, node.of.history.first)
    else:
        classes, scores = node.of.values(frames, scale=node.scale)
    bits = node.of.score_bits(node.logits)
    assert abs(2 * scores + 1).max() < 1 << bits, "score_bits says too few"
    word = (scores & ((1 << bits) - 1)) << node.logits.class_bits | classes
    return word.reshape(-1, 1, 1, 1).astype(np.int64)


def times(
    node: Score, offered: npt.NDArray[np.int64], ready: npt.NDArray[np.int64] | None = None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The criterion's own."""
    return node.of.times(node.logits, offered, ready)
