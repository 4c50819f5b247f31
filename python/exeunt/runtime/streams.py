"""Endless input: a thread takes images from their producer while the transfers go on.

A slow producer gets each answer as soon as it is there; a fast one gets full transfers, one behind
the other.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from exeunt.runtime.device import Device
from exeunt.runtime.results import Answer, answers
from exeunt.runtime.transport import Bytes

WAIT_SECONDS = 0.05


class Producer:
    """Images of an iterable as packed frames, at most `ahead` items early."""

    def __init__(self, device: Device, images: Iterable[Any], ahead: int) -> None:
        self._device = device
        self._images = images
        self._queue: queue.Queue[Bytes | BaseException | None] = queue.Queue(ahead)
        self._stop = threading.Event()
        self._frames: deque[Bytes] = deque()
        self.count = 0  # frames that are here
        self.ended = False
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="exeunt-producer", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        end: BaseException | None = None
        try:
            for item in self._images:
                image = np.asarray(item)
                batch = image if image.ndim == 4 else image[None]
                if not self._put(self._device.packed(batch)):
                    return
        except BaseException as error:  # told to whoever takes the answers
            end = error
        self._put(end)

    def _put(self, item: Bytes | BaseException | None) -> bool:
        while not self._stop.is_set():
            try:
                self._queue.put(item, timeout=WAIT_SECONDS)
            except queue.Full:
                continue
            return True
        return False

    def look(self, *, wait: bool, most: int) -> None:
        """Take what is there, up to `most` frames; with `wait` at least one or the end."""
        while not self.ended and self.count < most:
            try:
                item = self._queue.get(block=wait and not self.count)
            except queue.Empty:
                return
            if item is None or isinstance(item, BaseException):
                self.ended, self.error = True, item
            elif len(item):
                self._frames.append(item)
                self.count += len(item)

    def take(self, count: int) -> Bytes:
        """The next `count` frames, which must be here."""
        parts = []
        need = count
        while need:
            part = self._frames.popleft()
            if len(part) > need:
                self._frames.appendleft(part[need:])
                part = part[:need]
            parts.append(part)
            need -= len(part)
        self.count -= count
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def close(self) -> None:
        """Let the thread end; one that waits for its producer ends with the next item."""
        self._stop.set()
        self._thread.join(WAIT_SECONDS)


def run(
    device: Device, images: Iterable[Any], batch: int, timeout: float | None
) -> Iterator[Answer]:
    """See `Accelerator.stream`."""
    with device.transfers(timeout) as call:
        producer = Producer(device, images, 2 * batch)
        first = 0
        try:
            while True:
                producer.look(wait=not call.under_way and not call.ready, most=batch)
                if call.broken is not None:
                    raise call.broken
                count = min(producer.count, batch)
                if count and device.fits(call, count):
                    device.submit(call, first, producer.take(count), count)
                    first += count
                elif call.under_way:
                    call.advance()
                elif not call.ready:
                    break
                while call.ready:
                    part, rows = call.ready.popleft()
                    yield from answers(rows, part.first)
            if producer.error is not None:
                raise producer.error
        except GeneratorExit:
            while call.under_way:  # their answers are not wanted any more
                call.advance()
            raise
        finally:
            producer.close()
