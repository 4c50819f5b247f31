"""The device as the driver keeps it: what it was told, what is inside, and how it comes back.

Everything that has to hold from one call to the next is here: thresholds, order, the id of the next
frame, the batch length that is written, and the epoch, which changes with every reset.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from exeunt import registers as codes
from exeunt.errors import InputError
from exeunt.runtime import packing
from exeunt.runtime.description import Description
from exeunt.runtime.errors import DeviceError, DeviceFault, DeviceTimeout
from exeunt.runtime.registermap import Registers
from exeunt.runtime.results import RESULT, Results
from exeunt.runtime.transfers import Transfer, Transfers
from exeunt.runtime.transport import (
    NOTHING,
    Bytes,
    TransferError,
    TransferFault,
    TransferTimeout,
    Transport,
)

RESET_CYCLES = 100


class Device:
    """An accelerator behind a transport, identified and brought into its known empty state.

    `active`: the transfers of the call under way, if there is one.

    Raises:
        InputError: it is no accelerator, or not the one that is described.
        DeviceError: it does not answer.
    """

    def __init__(self, description: Description, transport: Transport) -> None:
        self.description = description
        self.transport = transport
        self.registers = Registers(description.registers, description.exits, transport)
        self.open = True
        self.active: Transfers | None = None
        self.order = 0
        self._thresholds = description.thresholds
        self._id, self._written, self._epoch = 0, 0, 0
        self._lost = False
        self._identify()
        self.recover()

    def packed(self, images: npt.NDArray[Any]) -> Bytes:
        """Whole frames of images (N, H, W, C), uint8 (N, words * beat_bytes)."""
        return packing.pack(self.description.input, images, self.transport.beat_bytes)

    def usable(self, *, busy: bool = False) -> None:
        """Raise a sentence unless a call may begin; `busy`: also while a stream is open."""
        if not self.open:
            raise InputError(
                f"The accelerator {self.description.name} must be open to be used and was closed; "
                "make a new Accelerator."
            )
        if self.active is not None and not busy:
            raise InputError(
                f"The accelerator {self.description.name} must be free for this and a stream is "
                f"open on it, {self.active.count} images under way; close the stream first."
            )

    def _identify(self) -> None:
        """Read id, version and hash."""
        for name in ("id", "version"):
            want = int(self.description.registers[name]["reset"])
            seen = self.registers[name]
            if seen != want:
                raise InputError(
                    f"The device must be an accelerator whose register {name} is {want:#010x} and "
                    f"it reads {seen:#010x}; check that the bitstream is loaded and made by this "
                    "version of exeunt."
                )
        seen = self.registers["hash"]
        if seen != self.description.design_hash:
            raise InputError(
                f"The bitstream must be the one of this manifest, hash "
                f"{self.description.design_hash:#010x}, and its hash register reads {seen:#010x}; "
                "load the bitstream that was made from the same run folder."
            )

    def transfers(self, timeout: float | None) -> Call:
        """A call's transfers, as a context; `timeout` of each, estimated if None."""
        self.usable()
        if self._lost:
            self.recover()
        found = self.description

        def wait(images: int) -> float:
            if timeout is not None:
                return timeout
            return self.transport.patience(images, images * found.cycles)

        def unchanged() -> bool:
            status = self.registers["status"]
            low, width = found.registers["status"]["fields"]["epoch"]
            return (status >> low) & ((1 << width) - 1) == self._epoch

        def cut() -> bool:
            self.registers["control.snapshot"] = 1
            return bool(self.registers["bad"])

        limits = (found.exits, found.classes)
        return Call(self, Transfers(self.transport, limits, wait, unchanged, cut))

    def fits(self, call: Transfers, count: int) -> bool:
        """A transfer of `count` images may start now: TLAST changes only when nothing is inside."""
        room = len(call.under_way) < self.transport.depth
        return room and (not call.under_way or self._written == count)

    def submit(self, call: Transfers, first: int, frames: Bytes, records: int) -> None:
        """Start a transfer that `fits`: packed frames of the images from `first` on."""
        count = len(frames)
        if not call.raw and self._written != count:
            self.registers["batch"] = count
            self._written = count
        if call.under_way:
            self._all_taken(call)
        base = self._id
        self._id = (base + count) & 0xFFFFFFFF
        call.submit(Transfer(first, count, base, records), frames)

    def _all_taken(self, call: Transfers) -> None:
        """Wait until every frame sent so far is inside.

        Frames of a transfer that was cut short would otherwise lend their ids to the next one's.
        """
        limit = call.timeout(call.count)
        self.transport.ready(limit)
        end = self.transport.now() + limit
        while True:
            self.registers["control.snapshot"] = 1
            seen = self.registers["frames_in"]
            if seen == self._id:
                return
            if self.transport.now() > end or (seen - self._id) & 0xFFFFFFFF < 1 << 31:
                raise TransferFault(
                    f"{self._id} frames were sent since the last reset and {seen} arrived"
                )

    def _settled(self, field: str, what: str) -> None:
        """Wait until a field of the status register is zero; transfers under way go on."""
        clock = self.transport
        limit = clock.patience(
            self.description.in_flight, self.description.in_flight * self.description.cycles
        )
        end = clock.now() + limit
        while self.registers[f"status.{field}"]:
            if self.active is not None and self.active.under_way:
                self.active.advance()
            elif clock.now() > end:
                raise DeviceTimeout(
                    f"{what} must be in force within {limit:g} {clock.unit} and is not: status "
                    f"{field} is set with {self.registers['status.in_flight']} frames in flight; "
                    "reset the accelerator."
                )

    def mode(self, name: str, value: int) -> None:
        """Write a mode that takes effect once nothing is inside."""
        self._guarded(lambda: self._write_mode(name, value))

    def _write_mode(self, name: str, value: int) -> None:
        self.registers[name] = value
        if name == "order":
            self.order = value
        self._settled("mode_pending", f"{name} {value:#x}")

    def commit(self, words: Sequence[int]) -> None:
        """Put thresholds in force, all at once."""
        self._guarded(lambda: self._write_thresholds(words))

    def _write_thresholds(self, words: Sequence[int]) -> None:
        self._settled("commit_pending", "An earlier commit")
        for i, word in enumerate(words):
            self.registers["threshold", i] = word
        self.registers["control.commit"] = 1
        self._thresholds = (*(signed(w) for w in words), codes.ALWAYS)
        self._settled("commit_pending", "The thresholds")
        seen = self.registers["active"][:-1]
        if seen != tuple(words):
            raise DeviceFault(
                f"The thresholds in force must be {tuple(signed(w) for w in words)} and read "
                f"{tuple(signed(w) for w in seen)}; somebody else uses the accelerator."
            )

    def _guarded(self, action: Callable[[], None]) -> None:
        """Do something with the registers; when it fails, recover and raise one sentence."""
        try:
            action()
        except (TransferError, DeviceError) as error:
            raise self._failed(self.active, error) from error

    def _soft_reset(self) -> None:
        self.registers["control.reset"] = 1
        end = self.transport.now() + self.transport.patience(0, RESET_CYCLES)
        while self.registers["status.resetting"]:
            if self.transport.now() > end:
                raise DeviceFault("its soft reset does not end")

    def recover(self) -> None:
        """Known empty state with the driver's thresholds and order, or an error."""
        self._lost = True
        if self.active is not None:
            self.active.under_way.clear()
        try:
            self.transport.stop()
            self.registers["raw"] = 0
            self.registers["order"] = self.order
            self._soft_reset()
            self.transport.start()
            self._written, self._id = 0, 0
            words = [codes.threshold_word(v) for v in self._thresholds[:-1]]
            if self.registers["active"][:-1] != tuple(words):
                self._write_thresholds(words)
            self._epoch = self.registers["status.epoch"]
        except (TransferError, DeviceError) as error:
            raise DeviceFault(
                f"The accelerator {self.description.name} must come back from a reset and does "
                f"not: {_clause(error)}; power-cycle the board or load the bitstream again."
            ) from error
        self._lost = False

    def _failed(self, call: Transfers | None, error: BaseException) -> DeviceError:
        """The sentence for a failure, with what was answered; the device is reset."""
        stuck = self._stuck()
        partial = error.partial if isinstance(error, TransferError) else NOTHING
        indices, rows, missing = np.zeros(0, np.int64), np.zeros(0, RESULT), ""
        if call is not None:
            indices, rows, missing = call.salvage(partial)
        after = "the device was reset and is ready"
        try:
            self.recover()
        except DeviceError as second:
            after = f"a reset did not help ({_clause(second)})"
        kind = DeviceTimeout if isinstance(error, TransferTimeout | DeviceTimeout) else DeviceFault
        failure = kind(
            f"The accelerator {self.description.name} must answer and did not: {_clause(error)}"
            f"{missing}{stuck}; {after}, {len(rows)} answers are in the error's `answered`.",
            answered=Results.of(rows),
            indices=indices,
        )
        failure.told = True
        if call is not None:
            call.ready.clear()
            call.broken = failure
        return failure

    def _stuck(self) -> str:
        """What the counters say."""
        try:
            seen = self.registers.counters()
            inside = self.registers["status.in_flight"]
        except DeviceError:
            return ", its registers do not answer"
        text = ", ".join(
            f"{name} {value if isinstance(value, int) else list(value)}"
            for name, value in seen.items()
            if name != "in_flight"
        )
        return f" ({inside} frames in flight; {text})"


class Call:
    """One call's transfers; whatever ends it early, the device is brought back."""

    def __init__(self, device: Device, transfers: Transfers) -> None:
        self._device = device
        self._transfers = transfers

    def __enter__(self) -> Transfers:
        self._device.active = self._transfers
        return self._transfers

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            told = isinstance(error, DeviceError) and error.told
            if isinstance(error, TransferError | DeviceError) and not told:
                raise self._device._failed(self._transfers, error) from error
            if self._transfers.under_way:  # left in the middle, by Ctrl-C for one
                self._device.recover()
        finally:
            self._device.active = None


def signed(word: int) -> int:
    """A 32-bit register as a signed number."""
    return word - (1 << 32) if word >> 31 else word


def _clause(error: BaseException) -> str:
    """An error's sentence as part of another."""
    return str(error).rstrip(".")
