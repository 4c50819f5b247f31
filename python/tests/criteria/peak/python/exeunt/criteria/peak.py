"""peak: the largest logit and four times its exit's scale. A criterion for the test of adding one.

The scale reaches its block in a memory file, so that a file of one's own is in the example.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from exeunt.criteria.criterion import Criterion, Logits, Scored, in_one_register


def bonus(scale: float) -> int:
    """What is added to the largest logit."""
    return round(4 * scale)


def values(logits: npt.NDArray[Any], *, scale: float = 1.0) -> Scored:
    """Class and score of frames (N, classes): argmax, and the logit there plus the bonus."""
    found = np.asarray(logits)
    if found.dtype.kind != "f":
        found = found.astype(np.int64)
    return Scored(found.argmax(axis=1).astype(np.int64), found.max(axis=1) + bonus(scale))


def score_bits(logits: Logits) -> int:
    """Bits of a logit, and one for the bonus."""
    return logits.bits + 1


def parameters(logits: Logits, name: str) -> dict[str, int | str]:
    """The file."""
    return {"BONUS_FILE": f"{name}_bonus.hex"}


def memories(logits: Logits, name: str) -> dict[str, str]:
    """The bonus, a number of 8 bits."""
    return {f"{name}_bonus.hex": f"{bonus(logits.scale):02x}\n"}


CRITERION = Criterion(
    name="peak",
    code=15,
    score="the largest logit",
    rule="the largest logit is at least",
    values=values,
    times=in_one_register,
    score_bits=score_bits,
    parameters=parameters,
    memories=memories,
)
