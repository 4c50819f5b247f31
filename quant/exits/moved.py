"""Copies of validation images moved by some pixels: more images where there are few."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from exeunt.quant.exits.calibration import Calibration, Scores, evaluate

Images = npt.NDArray[np.uint8]


def copies(images: Images, pixels: int) -> Images:
    """Images (N, H, W, C) and all their moves by up to `pixels` down and across, zeros behind them.

    Gives ((2 pixels + 1)^2 N, H, W, C): first the images as they are, then all of them by one move,
    by the next, and so on.
    """
    height, width = images.shape[1:3]
    padded = np.pad(images, ((0, 0), (pixels, pixels), (pixels, pixels), (0, 0)))
    ways = range(-pixels, pixels + 1)
    moves = sorted(((y, x) for y in ways for x in ways), key=lambda move: move != (0, 0))
    corners = [(pixels - y, pixels - x) for y, x in moves]
    return np.concatenate([padded[:, y : y + height, x : x + width] for y, x in corners])


def as_they_are(made: Calibration, found: Scores, macs: Sequence[int]) -> Calibration:
    """The same thresholds with the accuracies, costs and rates of the images `found`."""
    return replace(
        made,
        chosen=evaluate(found, made.chosen.thresholds, macs),
        curve=tuple(
            sorted(
                (evaluate(found, point.thresholds, macs) for point in made.curve),
                key=lambda point: (-point.macs, point.thresholds),
            )
        ),
        accuracies=tuple(float(right) for right in found.right.mean(axis=1)),
    )
