"""The driver: images in, answers out, whatever carries them.

Every answer that is handed out was asked for, came exactly once, and came from the accelerator that
the manifest describes. When something fails, the device is brought back to its known empty state,
and the error says what is stuck and carries the answers that had come.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from exeunt import registers as codes
from exeunt.errors import InputError
from exeunt.promise import Promise
from exeunt.runtime import description, holding, packing, selftests, streams
from exeunt.runtime.device import Device, signed
from exeunt.runtime.errors import OutsidePromise
from exeunt.runtime.explanations import NONE, Choice, Explainer, Explanations
from exeunt.runtime.golden import Golden
from exeunt.runtime.holding import Holding
from exeunt.runtime.registermap import Registers
from exeunt.runtime.results import RESULT, Answer, Results
from exeunt.runtime.rules import Rules
from exeunt.runtime.settings import checked_timeout, is_whole, outside, threshold_words
from exeunt.runtime.transfers import Transfers
from exeunt.runtime.transport import Bytes, Transport

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

    Threads may share one. Each register access, each start of a transfer and each setting is done
    as a whole, in the order in which the threads ask:

    - `registers`, `counters` and reading `thresholds` wait for one another only, also while images
      are under way: a transfer that is waited for lets them in.
    - `classify` and streams of several threads take turns, transfer by transfer.
    - Setting `thresholds` or `order` waits for the transfers under way, not for the rest of a call
      or of a stream. Images that start afterwards meet the new setting, so the answers of one call
      may be under both. The generator of a stream may set them, too.
    - `logits`, `selftest` and `reset` wait for the transfers under way, and all else but registers
      and counters waits for them.
    - `close` waits for nothing: what is under way in other threads ends in a sentence.

    An error is told to the call whose images it has met; the others go on.

    Args:
        manifest: path of manifest.json or of its folder, or its data.
        transport: how it is reached; closed with the accelerator, also when opening fails. Nobody
            else may use it meanwhile.
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
            self._rules = None
            if found.rules is not None and found.unit is not None:
                self._rules = Rules(self._device, found.rules, found.unit)
            self._explanations = self._explainer = None
            if found.explains is not None and self._device.packets is not None:
                self._explanations = Explanations(self._device, found.explains)
                self._explainer = Explainer(self._device, found.explains, self._device.packets)
            self._hold = holding.of(self._device)
            self._promised = found.promise.covers(found.thresholds[:-1])
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
        self._device.close()

    # ------------------------------------------------------------------ images

    def classify(
        self,
        images: npt.NDArray[Any],
        *,
        timeout: float | None = None,
        explain: str | int | Sequence[int] | npt.NDArray[Any] | None = None,
        method: str | None = None,
        exits: int | Sequence[int] | None = None,
        below: int | Sequence[int | None] | None = None,
        wait: bool = False,
    ) -> Results:
        """Answer N images, and explain those that are asked for.

        Args:
            images: uint8 (N, H, W, C), as many as wanted; copied before this waits for anything.
            timeout: longest wait for one transfer, in `unit`; estimated unless given.
            explain: "all", "none", n for one in n, or the numbers of images, or a mask of them. As
                `explanations.when` says unless given.
            method: how; `explanations.method` unless given.
            exits: only images that leave at one of these.
            below: only images whose score is below it, one number or one for each exit.
            wait: an image that is to be explained is held back until there is a slot for it, and so
                are those behind it. If not, it goes without where there is none, and `missed` of
                the answers counts it; images that are named are always waited for.

        Returns:
            The answers in the order of the images, in whatever order they came; `maps` has the heat
            maps by image.

        Raises:
            InputError: the images do not fit the network, or it cannot explain what is asked for.
            DeviceError: something failed; `answered` and `indices` say what was answered before.
        """
        asked = (explain, method, exits, below)
        return self._classify(images, "images", timeout, explain=asked, wait=wait)

    def explain(
        self,
        images: npt.NDArray[Any],
        *,
        method: str | None = None,
        timeout: float | None = None,
    ) -> Results:
        """Answer N images and explain every one of them.

        Args:
            images: uint8 (N, H, W, C).
            method: how; `explanations.method` unless given.
            timeout: longest wait for one transfer and for one map, in `unit`; estimated unless
                given.

        Returns:
            The answers in the order of the images; `maps` has a heat map of each.

        Raises:
            InputError: the images do not fit, or the accelerator was built without this method.
            DeviceError: something failed; `answered` and `indices` say what was answered before.
        """
        self.explanations.choice(
            ("all", method, None, None), None
        )  # before the images are looked at
        asked = ("all", method, None, None)
        return self._classify(images, "images", timeout, explain=asked, wait=True, whole=True)

    def classify_one(self, image: npt.NDArray[Any], *, timeout: float | None = None) -> Answer:
        """Answer one image, uint8 (H, W, C), in a transfer of its own; errors as of `classify`."""
        return self._classify(image, "image", timeout, form="one")[0]

    def _classify(
        self,
        images: Any,
        name: str,
        timeout: float | None,
        *,
        form: str = "several",
        explain: tuple[Any, ...] = (None, None, None, None),
        wait: bool = False,
        whole: bool = False,
    ) -> Results:
        device = self._device
        device.usable()
        limit = checked_timeout(timeout)
        frames = device.packed(images, name, form)
        choice = self._choice(explain, len(frames), wait=wait)
        table = np.zeros(len(frames), RESULT)
        explainer = self._explainer
        more = explainer.cycles if explainer and choice and choice.wait else 0
        with device.transfers(limit, more=more) as call:
            if choice is not None and explainer is not None:
                explainer.all(call, frames, choice, limit, most=self._batch, whole=whole)
                frames = frames[:0]
            first = 0
            while first < len(frames):
                count = min(self._batch, len(frames) - first)
                if device.fits(call, count):
                    device.submit(call, first, frames[first : first + count], count)
                    first += count
                else:
                    device.advance(call)
            while device.advance(call):
                pass
        for part, rows in call.ready:
            table[part.first : part.first + part.count] = rows
        return Results.of(table, call.maps, call.missed)

    def _choice(
        self, asked: tuple[Any, ...], images: int | None, *, wait: bool = False
    ) -> Choice | None:
        """What a call explains: explain, method, exits and below as its arguments; None: nothing.

        Raises:
            InputError: it cannot be.
        """
        if self._explanations is None and asked in ((None,) * 4, (NONE, None, None, None)):
            return None
        return self.explanations.choice(asked, images, wait=wait)

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
        device = self._device
        exits, classes = device.description.exits, device.description.classes
        if not is_whole(exit) or not 0 <= exit < exits:
            raise InputError(
                f"exit must be from 0 to {exits - 1}, got {exit!r}; this network has {exits} exits."
            )
        device.usable()
        limit = checked_timeout(timeout)
        frames = device.packed(images)
        beats = -(-classes // 4)
        found = np.zeros((len(frames), classes), np.int32)
        fields = device.description.registers["raw"]["fields"]
        with device.alone(), device.transfers(limit) as call:
            call.raw = True
            device.set_raw(1 << fields["enable"][0] | exit << fields["exit"][0])
            for first in range(len(frames)):
                device.submit(call, first, frames[first : first + 1], beats)
            while device.advance(call):
                pass
            device.set_raw(0)
        for part, rows in call.ready:
            found[part.first] = rows[:classes]
        return found

    def stream(
        self,
        images: Iterable[npt.NDArray[Any]],
        *,
        batch: int = 64,
        timeout: float | None = None,
        explain: str | int | None = None,
        method: str | None = None,
        exits: int | Sequence[int] | None = None,
        below: int | Sequence[int | None] | None = None,
        wait: bool = False,
    ) -> Iterator[Answer]:
        """Answer images as they are produced, for ever if need be.

        Args:
            images: items uint8 (H, W, C), or (K, H, W, C) for several; taken in a thread of its
                own, about two batches ahead. An item is copied before the next one is asked for,
                so all of them may be in one buffer. The thread may use this accelerator, such as
                to set thresholds.
            batch: most images a transfer.
            timeout: longest wait for one transfer, in `unit`.
            explain: "all", "none" or n for one in n; with maps, transfers do not overlap.
            method: see `classify`, as for the next three.
            exits: only images that leave at one of these.
            below: only images whose score is below it.
            wait: an image is held back until there is a slot for its map.

        Yields:
            The answers in the order of the images, each as soon as its transfer is back and the
            maps of that are.

        Raises:
            InputError: at once, `batch` or `timeout` cannot be used; after the answers of those
                before it, an item does not fit.
            DeviceError: something failed; `answered` has what was not yielded yet.
        """
        self._device.usable()
        limit = checked_timeout(timeout)
        if not is_whole(batch) or batch < 1:
            raise InputError(
                f"batch must be a whole number of images from 1 on, got {batch!r}; leave it out to "
                "send up to 64 images a transfer."
            )
        try:
            items = iter(images)
        except TypeError:
            raise InputError(
                f"the images of a stream must be something to go through, such as a generator, got "
                f"{type(images).__name__}; use classify_one for a single image."
            ) from None
        size, explainer = min(int(batch), self._batch), self._explainer
        choice = self._choice((explain, method, exits, below), None, wait=wait)
        if choice is None or explainer is None:
            return streams.run(self._device, items, size, limit)

        def run(call: Transfers, first: int, frames: Bytes) -> None:
            explainer.run(call, first, frames, choice, limit)

        more = explainer.cycles if choice.wait else 0
        return streams.run(self._device, items, size, limit, explain=run, more=more)

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
        self._device.usable()
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
        if not is_whole(images) or not 1 <= images <= self._most:
            raise InputError(
                f"batch must be from 1 to {self._most}, what a transfer carries, got {images!r}; "
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
        self._device.usable()
        self._device.set_order(ORDERS.index(order))

    @property
    def thresholds(self) -> tuple[int | None, ...]:
        """The thresholds in force: for each exit a signed number, or None for always.

        An image leaves at the first exit where its score reaches the threshold;
        `exeunt.registers.NEVER` is never reached. The last exit's is None: what gets there leaves
        there. They are set all at once, at any time, with the same words; the last one's may be
        left out of numbers. An image is under those in force when its first beat enters. Setting
        some that the promise of the calibration is not about warns, `OutsidePromise`, when those
        before were inside; see `promise` and `promised`.
        """
        self._device.usable()
        words, exits = self._device.thresholds(), self._device.description.exits
        found = (signed(w) for w in (*words[: exits - 1], words[-1]))
        return tuple(None if t == codes.ALWAYS else t for t in found)

    @thresholds.setter
    def thresholds(self, values: Sequence[int | None]) -> None:
        found = self._device.description
        words = threshold_words(values, found.exits)
        codes.criterion_of(found.criterion).check([*values][: found.exits - 1])
        self._device.usable()
        looks = self._device.thresholds()[found.exits - 1 : -1]
        self._device.commit([*words, *looks])
        before, self._promised = self._promised, self.promise.covers([signed(w) for w in words])
        if before and not self._promised:
            told = ", ".join(codes.threshold_text(signed(w)) for w in words)
            warnings.warn(outside(self.promise, told), OutsidePromise, stacklevel=2)

    @property
    def offsets(self) -> tuple[tuple[int, ...], ...]:
        """How much higher the threshold of each class is than the exit's, per exit; none: nothing.

        They are part of the design (`calibrate.per_class`). A result's score is less the offset of
        its class, so that an image leaves where that reaches the exit's threshold.
        """
        return self._device.description.offsets

    @property
    def rules(self) -> Rules:
        """What modifies the images before the network sees them.

        Raises:
            InputError: the accelerator was compiled without rules.
        """
        self._device.usable()
        if self._rules is None:
            raise InputError(
                f"The accelerator {self.info.name} must be compiled with rules to have some, and "
                "was compiled without; do `exeunt rules` and `exeunt compile`."
            )
        return self._rules

    @property
    def hold(self) -> Holding:
        """Thresholds that follow a rate or a latency; InputError where it was compiled without."""
        self._device.usable()
        return holding.built(self._hold, self._device)

    @property
    def explains(self) -> bool:
        """Whether images can be explained: it was built for that, and maps can be fetched."""
        return self._explanations is not None

    @property
    def explanations(self) -> Explanations:
        """How images are explained.

        Raises:
            InputError: the accelerator was compiled without explanations, or its transport brings
                none.
        """
        self._device.usable()
        if self._explanations is None and self._device.description.explains is not None:
            raise InputError(
                f"A device must bring heat maps to explain images, and "
                f"{type(self.transport).__name__} brings none; use the board or the simulated "
                "device."
            )
        if self._explanations is None:
            raise InputError(
                f"The accelerator {self._device.description.name} must be compiled with "
                "explanations to explain images, and was compiled without; set `hardware = true` "
                "under [explain] and run `exeunt compile` again."
            )
        return self._explanations

    @property
    def promise(self) -> Promise:
        """What the calibration promised of the loss by leaving early; `text` says it."""
        return self._device.description.promise

    @property
    def promised(self) -> bool:
        """Whether the promise is about the thresholds that were set last, wherever they follow."""
        return self._promised and not (self._hold and self._hold.outside())

    def reset(self) -> None:
        """Bring the device into its known empty state; thresholds and order stay.

        What is under way is answered first.

        Raises:
            InputError: it is closed.
            DeviceError: the device does not answer.
        """
        with self._device.alone():
            self._device.recover()

    def selftest(self, golden: str | Path | Golden | None = None) -> selftests.Selftest:
        """Answer the golden images, with no rate held, and compare; see `selftests.run`."""
        with self._device.alone(), holding.paused(self._hold):
            return selftests.run(self, self._device.description, golden)
