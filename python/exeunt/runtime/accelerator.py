"""The driver: images in, answers out, whatever carries them.

Every answer that is handed out was asked for, came exactly once, and came from the accelerator that
the manifest describes. When something fails, the device is brought back to its known empty state,
and the error says what is stuck and carries the answers that had come.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from exeunt import registers as codes
from exeunt.errors import InputError
from exeunt.runtime import description, packing, selftests, streams
from exeunt.runtime.device import Device, signed
from exeunt.runtime.golden import Golden
from exeunt.runtime.registermap import Registers
from exeunt.runtime.results import RESULT, Answer, Results
from exeunt.runtime.transport import Transport

ORDERS = ("arrival", "input")


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
        try:
            found = description.load(manifest)
            frame = packing.frame_bytes(found.input, transport.beat_bytes)
            self._most = self._batch = transport.capacity // frame
            if batch is not None:
                self.batch = batch
            self._device = Device(found, transport)
        except BaseException:
            transport.close()
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
        if self._device.open:
            self._device.open = False
            self._device.transport.close()

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
        self._device.usable()
        frames = self._device.packed(images)
        table = np.zeros(len(frames), RESULT)
        with self._device.transfers(timeout) as call:
            first = 0
            while first < len(frames) or call.under_way:
                count = min(self._batch, len(frames) - first)
                if count and self._device.fits(call, count):
                    self._device.submit(call, first, frames[first : first + count], count)
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
        exits, classes = self._device.description.exits, self._device.description.classes
        if not 0 <= exit < exits:
            raise InputError(
                f"exit must be from 0 to {exits - 1}, got {exit}; this network has {exits} exits."
            )
        self._device.usable()
        frames = self._device.packed(images)
        beats = -(-classes // 4)
        found = np.zeros((len(frames), classes), np.int32)
        fields = self._device.description.registers["raw"]["fields"]
        with self._device.transfers(timeout) as call:
            call.raw = True
            self._device.mode("raw", 1 << fields["enable"][0] | exit << fields["exit"][0])
            first = 0
            while first < len(frames) or call.under_way:
                if first < len(frames) and len(call.under_way) < self._device.transport.depth:
                    self._device.submit(call, first, frames[first : first + 1], beats)
                    first += 1
                else:
                    call.advance()
            self._device.mode("raw", 0)
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
        self._device.usable()
        return streams.run(self._device, images, min(batch, self._batch), timeout)

    # ------------------------------------------------------------------ settings

    @property
    def unit(self) -> str:
        """Of every timeout: "s" or "cycles"."""
        return self._device.transport.unit

    @property
    def transport(self) -> Transport:
        """What carries the images."""
        return self._device.transport

    @property
    def info(self) -> Info:
        """What is open, as its registers say."""
        found = self._device.description
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
    def registers(self) -> Registers:
        """The registers by name; see `exeunt.runtime.registermap`."""
        self._device.usable(busy=True)
        return self._device.registers

    @property
    def counters(self) -> dict[str, Any]:
        """Every counter of the register map, from one snapshot: int, or a tuple of one per exit."""
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
        return ORDERS[self._device.order]

    @order.setter
    def order(self, order: str) -> None:
        if order not in ORDERS:
            raise InputError(f"order must be 'arrival' or 'input', got {order!r}; use one of them.")
        self._device.usable(busy=True)
        self._device.mode("order", ORDERS.index(order))

    @property
    def thresholds(self) -> tuple[int, ...]:
        """The signed thresholds in force, one per exit; the last one's is ALWAYS."""
        return tuple(signed(w) for w in self.registers["active"])

    @thresholds.setter
    def thresholds(self, values: Sequence[int | None]) -> None:
        exits = self._device.description.exits
        given = list(values)
        if len(given) not in (exits, exits - 1):
            raise InputError(
                f"thresholds must have one entry for each of {exits} exits (the last may be left "
                f"out), got {len(given)}; use None for always."
            )
        words = [codes.threshold_word(v) for v in given[: exits - 1]]
        self._device.usable(busy=True)
        self._device.commit(words)

    def reset(self) -> None:
        """Bring the device into its known empty state; thresholds and order stay.

        Raises:
            InputError: it is closed, or a stream is open.
            DeviceError: the device does not answer.
        """
        self._device.usable()
        self._device.recover()

    def selftest(self, golden: str | Path | Golden | None = None) -> selftests.Selftest:
        """Answer the golden images and compare; see `exeunt.runtime.selftests.run`."""
        self._device.usable()
        return selftests.run(self, self._device.description, golden)
