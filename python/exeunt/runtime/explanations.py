"""Heat maps of the images that a device answers: which are asked for, and how they come back.

A frame that is to be explained takes a slot when it enters and gives it back when its map is made.
Inference does not wait for maps unless it is told to: a frame that finds no free slot goes
unexplained and is counted, or is held back until there is one.
A transfer with maps has the device to itself from before its first frame until its last map, so
that every map can be put to the image that it is of.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from exeunt import registers as codes
from exeunt.errors import CheckFailed, InputError
from exeunt.runtime import maps
from exeunt.runtime.device import Device
from exeunt.runtime.errors import DeviceError
from exeunt.runtime.maps import METHODS
from exeunt.runtime.packets import Built, Packets
from exeunt.runtime.settings import is_whole
from exeunt.runtime.transfers import Transfers
from exeunt.runtime.transport import Bytes, TransferError, TransferFault, TransferTimeout

NONE, ALL = "none", "all"
MOST = (1 << 16) - 1
"""Largest n of one image in n."""
LOOKS = 16
"""Looks at the slots while one map may well take."""


@dataclass(frozen=True)
class Choice:
    """Which images of a transfer are explained, and how.

    `every`: one in so many, 0: those of `images`, by their numbers. `below`: for each exit, only
    images whose score is below it, NEVER for any score, ALWAYS for none. `wait`: an image is held
    back until there is a slot for it.
    """

    every: int
    method: int
    below: tuple[int, ...]
    images: tuple[int, ...] = ()
    wait: bool = False

    def wants(self, image: int, exit_index: int, score: int) -> bool:
        """Whether an image may have a map."""
        limit = self.below[exit_index]
        return image in self.images or (self.every > 0 and (limit == codes.NEVER or score < limit))

    def length(self, first: int, most: int, place: int) -> int:
        """Images from `first` on, at most `most`, of which `place` at most are asked for."""
        inside = sorted(i for i in self.images if first <= i < first + most)
        return most if len(inside) <= place else inside[place] - first


class Explanations:
    """How an accelerator explains images; `Accelerator.explanations`.

    Nothing of it touches the device: what is set here is what the next calls ask for.
    """

    def __init__(self, device: Device, built: Built) -> None:
        self._device = device
        self._built = built
        self._method = built.methods[0]
        self._when: str | int = {0: NONE, 1: ALL}.get(built.every, built.every)

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that were built."""
        return self._built.methods

    @property
    def slots(self) -> int:
        """How many images may wait for their maps before further ones go unexplained."""
        return self._built.slots

    @property
    def method(self) -> str:
        """The method of calls that name none; it may be set.

        Raises:
            InputError: it was not built.
        """
        return self._method

    @method.setter
    def method(self, name: str) -> None:
        self._method = METHODS[self._known(name)]

    @property
    def when(self) -> str | int:
        """What calls explain that do not say: "all", "none" or n for one in n; it may be set.

        Raises:
            InputError: it is none of these.
        """
        return self._when

    @when.setter
    def when(self, value: str | int) -> None:
        if isinstance(value, str) or is_whole(value):
            self._every(value)
            self._when = value
            return
        raise _wrong_when(value)

    def shape(self, exit: int, method: str | None = None) -> tuple[int, int, int]:
        """(H, W, C) of the maps of images that leave at exit `exit`.

        Raises:
            InputError: there is no such exit, or the method was not built.
        """
        name = METHODS[self._known(self._method if method is None else method)]
        self._exits((exit,))
        return self._built.shapes[exit, name]

    # ------------------------------------------------------------------ what a call asks for

    def choice(
        self, asked: tuple[Any, str | None, Any, Any], images: int | None, *, wait: bool = False
    ) -> Choice | None:
        """What a call asks for; None: nothing.

        Args:
            asked: the arguments explain, method, exits and below of `Accelerator.classify`.
            images: how many there are; None: nobody knows.
            wait: images are held back until there is a slot; those that are named are in any case.

        Raises:
            InputError: one of them cannot be.
        """
        explain, method, exits, below = asked
        kind = self._known(self._method if method is None else method)
        limits = self._limits(exits, below)
        when = self._when if explain is None else explain
        if isinstance(when, str) or is_whole(when):
            every = self._every(when)
            return Choice(every, kind, limits, wait=bool(wait)) if every else None
        if exits is not None or below is not None:
            raise InputError(
                "images that are explained by their numbers must be explained whatever their exit "
                'and score, got exits or below besides; use explain="all" with these.'
            )
        numbers = _numbers(when, images)
        return Choice(0, kind, limits, numbers, wait=True) if numbers else None

    def _known(self, name: str) -> int:
        if name not in self._built.methods:
            raise InputError(
                f"method must be one that the accelerator was built with, "
                f"{' or '.join(self._built.methods)}, got {name!r}; add it to `methods` under "
                "[explain] and run `exeunt compile` again."
            )
        return METHODS.index(name)

    def _every(self, value: str | int) -> int:
        if value in (NONE, ALL):
            return int(value == ALL)
        if isinstance(value, str) or not 1 <= value <= MOST:
            raise _wrong_when(value)
        return int(value)

    def _exits(self, exits: Collection[Any]) -> None:
        count = self._device.description.exits
        for one in exits:
            if not is_whole(one) or not 0 <= one < count:
                raise InputError(
                    f"an exit must be from 0 to {count - 1}, got {one!r}; this network has {count} "
                    "exits."
                )

    def _limits(self, exits: Any, below: Any) -> tuple[int, ...]:
        count = self._device.description.exits
        if is_whole(below) or below is None:
            below = [below] * count
        if not isinstance(below, Sequence | np.ndarray) or len(below) != count:
            raise InputError(
                f"below must be a whole number or one for each of {count} exits (None: any score), "
                f"got {below!r}; an image whose score is not below it is not explained."
            )
        found = [codes.NEVER if b is None else b for b in below]
        for limit in found:
            if not is_whole(limit) or not codes.ALWAYS <= limit <= codes.NEVER:
                raise InputError(
                    f"below must be of whole numbers of 32 signed bits, got {limit!r}; scores are "
                    "counted in the steps of a logit."
                )
        if exits is not None:
            chosen = (exits,) if is_whole(exits) else tuple(exits)
            self._exits(chosen)
            found = [limit if e in chosen else codes.ALWAYS for e, limit in enumerate(found)]
        return tuple(int(limit) for limit in found)


