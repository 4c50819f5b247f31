"""Endless input: a thread takes images from their producer while the transfers go on.

A slow producer gets each answer as soon as it is there; a fast one gets full transfers, one behind
the other. A frame is copied before the producer is asked for the next one, so that it may use one
array for all of them.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from exeunt.errors import InputError
from exeunt.runtime.device import Device
from exeunt.runtime.results import Answer, answers
from exeunt.runtime.transfers import Transfers
from exeunt.runtime.transport import Bytes

WAIT_SECONDS = 0.05

Explain = Callable[[Transfers, int, Bytes], None]


class Producer:
    """Images of an iterable as packed frames: it is asked for more until `ahead` frames are here.

    No lock of the device is held while its code runs or is waited for.
    """

    def __init__(self, device: Device, images: Iterator[Any], ahead: int) -> None:
        self._device = device
        self._images = images
        self._ahead = ahead
        self._frames: deque[Bytes] = deque()
        self._news = threading.Condition()
        self._stop = False
        self.count = 0  # frames that are here
        self.ended = False
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="exeunt-producer", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        error: BaseException | None = None
        taken = 0
        try:
            for item in self._images:
                frames = self._device.packed(item, f"image {taken} of the stream", "either")
                taken += len(frames)
                if not self._put(frames):
                    return
        except BaseException as found:  # told to whoever takes the answers
            error = found
        with self._news:
            self.error, self.ended = error, True
            self._news.notify_all()

    def _put(self, frames: Bytes) -> bool:
        """Keep frames, and wait until more are wanted; False: no more are."""
        with self._news:
            if len(frames):
                self._frames.append(frames)
                self.count += len(frames)
                self._news.notify_all()
            while self.count >= self._ahead and not self._stop:
                self._news.wait()
            return not self._stop

    def wait(self) -> None:
        """Wait until a frame is here, or no more comes."""
        with self._news:
            while not self.count and not self.ended:
                self._news.wait()

    def take(self, count: int) -> Bytes:
        """The next `count` frames, which must be here."""
        parts = []
        need = count
        with self._news:
            while need:
                part = self._frames.popleft()
                if len(part) > need:
                    self._frames.appendleft(part[need:])
                    part = part[:need]
                parts.append(part)
                need -= len(part)
            self.count -= count
            self._news.notify_all()
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def close(self) -> None:
        """Let the thread end; one that waits for its producer ends with the next item."""
        with self._news:
            self._stop = True
            self._news.notify_all()
        if self._thread is not threading.current_thread():
            self._thread.join(WAIT_SECONDS)


def run(
    device: Device,
    images: Iterator[Any],
    batch: int,
    timeout: float | None,
    *,
    explain: Explain | None = None,
    more: int = 0,
) -> Iterator[Answer]:
    """See `Accelerator.stream`.

    `explain`: does a transfer as a whole, with its maps: of a call, from an image on, of frames.
    `more`: cycles that an image may take for its map.
    """
    with device.transfers(timeout, more=more) as call:
        producer = Producer(device, images, 2 * batch)
        first = 0
        try:
            while True:
                waiting = device.under_way(call)
                if not waiting and not call.ready:
                    producer.wait()
                count = min(producer.count, batch)
                if count and explain is not None:
                    explain(call, first, producer.take(count))
                    first += count
                elif count and device.fits(call, count):
                    device.submit(call, first, producer.take(count), count)
                    first += count
                elif waiting:
                    device.advance(call)
                elif not call.ready and producer.ended and not producer.count:
                    break
                while call.ready:
                    part, rows = call.ready.popleft()
                    every = range(part.first, part.first + part.count)
                    maps = {i: call.maps.pop(i) for i in every if i in call.maps}
                    yield from answers(rows, part.first, maps)
            if producer.error is not None:
                raise producer.error
        except GeneratorExit:
            if not device.access.mine:
                with contextlib.suppress(InputError):  # closed
                    while device.advance(call):  # their answers are not wanted any more
                        pass
            raise
        finally:
            producer.close()
