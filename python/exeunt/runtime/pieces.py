"""Heat maps out of the numbered pieces in which a serial line carries them."""

from __future__ import annotations

from collections import deque

from exeunt.runtime import framing, maps
from exeunt.runtime.framing import Packet


class Pieces:
    """The pieces since the device was greeted, each taken once and in order.

    `next`: number of the next piece. `packets`: of maps that came whole and were not fetched.
    `asked`: when the next piece was asked for, or the one before it came.
    """

    def __init__(self, now: float) -> None:
        self.next = 0
        self.packets: deque[bytes] = deque()
        self.asked = now
        self._told = 0  # the number that the device was told of last
        self._waiting = False  # the next one was asked for
        self._parts: list[bytes] = []  # of the packet that comes

    def come(self, piece: Packet, now: float) -> bool:
        """Take a piece, if it is the next one.

        Returns:
            Whether those from the next one on must be asked for: a later one came, and nobody has
            asked since the one before.
        """
        ahead = (piece.seq - self.next) % 256
        if ahead:
            return ahead < 128 and not self._waiting
        self.next += 1
        self.asked, self._waiting = now, False
        self._parts.append(piece.payload)
        if piece.kind == framing.MAP_END:
            self.packets.append(trimmed(b"".join(self._parts)))
            self._parts.clear()
        return False

    @property
    def due(self) -> bool:
        """Whether the device should be told that pieces have come."""
        return self.next - self._told >= framing.PIECES // 2

    def confirmed(self) -> Packet:
        """What tells it."""
        self._told = self.next
        return Packet(framing.TAKEN, self.next % 256)

    def missing(self, now: float) -> Packet:
        """What asks for the pieces from the next one on."""
        self._told, self._waiting, self.asked = self.next, True, now
        return Packet(framing.MAPS, self.next % 256)


def trimmed(data: bytes) -> bytes:
    """A packet in whole pieces without the zeros that fill up the last one, as its length says."""
    if len(data) < maps.LEAST:
        return data
    end = maps.LEAST + maps.WORD * -(-maps.HEADER.unpack_from(data)[-1] // 32)
    fill = len(data) - end
    return data[:end] if 0 <= fill < framing.PIECE_BYTES and not any(data[end:]) else data
