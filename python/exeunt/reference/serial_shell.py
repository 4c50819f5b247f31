"""The serial shell byte by byte: what ex_serial_shell does with what comes over its pins.

Its answers, its results and its pieces of heat maps are those of the RTL, each in the same order;
how they mix on the line, and whether a frame finds room, depends on the RTL's timing (`room` says
it here).
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Protocol

from exeunt import registers
from exeunt.runtime import framing
from exeunt.runtime.framing import Greeting, Packet

_RING = 256


class Core(Protocol):
    """The accelerator behind the shell: its input stream, its result stream and its registers."""

    def frame(self, data: bytes) -> None:
        """One whole frame enters, its beats padded to whole bytes."""
        ...

    def results(self) -> list[bytes]:
        """What has left since the last call, 16 bytes each."""
        ...

    def maps(self) -> list[bytes]:
        """Packets of heat maps, whole words, since the last call; not called without `maps`."""
        ...

    def read(self, address: int) -> int:
        """The register at a byte address."""
        ...

    def write(self, address: int, value: int) -> None:
        """Write a register; the soft reset among them empties the core."""
        ...


class _State(Enum):
    HUNT = 0
    KIND = 1
    SEQ = 2
    LOW = 3
    HIGH = 4
    BODY = 5
    CHECK = 6


class SerialShell:
    """The device end of `exeunt.runtime.framing` around a core.

    Args:
        core: what answers.
        image_bytes: bytes a frame.
        beat_bytes: bytes a beat.
        store: frames stored at once, as HELLO tells it.
        room: whether a frame that comes now finds a place; always unless given.
        address_bits: of the core's registers; addresses beyond read zero and ignore writes.
        maps: the core sends heat maps.
    """

    def __init__(
        self,
        core: Core,
        image_bytes: int,
        *,
        beat_bytes: int = 1,
        store: int = 2,
        room: Callable[[], bool] | None = None,
        address_bits: int = registers.ADDRESS_BITS,
        maps: bool = False,
    ) -> None:
        self._core = core
        self._lengths = framing.to_device(image_bytes, maps=maps)
        self._maps = maps
        self._image_bytes = image_bytes
        self._beat_bytes = beat_bytes
        self._store = store
        self._room = room or (lambda: True)
        self._beyond = 1 << address_bits
        self.reset()

    def reset(self) -> None:
        """As behind a reset of the device: no HELLO yet, no results kept, no half packet."""
        self._state = _State.HUNT
        self._body = bytearray()  # kind to the last byte that came
        self._open = False
        self._held = False
        self._expected = 0
        self._ring: dict[int, bytes] = {}
        self._written = 0
        self._kept = 0  # results that AGAIN may ask for
        self._sent = 0
        self._answers: deque[Packet] = deque()
        self._forget_maps()

    def _forget_maps(self) -> None:
        """No pieces, whose numbers begin at 0."""
        self._waiting: deque[tuple[int, bytes]] = deque()  # pieces that find no place
        self._pieces: dict[int, tuple[int, bytes]] = {}  # kept ones by number, without an end
        self._oldest = self._shown = self._stored = 0

    @property
    def pending(self) -> bool:
        """Whether half a packet has come."""
        return self._state is not _State.HUNT

    def feed(self, data: bytes) -> bytes:
        """Take bytes from the line; the packets that go back for them."""
        for byte in data:
            self._byte(byte)
        return self.flush()

    def idle(self) -> bytes:
        """No byte came for IDLE_BITS bit times."""
        if self.pending:
            self._damaged(framing.TIMEOUT)
        return self.flush()

    def broken(self) -> bytes:
        """A byte came without a stop bit."""
        if self.pending:
            self._damaged(framing.BROKEN)
        return self.flush()

    def flush(self) -> bytes:
        """Answers, results and pieces of heat maps that wait, in turn."""
        for result in self._core.results():
            self._ring[self._written] = result
            self._written = (self._written + 1) % _RING
            self._kept = min(self._kept + 1, framing.KEPT)
        for packet in self._core.maps() if self._maps else []:
            self._cut(packet)
        self._keep()
        sent = b""
        while self._answers or self._sent != self._written or self._shown != self._stored:
            if self._answers:
                sent += self._answers.popleft().encode()
            if self._sent != self._written:
                sent += Packet(framing.RESULT, self._sent, self._ring[self._sent]).encode()
                self._sent = (self._sent + 1) % _RING
            if self._shown != self._stored:
                kind, piece = self._pieces[self._shown]
                sent += Packet(kind, self._shown % 256, piece).encode()
                self._shown += 1
        return sent

    def _cut(self, packet: bytes) -> None:
        """A packet in pieces, which wait for a place."""
        size = framing.PIECE_BYTES
        for at in range(0, len(packet), size):
            kind = framing.MAP if at + size < len(packet) else framing.MAP_END
            self._waiting.append((kind, packet[at : at + size].ljust(size, b"\0")))

    def _keep(self) -> None:
        while self._waiting and self._stored - self._oldest < framing.PIECES:
            self._pieces[self._stored] = self._waiting.popleft()
            self._stored += 1

    def _byte(self, byte: int) -> None:
        state = self._state
        if state is _State.HUNT:
            if byte == framing.SYNC:
                self._state = _State.KIND
                self._body.clear()
            return
        if state is _State.KIND and byte == framing.SYNC:
            return
        self._body.append(byte)
        if state is _State.KIND:
            if byte in self._lengths:
                self._state = _State.SEQ
            else:
                self._damaged(framing.BAD_KIND)
        elif state is _State.SEQ:
            self._state = _State.LOW
        elif state is _State.LOW:
            self._state = _State.HIGH
        elif state is _State.HIGH:
            length = self._lengths[self._body[0]]
            if self._body[2] | byte << 8 != length:
                self._damaged(framing.BAD_LENGTH)
            else:
                self._left = length or 4
                self._state = _State.BODY if length else _State.CHECK
        else:
            self._left -= 1
            if self._left:
                return
            if state is _State.BODY:
                self._state, self._left = _State.CHECK, 4
                return
            self._state = _State.HUNT
            check = int.from_bytes(self._body[-4:], "little")
            if zlib.crc32(self._body[:-4]) != check:
                self._damaged(framing.BAD_CRC)
            else:
                self._packet(self._body[0], self._body[1], bytes(self._body[4:-4]))

    def _damaged(self, reason: int) -> None:
        self._state = _State.HUNT
        self._refuse(reason)

    def _refuse(self, reason: int) -> None:
        if not self._held or reason == framing.ROOM:
            self._answers.append(Packet(framing.NAK, self._expected, bytes((reason,))))
        self._held = True

    def _answer(self, kind: int, seq: int, payload: bytes = b"") -> None:
        self._held = False
        self._answers.append(Packet(kind, seq, payload))

    def _packet(self, kind: int, seq: int, payload: bytes) -> None:
        if kind in (framing.IMAGE, framing.WRITE):
            ahead = (seq - self._expected) % 256
            if not self._open:
                self._refuse(framing.NO_HELLO)
            elif ahead == 0 and kind == framing.IMAGE and not self._room():
                self._refuse(framing.ROOM)
            elif ahead == 0:
                self._expected = (seq + 1) % 256
                self._accept(kind, payload)
                self._answer(framing.ACK, seq)
            elif ahead >= 128:
                self._answer(framing.ACK, seq)
            else:
                self._refuse(framing.ORDER)
        elif kind == framing.READ:
            address = int.from_bytes(payload, "little")
            ours = address < self._beyond
            value = self._core.read(address) if ours else 0
            self._answer(framing.DATA, seq, framing.register(address, value))
        elif kind == framing.HELLO:
            self._open = True
            self._kept = 0
            self._forget_maps()
            self._expected = (seq + 1) % 256
            told = Greeting(
                framing.VERSION, self._store, self._image_bytes, self._written, self._beat_bytes
            )
            self._answer(framing.HI, seq, told.encode())
        elif not self._open:
            self._refuse(framing.NO_HELLO)
        elif kind in (framing.TAKEN, framing.MAPS):
            self._confirm(seq, again=kind == framing.MAPS)
        elif (self._written - seq) % _RING > self._kept:
            self._refuse(framing.NO_RESULT)
        else:
            self._sent = seq

    def _confirm(self, seq: int, *, again: bool) -> None:
        first = self._oldest + (seq - self._oldest) % 256
        if first > self._stored:
            self._refuse(framing.NO_MAP)
            return
        for number in range(self._oldest, first):
            del self._pieces[number]
        self._oldest = first
        self._shown = first if again else max(self._shown, first)

    def _accept(self, kind: int, payload: bytes) -> None:
        if kind == framing.IMAGE:
            self._core.frame(payload)
            return
        address, value = framing.split_register(payload)
        if address >= self._beyond:
            return
        self._core.write(address, value)
        if address == registers.address("control") and value & 1:
            self._core.results()
            self._sent = self._written
            self._kept = 0
            if self._maps:
                self._core.maps()
                self._forget_maps()
