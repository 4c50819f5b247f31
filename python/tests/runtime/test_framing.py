"""The packets of the serial line: the codec, and the parser under every kind of damage."""

from __future__ import annotations

import random
import zlib

import pytest

from exeunt.errors import InputError
from exeunt.runtime import framing
from exeunt.runtime.framing import FROM_DEVICE, Greeting, Packet, Parser

ACK = Packet(framing.ACK, 7)
RESULT = Packet(framing.RESULT, 255, bytes(range(0xA0, 0xB0)))  # with a SYNC inside


def test_a_packet_byte_by_byte():
    packet = Packet(framing.WRITE, 3, framing.register(0x0C4, 0x80000001))
    body = bytes.fromhex("02 03 0600 c400 01000080")
    assert packet.encode() == b"\xa5" + body + zlib.crc32(body).to_bytes(4, "little")
    assert len(ACK.encode()) == framing.OVERHEAD
    assert framing.split_register(packet.payload) == (0x0C4, 0x80000001)


def test_greeting_there_and_back():
    told = Greeting(1, 2, 784, 200, 3)
    assert told.encode() == bytes.fromhex("01 02 1003 c8 03")
    assert Greeting.decode(told.encode()) == told


def test_a_payload_too_long():
    with pytest.raises(InputError) as caught:
        Packet(framing.IMAGE, 0, bytes(65536)).encode()
    assert str(caught.value) == (
        "a packet carries at most 65535 bytes, got 65536; use a network with smaller images."
    )


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 1000])
def test_packets_in_pieces(piece):
    parser = Parser(FROM_DEVICE)
    line = ACK.encode() + RESULT.encode() + ACK.encode()
    found = [p for k in range(0, len(line), piece) for p in parser.feed(line[k : k + piece])]
    assert found == [ACK, RESULT, ACK]
    assert (parser.skipped, parser.damaged, parser.pending) == (0, 0, 0)


def test_what_is_no_packet_is_skipped():
    parser = Parser(FROM_DEVICE)
    request = Packet(framing.READ, 1, b"\0\0").encode()  # only a host sends these
    long_ack = b"\xa5\x81\x00\x05\x00"
    line = b"noise" + ACK.encode() + request + b"\xa5" + RESULT.encode() + long_ack + ACK.encode()
    assert parser.feed(line) == [ACK, RESULT, ACK]
    assert parser.skipped == 5 + len(request) + 1 + 5
    assert parser.damaged == 0


def test_a_packet_behind_a_damaged_one_is_found():
    for hurt in range(1, len(RESULT.encode())):
        parser = Parser(FROM_DEVICE)
        line = bytearray(RESULT.encode())
        line[hurt] ^= 0x10
        found = parser.feed(bytes(line) + ACK.encode() + bytes(40))
        assert found == [ACK], f"byte {hurt} changed: {found}"


def test_packets_behind_a_lost_byte_are_found():
    for lost in range(len(RESULT.encode())):
        parser = Parser(FROM_DEVICE)
        line = RESULT.encode()
        found = parser.feed(line[:lost] + line[lost + 1 :] + ACK.encode())
        found += parser.idle()
        assert found == [ACK], f"byte {lost} lost: {found}"
        assert parser.pending == 0


def test_random_damage_never_makes_a_packet():
    rng = random.Random(1)
    sent = [
        Packet(framing.RESULT, k % 256, rng.randbytes(16))
        if k % 2
        else Packet(framing.ACK, k % 256)
        for k in range(2000)
    ]
    parser = Parser(FROM_DEVICE)
    line = bytearray()
    for packet in sent:
        data = bytearray(packet.encode())
        if rng.random() < 0.3:
            where = rng.randrange(len(data))
            kind = rng.randrange(3)
            if kind == 0:
                data[where] ^= 1 << rng.randrange(8)
            elif kind == 1:
                del data[where]
            else:
                data[where:where] = rng.randbytes(3)
        line += data
    found = parser.feed(bytes(line))
    assert 1000 < len(found) < 2000
    place = -1
    for packet in found:
        place = sent.index(packet, place + 1)  # ValueError: never sent, or out of order
    assert parser.damaged > 100
