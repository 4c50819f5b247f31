"""What is promised about the images that leave early, and for which thresholds.

A calibration makes the promise; it travels in exits.json and in the manifest to the driver.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from exeunt.registers import ALWAYS

NONE, PROBABILITY, AVERAGE = KINDS = ("none", "probability", "average")
KEY = "guarantee"  # in exits.json, manifest and report

MOST = 10_000_000  # images that a promise may be about; what needs more is not counted further

LOSS = "leave with a wrong answer where the last exit has the right one"


@dataclass(frozen=True)
class Promise:
    """A promise about images that come from where the calibration's images came from.

    kind: "probability": with probability 1 - `delta` at most the part `permitted` of the next
        `horizon` images is lost (0: of all that ever come); "average": on average at most
        `permitted` is; "none": nothing is promised. An image is lost when it leaves with a wrong
        answer where the last exit has the right one.
    holds: whether there were enough images for it; otherwise nothing is promised.
    images: that calibrated; images_needed: from which on there could be a promise, `MOST` + 1
        where more than `MOST` are needed.
    ordered, tested: of the images, those that fixed the order in which thresholds are tried, and
        those on which they were tested; lost: of the tested ones, at most allowed.
    certified: the sets of thresholds that it is about, one for each exit but the last.
    upward: it is also about every set that is nowhere below one of them.
    """

    kind: str = NONE
    permitted: float = 0.0
    delta: float | None = None
    horizon: int | None = None
    holds: bool = False
    images: int = 0
    images_needed: int = 0
    ordered: int = 0
    tested: int = 0
    lost: int | None = None
    allowed: int | None = None
    certified: tuple[tuple[int, ...], ...] = ()
    upward: bool = True

    def covers(self, thresholds: Sequence[int | None]) -> bool:
        """Whether it is about these thresholds, one for each exit but the last, None for always."""
        given = tuple(ALWAYS if t is None else int(t) for t in thresholds)
        if not self.holds:
            return False
        if not self.upward:
            return given in self.certified
        return any(all(g >= c for g, c in zip(given, one, strict=True)) for one in self.certified)

    @property
    def aim(self) -> str:
        """What is, or would be, promised, as the end of a sentence."""
        part = f"{100 * self.permitted:g}% of the images"
        if self.kind == AVERAGE:
            return f"on average at most {part} {LOSS}"
        if self.horizon:
            count = int(self.permitted * self.horizon + 1e-9)
            part = f"{count:,} of the next {self.horizon:,} images"
        delta = self.delta or 0.0
        percent = f"{100 * (1 - delta):.12g}"
        sure = f"{percent}%" if percent != "100" else f"1 - {delta:g}"  # never certain
        return f"with probability {sure} at most {part} {LOSS}"

    @property
    def text(self) -> str:
        """The promise in one sentence, without a full stop; why there is none; "" for "none"."""
        if self.kind == NONE:
            return ""
        if self.holds:
            return self.aim
        return (
            f"nothing is promised: that {self.aim} needs {needed(self.images_needed)} validation "
            f"images and there are {self.images:,}"
        )

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def needed(images: int) -> str:
    """How many images a promise needs, as text."""
    return f"more than {MOST:,}" if images > MOST else f"{images:,}"


NOTHING = Promise()


def from_json(data: Mapping[str, Any] | None) -> Promise:
    """The promise in an entry `guarantee`; that of kind "none" where there is no entry."""
    if not data:
        return NOTHING
    known = {name: data[name] for name in Promise.__dataclass_fields__ if name in data}
    known["certified"] = tuple(tuple(int(t) for t in one) for one in data.get("certified", ()))
    return Promise(**known)
