"""A calibration as the table [calibrate] of a config asks for it: copies, classes, promise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from exeunt import criteria
from exeunt.config.calibrate import Calibrate
from exeunt.quant.exits import moved
from exeunt.quant.exits.calibration import Calibration, calibrate_exits, scores
from exeunt.quant.exits.guarantee import Wanted
from exeunt.splits import neighbours

_STREAM = 0.25  # from which on images follow others of their class, see `neighbours`


def order_notes(criterion: str, labels: npt.NDArray[np.int64]) -> list[str]:
    """That images with these labels are in random order and the criterion wants a recording."""
    if criteria.get(criterion).history is None or neighbours(labels) > _STREAM:
        return []
    same = 100 * float((labels[1:] == labels[:-1]).mean()) if len(labels) > 1 else 0.0
    return [
        f"{same:.0f}% of the validation images are of the class of the one before, as in random "
        f"order, and {criterion} goes by neighbours: set data.shuffle = false for the frames of a "
        "recording, or change calibrate.criterion"
    ]


def wanted(section: Calibrate, seed: int) -> Wanted:
    """The promise that is asked for; `seed`: `data.seed`."""
    return Wanted(section.guarantee, section.delta, section.horizon, seed)


def calibrated(
    section: Calibrate,
    seen: Sequence[npt.NDArray[np.integer]],
    labels: npt.NDArray[np.integer],
    *,
    macs: Sequence[int],
    scales: Sequence[float],
    per_class: Sequence[int] = (),
    seed: int = 0,
    points: int = 24,
) -> Calibration:
    """As `calibrate_exits`; rates, costs and accuracies are of the images as they are.

    Args:
        section: what is asked for.
        seen: integers (ways * N, classes) per exit, of `moved.copies(images, section.shift)`.
        labels: integers (N,) of the images.
        macs: multiplications of a frame that leaves at exit i (cumulative).
        scales: what a logit of 1 stands for at each exit.
        per_class: multiplications of one class in the last layer of each head.
        seed: `data.seed`.
        points: permitted drops tried for the curve.

    Raises:
        InputError: no images, logits that are not integers of one row per label, or a promise that
            cannot be made.
    """
    count = len(labels)
    ways = len(seen[0]) // count if count else 1
    made = calibrate_exits(
        seen, np.tile(labels, ways), macs=macs, drop=section.drop, criterion=section.criterion,
        scales=scales, per_class=per_class, wanted=wanted(section, seed),
        by_class=section.per_class, points=points,
    )  # fmt: skip
    if ways == 1:
        return made
    alone = scores(
        [x[:count] for x in seen], labels, criterion=section.criterion, scales=scales,
        per_class=per_class, offsets=made.offsets,
    )  # fmt: skip
    return moved.as_they_are(made, alone, macs)
