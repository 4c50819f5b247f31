"""softmax: the probability of the answer, without a division.

The probability is 1 / (1 + S) with S the sum of exp(z_k - z_max) over the classes other than the
answer, so an image leaves when S is small enough. The block looks exp up in a table of integers,
    T[i] = min(2**F - 1, round(2**F * exp(-scale * (2**shift * i + (2**shift - 1) / 2)))),
cut off where it rounds to zero, and its score is -sum T[(z_max - z_k) >> shift], close to
-2**F * S. `scale` is what a logit of 1 stands for, so every exit has a table of its own. `shift`
keeps it within `MOST` entries.

Against the true S, that of `exp(-scale * (z_max - z_k))`, the score is off by at most a factor
exp(scale * 2**shift / 2), which is 1.08 at the most and 1 where shift is 0, and by half a unit of
2**-F for each class (a whole one where a class ties with the answer). `bound` says so.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from exeunt.criteria.criterion import (
    IN_STAGES,
    Criterion,
    Logits,
    Scored,
    best_stages,
    in_step,
    tree_stages,
)

BITS = 12  # F
MOST = 128  # entries of a table: its steps are at most 0.14 in the exponent
ONE = 1 << BITS
_REACH = (BITS + 1) * math.log(2)  # exponents from here on round to zero
_KEPT = 10  # bits of a scale; two computations of it may differ in the last ones of a float
_MOST_SHIFT = 30


def table(scale: float) -> tuple[int, npt.NDArray[np.int64]]:
    """`shift` and the entries T, int64, 1 to 2**F - 1, for logits of this scale > 0."""
    mantissa, exponent = math.frexp(scale)
    step = math.ldexp(round(math.ldexp(mantissa, _KEPT)), exponent - _KEPT)
    shift = 0
    while _REACH / (step * (1 << shift)) >= MOST and shift < _MOST_SHIFT:
        shift += 1
    at = step * ((1 << shift) * np.arange(MOST) + ((1 << shift) - 1) / 2)
    entries = np.minimum(ONE - 1, np.rint(ONE * np.exp(-at))).astype(np.int64)
    return shift, entries[: max(1, int((entries > 0).sum()))]


def bound(scale: float, classes: int) -> tuple[float, float]:
    """By which factor and by how much more S may be off, in both directions."""
    shift, _ = table(scale)
    coarse = scale * ((1 << shift) - 1) / 2
    return math.exp(coarse + _REACH * 2.0**-_KEPT), (classes - 1) / ONE


def values(logits: npt.NDArray[Any], *, scale: float = 1.0) -> Scored:
    """Class and score of frames: argmax (the first index wins a tie), -sum T of the others.

    Args:
        logits: (N, classes), classes >= 2.
        scale: what a logit of 1 stands for.

    Returns:
        classes int64 (N,); scores <= 0 (N,), int64 for integers, for floats those of exp itself.
    """
    found = np.asarray(logits)
    classes = found.argmax(axis=1).astype(np.int64)
    if found.dtype.kind == "f":
        behind = found.max(axis=1, keepdims=True) - found
        return Scored(classes, ONE * (1 - np.exp(-scale * behind).sum(axis=1)))
    found = found.astype(np.int64)
    shift, entries = table(scale)
    index = (found.max(axis=1, keepdims=True) - found) >> shift
    padded = np.append(entries, 0)
    sums = padded[np.minimum(index, len(entries))].sum(axis=1)
    return Scored(classes, entries[0] - sums)


def score_bits(logits: Logits) -> int:
    """Bits of the signed sum of the largest entry for every other class."""
    return ((logits.classes - 1) * (ONE - 1)).bit_length() + 1


def latency(logits: Logits) -> int:
    """Cycles from the last beat to the score: two trees, and the beats once more."""
    return best_stages(logits) + max(1, tree_stages(logits)) + 1 + logits.beats


def candidates(scores: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Of scores that are less than a 32nd apart the lowest: the table is no finer."""
    found = np.unique(scores)
    size = np.maximum(-found, 1)
    cell = np.floor(np.log2(size) * 32).astype(np.int64)
    first = np.append(True, cell[1:] != cell[:-1])
    return found[first]


def _size(scale: float) -> int:
    """Entries of the block's table, a power of two."""
    return max(2, 1 << (len(table(scale)[1]) - 1).bit_length())


def parameters(logits: Logits, name: str) -> dict[str, int | str]:
    """Of `ex_softmax`, see there."""
    return {
        **IN_STAGES,
        "SHIFT": table(logits.scale)[0],
        "SIZE": _size(logits.scale),
        "TABLE_BITS": BITS,
        "TABLE_FILE": f"{name}_table.hex",
    }


def memories(logits: Logits, name: str) -> dict[str, str]:
    """The table, one entry a line."""
    entries = np.zeros(_size(logits.scale), np.int64)
    found = table(logits.scale)[1]
    entries[: len(found)] = found
    digits = -(-BITS // 4)
    return {f"{name}_table.hex": "".join(f"{e:0{digits}x}\n" for e in entries)}


CRITERION = Criterion(
    name="softmax",
    code=2,
    score="minus the sum of the other classes' exponentials",
    rule="minus the sum of the other classes' exponentials is at least",
    values=values,
    times=in_step(latency),
    score_bits=score_bits,
    parameters=parameters,
    memories=memories,
    candidates=candidates,
    sleeps=True,
)
