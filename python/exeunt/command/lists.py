"""Options of the command line: lists such as 0,1,2, and those that go with another one."""

from __future__ import annotations

from exeunt.errors import InputError

_SEEDS = 1 << 63  # there are so many


def seeds(text: str) -> list[int]:
    """The seeds in "0,1,2"; none in no text.

    Raises:
        InputError: there is something else in it, or no seed in some text.
    """
    try:
        found = [int(seed) for seed in text.split(",") if seed.strip()]
    except ValueError:
        found = []
    if text and (not found or not all(0 <= seed < _SEEDS for seed in found)):
        raise InputError(
            f"--seeds must be whole numbers from 0 to {_SEEDS - 1}, as in 0,1,2, got {text!r}: "
            "change it"
        )
    return found


def criteria(text: str) -> list[str]:
    """The names in "margin,softmax"; none in no text.

    Raises:
        InputError: there is no name in some text.
    """
    found = [name.strip() for name in text.split(",") if name.strip()]
    if text and not found:
        raise InputError(
            f"--criteria must name criteria, as in margin,softmax, got {text!r}: leave it out for "
            "all of them"
        )
    return found


def only_with(option: str, value: object, other: str, given: object) -> None:
    """Refuse an option without the one that it belongs to.

    Raises:
        InputError: it has a value, and the other one has none.
    """
    if value and not given:
        raise InputError(f"{option} must be given with {other}, got it alone: add {other}")
