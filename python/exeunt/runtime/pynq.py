"""A PYNQ board as a transport: overlay, AXI DMA in simple mode, registers over MMIO.

Written against pynq 3.1 (Zynq) and 4.0 (Zynq UltraScale+), imported when a `Pynq` is made.
The overlay has the accelerator as `exeunt_0` and its DMA as `dma_0`; a transfer is dense, starts at
the front of its buffer and is at most 2**26 - 1 bytes. Buffers are kept and grow when needed. Heat
maps have a DMA of their own, `maps_0`: a transfer, ended by TLAST, is one of their packets.

pynq waits for ever for a transfer that does not end, in `wait()` and `stop()`; here every wait has
a deadline, and a stuck DMA is reset through its control register.
"""

from __future__ import annotations

import importlib
import os
import tempfile
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from exeunt.errors import InputError, ToolError
from exeunt.runtime import description, packing
from exeunt.runtime.transport import (
    NOTHING,
    RECORD_BYTES,
    Bytes,
    TransferFault,
    TransferTimeout,
    alone,
)

CORE = "exeunt_0"
DMA = "dma_0"
MAPS = "maps_0"
LENGTH_LIMIT = (1 << 26) - 1
CAPACITY = 16 << 20
DEPTH = 2
DRAIN_BYTES = 4096
LEAST_BITS = 13
"""Of a buffer's size: up to 4 kB would be put above 4 GB on 64-bit boards (PYNQ issue 1500)."""

SEND, RECEIVE = 0x00, 0x30  # register blocks of the two channels
CONTROL, STATUS = 0x00, 0x04
RESET = 0x4
HALTED = 0x1
ERRORS = {0x10: "internal", 0x20: "slave", 0x40: "decode"}
EMPTY = 0xFF  # of a record's last byte: the flags of a result never have all bits

PATIENCE_SECONDS = 1.0
SLOWEST_HZ = 10e6
RESET_SECONDS = 0.5
SPIN_SECONDS = 0.002
NAP_SECONDS = 0.0001


@dataclass(frozen=True)
class _Pending:
    """A transfer's receive side: its buffer, as long as its records."""

    records: int
    buffer: Any


