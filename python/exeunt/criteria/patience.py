"""patience: how many exits in a row, this one included, gave the same answer.

PABEE (2006.04152). A frame carries the answer of the exit before, and how many exits in a row
gave it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from exeunt.criteria.criterion import (
    Carry,
    Criterion,
    Logits,
    Scored,
    best_stages,
    in_stages,
    in_step,
)

RUN_BITS = 4  # for 8 exits


def values(logits: npt.NDArray[Any], *, scale: float = 1.0) -> Scored:
    """The answers of the first exit; see `agreement`."""
    del scale
    return agreement(logits, nothing(len(logits), 0))


def agreement(logits: npt.NDArray[Any], carried: npt.NDArray[np.int64]) -> Scored:
    """Class and score: the argmax (the first index wins a tie), exits in a row that gave it.

    Args:
        logits: (N, classes).
        carried: int64 (N, 2), the class of the exit before and how many exits in a row gave it.
    """
    classes = np.asarray(logits).argmax(axis=1).astype(np.int64)
    return Scored(classes, np.where(classes == carried[:, 0], carried[:, 1] + 1, 1))


def both(
    logits: npt.NDArray[Any],
    carried: npt.NDArray[np.int64],
    scored: Scored,
    limits: npt.NDArray[Any],
) -> npt.NDArray[np.int64]:
    """Class and score of the frames that stay, int64 (N, 2)."""
    del logits, carried, limits
    return np.stack(scored, axis=1)


def nothing(count: int, classes: int) -> npt.NDArray[np.int64]:
    """No exit gave an answer yet."""
    del classes
    return np.zeros((count, 2), np.int64)


def words(carried: npt.NDArray[np.int64], bits: int) -> list[int]:
    """The run above the class."""
    return [klass | run << (bits - RUN_BITS) for klass, run in carried.tolist()]


def carry_bits(logits: Logits) -> int:
    """A class and a run."""
    return logits.class_bits + RUN_BITS


def at_once(logits: Logits) -> int:
    """The word is given in the cycle in which the score is taken."""
    del logits
    return 0


def exits_so_far(exit_index: int) -> int:
    """The most exits that can have agreed."""
    return exit_index + 1


def score_bits(logits: Logits) -> int:
    """Bits of a signed run."""
    del logits
    return RUN_BITS + 1


CRITERION = Criterion(
    name="patience",
    code=4,
    score="exits in a row with this answer",
    rule="the number of exits in a row with the same answer is at least",
    values=values,
    times=in_step(best_stages),
    score_bits=score_bits,
    parameters=in_stages,
    sleeps=True,
    most=exits_so_far,
    carry=Carry(
        bits=carry_bits,
        first=nothing,
        values=agreement,
        next=both,
        words=words,
        delay=at_once,
        fixed=True,
    ),
)
