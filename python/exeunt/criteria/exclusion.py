"""exclusion: classes drop out exit by exit, and a frame leaves when one is left.

Early-Exit with Class Exclusion (2309.13443) in integers. Of the classes M that are left, those
whose logit is within the threshold of the largest survive; when that is the largest alone, the
frame leaves. One threshold says both: a frame leaves when largest - second largest of M reaches it,
and it excludes for the exits that follow. What is excluded stays so, at the last exit too.
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

_OUT = -(1 << 40)  # below every logit

Mask = npt.NDArray[np.bool_]


def values(logits: npt.NDArray[Any], *, scale: float = 1.0) -> Scored:
    """The answers when no class is excluded yet; see `survivors_values`."""
    del scale
    return survivors_values(logits, np.ones(np.shape(logits), bool))


def survivors_values(logits: npt.NDArray[Any], left: Mask) -> Scored:
    """Class and score among the classes that are left, at least two.

    Args:
        logits: (N, classes).
        left: bool (N, classes).

    Returns:
        classes int64 (N,), the largest of them (the first index wins a tie); scores >= 0 (N,),
        largest - second largest of them, int64 for integers.
    """
    given = np.asarray(logits)
    found = np.where(left, given if given.dtype.kind == "f" else given.astype(np.int64), _OUT)
    top = np.partition(found, -2, axis=1)
    return Scored(found.argmax(axis=1).astype(np.int64), top[:, -1] - top[:, -2])


def survivors(
    logits: npt.NDArray[Any], left: Mask, scored: Scored, limits: npt.NDArray[Any]
) -> Mask:
    """Of the classes that are left, those closer than the limit to the largest: bool (N, classes).

    A frame that stays has a score below its limit (N,), so the two largest survive.
    """
    largest = np.take_along_axis(logits, scored.classes[:, None], axis=1)
    kept: Mask = left & (largest - logits < limits[:, None])
    return kept


def everybody(count: int, classes: int) -> Mask:
    """Before the first exit nobody is excluded."""
    return np.ones((count, classes), bool)


def words(left: Mask, bits: int) -> list[int]:
    """Bit k of a word is class k."""
    del bits
    return [sum(1 << k for k in np.flatnonzero(row).tolist()) for row in left]


def count(left: Mask) -> npt.NDArray[np.int64]:
    """Classes that are left."""
    return left.sum(axis=1).astype(np.int64)


def classes_of(logits: Logits) -> int:
    """A bit for every class."""
    return logits.classes


def second_look(logits: Logits) -> int:
    """The logits are looked at again, a beat a cycle, when the largest of them is known."""
    return logits.beats + 1


def score_bits(logits: Logits) -> int:
    """Bits of the signed difference of two logits."""
    return logits.bits + 1


CRITERION = Criterion(
    name="exclusion",
    code=3,
    score="largest logit minus second of the classes that are left",
    rule="all classes but one are excluded, those behind the largest by",
    values=values,
    times=in_step(best_stages),
    score_bits=score_bits,
    parameters=in_stages,
    loss="binary",
    sleeps=True,
    carry=Carry(
        bits=classes_of,
        first=everybody,
        values=survivors_values,
        next=survivors,
        words=words,
        delay=second_look,
        wanted=count,
    ),
)
