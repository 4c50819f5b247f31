"""Tables of 256 entries: what becomes of each value of a frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from exeunt.errors import InputError

ENTRIES = 256


@dataclass(frozen=True)
class Table:
    """A table and what it does, in words: "gain 1.3".

    entries: 256 integers from 0 to 255.

    Raises:
        InputError: another number of entries, or an entry out of range.
    """

    entries: tuple[int, ...]
    text: str = "a table"

    def __post_init__(self) -> None:
        """Refuse what is no table."""
        if len(self.entries) != ENTRIES:
            raise InputError(
                f"the table of a rule must have {ENTRIES} entries, one for each value of a pixel, "
                f"got {len(self.entries)}: give them all"
            )
        for at, entry in enumerate(self.entries):
            if not 0 <= entry < ENTRIES:
                raise InputError(
                    f"entry {at} of the table of a rule must be 0 to 255, got {entry}: clip it"
                )

    def then(self, other: Table) -> Table:
        """This table and then another one."""
        return Table(
            tuple(other.entries[entry] for entry in self.entries), f"{self.text}, {other.text}"
        )


def _rounded(values: npt.NDArray[np.float64], text: str) -> Table:
    clipped = np.clip(np.floor(values + 0.5), 0, ENTRIES - 1)
    return Table(tuple(int(v) for v in clipped), text)


_VALUES = np.arange(ENTRIES, dtype=np.float64)


def _number(name: str, value: float, low: float, high: float) -> float:
    if not low <= value <= high:
        raise InputError(
            f"the {name} of a rule must be from {low:g} to {high:g}, got {value}: choose one there"
        )
    return value


def gain(factor: float) -> Table:
    """Every value times a factor, rounded, at most 255.

    Raises:
        InputError: a factor that is not from 0 to 255.
    """
    return _rounded(_VALUES * _number("gain", factor, 0, 255), f"gain {factor:g}")


def offset(step: int) -> Table:
    """Every value plus a step, from 0 to 255.

    Raises:
        InputError: a step that is not from -255 to 255.
    """
    return _rounded(_VALUES + _number("offset", step, -255, 255), f"offset {step:+d}")


def gamma(exponent: float) -> Table:
    """255 * (p / 255) ** exponent, rounded.

    Raises:
        InputError: an exponent that is not from 0.01 to 100.
    """
    exponent = _number("gamma", exponent, 0.01, 100)
    return _rounded((_VALUES / 255) ** exponent * 255, f"gamma {exponent:g}")


def black(level: int) -> Table:
    """The level becomes 0, 255 stays, values between are stretched.

    Raises:
        InputError: a level that is not from 0 to 254.
    """
    level = int(_number("black level", level, 0, 254))
    return _rounded((_VALUES - level) * 255 / (255 - level), f"black level {level}")


def background(level: int) -> Table:
    """Values below the level become 0, the others stay.

    Raises:
        InputError: a level that is not from 0 to 255.
    """
    level = int(_number("background level", level, 0, 255))
    kept = np.concatenate([np.zeros(level), _VALUES[level:]])
    return _rounded(kept, f"no background below {level}")
