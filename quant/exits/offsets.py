"""Thresholds of classes: what is added to an exit's threshold for an image by its answer.

An exit should let an image leave while it is unlikely to be lost by that, and how unlikely depends
on its score and on the answer. The model, for each exit but the last, is a logistic one:

    P(lost) = sigmoid(slope * score + start + class),    class ~ normal(0, SPREAD)

The same probability is then reached at scores that differ by -class / slope from class to class,
whatever the probability is. So these differences are the offsets, and the thresholds of the exits
are searched for as they are without them, on scores less their offset. Classes of which nothing is
known are drawn to the others.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

SPREAD = 0.5  # of the classes, in log odds
_STEPS = 50
_SMALL = 1e-6


def of_exit(score: IntArray, answer: IntArray, lost: BoolArray, classes: int) -> IntArray:
    """What the threshold of an exit is higher for images of each answer.

    Args:
        score: int64 (N,), of the images at the exit.
        answer: int64 (N,), their classes there, from 0 to `classes` - 1.
        lost: bool (N,), where leaving there loses the image.
        classes: of the network.

    Returns:
        int64 (classes,), the least of them 0; all 0 where a higher score is no safer.
    """
    nothing = np.zeros(classes, np.int64)
    unit = float(score.std())
    if unit == 0 or not lost.any():
        return nothing
    table = np.zeros((len(score), 2 + classes))
    table[:, 0], table[:, 1] = (score - score.mean()) / unit, 1.0
    table[np.arange(len(score)), 2 + answer] = 1.0
    tight = np.full(2 + classes, 1 / SPREAD**2)
    tight[:2] = _SMALL
    weights = np.zeros(2 + classes)
    for _ in range(_STEPS):  # Newton's
        chance = 1 / (1 + np.exp(-np.clip(table @ weights, -50, 50)))
        slope = table.T @ (chance - lost) + tight * weights
        bend = (table.T * (chance * (1 - chance))) @ table + np.diag(tight)
        step = np.linalg.solve(bend, slope)
        weights -= np.clip(step, -2, 2)
        if np.abs(step).max() < _SMALL:
            break
    if weights[0] >= 0:
        return nothing
    above = np.rint(-weights[2:] / weights[0] * unit).astype(np.int64)
    return above - above.min()
