"""Transfers under way: which images they carry, which ids these get, and what came back.

Records are believed when each id came exactly once, no frame was cut, no field is out of range, and
the accelerator was not reset by anybody meanwhile (its epoch).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from exeunt.runtime.errors import DeviceError
from exeunt.runtime.results import FLAG_BAD, FLAGS, RESULT, parse
from exeunt.runtime.transport import NOTHING, Bytes, TransferError, TransferFault, Transport

SHOWN = 4


@dataclass(frozen=True)
class Transfer:
    """`count` images from `first` on, whose ids start at `id`; `records` come back."""

    first: int
    count: int
    id: int
    records: int


@dataclass
class Transfers:
    """The transfers of one call, the oldest first; `ready` came back and was not handed out yet.

    `started`: transfers that the transport has taken of those `under_way`; `asked`: the
    oldest was to be collected.
    `limits`: exits and classes of the network. `unchanged`: whether the device was not reset since.
    `cut`: whether it met a short frame since, which raw logits do not say.
    """

    transport: Transport
    limits: tuple[int, int]
    timeout: Callable[[int], float]
    unchanged: Callable[[], bool]
    cut: Callable[[], bool]
    under_way: deque[Transfer] = field(default_factory=deque)
    ready: deque[tuple[Transfer, npt.NDArray[np.void]]] = field(default_factory=deque)
    raw: bool = False
    started: int = 0
    asked: bool = False
    broken: DeviceError | None = None

    @property
    def count(self) -> int:
        """Images under way."""
        return sum(t.count for t in self.under_way)

    def submit(self, transfer: Transfer, frames: Bytes) -> None:
        """Start a transfer; there must be room for it."""
        assert len(self.under_way) < self.transport.depth
        waiting = self.count + transfer.count
        self.under_way.append(transfer)
        self.transport.submit(frames, transfer.records, self.timeout(waiting))
        self.started += 1

    def advance(self) -> None:
        """Wait for the oldest transfer and keep what came.

        Raises:
            TransferError: the transport's, or records that cannot be believed.
        """
        oldest = self.under_way[0]
        self.asked = True
        records = self.transport.collect(self.timeout(oldest.count))
        table = self._believe(oldest, records)
        if not self.unchanged():
            raise TransferFault(
                "the accelerator was reset by somebody else while it answered "
                f"{oldest.count} images"
            )
        if self.raw and self.cut():
            raise TransferFault(f"the frame of image {oldest.first} was cut short on the way in")
        self.under_way.popleft()
        self.started -= 1
        self.asked = False
        self.ready.append((oldest, table))

    def _believe(self, transfer: Transfer, records: Bytes) -> npt.NDArray[np.void]:
        """The records in the order of the images, or what is wrong with them."""
        if len(records) != transfer.records:
            raise TransferFault(
                f"{transfer.records} results were asked for and {len(records)} came", records
            )
        if self.raw:
            return records.reshape(-1).view("<i4")
        table = parse(records)
        place = table["id"] - np.uint32(transfer.id)
        wrong = self._malformed(table) | (place >= transfer.count)
        if wrong.any():
            at = int(wrong.argmax())
            seen = ", ".join(f"{name} {table[name][at]}" for name in table.dtype.names or ())
            raise TransferFault(
                f"a result cannot be one of images {transfer.first} to "
                f"{transfer.first + transfer.count - 1}: {seen}"
            )
        times = np.bincount(place, minlength=transfer.count)
        if (times != 1).any():
            raise TransferFault(f"the results of images {named(transfer, times > 1)} came twice")
        cut = (table["flags"] & FLAG_BAD) != 0
        if cut.any():
            raise TransferFault(
                f"{int(cut.sum())} of {transfer.count} frames was cut short on the way in", records
            )
        if transfer.count > 1 and not np.array_equal(place, np.arange(transfer.count)):
            ordered = np.empty_like(table)
            ordered[place] = table
            return ordered
        return table

    def _malformed(self, table: npt.NDArray[np.void]) -> npt.NDArray[np.bool_]:
        exits, classes = self.limits
        found: npt.NDArray[np.bool_] = table["exit"] >= exits
        found |= table["class"] >= classes
        found |= (table["flags"] & ~np.uint8(FLAGS)) != 0
        return found

    def arrived(self) -> Bytes:
        """Records of the oldest transfer that are here, without waiting for more."""
        if self.asked or not self.started:
            return NOTHING
        try:
            return self.transport.collect(0)
        except TransferError as error:
            return error.partial

    def salvage(
        self, partial: Bytes
    ) -> tuple[list[tuple[npt.NDArray[np.int64], npt.NDArray[np.void]]], npt.NDArray[np.bool_]]:
        """What of a transfer that failed was answered all the same.

        Args:
            partial: records of the oldest transfer, uint8 (K, 16).

        Returns:
            `(image indices, rows)` of the images that were answered, first those of `ready`, and
            which images of the oldest transfer were; nothing of it when one record is not its own.
        """
        found = [(t.first + np.arange(t.count, dtype=np.int64), rows) for t, rows in self.ready]
        if not self.under_way:
            return found, np.zeros(0, bool)
        oldest = self.under_way[0]
        there = np.zeros(oldest.count, bool)
        if self.raw or not len(partial) or not self.unchanged():
            return found, there
        table = parse(partial)
        place = (table["id"] - np.uint32(oldest.id)).astype(np.int64)
        if self._malformed(table).any() or (place >= oldest.count).any():
            return found, there
        if (np.bincount(place, minlength=oldest.count) > 1).any():
            return found, there
        good = (table["flags"] & FLAG_BAD) == 0
        order = np.argsort(place[good], kind="stable")
        there[place[good]] = True
        found.append((oldest.first + place[good][order], table[good][order]))
        return found, there


def named(transfer: Transfer, which: npt.NDArray[np.bool_]) -> str:
    """Some of the images of a transfer, for a sentence."""
    places = np.flatnonzero(which)
    shown = ", ".join(str(transfer.first + int(i)) for i in places[:SHOWN])
    return shown + (" and more" if len(places) > SHOWN else "")


def joined(
    found: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.void]]],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.void]]:
    """Image indices and rows of several parts as one."""
    if not found:
        return np.zeros(0, np.int64), np.zeros(0, RESULT)
    return np.concatenate([i for i, _ in found]), np.concatenate([rows for _, rows in found])
