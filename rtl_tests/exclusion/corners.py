"""Corners of `ex_exclusion`: one beat or many, odd lane counts, narrowest and widest logits."""

import numpy as np
import numpy.typing as npt
from lib.carry_block import corner

SIZES = (
    (1, 10, 14), (5, 10, 12), (10, 10, 31), (1, 2, 2), (2, 2, 8), (3, 9, 16), (7, 7, 5),
    (4, 100, 20), (16, 16, 6), (1, 3, 31), (20, 1000, 9),
    (100, 100, 6), (33, 66, 4),
)  # fmt: skip
CORNERS = [corner("exclusion", *size) for size in SIZES]


def carried(rng: np.random.Generator, frames: int, classes: int) -> npt.NDArray[np.bool_]:
    """Two classes at least are left: all of them, half, or two."""
    share = np.resize([1.0, 0.5, 0.0], frames)
    left: npt.NDArray[np.bool_] = rng.random((frames, classes)) < share[:, None]
    for row in left:
        row[rng.choice(classes, 2, replace=False)] = True
    return left
