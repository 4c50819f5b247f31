"""The driver: images in, answers out, whatever carries them.

Every answer that is handed out was asked for, came exactly once, and came from the accelerator that
the manifest describes. When something fails, the device is brought back to its known empty state,
and the error says what is stuck and carries the answers that had come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from exeunt import registers as codes
from exeunt.errors import InputError
from exeunt.runtime import description, packing, selftests, streams
from exeunt.runtime.errors import DeviceError, DeviceFault, DeviceTimeout
from exeunt.runtime.golden import Golden
from exeunt.runtime.registermap import Registers
from exeunt.runtime.results import RESULT, Answer, Results
from exeunt.runtime.transfers import Transfer, Transfers, joined, named
from exeunt.runtime.transport import (
    NOTHING,
    Bytes,
    TransferError,
    TransferFault,
    TransferTimeout,
    Transport,
)

ORDERS = ("arrival", "input")
RESET_CYCLES = 100


@dataclass(frozen=True)
class Info:
    """What is open: registers `id`, `version`, `hash`; the network; `unit` of the times."""

    name: str
    id: int
    version: int
    hash: int
    exits: int
    classes: int
    shape: tuple[int, ...]
    in_flight: int
    unit: str


class Accelerator:
    """An accelerator behind a transport; a context manager.

    Args:
        manifest: path of manifest.json or of its folder, or its data.
        transport: how it is reached; closed with the accelerator, also when opening fails.
        batch: most images a transfer; as many as the transport carries unless given.

    Raises:
        InputError: the manifest cannot be used, or the bitstream is not the one it describes.
        DeviceError: the device does not answer.
    """

    def __init__(
        self,
        manifest: str | Path | Mapping[str, Any],
        transport: Transport,
        *,
        batch: int | None = None,
    ) -> None:
        self._transport = transport
        self._open = True
        self._lost = False
        self._active: Transfers | None = None
        try:
            self._description = description.load(manifest)
            found = self._description
            self.registers = Registers(found.registers, found.exits, transport)
            self._frame_bytes = packing.frame_bytes(found.input, transport.beat_bytes)
            self._most = transport.capacity // self._frame_bytes
            self._batch = self._most
            if batch is not None:
                self.batch = batch
            self._order, self._raw, self._written, self._id = 0, 0, 0, 0
            self._thresholds = found.thresholds
            self._identify()
            self._recover()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Accelerator:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the device back; a second call does nothing."""
        if self._open:
            self._open = False
            self._transport.close()

    # ------------------------------------------------------------------ images

    def classify(self, images: npt.NDArray[Any], *, timeout: float | None = None) -> Results:
        """Answer N images.

        Args:
            images: uint8 (N, H, W, C), as many as wanted.
            timeout: longest wait for one transfer, in `unit`; estimated unless given.

        Returns:
            The answers in the order of the images, in whatever order they came.

        Raises:
            InputError: the images do not fit the network.
            DeviceError: something failed; `answered` and `indices` say what was answered before.
        """
        frames = self._packed(images)
        table = np.zeros(len(frames), RESULT)
        with self._transfers(timeout) as call:
            first = 0
            while first < len(frames) or call.under_way:
                count = min(self._batch, len(frames) - first)
                if count and self._fits(call, count):
                    self._submit(call, first, frames[first : first + count], count)
                    first += count
                else:
                    call.advance()
        for part, rows in call.ready:
            table[part.first : part.first + part.count] = rows
        return Results.of(table)

    def classify_one(self, image: npt.NDArray[Any], *, timeout: float | None = None) -> Answer:
        """Answer one image, uint8 (H, W, C), in a transfer of its own."""
        return self.classify(np.asarray(image)[None], timeout=timeout)[0]

    def logits(
        self, images: npt.NDArray[Any], exit: int, *, timeout: float | None = None
    ) -> npt.NDArray[np.int32]:
        """Raw integer logits of exit `exit`, for debugging: a transfer per image.

        Returns:
            int32 (N, classes).

        Raises:
            InputError: the images do not fit, or there is no such exit.
            DeviceError: something failed.
        """
        exits, classes = self._description.exits, self._description.classes
        if not 0 <= exit < exits:
            raise InputError(
                f"exit must be from 0 to {exits - 1}, got {exit}; this network has {exits} exits."
            )
        frames = self._packed(images)
        beats = -(-classes // 4)
        found = np.zeros((len(frames), classes), np.int32)
        fields = self._description.registers["raw"]["fields"]
        with self._transfers(timeout) as call:
            call.raw = True
            self._mode("raw", 1 << fields["enable"][0] | exit << fields["exit"][0])
            first = 0
            while first < len(frames) or call.under_way:
                if first < len(frames) and len(call.under_way) < self._transport.depth:
                    self._submit(call, first, frames[first : first + 1], beats)
                    first += 1
                else:
                    call.advance()
            self._mode("raw", 0)
        for part, rows in call.ready:
            found[part.first] = rows[:classes]
        return found

    def stream(
        self, images: Iterable[npt.NDArray[Any]], *, batch: int = 64, timeout: float | None = None
    ) -> Iterator[Answer]:
        """Answer images as they are produced, for ever if need be.

        Args:
            images: items uint8 (H, W, C), or (K, H, W, C) for several; taken in a thread of its
                own, at most two batches ahead.
            batch: most images a transfer.
            timeout: longest wait for one transfer, in `unit`.

        Yields:
            The answers in the order of the images, each as soon as its transfer is back.

        Raises:
            InputError: an item does not fit (after the answers of those before it).
            DeviceError: something failed; `answered` has what was not yielded yet.
        """
        self._usable()
        return streams.run(self, images, min(batch, self._batch), timeout)

    # ------------------------------------------------------------------ settings

    @property
    def unit(self) -> str:
        """Of every timeout: "s" or "cycles"."""
        return self._transport.unit

    @property
    def transport(self) -> Transport:
        """What carries the images."""
        return self._transport

    @property
    def info(self) -> Info:
        """What is open, as its registers say."""
        self._usable(busy=True)
        found = self._description
        word = self.registers
        return Info(
            name=found.name,
            id=word["id"],
            version=word["version"],
            hash=word["hash"],
            exits=found.exits,
            classes=found.classes,
            shape=tuple(found.input["shape"]),
            in_flight=found.in_flight,
            unit=self.unit,
        )

    @property
    def counters(self) -> dict[str, Any]:
        """Every counter of the register map, from one snapshot: int, or a tuple of one per exit."""
        self._usable(busy=True)
        return self.registers.counters()

    @property
    def batch(self) -> int:
        """Most images a transfer."""
        return self._batch

    @batch.setter
    def batch(self, images: int) -> None:
        if not 1 <= images <= self._most:
            raise InputError(
                f"batch must be from 1 to {self._most}, what a transfer carries, got {images}; "
                "larger sets of images are split by themselves."
            )
        self._batch = int(images)

    @property
    def order(self) -> str:
        """The order in which results leave the core: "arrival" or "input"."""
        return ORDERS[self._order]

    @order.setter
    def order(self, order: str) -> None:
        if order not in ORDERS:
            raise InputError(f"order must be 'arrival' or 'input', got {order!r}; use one of them.")
        self._usable(busy=True)
        self._mode("order", ORDERS.index(order))

    @property
    def thresholds(self) -> tuple[int, ...]:
        """The signed thresholds in force, one per exit; the last one's is ALWAYS."""
        self._usable(busy=True)
        return tuple(_signed(w) for w in self.registers["active"])

    @thresholds.setter
    def thresholds(self, values: Sequence[int | None]) -> None:
        exits = self._description.exits
        given = list(values)
        if len(given) not in (exits, exits - 1):
            raise InputError(
                f"thresholds must have one entry for each of {exits} exits (the last may be left "
                f"out), got {len(given)}; use None for always."
            )
        words = [codes.threshold_word(v) for v in given[: exits - 1]]
        self._usable(busy=True)
        self._commit(words)

    def reset(self) -> None:
        """Bring the device into its known empty state; thresholds and order stay.

        Raises:
            InputError: it is closed, or a stream is open.
            DeviceError: the device does not answer.
        """
        self._usable()
        self._recover()

    def selftest(self, golden: str | Path | Golden | None = None) -> selftests.Selftest:
        """Answer the golden images and compare; see `exeunt.runtime.selftests.run`."""
        self._usable()
        return selftests.run(self, self._description, golden)

    # ------------------------------------------------------------------ inside

    def _usable(self, *, busy: bool = False) -> None:
        """Raise a sentence unless a call may begin; `busy`: also while a stream is open."""
        if not self._open:
            raise InputError(
                f"The accelerator {self._description.name} must be open to be used and was closed; "
                "make a new Accelerator."
            )
        if self._active is not None and not busy:
            raise InputError(
                f"The accelerator {self._description.name} must be free for this and a stream is "
                f"open on it, {self._active.count} images under way; close the stream first."
            )

    def _packed(self, images: npt.NDArray[Any]) -> Bytes:
        self._usable()
        return self._frames(images)

    def _frames(self, images: npt.NDArray[Any]) -> Bytes:
        return packing.pack(self._description.input, images, self._transport.beat_bytes)

    def _identify(self) -> None:
        """Read id, version and hash."""
        for name in ("id", "version"):
            want = int(self._description.registers[name]["reset"])
            seen = self.registers[name]
            if seen != want:
                raise InputError(
                    f"The device must be an accelerator whose register {name} is {want:#010x} and "
                    f"it reads {seen:#010x}; check that the bitstream is loaded and made by this "
                    "version of exeunt."
                )
        seen = self.registers["hash"]
        if seen != self._description.design_hash:
            raise InputError(
                f"The bitstream must be the one of this manifest, hash "
                f"{self._description.design_hash:#010x}, and its hash register reads {seen:#010x}; "
                "load the bitstream that was made from the same run folder."
            )

    def _transfers(self, timeout: float | None) -> _Call:
        self._usable()
        if self._lost:
            self._recover()
        found = self._description

        def wait(images: int) -> float:
            if timeout is not None:
                return timeout
            return self._transport.patience(images, images * found.cycles)

        def unchanged() -> bool:
            status = self.registers["status"]
            low, width = found.registers["status"]["fields"]["epoch"]
            return (status >> low) & ((1 << width) - 1) == self._epoch

        transfers = Transfers(self._transport, (found.exits, found.classes), wait, unchanged)
        return _Call(self, transfers)

    def _fits(self, call: Transfers, count: int) -> bool:
        """A transfer of `count` images may start now: TLAST changes only when nothing is inside."""
        room = len(call.under_way) < self._transport.depth
        return room and (not call.under_way or self._written == count)

    def _submit(self, call: Transfers, first: int, frames: Bytes, records: int) -> None:
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
        self._transport.ready(limit)
        end = self._transport.now() + limit
        while True:
            self.registers["control.snapshot"] = 1
            seen = self.registers["frames_in"]
            if seen == self._id:
                return
            if self._transport.now() > end or (seen - self._id) & 0xFFFFFFFF < 1 << 31:
                raise TransferFault(
                    f"{self._id} frames were sent since the last reset and {seen} arrived"
                )

    def _settled(self, field: str, what: str) -> None:
        """Wait until a field of the status register is zero; transfers under way go on."""
        clock = self._transport
        limit = clock.patience(
            self._description.in_flight, self._description.in_flight * self._description.cycles
        )
        end = clock.now() + limit
        while self.registers[f"status.{field}"]:
            if self._active is not None and self._active.under_way:
                self._active.advance()
            elif clock.now() > end:
                raise DeviceTimeout(
                    f"{what} must be in force within {limit:g} {self.unit} and is not: status "
                    f"{field} is set with {self.registers['status.in_flight']} frames in flight; "
                    "reset the accelerator."
                )

    def _mode(self, name: str, value: int) -> None:
        """Write a mode that takes effect once nothing is inside."""
        self._guarded(lambda: self._write_mode(name, value))

    def _write_mode(self, name: str, value: int) -> None:
        self.registers[name] = value
        if name == "order":
            self._order = value
        else:
            self._raw = value
        self._settled("mode_pending", f"{name} {value:#x}")

    def _commit(self, words: Sequence[int]) -> None:
        """Put thresholds in force, all at once."""
        self._guarded(lambda: self._write_thresholds(words))

    def _write_thresholds(self, words: Sequence[int]) -> None:
        self._settled("commit_pending", "An earlier commit")
        for i, word in enumerate(words):
            self.registers["threshold", i] = word
        self.registers["control.commit"] = 1
        self._thresholds = (*(_signed(w) for w in words), codes.ALWAYS)
        self._settled("commit_pending", "The thresholds")
        seen = self.registers["active"][:-1]
        if seen != tuple(words):
            raise DeviceFault(
                f"The thresholds in force must be {tuple(_signed(w) for w in words)} and read "
                f"{tuple(_signed(w) for w in seen)}; somebody else uses the accelerator."
            )

    def _guarded(self, action: Callable[[], None]) -> None:
        """Do something with the registers; when it fails, recover and raise one sentence."""
        try:
            action()
        except (TransferError, DeviceError) as error:
            raise self._failed(self._active, error) from error

    def _soft_reset(self) -> None:
        self.registers["control.reset"] = 1
        end = self._transport.now() + self._transport.patience(0, RESET_CYCLES)
        while self.registers["status.resetting"]:
            if self._transport.now() > end:
                raise DeviceFault("its soft reset does not end")

    def _recover(self) -> None:
        """Known empty state with the driver's thresholds and order, or an error."""
        self._lost = True
        if self._active is not None:
            self._active.under_way.clear()
        try:
            self._transport.stop()
            self.registers["raw"] = 0
            self.registers["order"] = self._order
            self._soft_reset()
            self._transport.start()
            self._raw, self._written, self._id = 0, 0, 0
            words = [codes.threshold_word(v) for v in self._thresholds[:-1]]
            if self.registers["active"][:-1] != tuple(words):
                self._write_thresholds(words)
            self._epoch = self.registers["status.epoch"]
        except (TransferError, DeviceError) as error:
            raise DeviceFault(
                f"The accelerator {self._description.name} must come back from a reset and does "
                f"not: {_clause(error)}; power-cycle the board or load the bitstream again."
            ) from error
        self._lost = False

    def _failed(self, call: Transfers | None, error: BaseException) -> DeviceError:
        """The sentence for a failure, with what was answered; the device is reset."""
        stuck = self._stuck()
        partial = error.partial if isinstance(error, TransferError) else NOTHING
        if call is not None and call.under_way and not len(partial):
            partial = self._arrived()
        indices, rows = np.zeros(0, np.int64), np.zeros(0, RESULT)
        missing = ""
        if call is not None:
            try:
                found, there = call.salvage(partial)
            except DeviceError:  # it does not answer: nothing of this transfer is believed
                found, there = call.salvage(NOTHING)
            if not call.raw:
                indices, rows = joined(found)
            if call.under_way:
                oldest = call.under_way[0]
                lack = ~there
                missing = (
                    f", {int(lack.sum())} of {oldest.count} results missing (images "
                    f"{named(oldest, lack)}, ids from {oldest.id})"
                )
        after = "the device was reset and is ready"
        try:
            self._recover()
        except DeviceError as second:
            after = f"a reset did not help ({_clause(second)})"
        kind = DeviceTimeout if isinstance(error, TransferTimeout | DeviceTimeout) else DeviceFault
        failure = kind(
            f"The accelerator {self._description.name} must answer and did not: {_clause(error)}"
            f"{missing}{stuck}; {after}, {len(rows)} answers are in the error's `answered`.",
            answered=Results.of(rows),
            indices=indices,
        )
        failure.told = True
        if call is not None:
            call.ready.clear()
            call.broken = failure
        return failure

    def _arrived(self) -> Bytes:
        """Records of the oldest transfer that are here, without waiting for more."""
        try:
            return self._transport.collect(0)
        except TransferError as error:
            return error.partial

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


class _Call:
    """One call's transfers; whatever ends it early, the device is brought back."""

    def __init__(self, accelerator: Accelerator, transfers: Transfers) -> None:
        self._accelerator = accelerator
        self._transfers = transfers

    def __enter__(self) -> Transfers:
        self._accelerator._active = self._transfers
        return self._transfers

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        accelerator = self._accelerator
        try:
            told = isinstance(error, DeviceError) and error.told
            if isinstance(error, TransferError | DeviceError) and not told:
                raise accelerator._failed(self._transfers, error) from error
            if self._transfers.under_way:  # left in the middle, by Ctrl-C for one
                accelerator._recover()
        finally:
            accelerator._active = None


def _signed(word: int) -> int:
    return word - (1 << 32) if word >> 31 else word


def _clause(error: BaseException) -> str:
    """An error's sentence as part of another."""
    return str(error).rstrip(".")
