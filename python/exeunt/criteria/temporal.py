"""temporal: what neighbouring frames of a stream say together.

An exit adds up the margins (largest logit minus second) of the frames that it scored in a row with
the same answer; another answer begins anew. A frame that continues what was seen before leaves
with a smaller margin than one that stands alone. The order of the frames counts, and only those
that get to an exit count there. For recordings and sensors; of images in random order it is the
margin with noise.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from exeunt.criteria.criterion import (
    NEVER,
    Criterion,
    History,
    Logits,
    Scored,
    best_stages,
    in_stages,
    in_step,
)

MOST = NEVER - 1  # where the sum saturates

State = tuple[int, float]
"""The last answer, and the margins added up."""

NOTHING: State = (0, 0)


def values(logits: npt.NDArray[Any], *, scale: float = 1.0) -> Scored:
    """Class and score of frames that stand alone: argmax, largest - second largest.

    Args:
        logits: (N, classes).
        scale: of no account, a score is in the steps of the logits.
    """
    del scale
    found = np.asarray(logits)
    if found.dtype.kind != "f":
        found = found.astype(np.int64)
    top = np.partition(found, -2, axis=1)
    return Scored(found.argmax(axis=1).astype(np.int64), top[:, -1] - top[:, -2])


def in_a_row(logits: npt.NDArray[Any], before: State) -> tuple[Scored, State]:
    """Class and score of frames that follow each other, and what the next one follows.

    Args:
        logits: (N, classes), N >= 1.
        before: what the exit remembers.

    Returns:
        classes int64 (N,), the argmax (the first index wins a tie); scores (N,), the margins of
        this frame and of those before it with the same answer, at most `MOST`.
    """
    classes, margins = values(logits)
    last, total = before
    begins = np.append(classes[0] != last, classes[1:] != classes[:-1])
    so_far = np.cumsum(margins)
    base = np.maximum.accumulate(np.where(begins, so_far - margins, -1))  # before each row began
    scores = np.minimum(so_far - np.where(base < 0, -total, base), MOST)
    return Scored(classes, scores), (int(classes[-1]), scores[-1].item())


def score_bits(logits: Logits) -> int:
    """Bits of a threshold register."""
    del logits
    return 32


CRITERION = Criterion(
    name="temporal",
    code=5,
    score="margins of the frames in a row with this answer, added up",
    rule="the margins of the frames in a row with the same answer add up to at least",
    values=values,
    times=in_step(best_stages),
    score_bits=score_bits,
    parameters=in_stages,
    sleeps=True,
    history=History(first=NOTHING, values=in_a_row),
)
