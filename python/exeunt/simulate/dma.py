"""The compiled model with a DMA at its streams: what the simulated transport moves."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from exeunt.simulate.library import RESULT_BYTES, Bytes, Model, _odds, _u8, _u8p

OVER = 0
SENT = 1
RECEIVED = 2
MAPPED = 3
NEVER = -1
MAP_WORDS = 1 << 14
"""Words of heat maps that are taken before somebody fetches them."""
_i64 = ctypes.c_int64
_u32p = ctypes.POINTER(ctypes.c_uint32)


class _Device(ctypes.Structure):
    """Mirror of `Device` in harness.cpp."""

    _fields_ = (
        ("words", _u8p),
        ("stride", _i64),
        ("bytes", _i64),
        ("sent", _i64),
        ("end", _i64),
        ("results", _u8p),
        ("capacity", _i64),
        ("received", _i64),
        ("last", _i64),
        ("input_until", _i64),
        ("output_until", _i64),
        ("write_at", _i64),
        ("write_address", _i64),
        ("write_value", _i64),
        ("rst_from", _i64),
        ("rst_to", _i64),
        ("idle", ctypes.c_uint32),
        ("stall", ctypes.c_uint32),
        ("maps", _u32p),
        ("map_lasts", _u8p),
        ("map_capacity", _i64),
        ("map_count", _i64),
        ("map_packets", _i64),
        ("maps_until", _i64),
        ("map_stall", ctypes.c_uint32),
    )


class DmaModel(Model):
    """A model whose streams hang at a simple-mode DMA: one transfer each way at a time.

    Time passes in `go` and, one cycle each, in register accesses; both transfers go on meanwhile.
    Words of heat maps are taken from `open_maps` on, up to MAP_WORDS that were not fetched.
    """

    def __init__(self, library: Path, *, width: int) -> None:
        """Load `library`, whose input beats have `width` bits."""
        super().__init__(library)
        self._lib.ex_device_read.restype = ctypes.c_uint32
        self._job = _Device(bytes=-(-width // 8), write_at=NEVER)
        self._words: Bytes | None = None
        self._results = np.zeros((0, RESULT_BYTES), np.uint8)
        self._maps = np.zeros(MAP_WORDS, np.uint32)
        self._lasts = np.zeros(MAP_WORDS, np.uint8)
        self._job.maps = self._maps.ctypes.data_as(_u32p)
        self._job.map_lasts = _u8(self._lasts)
        self._part: list[npt.NDArray[np.uint32]] = []  # of the packet under way
        self._fetched = 0  # words of maps since the last stop

    def _call(self, name: str, *arguments: Any) -> int:
        function = getattr(self._lib, name)
        value = function(self._handle, ctypes.byref(self._job), *arguments)
        self._check()
        return int(value)

    def send(self, words: Bytes, *, beats: int | None = None) -> None:
        """Begin a transfer to the core: uint8 (N, bytes), s_last with the last beat.

        Args:
            words: the beats; a transfer under way must have ended.
            beats: end after so many of them.
        """
        self._words = np.ascontiguousarray(words)
        self._job.words = _u8(self._words)
        self._job.stride = self._words.shape[1]
        self._job.sent = 0
        self._job.end = len(words) if beats is None else min(beats, len(words))

    def receive(self, results: int) -> None:
        """Begin a transfer from the core: it ends with m_last or after `results` results."""
        self._results = np.zeros((results, RESULT_BYTES), np.uint8)
        self._job.results = _u8(self._results)
        self._job.capacity = results
        self._job.received = self._job.last = 0

    def open_maps(self) -> None:
        """Take words of heat maps from now on."""
        self._job.map_capacity = MAP_WORDS

    def close_maps(self) -> None:
        """Take no more of them, and forget those that were not fetched."""
        self._job.map_capacity = self._job.map_count = self._job.map_packets = 0
        self._part = []

    def packets(self) -> list[bytes]:
        """The heat maps' packets that have come whole since the last call, up to map_last each."""
        count, found = int(self._job.map_count), []
        ends = np.flatnonzero(self._lasts[:count]) + 1
        *whole, rest = np.split(self._maps[:count].copy(), ends)
        for words in whole:
            found.append(np.concatenate([*self._part, words]).astype("<u4").tobytes())
            self._part = []
        self._part.append(rest)
        self._fetched += count
        self._job.map_count = self._job.map_packets = 0
        return found

    def go(self, cycles: int, *, until: int) -> bool:
        """Run `cycles` cycles, or until all is `SENT` or `RECEIVED` or a map `MAPPED`: whether so.

        Raises:
            CheckFailed: an assertion of the RTL failed.
        """
        return self._call("ex_device_run", _i64(cycles), ctypes.c_int(until)) == 1

    def write(self, address: int, value: int) -> None:
        """Write a register in one cycle."""
        self._call("ex_device_write", ctypes.c_uint32(address), ctypes.c_uint32(value & 0xFFFFFFFF))

    def read(self, address: int) -> int:
        """Read a register in one cycle."""
        return self._call("ex_device_read", ctypes.c_uint32(address)) & 0xFFFFFFFF

    def stop(self) -> None:
        """Forget both transfers, the beat that was offered, and maps; none are taken any more."""
        self._call("ex_device_stop")
        self._words = None
        self._part, self._fetched = [], 0

    @property
    def left(self) -> int:
        """Beats that the core has not taken yet."""
        return max(0, int(self._job.end - self._job.sent))

    @property
    def progress(self) -> tuple[int, int, int]:
        """Beats sent and results received, of the transfers under way, and words of maps so far."""
        words = self._fetched + int(self._job.map_count)
        return int(self._job.sent), int(self._job.received), words

    @property
    def received(self) -> Bytes:
        """Results so far, uint8 (R, 16)."""
        return self._results[: self._job.received].copy()

    @property
    def ended(self) -> bool:
        """m_last has come."""
        return bool(self._job.last)

    def hold(self, *, input: int = 0, output: int = 0, maps: int = 0) -> None:
        """Offer no new beat, take no result or no word of a map, for so many cycles from now."""
        self._job.input_until = self.cycle + input
        self._job.output_until = self.cycle + output
        self._job.maps_until = self.cycle + maps

    def random(
        self, *, idle: float = 0.0, stall: float = 0.0, maps: float = 0.0, seed: int = 0
    ) -> None:
        """Fractions of the cycles without a new beat, a result or a word of a map being taken."""
        self._job.idle, self._job.stall = _odds(idle), _odds(stall)
        self._job.map_stall = _odds(maps)
        self._lib.ex_seed(self._handle, ctypes.c_uint64(seed))

    def disturb(self, address: int, value: int, *, after: int) -> None:
        """Somebody else writes a register, `after` cycles from now."""
        self._job.write_at = self.cycle + after
        self._job.write_address, self._job.write_value = address, value

    def pull_reset(self, *, after: int, cycles: int = 4) -> None:
        """`rst` for some cycles, `after` cycles from now."""
        self._job.rst_from = self.cycle + after
        self._job.rst_to = self._job.rst_from + cycles
