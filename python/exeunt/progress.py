"""How a long step tells how far it is: a function `progress(done, total, text="")`."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called now and then by a step: `done` of `total` units are finished."""

    def __call__(self, done: int, total: int, text: str = "") -> None:
        """Show `done` of `total`; `text` says a little more (a loss, an accuracy)."""


def silent(done: int, total: int, text: str = "") -> None:
    """The progress that nobody sees: the default of every step."""


def part(progress: Progress, begin: int, end: int) -> Progress:
    """The progress of a part of the work, which goes from `begin` to `end` of a hundred."""

    def tell(done: int, total: int, text: str = "") -> None:
        progress(begin + (end - begin) * done // max(1, total), 100, text)

    return tell


def about(seconds: float) -> str:
    """A time that is expected, in words as rough as the estimate: `about 4 minutes`."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return "less than a minute"
    return f"about {minutes} minute{'s' if minutes > 1 else ''}"
