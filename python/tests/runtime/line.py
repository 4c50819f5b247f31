"""A port to the model of the serial shell, over a line that loses, changes and adds bytes."""

from __future__ import annotations

import random
import struct
import zlib
from collections import deque

from exeunt import registers
from exeunt.reference.serial_shell import SerialShell
from exeunt.runtime import framing

FRAME = 12
CONTROL = registers.address("control")
IDLE = framing.IDLE_BITS / 3_000_000


def answer(number: int, data: bytes) -> bytes:
    """What the core says of a frame: its number and something of every byte of it."""
    return struct.pack("<IIII", number, zlib.crc32(data), len(data), 0)


def map_packet(number: int, words: int) -> bytes:
    """A packet of a heat map, as long as its header says, of random bits."""
    head = struct.pack("<IHBBbBHI", number, 3, 1, 0x10, 0, 8, 0, max(0, 32 * words - 5))
    body = head + random.Random(number).randbytes(4 * words)
    return body + struct.pack("<I", zlib.crc32(body))


class Core:
    """A core that answers at once, or after `delay` looks, or never once it is `stuck`.

    With `map_words` every frame has a map of so many words of payload.
    """

    def __init__(self) -> None:
        self.words = {registers.address("id"): registers.ID}
        self.frames = 0
        self.inside: deque[bytes] = deque()
        self.delay = 0
        self.stuck = False
        self.map_words: list[int] = []  # of the maps of the next frames
        self.explained: list[bytes] = []

    def maps(self) -> list[bytes]:
        found, self.explained = self.explained, []
        return found

    def frame(self, data: bytes) -> None:
        self.inside.append(answer(self.frames, data))
        if self.map_words:
            self.explained.append(map_packet(self.frames, self.map_words.pop(0)))
        self.frames += 1

    def results(self) -> list[bytes]:
        if self.stuck or len(self.inside) <= self.delay:
            return []
        found = [self.inside.popleft() for _ in range(len(self.inside) - self.delay)]
        self.delay = max(0, self.delay - 1)
        return found

    def read(self, address: int) -> int:
        return self.words.get(address, 0)

    def write(self, address: int, value: int) -> None:
        if address == CONTROL and value & 1:
            self.frames = 0
            self.inside.clear()
            self.stuck = False
        else:
            self.words[address] = value


class Line:
    """A port to a model of the device, with a clock of its own; `hurt` damages bytes on the way."""

    def __init__(
        self, core=None, *, frame: int = FRAME, beat_bytes: int = 1, maps: bool = False
    ) -> None:
        self.core = Core() if core is None else core
        self.shell = SerialShell(
            self.core, frame, beat_bytes=beat_bytes, room=lambda: not self.core.stuck, maps=maps
        )
        self.timeout: float | None = 0.1
        self.time = 0.0
        self.last = 0.0
        self.back = bytearray()
        self.unplugged = False
        self.deaf = False
        self.closed = False
        self.hurt = lambda data: data  # on the way to the device
        self.hurt_back = lambda data: data

    def clock(self) -> float:
        return self.time

    @property
    def in_waiting(self) -> int:
        return len(self.back)

    def _idle(self) -> None:
        if self.time - self.last > IDLE:
            self.back += self.hurt_back(self.shell.idle())

    def write(self, data: bytes) -> int:
        if self.unplugged:
            raise OSError("device reports readiness to read but returned no data.")
        self._idle()
        self.time += len(data) * 10 / 3e6
        if not self.deaf:
            self.back += self.hurt_back(self.shell.feed(self.hurt(bytes(data))))
        self.last = self.time
        return len(data)

    def read(self, size: int = 1) -> bytes:
        if self.unplugged:
            raise OSError("device reports readiness to read but returned no data.")
        self.back += self.hurt_back(self.shell.flush())
        if not self.back:
            self.time += self.timeout or 0
            self._idle()
        data = bytes(self.back[:size])
        del self.back[:size]
        self.time += len(data) * 10 / 3e6
        return data

    def close(self) -> None:
        self.closed = True


def noise(rng: random.Random, rate: float):
    """Loses, changes and inserts bytes, each with `rate`."""

    def hurt(data: bytes) -> bytes:
        out = bytearray()
        for byte in data:
            chance = rng.random()
            if chance < rate:
                continue
            out.append(byte ^ 1 << rng.randrange(8) if chance < 2 * rate else byte)
            if chance > 1 - rate:
                out += rng.randbytes(rng.randrange(1, 4))
        return bytes(out)

    return hurt
