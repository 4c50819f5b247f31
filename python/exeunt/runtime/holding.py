"""Thresholds that follow a rate or a latency: turned on and off, their limits, every change."""

from __future__ import annotations

import contextlib
import dataclasses
import warnings
from collections.abc import Iterator, Sequence
from math import ceil, floor
from typing import NamedTuple

from exeunt.errors import InputError
from exeunt.hold import Band, Hold
from exeunt.registers import ALWAYS, BY_NAME, NEVER
from exeunt.runtime.device import Device, signed
from exeunt.runtime.errors import OutsidePromise
from exeunt.runtime.settings import is_whole

Limits = Sequence[tuple[float, float]]


class Changes(NamedTuple):
    """How often the threshold of an exit was raised and lowered since the last reset."""

    raised: int
    lowered: int


def of(device: Device) -> Holding | None:
    """That of a device that was just opened, turned off; None where it has none."""
    found = device.description
    if found.hold is None:
        return None
    device.registers["hold"] = 0
    return Holding(device, found.hold, found.held_bits)


def built(found: Holding | None, device: Device) -> Holding:
    """That of a device, if it has one.

    Raises:
        InputError: the accelerator was compiled without.
    """
    if found is None:
        raise InputError(
            f"The accelerator {device.description.name} must be compiled with [compile.hold] to "
            "hold a rate, and was compiled without; set `hold = true` under [compile]."
        )
    return found


def paused(found: Holding | None) -> contextlib.AbstractContextManager[None]:
    """While thresholds stand still, if they follow at all."""
    return contextlib.nullcontext() if found is None else found.paused()