class Explainer:
    """A device's transfers with maps."""

    def __init__(self, device: Device, built: Built, packets: Packets) -> None:
        self._device = device
        self._built = built
        self._packets = packets

    @property
    def cycles(self) -> int:
        """Most that one map takes."""
        return self._built.cycles

    def all(
        self,
        call: Transfers,
        frames: Bytes,
        choice: Choice,
        timeout: float | None,
        *,
        most: int,
        whole: bool = False,
    ) -> None:
        """All images of a call, in transfers of at most `most`; see `run`."""
        first = 0
        while first < len(frames):
            count = choice.length(first, min(most, len(frames) - first), self._built.asked)
            part = frames[first : first + count]
            self.run(call, first, part, choice, timeout, whole=whole)
            first += count

    def run(
        self,
        call: Transfers,
        first: int,
        frames: Bytes,
        choice: Choice,
        timeout: float | None,
        *,
        whole: bool = False,
    ) -> None:
        """Answer frames, the call's images from `first` on, and bring in the maps they have.

        Args:
            call: gets answers in `ready`, `maps` and `missed`.
            first: number of the first image.
            frames: packed.
            choice: which are explained.
            timeout: longest wait for one map; estimated if None.
            whole: every image must have its map.

        Raises:
            DeviceError: something failed; the device is ready again.
        """
        device = self._device
        with device.alone():
            try:
                with device.access:
                    base = device.next_id()
                    device.registers["explain_forget"] = 1
                    self._bring_in(call, timeout)
                    self._packets.fetch()  # maps that somebody else asked for
                    missed, unmet = self._count("explain_missed", "explain_unmet")
                    self._choose(choice, base - first, range(first, first + len(frames)))
                device.submit(call, first, frames, len(frames))
                while device.advance(call):
                    pass
                with device.access:
                    self._bring_in(call, timeout)
                    lost, late = self._count("explain_missed", "explain_unmet")
                    lost, late = lost - missed, late - unmet
                    self._place(call, base, choice)
                    self._check(call, choice, lost, late, whole)
                    call.missed += lost
                    device.registers["explain_every"] = 0
            except (TransferError, DeviceError) as error:
                if call.broken is None:
                    raise device.failed(call, error) from error
                raise
            except BaseException:  # Ctrl-C: nothing is to be explained any more
                if device.open and call.broken is None:
                    device.recover()
                raise

    def _count(self, *names: str) -> list[int]:
        self._device.registers["control.snapshot"] = 1
        return [self._device.registers[name] for name in names]

    def _choose(self, choice: Choice, ahead: int, images: range) -> None:
        """Tell the device what of the next images is explained; image i will have id i + ahead."""
        registers = self._device.registers
        registers["explain_method"] = choice.method
        for exit_index, limit in enumerate(choice.below):
            registers["explain_below", exit_index] = limit
        for image in choice.images:
            if image in images:
                registers["explain_ask"] = (image + ahead) & 0xFFFFFFFF
        low, _ = self._device.description.registers["explain_every"]["fields"]["wait"]
        registers["explain_every"] = choice.every | choice.wait << low

    def _bring_in(self, call: Transfers, timeout: float | None) -> None:
        """Wait until every map that was begun is here, `timeout` for each; no frame is inside."""
        device, clock = self._device, self._device.transport
        limit = timeout
        if limit is None:
            limit = clock.patience(1, self._built.cycles)
        end, before = clock.now() + limit, (-1, -1, -1)
        while True:
            self._packets.take()
            slots = device.registers["explain_slots"]
            (begun,) = self._count("explained")
            if not call.unchanged():
                raise TransferFault("the accelerator was reset by somebody else while it explained")
            came = self._packets.came & 0xFFFFFFFF
            if not slots and begun == came:
                return
            if slots == 0 and (begun - came) & 0xFFFFFFFF > 1 << 31:
                raise TransferFault(f"{begun} heat maps were begun and {came} came")
            now, seen = clock.now(), (slots, begun, came)
            if seen != before:
                end, before = now + limit, seen
            elif now >= end:
                raise TransferTimeout(
                    f"a heat map must come within {limit:g} {clock.unit} and none did, with "
                    f"{begun} begun since the last reset, {came} here and {slots} slots in use",
                    "maps",
                )
            self._packets.take(min(limit / LOOKS, end - now), device.let_others)

    def _place(self, call: Transfers, base: int, choice: Choice) -> None:
        """Put each map that came to its image."""
        transfer, rows = call.ready[-1]
        for packet in self._packets.fetch():
            try:
                found = maps.decode(packet, self._built.shapes)
            except CheckFailed as error:
                raise TransferFault(str(error)) from error
            place = (found.id - base) & 0xFFFFFFFF
            image = transfer.first + place
            row = rows[place] if place < len(rows) else None
            if (
                row is None
                or (found.exit, found.class_) != (row["exit"], row["class"])
                or found.method != METHODS[choice.method]
                or not choice.wants(image, int(row["exit"]), int(row["score"]))
            ):
                raise TransferFault(
                    f"a heat map cannot be one of images {transfer.first} to "
                    f"{transfer.first + len(rows) - 1}: id {found.id}, exit {found.exit}, class "
                    f"{found.class_}, {found.method}"
                )
            if image in call.maps:
                raise TransferFault(f"the heat map of image {image} came twice")
            call.maps[image] = found

    def _check(self, call: Transfers, choice: Choice, lost: int, late: int, whole: bool) -> None:
        """Raise what is missing, as far as that can be told."""
        transfer, _ = call.ready[-1]
        every = range(transfer.first, transfer.first + transfer.count)
        there = [i for i in every if i in call.maps]
        asked = [i for i in every if i in choice.images]
        absent = sorted({*(every if whole else asked)} - {*there})
        if absent:
            names = ", ".join(map(str, absent[:4])) + (" and more" if len(absent) > 4 else "")
            raise TransferFault(
                f"every image that was asked for must have its heat map, and images {names} have "
                f"none; frames without a slot: {lost}, ids that came too late: {late}"
            )
        every_one = choice.every == 1 and set(choice.below) == {codes.NEVER}
        if every_one and len(there) + lost != transfer.count:
            raise TransferFault(
                f"{transfer.count} frames must be explained or found without a slot, and "
                f"{len(there)} heat maps came with {lost} frames without a slot"
            )


def _numbers(value: Any, images: int | None) -> tuple[int, ...]:
    """The numbers of images that a list, or a mask, names."""
    if images is None:
        raise InputError(
            "images of a stream must be explained as they come and not by their numbers, got "
            f'{value!r}; use "all", "none" or n for one in n.'
        )
    try:
        found = np.array(value)
    except Exception:  # whatever the caller's object raises
        raise _wrong_when(value) from None
    if found.dtype == bool and found.shape == (images,):
        return tuple(int(i) for i in np.flatnonzero(found))
    if found.ndim != 1 or (found.size and found.dtype.kind not in "iu"):
        raise _wrong_when(value)
    for number in found.tolist():
        if not 0 <= number < images:
            raise InputError(
                f"explain must name images from 0 to {images - 1}, got {number}; these are the "
                "places among the images of the call."
            )
    return tuple(sorted({int(i) for i in found}))


def _wrong_when(value: Any) -> InputError:
    return InputError(
        f'explain must be "all", "none", a whole number n from 1 to {MOST} for one image in n, or '
        f"the numbers of images, got {value!r}; use one of them."
    )
