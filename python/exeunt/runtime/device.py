"""The device as the driver keeps it: what it was told, what is inside, and how it comes back.

Everything that has to hold from one call to the next is here: thresholds, order, the id of the next
frame, the batch length that is written, and the epoch, which changes with every reset.

Threads: `access` is held for whatever touches the transport, and given away while a transfer is
waited for, so that registers are read meanwhile. `gate` is held to start a transfer or to change
what the next one meets, and always taken before `access`. The transfers under way are of one call;
who starts one of another call, or changes a setting, first brings those in, whosever they are: so
nobody waits for a caller that does something else, such as the consumer of a stream.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any

import numpy as np

from exeunt import registers as codes
from exeunt.errors import InputError
from exeunt.runtime import packing
from exeunt.runtime.description import Description
from exeunt.runtime.errors import DeviceError, DeviceFault, DeviceTimeout
from exeunt.runtime.packets import Packets
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
from exeunt.runtime.turns import Turns

RESET_CYCLES = 100
RESET_LOOKS = 16
"""Looks at the status, of a cycle or more each, in which a soft reset ends by itself."""


class Device:
    """An accelerator behind a transport, identified and brought into its known empty state.

    Raises:
        InputError: it is no accelerator, or not the one that is described.
        DeviceError: it does not answer.
    """

    def __init__(self, description: Description, transport: Transport) -> None:
        self.description = description
        self.transport = transport
        self.access, self.gate = Turns(), Turns()
        # a further look has registers like an exit, between those of the others and the last one's
        places = description.exits + len(description.look_thresholds)
        self.registers = Registers(description.registers, places, transport, self.access)
        self.open = True
        self.order = 0
        self._active: Transfers | None = None  # whose transfers are under way
        self._collecting = False  # a thread waits for the oldest of them
        every = (*description.thresholds[:-1], *description.look_thresholds)
        self._thresholds = tuple(codes.threshold_word(t) for t in every)
        carried = description.explains is not None and getattr(transport, "carries_maps", True)
        self.packets = Packets(transport) if carried else None
        self._id, self._written, self._epoch = 0, 0, 0
        self._resets = 0  # times that the driver brought the device back
        self._lost = False
        self._identify()
        self.recover()

    def packed(self, images: Any, name: str = "images", form: str = "several") -> Bytes:
        """Whole frames of images as they are now, uint8 (N, words * beat_bytes).

        Args:
            images: in a form of `exeunt.runtime.packing.FORMS`.
            name: what they are called in a sentence.
            form: which one.

        Raises:
            InputError: the images do not fit.
        """
        found, size = packing.taken(images, name), self.transport.beat_bytes
        return packing.pack(self.description.input, found, size, name=name, form=form)

    def usable(self) -> None:
        """Raise a sentence if the device was closed."""
        if not self.open:
            raise InputError(
                f"The accelerator {self.description.name} must be open to be used and was closed; "
                "make a new Accelerator."
            )

    def close(self) -> None:
        """Give the device back; a second call does nothing, calls under way end in a sentence."""
        with self.access:
            if self.open:
                self.open = False
                self.access.changed()
                self.transport.close()

    def _identify(self) -> None:
        """Read id, version, hash and criterion."""
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
        seen = self.registers["criterion"]
        if seen != self.description.criterion:
            raise InputError(
                "The device must decide by the exit criterion of the manifest, code "
                f"{self.description.criterion}, and its criterion register reads {seen}; run "
                "`exeunt compile` again and load the bitstream that is made from it."
            )

    # ------------------------------------------------------------------ transfers

    def transfers(self, timeout: float | None, *, more: int = 0) -> Call:
        """A call's transfers; `timeout` of each, estimated if None; `more`: cycles of a map."""
        self.usable()
        found = self.description

        def wait(images: int) -> float:
            if timeout is not None:
                return timeout
            return self.transport.patience(images, images * (found.cycles + more))

        def unchanged() -> bool:
            status = self.registers["status"]
            low, width = found.registers["status"]["fields"]["epoch"]
            return (status >> low) & ((1 << width) - 1) == self._epoch

        def cut() -> bool:
            self.registers["control.snapshot"] = 1
            return bool(self.registers["bad"])

        limits = (found.exits, found.classes)
        return Call(self, Transfers(self.transport, limits, wait, unchanged, cut, self._meanwhile))

    def under_way(self, call: Transfers) -> bool:
        """Whether the call has transfers that were not collected; if not, `ready` has them all."""
        with self.access:
            self._fit_for(call)
            return bool(call.under_way)

    def fits(self, call: Transfers, count: int) -> bool:
        """A transfer of `count` images of the call may start without waiting for one before it."""
        with self.access:
            return self._fits(call, count)

    def _fits(self, call: Transfers, count: int) -> bool:
        """TLAST changes only when nothing is inside."""
        room = len(call.under_way) < self.transport.depth
        return room and (not call.under_way or call.raw or self._written == count)

    def submit(self, call: Transfers, first: int, frames: Bytes, records: int) -> None:
        """Start a transfer: packed frames of the call's images from `first` on.

        Raises:
            DeviceError: it failed, or one of the call before it did.
        """
        with self.gate, self.access:
            self._fit_for(call)
            self._bring_in(but=call)
            while not self._fits(call, len(frames)):
                self.advance(call)
            if self._lost:
                self.recover()
            self._active = call
            try:
                self._start(call, first, frames, records)
            except (TransferError, DeviceError) as error:
                raise self.failed(call, error) from error

    def next_id(self) -> int:
        """The id that the next frame gets; the device is brought back first if it must be."""
        with self.access:
            if self._lost:
                self.recover()
            return self._id

    def _start(self, call: Transfers, first: int, frames: Bytes, records: int) -> None:
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
        self.transport.ready(limit, self._meanwhile)
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

    def advance(self, call: Transfers | None = None) -> bool:
        """Wait for the oldest transfer under way, and keep its answers with its call.

        Args:
            call: whose transfer it must be; anybody's if None.

        Returns:
            Whether there was one. A thread that finds another one waiting for it waits for that.

        Raises:
            DeviceError: the transfer failed and is of `call`; others are told by themselves.
        """
        with self.access:
            if call is not None:
                self._fit_for(call)
            self.usable()
            busy = self._active
            if busy is None or not busy.under_way or call not in (None, busy):
                return False
            if self._collecting:
                self.access.wait()
                if call is not None:
                    self._fit_for(call)
                return True
            resets = self._resets
            self._collecting = True
            try:
                busy.advance()
            except (TransferError, DeviceError) as error:
                if resets == self._resets:
                    self.failed(busy, error)
                if busy is call:
                    raise (busy.broken or error) from error
            finally:
                self._collecting = False
                self.access.changed()
            return True

    def _bring_in(self, but: Transfers | None = None) -> None:
        """Collect all that is under way, for the calls that it is of."""
        while self._active is not but and self.advance():
            pass

    def _fit_for(self, call: Transfers) -> None:
        """Raise what has become of the call, if it failed in another thread."""
        self.usable()
        if call.broken is not None:
            raise call.broken

    def _meanwhile(self) -> None:
        """Results are waited for: maps are taken, and other threads may use the registers."""
        if self.packets is not None:
            self.packets.take()
        self.let_others()

    def let_others(self) -> None:
        """Something is waited for: other threads may use the registers meanwhile.

        Raises:
            TransferFault: another thread has reset the accelerator.
        """
        resets = self._resets
        self.access.give_way()
        self.usable()
        if resets != self._resets:
            raise TransferFault("the accelerator was reset by another thread while it answered")

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Nothing is under way, and no other thread starts anything or changes a setting."""
        with self.gate:
            self.usable()
            self._bring_in()
            yield

    # ------------------------------------------------------------------ settings

    def thresholds(self) -> tuple[int, ...]:
        """The threshold registers of the bank in force, one word for each exit and further look."""
        with self.access:
            while True:  # a commit that comes into force between two exits is read again
                bank = self.registers["status.bank"]
                words: tuple[int, ...] = self.registers["active"]
                if self.registers["status.bank"] == bank:
                    return words

    def commit(self, words: Sequence[int]) -> None:
        """Put thresholds in force, all at once: a word for each exit but the last, and each look.

        Raises:
            DeviceError: they do not come into force; those before are in force again.
        """

        def write() -> None:
            self._write_thresholds(words)
            self._thresholds = tuple(words)

        self._setting(write)

    def set_order(self, order: int) -> None:
        """Change the order of the results, once nothing is inside."""

        def write() -> None:
            self._write_mode("order", order)
            self.order = order

        self._setting(write)

    def set_raw(self, value: int) -> None:
        """Write the raw register, which takes effect once nothing is inside."""
        self._setting(lambda: self._write_mode("raw", value))

    def _setting(self, write: Callable[[], None]) -> None:
        """Change a setting; when that fails, recover and raise one sentence."""
        with self.gate, self.access:
            self.usable()
            while True:
                if self._lost:
                    self.recover()
                resets = self._resets
                try:
                    write()
                    return
                except (TransferError, DeviceError) as error:
                    if resets == self._resets:
                        busy = self._active if self._active and self._active.under_way else None
                        raise self.failed(busy, error) from error
                    # what was under way failed meanwhile, and the device is empty: once more

    def _write_mode(self, name: str, value: int) -> None:
        self.registers[name] = value
        self._settled("mode_pending", f"{name} {value:#x}")

    def _write_thresholds(self, words: Sequence[int]) -> None:
        self._settled("commit_pending", "An earlier commit")
        for i, word in enumerate(words):
            self.registers["threshold", i] = word
        self.registers["control.commit"] = 1
        self._settled("commit_pending", "The thresholds")
        seen = self.registers["active"][:-1]
        if seen != tuple(words):
            raise DeviceFault(
                f"The thresholds in force must be {tuple(signed(w) for w in words)} and read "
                f"{tuple(signed(w) for w in seen)}; somebody else uses the accelerator."
            )

    def _settled(self, field: str, what: str) -> None:
        """Wait until a field of the status register is zero; transfers under way go on."""
        clock = self.transport
        limit = clock.patience(
            self.description.in_flight, self.description.in_flight * self.description.cycles
        )
        resets = self._resets
        end = clock.now() + limit
        while self.registers[f"status.{field}"]:
            if not self._lost and self.advance():
                end = clock.now() + limit
            elif clock.now() > end:
                raise DeviceTimeout(
                    f"{what} must be in force within {limit:g} {clock.unit} and is not: status "
                    f"{field} is set with {self.registers['status.in_flight']} frames in flight; "
                    "reset the accelerator."
                )
            elif not self._lost:
                self.let_others()
        if resets != self._resets:
            raise TransferFault("the accelerator was reset by another thread")

    # ------------------------------------------------------------------ what went wrong

    def _soft_reset(self) -> None:
        """Empty the accelerator; a result on offer stays, as AXI demands, until it is taken."""
        self.registers["control.reset"] = 1
        limit = self.transport.patience(0, RESET_CYCLES)
        end = self.transport.now() + limit
        looks = 0
        while self.registers["status.resetting"]:
            looks += 1
            if looks == RESET_LOOKS:
                self.transport.drain()
            if self.transport.now() > end:
                raise DeviceFault(
                    f"its soft reset must end within {limit:g} {self.transport.unit} and does not, "
                    "as it does while nobody takes the result that is on its output"
                )

    def recover(self) -> None:
        """Known empty state with the driver's thresholds and order, or an error."""
        with self.access:
            self.usable()
            self._lost = True
            self._resets += 1
            if self._active is not None:
                self._active.under_way.clear()
            try:
                self.transport.stop()
                self.registers["raw"] = 0
                self.registers["order"] = self.order
                if self.packets is not None:
                    self.registers["explain_every"] = 0
                    self.registers["explain_forget"] = 1
                    self.packets.begin()
                self._soft_reset()
                self.transport.start()
                self._written, self._id = 0, 0
                if self.registers["active"][:-1] != self._thresholds:
                    self._write_thresholds(self._thresholds)
                self._epoch = self.registers["status.epoch"]
            except (TransferError, DeviceError) as error:
                raise DeviceFault(
                    f"The accelerator {self.description.name} must come back from a reset and does "
                    f"not: {_clause(error)}; power-cycle the board or load the bitstream again."
                ) from error
            finally:
                self.access.changed()
            self._lost = False

    def failed(self, call: Transfers | None, error: BaseException) -> DeviceError:
        """The sentence for a failure, with what was answered; the device is reset.

        The counters in it are those from before the reset.
        """
        counters, stuck = self._stuck()
        partial = error.partial if isinstance(error, TransferError) else NOTHING
        indices, rows, missing = np.zeros(0, np.int64), np.zeros(0, RESULT), ""
        answered = Results.of(rows)
        if call is not None:
            indices, rows, missing = call.salvage(partial)
            answered = call.results(indices, rows)
        after = "the device was reset and is ready"
        try:
            self.recover()
        except DeviceError as second:
            after = f"a reset did not help ({_clause(second)})"
        kind = DeviceTimeout if isinstance(error, TransferTimeout | DeviceTimeout) else DeviceFault
        failure = kind(
            f"The accelerator {self.description.name} must answer and did not: {_clause(error)}"
            f"{missing}{stuck}; {after}, {len(rows)} answers are in the error's `answered`.",
            answered=answered,
            indices=indices,
            counters=counters,
        )
        if call is not None:
            call.ready.clear()
            call.broken = failure
        return failure

    def _stuck(self) -> tuple[dict[str, Any], str]:
        """The counters, and what they say."""
        try:
            seen = self.registers.counters()
            inside = self.registers["status.in_flight"]
        except DeviceError:
            return {}, ", its registers do not answer"
        text = ", ".join(
            f"{name} {value if isinstance(value, int) else list(value)}"
            for name, value in seen.items()
            if name != "in_flight"
        )
        return seen, f" ({inside} frames in flight; {text})"


class Call:
    """One call's transfers; whatever ends it early, the device is brought back."""

    def __init__(self, device: Device, transfers: Transfers) -> None:
        self._device = device
        self._transfers = transfers

    def __enter__(self) -> Transfers:
        return self._transfers

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        device, call = self._device, self._transfers
        if kind is GeneratorExit and device.access.mine:
            return  # a stream that is thrown away inside another call: whoever comes next brings in
        with device.access:
            left = bool(call.under_way) or (call.raw and error is not None and call.broken is None)
            if left and device.open:  # in the middle, by Ctrl-C for one
                device.recover()


def signed(word: int) -> int:
    """A 32-bit register as a signed number."""
    return word - (1 << 32) if word >> 31 else word


def _clause(error: BaseException) -> str:
    """An error's sentence as part of another."""
    return str(error).rstrip(".")
