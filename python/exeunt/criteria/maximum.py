"""maximum: the largest logit itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from exeunt.criteria.criterion import Criterion, Logits, Scored, best_stages, in_stages, in_step


def values(logits: npt.NDArray[Any], *, scale: float = 1.0) -> Scored:
    """Class and score of frames: argmax (the first index wins a tie), and the logit there.

    Args:
        logits: (N, classes), classes >= 2.
        scale: of no account, a score is in the steps of the logits.

    Returns:
        classes int64 (N,); scores (N,), int64 for integers.
    """
    del scale
    found = np.asarray(logits)
    if found.dtype.kind != "f":
        found = found.astype(np.int64)
    return Scored(found.argmax(axis=1).astype(np.int64), found.max(axis=1))


def score_bits(logits: Logits) -> int:
    """Bits of a logit."""
    return logits.bits


CRITERION = Criterion(
    name="maximum",
    code=1,
    score="largest logit",
    rule="the largest logit is at least",
    values=values,
    times=in_step(best_stages),
    score_bits=score_bits,
    parameters=in_stages,
    sleeps=True,
)
