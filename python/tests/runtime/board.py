"""A Zynq board for tests: AXI DMA registers and memory over the simulated core, and PYNQ on top.

`Board` behaves as the DMA's data sheet says (PG021, direct register mode): a channel runs when RS
is set, a length starts a transfer, Idle comes with its end, an error halts, Reset stops everything.
The core's streams advance by some cycles with every register access. Memory is apart from what the
processor sees of it: `flush` and `invalidate` carry the bytes across, as a cache does.
`FakePynq` has the names and the behaviour of pynq 3.1's `Overlay`, `MMIO`, `allocate` and
`lib.dma.DMA` that a driver meets, waits without end among them (they raise here). With `maps` there
is a second DMA, of which only the receiving side exists: it takes the core's heat maps.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from exeunt.simulate.dma import OVER, DmaModel

DMA_BASE, MAPS_BASE, CORE_BASE = 0x4040_0000, 0x4041_0000, 0x43C0_0000
MEMORY_BASE = 0x1000_0000
HALTED, IDLE, INTERNAL, DONE = 0x1, 0x2, 0x10, 0x1000


class Board:
    """The programmable logic: a DMA at 0x4040_0000, the core's registers at 0x43c0_0000."""

    def __init__(self, device: DmaModel, beat_bytes: int, step: int = 200) -> None:
        self.device = device
        self.beat_bytes = beat_bytes
        self.step = step
        self.memory = np.zeros(1 << 22, np.uint8)
        self.free = 0
        self.base = MEMORY_BASE  # where the next buffer is, of the memory's front
        self.small: int | None = None  # where buffers of up to 4 kB are instead
        self.stuck_in_reset = False
        self.deaf = False  # no reset of the DMA makes it take a result
        self.cut: int | None = None
        self.dirty = 0  # receives that a cache may write over
        self.transfers: list[tuple[str, int]] = []
        self.packets: list[bytes] = []  # that the DMA of maps has taken and not given
        self._reset_maps()
        self._reset()

    def _reset(self) -> None:
        self.device.stop()
        if not self.deaf:
            self.device.hold()
        self.control = {0x00: 0, 0x30: 0}
        self.status = {0x00: HALTED, 0x30: HALTED}
        self.address = {0x00: 0, 0x30: 0}
        self.length = {0x00: 0, 0x30: 0}
        self.busy = {0x00: False, 0x30: False}

        if self.map_busy:
            self.device.open_maps()

    def _reset_maps(self) -> None:
        self.device.close_maps()
        self.packets.clear()
        self.map_control, self.map_status = 0, HALTED
        self.map_address = self.map_length = 0
        self.map_busy = False

    def fail_maps(self, bit: int) -> None:
        """An error ends the transfer of a map and halts its DMA."""
        self.map_status |= bit | HALTED
        self.map_busy = False

    def fail(self, block: int, bit: int) -> None:
        """An error ends the transfer of a channel and halts it."""
        self.status[block] |= bit | HALTED
        self.busy[block] = False

    def tick(self) -> None:
        self.device.go(self.step, until=OVER)
        if self.map_busy:
            self.packets += self.device.packets()
        if self.map_busy and self.packets:
            packet = np.frombuffer(self.packets.pop(0), np.uint8)
            if packet.size > self.map_length:
                self.fail_maps(INTERNAL)
            else:
                at = self.map_address - MEMORY_BASE
                self.memory[at : at + packet.size] = packet
                self.map_length, self.map_busy = packet.size, False
                self.map_status |= IDLE | DONE
        if self.busy[0x00] and not self.device.left:
            self.busy[0x00] = False
            self.status[0x00] |= IDLE | DONE
        if self.busy[0x30]:
            came = self.device.received
            at = self.address[0x30] - MEMORY_BASE
            self.memory[at : at + came.size] = came.reshape(-1)
            full = came.size >= self.length[0x30] // 16 * 16
            if self.device.ended:
                self.busy[0x30] = False
                self.length[0x30] = came.size
                self.status[0x30] |= IDLE | DONE
            elif full:  # more than the length register says
                self.fail(0x30, INTERNAL)

    def read(self, address: int) -> int:
        if address >= CORE_BASE:
            return self.device.read(address - CORE_BASE)
        self.tick()
        if address >= MAPS_BASE:
            found = {0x30: self.map_control, 0x34: self.map_status, 0x58: self.map_length}
            return found.get(address - MAPS_BASE, 0)
        offset = address - DMA_BASE
        block = 0x30 if offset >= 0x30 else 0x00
        return {
            0x00: self.control[block],
            0x04: self.status[block],
            0x28: self.length[block],
        }.get(offset - block, 0)

    def write(self, address: int, value: int) -> None:
        if address >= CORE_BASE:
            self.device.write(address - CORE_BASE, value)
            return
        if address >= MAPS_BASE:
            self._write_maps(address - MAPS_BASE, value)
            return
        offset = address - DMA_BASE
        block = 0x30 if offset >= 0x30 else 0x00
        what = offset - block
        if what == 0x00:
            if value & 0x4:
                self._reset()
                self.control[0x00] = 0x4 if self.stuck_in_reset else 0
                return
            self.control[block] = value
            if value & 1 and not self.status[block] & 0x70:
                self.status[block] &= ~HALTED
            elif not value & 1 and not self.busy[block]:
                self.status[block] |= HALTED
        elif what == 0x04:
            self.status[block] &= ~(value & 0x7000)
        elif what == 0x18:
            self.address[block] = value
        elif what == 0x28:
            self._start(block, value)

    def _write_maps(self, offset: int, value: int) -> None:
        if offset == 0x30:
            if value & 0x4:
                self._reset_maps()
                return
            self.map_control = value
            if value & 1 and not self.map_status & 0x70:
                self.map_status &= ~HALTED
        elif offset == 0x34:
            self.map_status &= ~(value & 0x7000)
        elif offset == 0x48:
            self.map_address = value
        elif offset == 0x58:
            assert not self.map_status & HALTED, "a length for a channel that is halted"
            assert not self.map_busy, "a length for a channel that is not idle"
            self.map_status &= ~IDLE
            self.map_length, self.map_busy = value, True
            self.transfers.append(("map", value))
            self.device.open_maps()

    def _start(self, block: int, length: int) -> None:
        assert not self.status[block] & HALTED, "a length for a channel that is halted"
        assert not self.busy[block], "a length for a channel that is not idle"
        assert length < 1 << 26, "more than the length register holds"
        self.status[block] &= ~IDLE
        self.length[block] = length
        if not length:
            self.fail(block, INTERNAL)
            return
        self.busy[block] = True
        at = self.address[block] - MEMORY_BASE
        assert at % 64 == 0, "no data realignment"
        self.transfers.append(("send" if block == 0 else "receive", length))
        if block == 0x00:
            beats = self.memory[at : at + length].reshape(-1, self.beat_bytes).copy()
            self.device.send(beats, beats=self.cut)
            self.cut = None
        else:
            self.device.receive(length // 16)


class Buffer(np.ndarray):
    """Memory as the processor sees it; a slice knows its address, as PynqBuffer's does."""

    board: Board
    physical_address: int

    @classmethod
    def make(cls, board: Board, size: int) -> Buffer:
        if board.free + size > board.memory.size:
            raise RuntimeError("Failed to allocate Memory!")
        self = np.full(size, 0xA5, np.uint8).view(cls)
        base = board.small if board.small is not None and size <= 4096 else board.base
        self.board, self.physical_address = board, base + board.free
        board.free += -(-size // 4096) * 4096
        return self

    def __array_finalize__(self, other: Any) -> None:
        if isinstance(other, Buffer) and hasattr(other, "physical_address"):
            self.board = other.board
            mine, theirs = (x.__array_interface__["data"][0] for x in (self, other))
            self.physical_address = other.physical_address + mine - theirs

    def _there(self) -> np.ndarray:
        at = self.physical_address - MEMORY_BASE
        return self.board.memory[at : at + self.nbytes]

    def flush(self) -> None:
        self._there()[:] = np.asarray(self)

    def invalidate(self) -> None:
        np.asarray(self)[:] = self._there()


class Channel:
    """One side of `pynq.lib.dma.DMA` in simple mode."""

    def __init__(self, mmio: Any, block: int, board: Board) -> None:
        self._mmio, self._block, self._board = mmio, block, board
        self._active: Any = None
        self._first = True
        self.transferred = 0
        self.start()

    @property
    def running(self) -> bool:
        return self._mmio.read(self._block + 4) & HALTED == 0

    @property
    def idle(self) -> bool:
        return self._mmio.read(self._block + 4) & IDLE != 0

    @property
    def error(self) -> bool:
        return self._mmio.read(self._block + 4) & 0x70 != 0

    def start(self) -> None:
        self._mmio.write(self._block, 1)
        assert self.running, "pynq would spin here for ever"
        self._first = True

    def stop(self) -> None:
        self._mmio.write(self._block, 0)
        assert not self.running, "pynq would spin here for ever"

    def transfer(self, array: Any, start: int = 0, nbytes: int = 0) -> None:
        if not self.running:
            raise RuntimeError("DMA channel not started")
        if not self.idle and not self._first:
            raise RuntimeError("DMA channel not idle")
        size = nbytes or array.nbytes - start
        if size > (1 << 26) - 1:
            raise ValueError(f"Transfer size is {size} bytes")
        if self._block == 0x00:
            array.flush()
        elif not np.array_equal(np.asarray(array), array._there()):
            self._board.dirty += 1
        self._mmio.write(self._block + 0x18, array.physical_address + start)
        self._mmio.write(self._block + 0x28, size)
        self._active, self._first = array, False

    def wait(self) -> None:
        if not self.running:
            raise RuntimeError("DMA channel not started")
        assert self.idle or self.error, "pynq would spin here for ever"
        if self.error:
            raise RuntimeError("DMA Internal Error (transfer length 0?)")
        if self._block == 0x30:
            self._active.invalidate()
        self.transferred = self._mmio.read(self._block + 0x28)
        self._active = None


class FakePynq:
    """The module `pynq` on a board."""

    def __init__(self, board: Board, *, maps: bool = False) -> None:
        outer = self
        self.board = board
        self.loaded: list[str] = []
        self.device = True
        self.parameters: dict[str, Any] = {}  # of the DMA, beside its addresses

        class MMIO:
            def __init__(self, base: int, length: int = 4) -> None:
                self.base, self.length = base, length

            def read(self, offset: int = 0, length: int = 4) -> int:
                assert 0 <= offset < self.length
                return outer.board.read(self.base + offset)

            def write(self, offset: int, data: int) -> None:
                if type(data) is not int:
                    raise ValueError("Data type must be int or bytes.")
                assert 0 <= offset < self.length
                outer.board.write(self.base + offset, data)

        class DMA:
            def __init__(self, base: int = DMA_BASE) -> None:
                self.mmio = MMIO(base, 0x10000)
                self.buffer_max_size = (1 << 26) - 1
                if base == DMA_BASE:
                    self.sendchannel = Channel(self.mmio, 0x00, outer.board)
                self.recvchannel = Channel(self.mmio, 0x30, outer.board)

        class Overlay:
            def __init__(self, path: str) -> None:
                if not outer.device:
                    raise RuntimeError("No Devices Found")
                assert Path(path).with_suffix(".hwh").is_file()
                outer.loaded.append(path)
                self.ip_dict = {
                    "dma_0": {"phys_addr": DMA_BASE, "addr_range": 0x10000, **outer.parameters},
                    "exeunt_0": {"phys_addr": CORE_BASE, "addr_range": 0x1000},
                }
                self.dma_0 = DMA()
                if maps:
                    place = {"phys_addr": MAPS_BASE, "addr_range": 0x10000, **outer.parameters}
                    self.ip_dict["maps_0"] = place
                    self.maps_0 = DMA(MAPS_BASE)

        self.MMIO, self.Overlay = MMIO, Overlay

    def allocate(self, shape: Any, dtype: Any = "u4", target: Any = None) -> Buffer:
        (count,) = shape
        assert np.dtype(dtype) == np.uint8
        return Buffer.make(self.board, count)
