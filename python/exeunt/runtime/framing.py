"""Packets on a serial line between host and device: the protocol, its codec and a parser.

Both directions carry bytes, 8N1. A packet is SYNC 0xA5, kind u8, seq u8, length of the payload u16,
payload, CRC-32 u32 (zlib's, over kind to payload); everything is little-endian.

To the device:

- IMAGE: the bytes of one frame, every beat padded with zeros to whole bytes, lowest byte first.
- WRITE: address u16, data u32 of a register.
- READ: address u16. Any seq; the answer bears it.
- HELLO: empty. The next IMAGE or WRITE must have this seq + 1.
- AGAIN: empty. Send the results again from the one numbered seq on: one that was stored since the
  last HELLO and soft reset and is still kept, or the next one; otherwise it is refused.
- TAKEN: empty. Every piece of a heat map before the one numbered seq has come; refused unless that
  is kept, or the next one. Devices that send no heat maps do not know it, nor MAPS.
- MAPS: TAKEN, and send the pieces again from the one numbered seq on.

From the device:

- ACK: empty; the IMAGE or WRITE of this seq is accepted, and so are all before it.
- DATA: address u16, data u32; the answer to the READ of this seq.
- HI: version u8, frames stored u8, bytes a frame u16, number of the next result u8, bytes a beat
  u8; the answer to the HELLO of this seq.
- RESULT: 16 bytes, a result or a beat of raw logits; seq is its number modulo 256.
- MAP: 16 bytes, a piece of the packet of a heat map (`exeunt.runtime.maps`); seq is its number
  modulo 256, counted from 0 since the last HELLO or soft reset.
- MAP_END: the last piece of a packet, filled up with zeros.
- NAK: reason u8 (`REASONS`); seq is the number that the device expects.

IMAGE and WRITE take effect exactly once, in the order of their seq: the device accepts the one it
expects, acknowledges again (and ignores) the 128 before it, and refuses others, so the host sends
again from the number that a NAK names, or from the oldest without ACK when none comes (go-back-N).
A lost packet brings one NAK; the next one comes only after something was accepted or answered, or
when the expected IMAGE found no room. A damaged packet has no effect, and a packet of which no byte
comes for `IDLE_BITS` bit times is dropped. A WRITE acts at once, also on frames that are accepted
and not in the accelerator yet; one that resets the accelerator drops these, and the results not yet
sent. Results are numbered and the device keeps the last 256, so a host that leaves at most 255
unanswered and asks AGAIN for the first one it misses has each exactly once. Nobody knows how many
heat maps come, so the device keeps each piece until TAKEN or MAPS confirms it, at most PIECES of
them, and the accelerator makes no more maps meanwhile; a piece that is missing is asked for by
MAPS.

The device in SystemVerilog is boards/common/rtl/ex_serial_shell.sv, in Python
`exeunt.reference.serial_shell`.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from exeunt.errors import InputError

SYNC = 0xA5
VERSION = 1
IDLE_BITS = 32768
"""Bit times without a byte after which half a packet is dropped."""
OVERHEAD = 9
"""Bytes of a packet beside its payload."""
RESULT_BYTES = 16
PIECE_BYTES = 16
KEPT = 255
"""Results that may be unanswered with none of them out of reach of AGAIN."""

PIECES = 128
"""Pieces of heat maps that a device keeps."""

IMAGE, WRITE, READ, HELLO, AGAIN, TAKEN, MAPS = 1, 2, 3, 4, 5, 6, 7
ACK, DATA, HI, RESULT, MAP, MAP_END, NAK = 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x8F

BAD_CRC, BAD_LENGTH, BAD_KIND, ORDER, ROOM, TIMEOUT, BROKEN, NO_HELLO = range(1, 9)
NO_RESULT, NO_MAP = 9, 10
REASONS: Mapping[int, str] = {
    BAD_CRC: "its CRC was wrong",
    BAD_LENGTH: "its length was wrong",
    BAD_KIND: "its kind is unknown",
    ORDER: "it was out of order",
    ROOM: "no frame could be stored",
    TIMEOUT: "half of it was missing",
    BROKEN: "a byte had no stop bit",
    NO_HELLO: "there was no HELLO since the device began",
    NO_RESULT: "the result asked for again is not kept",
    NO_MAP: "the piece of a heat map asked for is not kept",
}
FROM_DEVICE: Mapping[int, int] = {
    ACK: 0, DATA: 6, HI: 6, RESULT: RESULT_BYTES, MAP: PIECE_BYTES, MAP_END: PIECE_BYTES, NAK: 1,
}  # fmt: skip
"""Payload bytes of each kind that the device sends."""

_HEAD = struct.Struct("<BBH")


def to_device(image_bytes: int, *, maps: bool = False) -> dict[int, int]:
    """Payload bytes of each kind that the host sends, to a device that sends heat maps or not."""
    found = {IMAGE: image_bytes, WRITE: 6, READ: 2, HELLO: 0, AGAIN: 0}
    return {**found, TAKEN: 0, MAPS: 0} if maps else found


@dataclass(frozen=True)
class Packet:
    """One packet; `kind` and `seq` are 0..255."""

    kind: int
    seq: int
    payload: bytes = b""

    def encode(self) -> bytes:
        """The packet as it goes over the line.

        Raises:
            InputError: the payload is longer than a length field says.
        """
        if len(self.payload) > 0xFFFF:
            raise InputError(
                f"a packet carries at most 65535 bytes, got {len(self.payload)}; "
                "use a network with smaller images."
            )
        body = _HEAD.pack(self.kind, self.seq, len(self.payload)) + self.payload
        return bytes((SYNC,)) + body + struct.pack("<I", zlib.crc32(body))


@dataclass(frozen=True)
class Greeting:
    """What the device says of itself: the payload of HI."""

    version: int
    store: int
    image_bytes: int
    next_result: int
    beat_bytes: int

    def encode(self) -> bytes:
        """The payload."""
        return struct.pack(
            "<BBHBB",
            self.version,
            self.store,
            self.image_bytes,
            self.next_result,
            self.beat_bytes,
        )

    @classmethod
    def decode(cls, payload: bytes) -> Greeting:
        """From the payload of HI, 6 bytes."""
        return cls(*struct.unpack("<BBHBB", payload))


def register(address: int, value: int) -> bytes:
    """The payload of WRITE and DATA."""
    return struct.pack("<HI", address, value)


def split_register(payload: bytes) -> tuple[int, int]:
    """Address and value of a WRITE or DATA."""
    address, value = struct.unpack("<HI", payload)
    return address, value


class Parser:
    """Packets out of a stream of bytes in pieces of any size.

    Bytes that belong to no packet are skipped; behind a damaged packet the search goes on with its
    second byte, so a packet that follows the damage is found.

    Args:
        lengths: kind -> payload bytes; other kinds and lengths are no packets.

    `skipped`: bytes thrown away so far. `damaged`: packets that had the right head and a wrong CRC.
    """

    def __init__(self, lengths: Mapping[int, int]) -> None:
        self._lengths = dict(lengths)
        self._buffer = bytearray()
        self.skipped = 0
        self.damaged = 0

    @property
    def pending(self) -> int:
        """Bytes of a packet whose rest has not come."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[Packet]:
        """The packets that `data` completes."""
        buffer = self._buffer
        buffer += data
        found = []
        at = 0
        while True:
            start = buffer.find(SYNC, at)
            if start < 0:
                self.skipped += len(buffer) - at
                at = len(buffer)
                break
            self.skipped += start - at
            at = start
            left = len(buffer) - at
            if left < 2:
                break
            length = self._lengths.get(buffer[at + 1])
            if length is None:
                self.skipped += 1
                at += 1
                continue
            if left < 5:
                break
            if buffer[at + 3] | buffer[at + 4] << 8 != length:
                self.skipped += 1
                at += 1
                continue
            end = at + length + OVERHEAD
            if end > len(buffer):
                break
            body = bytes(buffer[at + 1 : end - 4])
            if zlib.crc32(body) != int.from_bytes(buffer[end - 4 : end], "little"):
                self.damaged += 1
                self.skipped += 1
                at += 1
                continue
            found.append(Packet(body[0], body[1], body[4:]))
            at = end
        del buffer[:at]
        return found

    def idle(self) -> list[Packet]:
        """The line has fallen silent: drop a half packet, but not the packets inside it."""
        found: list[Packet] = []
        while self._buffer:
            del self._buffer[0]
            self.skipped += 1
            found += self.feed(b"")
        return found
