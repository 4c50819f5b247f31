"""Transfers under way: which images they carry, which ids these get, and what came back.

In arrival order a result may overtake those of the transfer before, so results are placed by their
ids in a window over all images whose answers are not complete. Records are believed when each id
came exactly once, no frame was cut, no field is out of range, and the accelerator was not reset by
anybody meanwhile (its epoch).
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from exeunt.runtime.errors import DeviceError
from exeunt.runtime.maps import HeatMap
from exeunt.runtime.results import FLAG_BAD, FLAGS, RESULT, Results, parse
from exeunt.runtime.transport import Bytes, TransferError, TransferFault, Transport

SHOWN = 4
Rows = npt.NDArray[np.void]


@dataclass(frozen=True)
class Transfer:
    """`count` images from `first` on, whose ids start at `id`; `records` come back."""

    first: int
    count: int
    id: int
    records: int


@dataclass
class Transfers:
    """The transfers of one call: its images and their ids are both without a gap.

    `under_way`: transfers whose records were not collected, the oldest first; `ready`: answers that
    are complete and were not handed out yet, by transfer. `limits`: exits and classes.
    `unchanged`: whether the device was not reset since the last reset of the driver's.
    `cut`: whether it met a short frame since, which raw logits do not say.
    `between`: called now and then while something is waited for.
    `maps`: heat maps that have come, by image; `missed`: images that found no free slot for one.
    """

    transport: Transport
    limits: tuple[int, int]
    timeout: Callable[[int], float]
    unchanged: Callable[[], bool]
    cut: Callable[[], bool]
    between: Callable[[], None]
    raw: bool = False
    under_way: deque[Transfer] = field(default_factory=deque)
    ready: deque[tuple[Transfer, Rows]] = field(default_factory=deque)
    broken: DeviceError | None = None
    maps: dict[int, HeatMap] = field(default_factory=dict)
    missed: int = 0
    _open: deque[Transfer] = field(default_factory=deque)  # those with answers missing
    _rows: Rows = field(default_factory=lambda: np.zeros(0, RESULT))  # of all open ones
    _there: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    _started: int = 0  # transfers that the transport has
    _asked: bool = False  # the oldest was to be collected

    @property
    def count(self) -> int:
        """Images under way."""
        return sum(t.count for t in self.under_way)

    def submit(self, transfer: Transfer, frames: Bytes) -> None:
        """Start a transfer; there must be room for it."""
        assert len(self.under_way) < self.transport.depth
        waiting = self.count + transfer.count
        self.under_way.append(transfer)
        if not self.raw:
            self._open.append(transfer)
            self._rows = np.concatenate([self._rows, np.zeros(transfer.count, RESULT)])
            self._there = np.concatenate([self._there, np.zeros(transfer.count, bool)])
        self.transport.submit(frames, transfer.records, self.timeout(waiting))
        self._started += 1

    def advance(self) -> None:
        """Wait for the records of the oldest transfer and keep what is complete with them.

        Raises:
            TransferError: the transport's, or records that cannot be believed.
        """
        oldest = self.under_way[0]
        self._asked = True
        records = self.transport.collect(self.timeout(oldest.count), self.between)
        if len(records) != oldest.records:
            raise TransferFault(
                f"{oldest.records} results were asked for and {len(records)} came", records
            )
        if self.raw:
            rows: Rows = records.reshape(-1).view("<i4")
        else:
            table = parse(records)
            place = self._places(table)
        if not self.unchanged():
            raise TransferFault("the accelerator was reset by somebody else while it answered")
        if self.raw and self.cut():
            raise TransferFault(f"the frame of image {oldest.first} was cut short on the way in")
        self.under_way.popleft()
        self._started -= 1
        self._asked = False
        if self.raw:
            self.ready.append((oldest, rows))
            return
        self._rows[place] = table
        self._there[place] = True
        while self._open and self._there[: self._open[0].count].all():
            done = self._open.popleft()
            self.ready.append((done, self._rows[: done.count]))
            self._rows, self._there = self._rows[done.count :], self._there[done.count :]

    def _places(self, table: Rows) -> npt.NDArray[np.int64]:
        """Where the records belong in the window, or what is wrong with them."""
        place = (table["id"] - np.uint32(self._open[0].id)).astype(np.int64)
        wrong = self._malformed(table, place)
        if wrong.any():
            at = int(wrong.argmax())
            seen = ", ".join(f"{name} {table[name][at]}" for name in table.dtype.names or ())
            first = self._open[0].first
            raise TransferFault(
                f"a result cannot be one of images {first} to {first + len(self._rows) - 1}: {seen}"
            )
        times = self._there + np.bincount(place, minlength=len(self._rows))
        if (times > 1).any():
            raise TransferFault(f"the results of images {self._named(times > 1)} came twice")
        cut = (table["flags"] & FLAG_BAD) != 0
        if cut.any():
            raise TransferFault(
                f"{int(cut.sum())} of {len(table)} frames was cut short on the way in",
                table.view(np.uint8).reshape(len(table), -1),
            )
        return place

    def _malformed(self, table: Rows, place: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        exits, classes = self.limits
        found: npt.NDArray[np.bool_] = place >= len(self._rows)
        found |= table["exit"] >= exits
        found |= table["class"] >= classes
        found |= (table["flags"] & ~np.uint8(FLAGS)) != 0
        return found

    def _arrived(self, partial: Bytes) -> None:
        """Keep what came of the oldest transfer although it failed, if it can be believed."""
        if not len(partial) and self._started and not self._asked:
            try:
                partial = self.transport.collect(0)
            except TransferError as error:
                partial = error.partial
        if not len(partial) or not self._open or not self.unchanged():
            return
        table = parse(partial)
        place = (table["id"] - np.uint32(self._open[0].id)).astype(np.int64)
        if self._malformed(table, place).any():
            return
        if (self._there + np.bincount(place, minlength=len(self._rows)) > 1).any():
            return
        good = (table["flags"] & FLAG_BAD) == 0
        self._rows[place[good]] = table[good]
        self._there[place[good]] = True

    def salvage(self, partial: Bytes) -> tuple[npt.NDArray[np.int64], Rows, str]:
        """What was answered although the call failed, and what was not.

        Args:
            partial: records of the oldest transfer that came, uint8 (K, 16).

        Returns:
            The images that were answered, int64 (K,), ascending; their rows; and a clause that says
            what is missing. Answers that were handed out before are in neither.
        """
        with contextlib.suppress(DeviceError):  # it does not answer: not believed
            self._arrived(partial)
        found = [(t.first + np.arange(t.count, dtype=np.int64), rows) for t, rows in self.ready]
        missing = ""
        if self.raw:
            return np.zeros(0, np.int64), np.zeros(0, RESULT), missing
        if self._open:
            first = self._open[0]
            places = np.flatnonzero(self._there)
            found.append((first.first + places, self._rows[places]))
            lack = ~self._there
            missing = (
                f", {int(lack.sum())} of {len(lack)} results missing (images {self._named(lack)}, "
                f"ids from {first.id})"
            )
        if not found:
            return np.zeros(0, np.int64), np.zeros(0, RESULT), missing
        return np.concatenate([i for i, _ in found]), np.concatenate([r for _, r in found]), missing

    def results(self, indices: npt.NDArray[np.int64], rows: Rows) -> Results:
        """Answers to some images, with the maps that have come."""
        maps = {at: self.maps[i] for at, i in enumerate(indices.tolist()) if i in self.maps}
        return Results.of(rows, maps, self.missed)

    def _named(self, which: npt.NDArray[np.bool_]) -> str:
        """Some of the images of the window, for a sentence."""
        places = np.flatnonzero(which)
        shown = ", ".join(str(self._open[0].first + int(i)) for i in places[:SHOWN])
        return shown + (" and more" if len(places) > SHOWN else "")
