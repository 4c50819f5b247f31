"""peak: the largest logit itself. A criterion for the test of adding one."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from exeunt.criteria.criterion import Criterion, Logits, Scored, in_one_register


def values(logits: npt.NDArray[Any]) -> Scored:
    """Class and score of frames (N, classes): argmax, and the logit there."""
    found = np.asarray(logits)
    if found.dtype.kind != "f":
        found = found.astype(np.int64)
    return Scored(found.argmax(axis=1).astype(np.int64), found.max(axis=1))


def score_bits(logits: Logits) -> int:
    """Bits of a logit."""
    return logits.bits


CRITERION = Criterion(
    name="peak",
    code=15,
    score="the largest logit",
    rule="the largest logit is at least",
    values=values,
    times=in_one_register,
    score_bits=score_bits,
)
