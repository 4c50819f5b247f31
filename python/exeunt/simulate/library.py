"""The compiled model behind ctypes: whole buffers in, results and event cycles out."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from exeunt import registers
from exeunt.errors import CheckFailed

CHUNK = 200_000
RESULT_BYTES = 16
MAX_EXITS = 8
RESET_CYCLES = 4
SETTLE_READS = 16

Bytes = npt.NDArray[np.uint8]
Cycles = npt.NDArray[np.int64]

_u8p = ctypes.POINTER(ctypes.c_uint8)
_u32p = ctypes.POINTER(ctypes.c_uint32)
_i64p = ctypes.POINTER(ctypes.c_int64)


class _Job(ctypes.Structure):
    """Mirror of `Job` in harness.cpp."""

    _fields_ = (
        ("words", _u8p),
        ("word_count", ctypes.c_int64),
        ("stride", ctypes.c_int64),
        ("last_every", ctypes.c_int64),
        ("results", _u8p),
        ("result_cycles", _i64p),
        ("result_capacity", ctypes.c_int64),
        ("result_count", ctypes.c_int64),
        ("accept_cycles", _i64p),
        ("accept_capacity", ctypes.c_int64),
        ("accept_count", ctypes.c_int64),
        ("decide_cycles", _i64p),
        ("decide_takes", _u8p),
        ("decide_capacity", ctypes.c_int64),
        ("decide_counts", ctypes.c_int64 * MAX_EXITS),
        ("idle", ctypes.c_uint32),
        ("stall", ctypes.c_uint32),
        ("trace_from", ctypes.c_int64),
        ("trace_to", ctypes.c_int64),
        ("linger", ctypes.c_int64),
        ("map_stall", ctypes.c_uint32),
        ("frame_words", ctypes.c_int64),
        ("spacing", ctypes.c_int64),
        ("start", ctypes.c_int64),
    )


@dataclass(frozen=True)
class Words:
    """The stream of maps: each word, the cycle of its transfer, whether a packet ends with it."""

    data: npt.NDArray[np.uint32] = field(default_factory=lambda: np.zeros(0, np.uint32))
    cycles: Cycles = field(default_factory=lambda: np.zeros(0, np.int64))
    lasts: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))

    @property
    def packets(self) -> list[npt.NDArray[np.uint32]]:
        """The words of each packet; the last one may be cut short."""
        ends = np.flatnonzero(self.lasts) + 1
        return [part for part in np.split(self.data, ends) if len(part)]


@dataclass(frozen=True)
class Trace:
    """What a run of N frames gave.

    `results`: uint8 (R, 16), in the order they came; `result_cycles`: int64 (R), their transfers.
    `accepts`: int64, cycle of each frame's first input beat.
    `decides[i]`, `takes[i]`: cycle of each decision at exit i, and whether it took the frame.
    `cycles`: cycles simulated. `complete`: every result asked for has come.
    `maps`: words of heat maps, of a design that explains. `reads`: registers that were asked for,
    behind the last result.
    """

    results: Bytes
    result_cycles: Cycles
    accepts: Cycles
    decides: tuple[Cycles, ...]
    takes: tuple[npt.NDArray[np.bool_], ...]
    cycles: int
    complete: bool
    maps: Words = Words()
    reads: tuple[int, ...] = ()


def _u8(array: Bytes) -> Any:
    return array.ctypes.data_as(_u8p)


def _i64(array: Cycles) -> Any:
    return array.ctypes.data_as(_i64p)


class Model:
    """One model in this process; the working folder must hold its memory-init files."""

    def __init__(
        self,
        library: Path,
        *,
        taps: int = 0,
        waves: Path | None = None,
        awake: bool = False,
        plain: bool = False,
    ) -> None:
        """Load a model.

        Args:
            library: the compiled model.
            taps: streams that it reports; 0: none.
            waves: the file of a wave build.
            awake: evaluate every part of the design in every cycle, also those that may sleep.
            plain: make edges in Verilator's own way, not by its parts (`direct` is then false).
        """
        self._lib = ctypes.CDLL(str(library))
        self._lib.ex_open.restype = ctypes.c_void_p
        self._lib.ex_error.restype = ctypes.c_char_p
        self._lib.ex_cycle.restype = ctypes.c_int64
        self._lib.ex_tap_count.restype = ctypes.c_int64
        self._lib.ex_map_count.restype = ctypes.c_int64
        self._handle = ctypes.c_void_p(
            self._lib.ex_open(taps, str(waves).encode() if waves else None, awake, plain)
        )

    def __enter__(self) -> Model:
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Free the model and finish its waves."""
        if self._handle:
            self._lib.ex_close(self._handle)
            self._handle = ctypes.c_void_p()

    @property
    def direct(self) -> bool:
        """An edge evaluates what is awake in one call; false: by Verilator's own `eval`."""
        return bool(self._lib.ex_direct(self._handle))

    @property
    def cycle(self) -> int:
        """Cycles since the end of the last reset."""
        return int(self._lib.ex_cycle(self._handle))

    def reset(self, cycles: int = RESET_CYCLES) -> None:
        """Hold `rst` for some cycles; the count of cycles starts again at 0."""
        self._lib.ex_reset(self._handle, ctypes.c_int64(cycles))

    def write(self, address: int, value: int) -> None:
        """Write a register over the register bus."""
        self._lib.ex_write(
            self._handle, ctypes.c_uint32(address), ctypes.c_uint32(value & 0xFFFFFFFF)
        )
        self._check()

    def read(self, address: int) -> int:
        """Read a register over the register bus."""
        self._lib.ex_read.restype = ctypes.c_uint32
        value = int(self._lib.ex_read(self._handle, ctypes.c_uint32(address)))
        self._check()
        return value

    def settle(self) -> None:
        """Wait until committed thresholds and the order are in force; nothing may be inside."""
        status = registers.BY_NAME["status"]
        for _ in range(SETTLE_READS):
            word = self.read(status.address)
            pending = [status.fields[n].get(word) for n in ("commit_pending", "mode_pending")]
            if not any(pending):
                return
        raise CheckFailed(
            f"A commit in an empty pipeline must be in force after {SETTLE_READS} cycles and is "
            "pending; look at ex_registers with `--waves vcd`."
        )

    def window(self, tap: int, *, width: int, first: int, end: int) -> None:
        """Keep words `first` to `end` - 1 of a tapped stream of `width` bits."""
        self._lib.ex_window(
            self._handle, tap, -(-width // 8), ctypes.c_int64(first), ctypes.c_int64(end)
        )

    def tapped(self, tap: int, *, width: int) -> tuple[Bytes, Cycles]:
        """The kept words, uint8 (K, ceil(width / 8)), and the cycles of their transfers."""
        count = int(self._lib.ex_tap_count(self._handle, tap))
        words = np.zeros((count, -(-width // 8)), np.uint8)
        cycles = np.zeros(count, np.int64)
        self._lib.ex_tap_read(self._handle, tap, _u8(words), _i64(cycles))
        return words, cycles

    def run(
        self,
        words: Bytes,
        *,
        frames: int,
        exits: int,
        limit: int,
        idle: float = 0.0,
        stall: float = 0.0,
        seed: int = 0,
        last_every: int = 0,
        linger: int = 0,
        map_stall: float = 0.0,
        spacing: int = 0,
        waves: tuple[int, int] = (0, 1 << 62),
        progress: Callable[[int, int], None] | None = None,
    ) -> Trace:
        """Offer input beats until `frames` results have come.

        Args:
            words: uint8 (beats, bytes), packed input beats.
            frames: results to wait for.
            exits: exits of the network.
            limit: give up after so many cycles.
            idle: fraction of cycles in which the source holds back.
            stall: fraction of cycles in which the sink is not ready.
            seed: of idle and stall.
            last_every: beats in a DMA transfer; 0: one transfer.
            linger: of a design that explains, cycles without a word of a map after which, behind
                the last result, no other one is expected.
            map_stall: fraction of cycles in which no word of a map is taken.
            spacing: cycles between the frames of the source; 0: all are there at once.
            waves: cycles from and to which waves are written.
            progress: called with (results, cycles) after every chunk.

        Raises:
            CheckFailed: an assertion of the RTL failed.
        """
        words = np.ascontiguousarray(words)
        results = np.zeros((frames, RESULT_BYTES), np.uint8)
        result_cycles = np.zeros(frames, np.int64)
        accepts = np.zeros(frames, np.int64)
        decides = np.zeros((exits, frames), np.int64)
        takes = np.zeros((exits, frames), np.uint8)
        job = _Job(
            words=_u8(words), word_count=len(words), stride=words.shape[1], last_every=last_every,
            results=_u8(results), result_cycles=_i64(result_cycles), result_capacity=frames,
            accept_cycles=_i64(accepts), accept_capacity=frames, decide_cycles=_i64(decides),
            decide_takes=_u8(takes), decide_capacity=frames, idle=_odds(idle),
            stall=_odds(stall), trace_from=waves[0], trace_to=waves[1], linger=linger,
            map_stall=_odds(map_stall), frame_words=len(words) // frames if frames else 1,
            spacing=spacing, start=self.cycle,
        )  # fmt: skip
        self._lib.ex_seed(self._handle, ctypes.c_uint64(seed))
        start = self.cycle
        status = 0
        while status == 0 and self.cycle - start < limit:
            chunk = min(CHUNK, limit - (self.cycle - start))
            status = self._lib.ex_run(self._handle, ctypes.byref(job), ctypes.c_int64(chunk))
            if progress is not None:
                progress(job.result_count, self.cycle - start)
        self._check()
        done = job.result_count
        counts = list(job.decide_counts)[:exits]
        return Trace(
            results=results[:done],
            result_cycles=result_cycles[:done],
            accepts=accepts[: job.accept_count],
            decides=tuple(decides[i, :n] for i, n in enumerate(counts)),
            takes=tuple(takes[i, :n].astype(bool) for i, n in enumerate(counts)),
            cycles=self.cycle - start,
            complete=status == 1,
            maps=self.maps(),
        )

    def maps(self) -> Words:
        """The words of maps since the last reset."""
        count = int(self._lib.ex_map_count(self._handle))
        data, lasts = np.zeros(count, np.uint32), np.zeros(count, np.uint8)
        cycles = np.zeros(count, np.int64)
        self._lib.ex_map_read(self._handle, data.ctypes.data_as(_u32p), _i64(cycles), _u8(lasts))
        return Words(data, cycles, lasts.astype(bool))

    def _check(self) -> None:
        message = self._lib.ex_error(self._handle).decode()
        if message:
            raise CheckFailed(
                f"The RTL must run without a failed assertion and stopped: {message}; "
                "look at that cycle with `--waves vcd`."
            )


def _odds(fraction: float) -> int:
    return min(int(fraction * (1 << 32)), (1 << 32) - 1)


def decode(results: Bytes) -> Mapping[str, Cycles]:
    """Result packets uint8 (R, 16) as int64 columns: id, score, latency, class, exit, flags."""
    raw = np.ascontiguousarray(results)
    layout = np.dtype(
        [("id", "<u4"), ("score", "<i4"), ("latency", "<u4"), ("class", "<u2"), ("exit", "u1"),
         ("flags", "u1")]
    )  # fmt: skip
    table = raw.reshape(-1).view(layout)
    return {name: table[name].astype(np.int64) for name in layout.names or ()}
