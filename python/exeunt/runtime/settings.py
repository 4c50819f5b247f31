"""What callers give as settings, checked."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from exeunt import registers as codes
from exeunt.errors import InputError
from exeunt.promise import Promise


def outside(promise: Promise, told: str) -> str:
    """What a warning says of thresholds, as `told`, that a promise is not about."""
    """That thresholds leave the promise, and how to get back."""
    last = ", ".join(map(codes.threshold_text, promise.certified[-1]))
    higher = " or higher ones" if promise.upward else ""
    return (
        f"The thresholds must be {last}{higher} for the promise that {promise.aim}, and are "
        f"{told}: until they are so again, nothing is promised."
    )


def is_whole(value: object) -> bool:
    """Whether it is a whole number."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def checked_timeout(value: float | None) -> float | None:
    """A timeout that can be waited for.

    Raises:
        InputError: it is no number, or below zero.
    """
    if value is None:
        return None
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not number or math.isnan(value) or value < 0:
        raise InputError(
            f"timeout must be a number from 0 on, or None to have it estimated, got {value!r}; "
            "it is in the accelerator's `unit`."
        )
    return value


def threshold_words(values: Sequence[int | None], exits: int) -> list[int]:
    """The register words of thresholds for all exits but the last.

    Raises:
        InputError: other than one for each exit, no whole numbers, or one for the last exit.
    """
    try:
        given = list(values)
    except TypeError:
        given = []
    always = (None, codes.ALWAYS)
    full = len(given) == exits
    short = 0 < len(given) == exits - 1 and given[-1] not in always
    if not full and not short:
        raise InputError(
            f"thresholds must have one entry for each of {exits} exits, a number or None for "
            f"always, got {values!r}; end with None, which is the last exit's."
        )
    for value in given:
        if value is not None and not is_whole(value):
            raise InputError(
                f"a threshold must be a whole number of score steps or None for always, got "
                f"{value!r}; round it."
            )
    if full and given[-1] not in always:
        raise InputError(
            f"the last exit's threshold must be None, since every image that gets there leaves "
            f"there, got {given[-1]!r}; end with None."
        )
    return [codes.threshold_word(v) for v in given[: exits - 1]]
