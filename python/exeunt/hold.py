"""What holds a rate or a latency within limits, in integers: hls/rtl/ex_hold.sv and its reference.

Each exit but the last counts events, windows of them one behind the other: its own decisions, where
a frame that it keeps is a hit, or all results, where one that took longer than a limit is. When
more of a window are hits than `high`, the thresholds of its exit fall by a step, so that more
frames leave; when fewer than `low`, they rise. The offset that comes of it is added to whatever
threshold is in force, but to NEVER and ALWAYS; it counts from the ninth event after the window on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Any

import numpy as np
import numpy.typing as npt

from exeunt.criteria.criterion import ALWAYS, NEVER
from exeunt.errors import InputError

KEY = "hold"  # of the manifest
LAG = 8  # events after a window with whose last one the new offset is there
LEAST = 16  # events of a window
MOST = 1 << 16
MAX_BITS = 30  # of an offset
COUNTED = 1 << 16  # changes after which a count begins anew

IntArray = npt.NDArray[np.int64]


def bits_of(score_bits: int) -> int:
    """Bits of an offset, signed, for scores of so many bits: all that can make a difference."""
    return min(MAX_BITS, score_bits + 1)


@dataclass(frozen=True)
class Band:
    """What one exit holds: `low` to `high` hits in a window, in steps from floor to ceiling.

    `step`, `floor`, `ceiling` are in steps of its score; floor <= 0 <= ceiling.
    """

    low: int
    high: int
    step: int
    floor: int
    ceiling: int


@dataclass(frozen=True)
class Hold:
    """What all exits but the last hold.

    `window`: events of a window. `limit`: cycles above which a result is late, where a latency is
    held; None: a rate is.
    """

    window: int
    bands: tuple[Band, ...]
    limit: int | None = None

    def check(self, exits: int, bits: int) -> None:
        """Refuse what the hardware of so many exits and bits of an offset cannot hold.

        Raises:
            InputError: it is outside.
        """
        most = (1 << (bits - 1)) - 1
        if not LEAST <= self.window <= MOST:
            raise InputError(
                f"hold.window must be from {LEAST} to {MOST} events, got {self.window}; use 256"
            )
        if len(self.bands) != exits - 1:
            raise InputError(
                f"hold must have a band for each of {exits - 1} exits but the last, got "
                f"{len(self.bands)}; give one for each"
            )
        if self.limit is not None and not 0 <= self.limit < 1 << 32:
            raise InputError(
                f"hold.limit must be a latency of 0 to {(1 << 32) - 1} cycles, got {self.limit}"
                "; lower it"
            )
        for i, band in enumerate(self.bands):
            if not 0 <= band.low <= band.high < MOST:
                raise InputError(
                    f"hold must have 0 <= low <= high < {MOST} hits in a window at exit {i}, got "
                    f"{band.low} and {band.high}; raise high"
                )
            if not 0 <= band.step <= most or not -most <= band.floor <= 0 <= band.ceiling <= most:
                raise InputError(
                    f"hold must have a step and a ceiling from 0 to {most} and a floor from "
                    f"-{most} to 0 at exit {i}, got {band.step}, {band.ceiling} and {band.floor}; "
                    "use smaller ones"
                )

    def writes(self) -> list[tuple[str, int, int]]:
        """Registers that set it, the one that turns it on last: (name, exit, 32-bit value)."""
        found = [("hold", 0, 0), ("hold_window", 0, self.window - 1)]
        found.append(("hold_limit", 0, self.limit or 0))
        for i, band in enumerate(self.bands):
            found.append(("hold_band", i, band.high << 16 | band.low))
            for name in ("step", "floor", "ceiling"):
                found.append((f"hold_{name}", i, getattr(band, name) & 0xFFFFFFFF))
        return [*found, ("hold", 0, 1 | (self.limit is not None) << 1)]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        bands = [dict(vars(band)) for band in self.bands]
        return {"window": self.window, "limit": self.limit, "bands": bands}


def from_json(data: Mapping[str, Any]) -> Hold:
    """What `Hold.to_json` gave."""
    bands = tuple(Band(**band) for band in data["bands"])
    return Hold(int(data["window"]), bands, data["limit"])


class Held:
    """The offset of one exit from event to event, as hls/rtl/ex_band.sv has it.

    `offset`: what the next event is judged with. `raised`, `lowered`: changes so far. `events`: how
    many there were. `path`: from which event on which offset was in force, each change.
    """

    def __init__(self, window: int, band: Band) -> None:
        self.offset = self.raised = self.lowered = self.events = 0
        self.path: list[tuple[int, int]] = [(0, 0)]
        self._window, self._band = window, band
        self._next = self._count = self._hits = 0

    @property
    def steady(self) -> int:
        """Events from now on that nothing but the last of them can change the offset for."""
        left = self._window - self._count
        return min(left, LAG - self._count) if self._count < LAG else left

    def event(self, hits: int, count: int = 1) -> None:
        """So many events with so many hits, at most `steady` of them."""
        assert 0 < count <= self.steady, "or the offset changes in between"
        if self._count < LAG == self._count + count:
            self.raised += self._next > self.offset
            self.lowered += self._next < self.offset
            if self._next != self.offset:
                self.path.append((self.events + count, self._next))
            self.offset = self._next
        self.events += count
        self._count += count
        self._hits += hits
        if self._count == self._window:
            band, by = self._band, 0
            if self._hits > band.high:
                by = -band.step
            elif self._hits < band.low:
                by = band.step
            self._next = self.offset
            if by or self._hits > band.high or self._hits < band.low:
                self._next = min(max(self.offset + by, band.floor), band.ceiling)
            self._count = self._hits = 0

    def leave(self, scores: IntArray, limits: IntArray) -> npt.NDArray[np.bool_]:
        """Which frames leave, of some that come next, where a rate is held: bool (n,).

        Args:
            scores: (n,), in the order of the decisions.
            limits: (n,), the threshold of each; ALWAYS and what is above every score stay so.
        """
        found = np.empty(len(scores), bool)
        always = limits <= ALWAYS
        at = 0
        while at < len(scores):
            part = slice(at, at + self.steady)
            found[part] = always[part] | (scores[part] >= limits[part] + self.offset)
            here = found[part]
            self.event(int((~here).sum()), len(here))
            at += len(here)
        return found


def start(hold: Hold) -> tuple[Held, ...]:
    """All exits that hold, before the first event."""
    return tuple(Held(hold.window, band) for band in hold.bands)


@dataclass(frozen=True)
class Asked:
    """Rates around those that were measured, as a config asks for them.

    rates: of the frames that get to each exit but the last, those that leave there. window:
    decisions of a window. within: how far a rate may be off, absolute. step: by which part of its
    threshold that of an exit changes at once. most: by which part of it all in all, up or down.
    """

    rates: tuple[float, ...]
    window: int
    within: float
    step: float
    most: float

    def of(self, thresholds: Sequence[int], bits: int) -> Hold:
        """What is held with these thresholds, of all exits but the last, and bits of an offset.

        An exit without a threshold of its own, NEVER or ALWAYS, is left as it is.
        """
        limit = (1 << (bits - 1)) - 1
        bands = []
        for rate, threshold in zip(self.rates, thresholds, strict=True):
            size = 0 if threshold in (NEVER, ALWAYS) else abs(threshold)
            by = min(limit, max(1, round(self.step * size))) if size else 0
            reach = min(limit, max(by, round(self.most * size)))
            least = (1.0 - rate - self.within) * self.window
            most = (1.0 - rate + self.within) * self.window
            low, high = (min(max(0, x), self.window, MOST - 1) for x in (ceil(least), floor(most)))
            bands.append(Band(min(low, high), high, by, -reach, reach))
        return Hold(self.window, tuple(bands))
