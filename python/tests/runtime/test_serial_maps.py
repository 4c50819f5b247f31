"""Heat maps over the serial line: each once and whole, beside results that never wait for them."""

from __future__ import annotations

import importlib.util
import random
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from exeunt.runtime import framing
from exeunt.runtime.framing import Packet, Parser
from exeunt.runtime.pieces import Pieces, trimmed
from exeunt.runtime.serial import Serial
from exeunt.runtime.transport import TransferError, TransferFault

_SPEC = importlib.util.spec_from_file_location("line", Path(__file__).with_name("line.py"))
_HERE = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_HERE)
Line, noise, answer, map_packet = _HERE.Line, _HERE.noise, _HERE.answer, _HERE.map_packet
FRAME, CONTROL = _HERE.FRAME, _HERE.CONTROL


def opened(line) -> Serial:
    port = Serial(line, clock=line.clock)
    recover(port)
    return port


def recover(port: Serial) -> None:
    port.stop()
    port.write(CONTROL, 1)
    port.start()


def images(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, FRAME), np.uint8)


def expect(frames: np.ndarray, first: int = 0) -> np.ndarray:
    raw = b"".join(answer(first + k, x.tobytes()) for k, x in enumerate(frames))
    return np.frombuffer(raw, np.uint8).reshape(-1, 16)


def take(port: Serial, count: int, wait: float = 60.0) -> list[bytes]:
    found = []
    while len(found) < count:
        packet = port.map(wait)
        assert packet is not None, f"{len(found)} of {count} maps came"
        found.append(packet)
    assert port.map(0) is None
    return found


def run(line, port, words: list[int], first: int = 0) -> None:
    """Frames with maps: answers and maps are right."""
    line.core.map_words = list(words)
    frames = images(len(words), seed=len(words))
    port.submit(frames, len(frames), 5.0)
    assert (port.collect(9.0) == expect(frames, first)).all()
    assert take(port, len(words)) == [map_packet(first + k, n) for k, n in enumerate(words)]


def without(kinds: tuple[int, ...], count: int):
    """Loses the first packets of these kinds."""
    left = [count]

    def hurt(data: bytes) -> bytes:
        out = b""
        for packet in Parser(framing.FROM_DEVICE).feed(data):
            lost = packet.kind in kinds and left[0] > 0
            left[0] -= lost
            out += b"" if lost else packet.encode()
        return out

    return hurt


def test_maps_come_whole():
    """Of every length that a last piece may have, and more pieces than numbers."""
    line = Line(maps=True)
    port = opened(line)
    run(line, port, list(range(1, 30)))
    run(line, port, [800] * 4, 29)
    assert port.resent == 0
    run(line, port, [], 33)
    assert port.map(0.01) is None


@pytest.mark.parametrize("way", ["hurt", "hurt_back"])
@pytest.mark.parametrize("rate", [0.002, 0.01])
def test_noise_is_mended(way, rate):
    line = Line(maps=True)
    port = opened(line)
    setattr(line, way, noise(random.Random(5), rate))
    first = 0
    for k in range(5):
        run(line, port, [17 * k, 300, 2, 5], first)
        first += 4
    assert port.resent > 3


@pytest.mark.parametrize("kinds", [(framing.MAP,), (framing.MAP_END,), (framing.MAP, 0x86)])
@pytest.mark.parametrize("count", [1, 2, 40])
def test_lost_pieces_are_asked_for(kinds, count):
    line = Line(maps=True)
    port = opened(line)
    line.hurt_back = without(kinds, count)
    run(line, port, [10, 60, 5, 1])
    assert port.resent


def test_results_do_not_wait_for_maps():
    """Nor the other way: with all pieces lost, answers come, and the device keeps what it may."""
    line = Line(maps=True)
    port = opened(line)
    line.hurt_back = without((framing.MAP, framing.MAP_END), 10**9)
    line.core.map_words = [400] * 30
    for k in range(3):
        frames = images(10, seed=k)
        port.submit(frames, 10, 1.0)
        assert (port.collect(1.0) == expect(frames, 10 * k)).all()
    assert len(line.shell._pieces) == framing.PIECES
    assert port.map(0.1) is None
    line.hurt_back = lambda data: data
    assert take(port, 30) == [map_packet(k, 400) for k in range(30)]


def test_a_confirmation_that_is_lost():
    line = Line(maps=True)
    port = opened(line)

    def deaf(data: bytes) -> bytes:
        return b"" if data[1] == framing.TAKEN else data

    line.hurt = deaf
    run(line, port, [900] * 3)
    assert port.resent > 0  # the window was full, and asking for more confirms as well
    assert line.shell._oldest > 0


def test_a_reset_begins_anew():
    """Maps from before are forgotten, half ones too, and those that come are whole."""
    line = Line(maps=True)
    port = opened(line)
    line.core.map_words = [300, 300]
    port.submit(images(2), 2, 1.0)
    port.collect(1.0)
    recover(port)
    assert port.map(0.2) is None
    run(line, port, [7, 8, 9])
    line.core.write(CONTROL, 1)
    line.shell._confirm(3, again=False)
    recover(port)
    run(line, port, [40])