class Holding:
    """What holds a rate or a latency within limits; `Accelerator.hold`.

    It is off until `rates` or `latency` is called. Turning it on or off waits for the transfers
    under way. `Accelerator.thresholds` are what offsets are added to; setting them leaves these.
    """

    def __init__(self, device: Device, found: Hold, bits: int) -> None:
        self._device = device
        self._found = found
        self._bits = bits
        self._now: Hold | None = None

    @property
    def built(self) -> Hold:
        """The limits that came with the accelerator."""
        return self._found

    @property
    def held(self) -> Hold | None:
        """What this driver has turned on; None: nothing."""
        return self._now

    @property
    def on(self) -> bool:
        """Whether thresholds follow."""
        return bool(self._device.registers["hold.on"])

    @property
    def offsets(self) -> tuple[int, ...]:
        """What is added to the threshold of each exit but the last, now."""
        return tuple(signed(w) for w in self._device.registers["hold_offset"][:-1])

    @property
    def changes(self) -> tuple[Changes, ...]:
        """How often each exit's threshold was raised and lowered since the last reset."""
        fields = BY_NAME["hold_changes"].fields
        words = self._device.registers.counters()["hold_changes"][:-1]
        return tuple(Changes(fields["raised"].get(w), fields["lowered"].get(w)) for w in words)

    def rates(
        self,
        limits: Limits | None = None,
        *,
        window: int | None = None,
        steps: Sequence[int] | None = None,
        most: Sequence[int] | None = None,
    ) -> None:
        """Hold the rate of each exit: of the images that get there, the part that leaves.

        Args:
            limits: the least and the largest rate of each exit but the last.
            window: decisions of an exit after which its threshold may change.
            steps: by how much the threshold of each exit changes at once.
            most: by how much all in all, up or down.

        What is not given is as `built` has it.

        Raises:
            InputError: limits that cannot be held.
            DeviceError: the device does not answer.
        """
        size = self._found.window if window is None else window
        bands = self._found.bands
        if limits is not None or size != self._found.window:
            given = limits or [
                (1 - b.high / self._found.window, 1 - b.low / self._found.window) for b in bands
            ]
            counts = [(1 - high, 1 - low) for low, high in self._fractions(given, "limits")]
            bands = self._counted(bands, counts, size)
        self._start(Hold(size, self._sized(bands, steps, most)))

    def latency(
        self,
        cycles: int,
        late: tuple[float, float] = (0.01, 0.05),
        *,
        window: int | None = None,
        steps: Sequence[int] | None = None,
        most: Sequence[int] | None = None,
    ) -> None:
        """Hold the part of the results that take longer than `cycles`.

        Args:
            cycles: from a frame's first beat to its result.
            late: the least and the largest part; where more are late all thresholds fall.
            window: results after which thresholds may change.
            steps: see `rates`.
            most: see `rates`.

        Raises:
            InputError: limits that cannot be held.
            DeviceError: the device does not answer.
        """
        size = self._found.window if window is None else window
        counts = self._fractions([late] * len(self._found.bands), "late")
        bands = self._counted(self._found.bands, counts, size)
        self._start(Hold(size, self._sized(bands, steps, most), cycles))

    def stop(self) -> None:
        """Turn it off: thresholds are as they were set."""
        with self._device.alone():
            self._device.registers["hold"] = 0
            self._now = None

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Thresholds stand still, and what was on begins anew afterwards."""
        before = self._now
        if before is not None:
            self.stop()
        try:
            yield
        finally:
            if before is not None:
                self._write(before)

    def outside(self) -> bool:
        """Whether it may lead to thresholds that the promise is not about."""
        if self._now is None:
            return False
        found = self._device.description
        words = [signed(w) for w in self._device.thresholds()[: found.exits - 1]]
        return not all(
            found.promise.covers(
                [_moved(t, b, end) for t, b in zip(words, self._now.bands, strict=True)]
            )
            for end in ("floor", "ceiling")
        )

    def _start(self, hold: Hold) -> None:
        hold.check(self._device.description.exits, self._bits)
        self._device.usable()
        before = self.outside()
        self._write(hold)
        if self._device.description.promise.holds and self.outside() and not before:
            warnings.warn(
                "Thresholds that follow may leave those for which the promise is that "
                f"{self._device.description.promise.aim}: until hold.stop(), nothing is promised.",
                OutsidePromise,
                stacklevel=3,
            )

    def _write(self, hold: Hold) -> None:
        with self._device.alone():
            for name, exit_index, value in hold.writes():
                per_exit = BY_NAME[name].per_exit
                self._device.registers[(name, exit_index) if per_exit else name] = value
            self._now = hold

    def _fractions(self, limits: Limits, name: str) -> Limits:
        exits = self._device.description.exits
        if len(limits) != exits - 1:
            raise InputError(
                f"{name} must have a pair for each of {exits - 1} exits but the last, got "
                f"{len(limits)}; give one for each."
            )
        for low, high in limits:
            if not 0.0 <= low <= high <= 1.0:
                raise InputError(
                    f"{name} must be a least and a largest part, from 0 to 1, got {low} and "
                    f"{high}; give the smaller one first."
                )
        return limits

    def _counted(self, bands: Sequence[Band], limits: Limits, window: int) -> tuple[Band, ...]:
        """The bands with these parts of a window as hits."""
        found = []
        for band, (least, most) in zip(bands, limits, strict=True):
            low, high = ceil(least * window - 1e-9), floor(most * window + 1e-9)
            found.append(dataclasses.replace(band, low=min(low, high), high=high))
        return tuple(found)

    def _sized(
        self, bands: Sequence[Band], steps: Sequence[int] | None, most: Sequence[int] | None
    ) -> tuple[Band, ...]:
        """The bands with these steps and ends."""
        found = [dataclasses.replace(band) for band in bands]
        for name, values in (("steps", steps), ("most", most)):
            if values is None:
                continue
            if len(values) != len(bands) or not all(is_whole(v) and v >= 0 for v in values):
                raise InputError(
                    f"{name} must have a whole number of score steps from 0 on for each of "
                    f"{len(bands)} exits but the last, got {values!r}; give one for each."
                )
            for i, value in enumerate(map(int, values)):
                one = {"step": value} if name == "steps" else {"floor": -value, "ceiling": value}
                found[i] = dataclasses.replace(found[i], **one)
        return tuple(found)


def _moved(threshold: int, band: Band, end: str) -> int:
    """A threshold at one end of what it may be."""
    if threshold in (NEVER, ALWAYS):
        return threshold
    return min(max(threshold + int(getattr(band, end)), ALWAYS), NEVER)