class Pynq:
    """A Zynq or Zynq UltraScale+ board under PYNQ.

    Args:
        manifest: path of manifest.json or of its folder, or its data.
        bitstream: the .bit file, with its .hwh beside it.
        overlay: an overlay that is loaded already, instead.
        core: name of the accelerator in the block design.
        dma: name of its DMA.
        maps: name of the DMA of its heat maps, if it explains images.
        capacity: most bytes a transfer; also the most that the buffers grow to.

    Raises:
        InputError: the file is missing, the overlay is another one, or the board is in use.
        ToolError: pynq is missing or finds no board.
    """

    unit = "s"

    def __init__(
        self,
        manifest: str | Path | Mapping[str, Any],
        bitstream: str | Path | None = None,
        *,
        overlay: Any = None,
        core: str = CORE,
        dma: str = DMA,
        maps: str = MAPS,
        capacity: int = CAPACITY,
    ) -> None:
        found = description.load(manifest)
        self._pynq = _package()
        self._lock = _Lock()
        try:
            if overlay is None:
                overlay = self._load(bitstream)
            self.overlay = overlay
            entry = self._entry(core)
            self._address_bits = _address_bits(self._entry(dma))
            self._dma = getattr(overlay, dma)
            for side in ("sendchannel", "recvchannel"):
                if getattr(self._dma, side, None) is None:
                    raise InputError(
                        f"The DMA {dma} must have both channels and has no {side}; build the "
                        "overlay with `exeunt bitstream`."
                    )
            self._maps: Any = None
            if found.explains is not None:
                self._map_bytes = found.explains.packet_bytes
                self._entry(maps)
                self._maps = getattr(overlay, maps)
                if getattr(self._maps, "recvchannel", None) is None:
                    raise InputError(
                        f"The DMA {maps} must have a receive channel for heat maps and has none; "
                        "build the overlay with `exeunt bitstream`."
                    )
            self._registers = self._pynq.MMIO(entry["phys_addr"], entry["addr_range"])
            self.beat_bytes = -(-int(found.input["width"]) // 8)
            frame = packing.frame_bytes(found.input, self.beat_bytes)
            most = min(capacity, LENGTH_LIMIT, int(self._dma.buffer_max_size))
            self.capacity = most // max(frame, RECORD_BYTES) * frame
            if self.capacity < frame:
                raise InputError(
                    f"A transfer must carry a frame of {frame} bytes and its result and is at most "
                    f"{most} bytes; raise the capacity, or build the overlay's DMA with a length "
                    "register of 26 bits."
                )
        except BaseException:
            self._lock.release()
            raise
        self.depth = DEPTH
        self._pending: deque[_Pending] = deque()
        self._armed = False  # the receive side of the oldest transfer is under way
        self._sending: Any = None
        self._send_buffers: list[Any] = [None] * DEPTH
        self._receive_buffers: list[Any] = [None] * DEPTH
        self._map_buffers: list[Any] = [None]
        self._map_buffer: Any = None  # where the packet that comes is put; None: none is taken
        self._turn = 0
        self._open = True

    # ------------------------------------------------------------------ the transport

    def read(self, address: int) -> int:
        """The register at a byte address."""
        self._usable()
        return int(self._registers.read(address))

    def write(self, address: int, value: int) -> None:
        """Write a register."""
        self._usable()
        self._registers.write(address, int(value))

    def ready(self, timeout: float, between: Callable[[], None] = alone) -> None:
        """Wait until the send channel has sent everything."""
        self._usable()
        if self._sending is not None and not self._wait(self._dma.sendchannel, timeout, between):
            raise TransferTimeout(
                f"the DMA's {self._sending.nbytes} bytes were not taken in within {timeout:g} s",
                "input",
                self._partial(),
            )
        self._sending = None

    def submit(self, frames: Bytes, records: int, timeout: float) -> None:
        """Send frames, uint8 (N, words * beat_bytes), and receive their records."""
        self._usable()
        assert frames.nbytes <= self.capacity, "more than a transfer carries"
        assert len(self._pending) < DEPTH, "more transfers than the depth"
        self.ready(timeout)
        turn, self._turn = self._turn, (self._turn + 1) % DEPTH
        data = self._buffer(self._send_buffers, turn, frames.nbytes)
        data[:] = frames.reshape(-1)
        room = self._buffer(self._receive_buffers, turn, records * RECORD_BYTES)
        room[:] = EMPTY
        room.flush()  # or the cache may write it back over the results
        self._pending.append(_Pending(records, room))
        self._arm()
        self._transfer(self._dma.sendchannel, data)
        self._sending = data

    def collect(self, timeout: float, between: Callable[[], None] = alone) -> Bytes:
        """The records of the oldest transfer, uint8 (records, 16)."""
        self._usable()
        assert self._pending, "nothing was submitted"
        channel = self._dma.recvchannel
        if not self._wait(channel, timeout, between):
            partial = self._partial()
            stuck = self._sending is not None and not self._dma.sendchannel.idle
            if stuck:
                text = f"the DMA's {self._sending.nbytes} bytes were not taken in"
            else:
                text = "results stay out"
            raise TransferTimeout(
                f"{text} after waiting {timeout:g} s", "input" if stuck else "results", partial
            )
        oldest = self._pending[0]
        size = int(channel.transferred)
        records = np.array(oldest.buffer).reshape(-1, RECORD_BYTES)
        if size != oldest.records * RECORD_BYTES:
            raise TransferFault(
                f"TLAST came after {size} of {oldest.records * RECORD_BYTES} bytes of results",
                _written(records),
            )
        self._pending.popleft()
        self._armed = False
        self._arm()
        return records

    def map(self, timeout: float, between: Callable[[], None] = alone) -> bytes | None:
        """The oldest packet of a heat map."""
        self._usable()
        if self._map_buffer is None:
            return None
        channel = self._maps.recvchannel

        def status() -> int:
            return int(self._maps.mmio.read(RECEIVE + STATUS))

        stopped = HALTED | sum(ERRORS)
        if not _until(lambda: bool(channel.idle or status() & stopped), timeout, between):
            return None
        if status() & stopped:
            kinds = [name for bit, name in ERRORS.items() if status() & bit]
            raise TransferFault(
                f"the DMA of heat maps stopped: error {', '.join(kinds) or 'none'}, status "
                f"{status():#x}, as it does when a packet is longer than the {self._map_bytes} "
                "bytes of the longest map"
            )
        channel.wait()  # ends at once, and brings the buffer up to date
        found = np.array(self._map_buffer[: int(channel.transferred)]).tobytes()
        self._arm_maps()
        return found

    def stop(self) -> None:
        """Reset the DMAs: whatever is under way is forgotten."""
        self._usable()
        self._pending.clear()
        self._armed, self._sending = False, None
        self._map_buffer = None
        _reset(self._dma.mmio, SEND, "the DMA")
        if self._maps is not None:
            _reset(self._maps.mmio, RECEIVE, "the DMA of heat maps")

    def drain(self) -> None:
        """Take what the accelerator has on offer."""
        self._usable()
        self._dma.recvchannel.start()
        self._transfer(self._dma.recvchannel, self._buffer(self._receive_buffers, 0, DRAIN_BYTES))
        if self._maps is not None:
            self._maps.recvchannel.start()
            self._arm_maps()

    def start(self) -> None:
        """Start all channels; what the DMAs took meanwhile is forgotten."""
        self._usable()
        self.stop()
        self._dma.sendchannel.start()
        self._dma.recvchannel.start()
        if self._maps is not None:
            self._maps.recvchannel.start()
            self._arm_maps()

    def patience(self, frames: int, cycles: int) -> float:
        """A second, and the cycles at 10 MHz."""
        return PATIENCE_SECONDS + cycles / SLOWEST_HZ

    def now(self) -> float:
        """Seconds of a clock that only goes forward."""
        return time.perf_counter()

    def close(self) -> None:
        """Stop the DMA and give back buffers and board."""
        if self._open:
            try:
                self.stop()
            except TransferFault:
                pass  # nothing more can be done for it
            finally:
                self._open = False
                self._send_buffers = self._receive_buffers = self._map_buffers = []
                self._map_buffer = None
                self._lock.release()

    # ------------------------------------------------------------------ inside

    def _usable(self) -> None:
        if not self._open:
            raise InputError(
                "The board must be open to be used and was closed; make a new Pynq transport."
            )

    def _load(self, bitstream: str | Path | None) -> Any:
        if bitstream is None:
            raise InputError(
                "A PYNQ transport needs a bitstream or an overlay and got neither; give the .bit "
                "file."
            )
        path = Path(bitstream).resolve()
        for needed in (path, path.with_suffix(".hwh")):
            if not needed.is_file():
                raise InputError(
                    f"{needed} must be there to load the overlay and is missing; copy the .bit and "
                    "the .hwh that `exeunt bitstream` made side by side."
                )
        try:
            return self._pynq.Overlay(str(path))
        except (RuntimeError, OSError, ValueError) as error:
            raise ToolError(
                f"PYNQ must load {path.name} and did not ({_words(error)}); run this on the board, "
                "as root."
            ) from error

    def _entry(self, name: str) -> Mapping[str, Any]:
        blocks = self.overlay.ip_dict
        if name not in blocks:
            raise InputError(
                f"The overlay must have a block {name} and has {', '.join(sorted(blocks))}; load "
                "the overlay that `exeunt bitstream` made."
            )
        entry: Mapping[str, Any] = blocks[name]
        return entry

    def _buffer(self, kept: list[Any], turn: int, size: int) -> Any:
        """The first `size` bytes of a kept buffer, which grows by powers of two."""
        if kept[turn] is None or kept[turn].nbytes < size:
            room = 1 << max(LEAST_BITS, (size - 1).bit_length())
            kept[turn] = None  # give it back first
            try:
                found = self._pynq.allocate(shape=(room,), dtype=np.uint8)
            except (RuntimeError, MemoryError, OSError) as error:
                raise TransferFault(
                    f"the board must have {room} bytes of contiguous memory and gave none "
                    f"({_words(error)}); use a smaller capacity"
                ) from error
            first = int(found.physical_address)
            if first + room > 1 << self._address_bits:
                raise TransferFault(
                    f"the DMA's addresses have {self._address_bits} bits and the buffer of {room} "
                    f"bytes that PYNQ gave is at {first:#x}, out of its reach; keep the kernel's "
                    "contiguous memory low (boot argument cma=256M@0-2G), or build an overlay with "
                    "larger `address_bits`"
                )
            kept[turn] = found
        return kept[turn][:size]

    def _arm(self) -> None:
        """Start to receive the oldest transfer's records, if that is not under way."""
        if self._pending and not self._armed:
            self._transfer(self._dma.recvchannel, self._pending[0].buffer)
            self._armed = True

    def _arm_maps(self) -> None:
        """Start to receive a packet of a map."""
        self._map_buffer = self._buffer(self._map_buffers, 0, self._map_bytes)
        self._map_buffer.flush()  # or the cache may write it back over the packet
        self._transfer(self._maps.recvchannel, self._map_buffer)

    def _transfer(self, channel: Any, buffer: Any) -> None:
        try:
            channel.transfer(buffer)
        except (RuntimeError, ValueError) as error:
            raise TransferFault(f"the DMA did not start a transfer ({_words(error)})") from error

    def _wait(self, channel: Any, timeout: float, between: Callable[[], None]) -> bool:
        """Wait until a channel's transfer has ended; False: it takes too long."""
        if not _until(lambda: bool(channel.idle) or self._failed(), timeout, between):
            return False
        if self._failed():
            found = []
            for side, block in (("send", SEND), ("receive", RECEIVE)):
                status = int(self._dma.mmio.read(block + STATUS))
                kinds = [name for bit, name in ERRORS.items() if status & bit]
                if kinds:
                    found.append(
                        f"{side} channel with error {', '.join(kinds)}, status {status:#x}"
                    )
            raise TransferFault(
                f"the DMA stopped: {'; '.join(found) or 'a channel was halted'}", self._partial()
            )
        channel.wait()  # ends at once, and brings the buffer up to date
        return True

    def _failed(self) -> bool:
        """A channel that has something to do stopped."""
        used = [(SEND, self._sending is not None), (RECEIVE, self._armed)]
        stopped = HALTED | sum(ERRORS)
        return any(on and self._dma.mmio.read(b + STATUS) & stopped for b, on in used)

    def _partial(self) -> Bytes:
        """Records of the oldest transfer that are in memory."""
        if not self._pending or not self._armed:
            return NOTHING
        buffer = self._pending[0].buffer
        buffer.invalidate()
        return _written(np.array(buffer).reshape(-1, RECORD_BYTES))


class _Lock:
    """One process at a time: a locked file in the folder for temporary files."""

    def __init__(self) -> None:
        import fcntl

        self.path = Path(tempfile.gettempdir()) / "exeunt-pynq.lock"
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = os.read(self._file, 32).decode(errors="replace") or "unknown"
            os.close(self._file)
            raise InputError(
                f"The board must be free and process {owner} uses it; close its Accelerator or end "
                "that process."
            ) from None
        os.ftruncate(self._file, 0)
        os.write(self._file, str(os.getpid()).encode())

    def release(self) -> None:
        """Let others have the board."""
        os.close(self._file)


def _address_bits(entry: Mapping[str, Any]) -> int:
    """Bits of a DMA's addresses, as the overlay says; the fewest that there are if it does not."""
    given = entry.get("parameters", {}).get("c_addr_width", 32)
    return int(given)


def _package() -> Any:
    try:
        return importlib.import_module("pynq")
    except ImportError:
        raise ToolError(
            "The PYNQ transport needs the package pynq and found none; run it on a PYNQ image, or "
            "use the simulated device."
        ) from None


def _reset(registers: Any, block: int, name: str) -> None:
    """Reset a DMA through one of its channels."""
    registers.write(block + CONTROL, RESET)
    end = time.monotonic() + RESET_SECONDS
    while registers.read(block + CONTROL) & RESET:
        if time.monotonic() > end:
            raise TransferFault(f"{name} does not come out of its reset in {RESET_SECONDS} s")


def _until(done: Callable[[], bool], timeout: float, between: Callable[[], None]) -> bool:
    """Poll, at first without a pause, until it is done or too late."""
    start = time.monotonic()
    while not done():
        passed = time.monotonic() - start
        if passed > timeout:
            return done()
        if passed > SPIN_SECONDS:
            time.sleep(NAP_SECONDS)
        between()
    return True


def _written(records: Bytes) -> Bytes:
    """The records that have arrived."""
    return records[records[:, -1] != EMPTY]


def _words(error: BaseException) -> str:
    return str(error).rstrip(".") or type(error).__name__