def test_a_device_that_forgot_its_maps():
    line = Line(maps=True)
    port = opened(line)
    run(line, port, [7, 8, 9])
    line.shell._forget_maps()  # it restarted, or somebody else said HELLO
    with pytest.raises(TransferFault) as caught:
        port.map(2.0)
    assert str(caught.value) == (
        "the accelerator on the port must keep piece 11 of its heat maps and does not, so it was "
        "reset or somebody else uses the port"
    )
    recover(port)
    run(line, port, [7])


def test_a_device_without_maps():
    """It says nothing of them; being asked for some, it does not know what that is."""
    line = Line()
    port = opened(line)
    assert port.map(0) is None
    assert port.map(0.5) is None
    frames = images(3)
    port.submit(frames, 3, 1.0)
    assert (port.collect(1.0) == expect(frames)).all()
    assert framing.TAKEN not in framing.to_device(12)
    assert framing.TAKEN in framing.to_device(12, maps=True)


def test_registers_between():
    """What is waited for with a register comes, and maps are kept for whoever asks."""
    line = Line(maps=True)
    port = opened(line)
    line.core.map_words = [20, 21]
    frames = images(2)
    port.submit(frames, 2, 1.0)
    looks = []

    def between() -> None:
        looks.append(port.map(0))

    assert (port.collect(1.0, between) == expect(frames)).all()
    port.read(0)
    found = [p for p in looks if p] + [p for p in [port.map(1.0), port.map(1.0)] if p]
    assert found == [map_packet(0, 20), map_packet(1, 21)]


def test_pieces_by_themselves():
    pieces = Pieces(3.0)
    one = Packet(framing.MAP, 0, bytes(16))
    assert not pieces.come(one, 4.0)
    assert (pieces.next, pieces.asked, list(pieces.packets)) == (1, 4.0, [])
    assert not pieces.come(one, 5.0)  # again
    assert pieces.come(Packet(framing.MAP, 2, bytes(16)), 5.0)
    assert pieces.missing(6.0) == Packet(framing.MAPS, 1)
    assert not pieces.come(Packet(framing.MAP, 3, bytes(16)), 7.0)  # asked already
    assert not pieces.come(Packet(framing.MAP_END, 1, b"x" * 16), 8.0)
    assert list(pieces.packets) == [bytes(16) + b"x" * 16]
    for k in range(2, 64):
        assert not pieces.due
        pieces.come(Packet(framing.MAP, k, bytes(16)), 9.0)
    pieces.come(Packet(framing.MAP, 64, bytes(16)), 9.0)
    assert pieces.due
    assert pieces.confirmed() == Packet(framing.TAKEN, 65)
    assert not pieces.due


def test_fill_is_cut_off():
    for words in range(9):
        packet = map_packet(3, words)
        padded = packet + bytes(-len(packet) % 16)
        assert trimmed(padded) == packet
    assert trimmed(bytes(16)) == bytes(16)
    assert trimmed(padded + bytes(16)) == padded + bytes(16)  # more than a piece of it
    assert trimmed(padded[:-1] + b"\1") == padded[:-1] + b"\1"
    assert zlib.crc32(packet[:-4]) == int.from_bytes(packet[-4:], "little")


def test_a_thousand_interruptions():
    """Each ends with right answers and right maps, or in an error; a reset brings the line back."""
    rng = random.Random(12)
    line = Line(maps=True)
    port = opened(line)
    ends: Counter[str] = Counter()
    said: Counter[str] = Counter()
    first = 0
    for k in range(1000):
        frames = images(rng.randrange(1, 12), seed=k)
        words = [rng.randrange(60) for _ in frames]
        kinds = ["to device", "from device", "both", "maps", "restart", "reset", "silence"]
        kind = rng.choice(kinds)
        before = line.time
        if kind in ("to device", "both"):
            line.hurt = noise(random.Random(k), rng.choice([0.002, 0.01, 0.03]))
        if kind in ("from device", "both"):
            line.hurt_back = noise(random.Random(-k), rng.choice([0.002, 0.01, 0.03]))
        if kind == "maps":
            lost = rng.sample([framing.MAP, framing.MAP_END], rng.randrange(1, 3))
            line.hurt_back = without(tuple(lost), rng.randrange(1, 50))
        if kind == "silence":
            line.hurt_back = lambda data: b""
        try:
            line.core.map_words = list(words)
            port.submit(frames, len(frames), 1.0)
            if kind == "restart":
                line.shell.reset()
                line.core.write(CONTROL, 1)
            got = port.collect(4.0)
            assert (got == expect(frames, first)).all(), f"{k}, {kind}: a wrong answer"
            if kind == "reset":
                line.core.write(CONTROL, 1)
                line.shell._forget_maps()
            for n, size in enumerate(words):
                packet = port.map(15.0)
                if packet is None:
                    raise TransferError("it did not come")
                assert packet == map_packet(first + n, size), f"{k}, {kind}: a wrong map"
            first += len(frames)
            ends[f"{kind}: recovered"] += 1
            failed = False
        except TransferError as error:
            ends[f"{kind}: error"] += 1
            said[f"{kind}: {error}"] += 1
            failed = True
        assert line.time - before < 80, f"{k}, {kind}: it took {line.time - before} s"
        line.hurt = line.hurt_back = lambda data: data
        if failed or kind in ("reset", "restart"):
            recover(port)
            first = 0
    for kind in ("to device", "from device", "both", "maps"):
        assert ends[f"{kind}: recovered"] > 60, ends
    assert ends["maps: error"] == 0, said
    assert ends["silence: error"] > 50
    assert ends["restart: error"] > 30
