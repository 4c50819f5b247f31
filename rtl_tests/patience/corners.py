"""Corners of `ex_patience`: one beat or many, odd lane counts, narrowest and widest logits."""

import numpy as np
import numpy.typing as npt
from lib.carry_block import corner

SIZES = (
    (1, 10, 14), (5, 10, 12), (10, 10, 31), (1, 2, 2), (2, 2, 8), (3, 9, 16), (7, 7, 5),
    (4, 100, 20), (1, 3, 31), (20, 1000, 9),
    (100, 100, 6), (33, 66, 4),
)  # fmt: skip
CORNERS = [corner("patience", *size) for size in SIZES]


def carried(rng: np.random.Generator, frames: int, classes: int) -> npt.NDArray[np.int64]:
    """Nothing yet, or any class that up to seven exits gave; class 0 is frequent."""
    runs = rng.integers(0, 8, frames)
    classes = rng.integers(0, classes, frames) * rng.integers(0, 2, frames)
    return np.stack([np.where(runs > 0, classes, 0), runs], axis=1).astype(np.int64)
