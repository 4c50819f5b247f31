"""What a rule may ask of a frame: integers over all its values, which a stream can have.

Each is the floor of a fraction, so that `value >= t` is `top >= t * bottom`: nothing is divided in
hardware. A frame is (H, W, C), y its row, x its column, p a value, 0 to 255; N = H * W * C.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Frames = npt.NDArray[np.uint8]
Values = npt.NDArray[np.int64]
Shape = tuple[int, int, int]

LEVEL = 16  # steps of a grey level, and of a pixel
SHARE = 1024  # steps of a share


@dataclass(frozen=True)
class Statistic:
    """A statistic: its range for a shape, and how people read it.

    text: what it is, as in "`text` is below 12.5%".
    unit: "level", "share" or "pixel"; a value of 1 is 1/16 level, 1/1024 or 1/16 pixel.
    bounds: smallest and largest value for frames of a shape.
    """

    name: str
    text: str
    unit: str
    bounds: Callable[[Shape], tuple[int, int]]


def _levels(shape: Shape) -> tuple[int, int]:
    del shape
    return 0, 255 * LEVEL


def _shares(shape: Shape) -> tuple[int, int]:
    del shape
    return 0, SHARE


def _rows(shape: Shape) -> tuple[int, int]:
    return 0, LEVEL * (shape[0] - 1)


def _columns(shape: Shape) -> tuple[int, int]:
    return 0, LEVEL * (shape[1] - 1)


def _slants(shape: Shape) -> tuple[int, int]:
    half = LEVEL // 2 * (shape[1] - 1)
    return -half, half


STATISTICS: Mapping[str, Statistic] = {
    s.name: s
    for s in (
        Statistic("mean", "the mean", "level", _levels),
        Statistic("contrast", "the mean difference to the left neighbour", "level", _levels),
        Statistic("ink", "the share of ink", "share", _shares),
        Statistic("edges", "the share of edges", "share", _shares),
        Statistic("row", "the row of the centre of mass", "pixel", _rows),
        Statistic("column", "the column of the centre of mass", "pixel", _columns),
        Statistic("slant", "the slant", "pixel", _slants),
    )
}


def measure(
    frames: Frames, *, ink: int, edge: int, names: Collection[str] = tuple(STATISTICS)
) -> dict[str, Values]:
    """Statistics of N frames, int64 (N,) by name.

    mean      = floor(16 * sum p / N)
    contrast  = floor(16 * sum |p - left| / N), left = p's left neighbour in its channel, or p
                itself in the first column
    ink       = floor(1024 * #{p >= ink} / N)
    edges     = floor(1024 * #{|p - left| >= edge} / N)
    row       = floor(16 * sum y p / sum p)
    column    = floor(16 * sum x p / sum p)
    slant     = floor(16 * sum q p / sum p) - 8 (W - 1), q = x in the lower half (2 y >= H) and
                W - 1 - x in the upper one: how far ink lies to the right below, to the left above
    A frame of zeros has the largest row, column and slant that there is.

    Args:
        frames: uint8 (N, H, W, C).
        ink: a value from this on is ink, 1 to 255.
        edge: a difference from this on is an edge, 1 to 255.
        names: the statistics that are wanted.
    """
    count, height, width, channels = frames.shape
    values = frames.astype(np.int64)
    size = height * width * channels
    total = values.sum(axis=(1, 2, 3))
    steps = np.abs(np.diff(values, axis=2))
    at_rows = values.sum(axis=(2, 3)) if {"row"} & set(names) else np.zeros((count, 0), np.int64)
    found: dict[str, Values] = {}
    for name in names:
        if name == "mean":
            found[name] = LEVEL * total // size
        elif name == "contrast":
            found[name] = LEVEL * steps.sum(axis=(1, 2, 3)) // size
        elif name == "ink":
            found[name] = SHARE * (values >= ink).sum(axis=(1, 2, 3)) // size
        elif name == "edges":
            found[name] = SHARE * (steps >= edge).sum(axis=(1, 2, 3)) // size
        else:
            if name == "row":
                moment = at_rows @ np.arange(height)
            else:
                at = np.arange(width)
                upper, lower = values[:, : (height + 1) // 2], values[:, (height + 1) // 2 :]
                moment = lower.sum(axis=(1, 3)) @ at
                moment = moment + upper.sum(axis=(1, 3)) @ (at if name == "column" else at[::-1])
            low, high = STATISTICS[name].bounds((height, width, channels))
            shared = LEVEL * moment // np.maximum(total, 1) + min(low, 0)
            found[name] = np.where(total > 0, shared, high)
    return found
