"""margin: how far the largest logit is ahead of the second largest."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from exeunt.criteria.criterion import Criterion, Logits, Scored, best_stages, in_stages, in_step


def values(logits: npt.NDArray[Any], *, scale: float = 1.0) -> Scored:
    """Class and score of frames: argmax (the first index wins a tie), largest - second largest.

    Args:
        logits: (N, classes), classes >= 2.
        scale: of no account, a score is in the steps of the logits.

    Returns:
        classes int64 (N,); scores >= 0 (N,), int64 for integers.
    """
    del scale
    found = np.asarray(logits)
    if found.dtype.kind != "f":
        found = found.astype(np.int64)
    top = np.partition(found, -2, axis=1)
    return Scored(found.argmax(axis=1).astype(np.int64), top[:, -1] - top[:, -2])


def score_bits(logits: Logits) -> int:
    """Bits of the signed difference of two logits."""
    return logits.bits + 1


CRITERION = Criterion(
    name="margin",
    code=0,
    score="largest logit minus second",
    rule="the margin is at least",
    values=values,
    times=in_step(best_stages),
    score_bits=score_bits,
    parameters=in_stages,
    sleeps=True,
)
