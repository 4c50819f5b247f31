"""cocotb tests of the shell with heat maps, from its serial pins, against its model in Python."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import cocotb
import numpy as np
from cocotb.task import bridge
from cocotb.triggers import ClockCycles
from cocotb.utils import get_sim_time
from serial_shell.design import IDLE_BITS
from serial_shell.mapping import CONTROL, IMAGE_BYTES, ModelCore, packet, result
from serial_shell.pins import BIT_PS, Host, Wire

from exeunt import registers
from exeunt.reference.serial_shell import SerialShell
from exeunt.runtime import framing, serial
from exeunt.runtime.framing import Packet, Parser, register
from exeunt.runtime.serial import Serial

SIZE = framing.PIECE_BYTES
SLOW = 400_000  # cycles, of 2,000 each piece


async def start(dut: Any) -> Host:
    host = Host(dut)
    await host.reset()
    await host.hello(0)
    return host


async def accepted(host: Host, seq: int, kind: int, payload: bytes) -> None:
    await host.packet(kind, seq, payload)
    got = await host.answer(f"ACK {seq}")
    assert (got.kind, got.seq) == (framing.ACK, seq % 256), got


async def refused(host: Host, data: bytes, seq: int, reason: int) -> None:
    await host.send(data)
    got = await host.answer(f"NAK {reason}")
    assert got == Packet(framing.NAK, seq % 256, bytes((reason,))), got


async def read(host: Host) -> None:
    """A register, whose answer also lets refusals be told again."""
    await host.packet(framing.READ, 99, bytes(2))
    got = await host.answer("DATA")
    assert framing.split_register(got.payload) == (0, registers.ID)


def frames(count: int, seed: int, words: int | None = None) -> list[bytes]:
    """Frames whose maps have `words` words of payload, or any number."""
    rng = random.Random(seed)
    found = [rng.randbytes(IMAGE_BYTES) for _ in range(count)]
    return found if words is None else [bytes((words,)) + f[1:] for f in found]


def pieces(given: list[bytes], first: int = 0, number: int = 0) -> list[Packet]:
    """The pieces of the maps of frames from id `number` on, from number `first` on."""
    found = []
    for k, frame in enumerate(given, number):
        data = packet(k, frame)
        for at in range(0, len(data), SIZE):
            kind = framing.MAP if at + SIZE < len(data) else framing.MAP_END
            seq = (first + len(found)) % 256
            found.append(Packet(kind, seq, data[at : at + SIZE].ljust(SIZE, b"\0")))
    return found


@cocotb.test(timeout_time=40, timeout_unit="ms")
async def maps_and_results(dut: Any) -> None:
    """Every length of the last piece; pieces again from any one on; unknown ones are refused."""
    host = Host(dut)
    await host.reset()
    await refused(host, Packet(framing.TAKEN, 0).encode(), 0, framing.NO_HELLO)
    await read(host)
    await refused(host, Packet(framing.MAPS, 0).encode(), 0, framing.NO_HELLO)
    await host.hello(0)
    given = [f for n in range(5) for f in frames(1, n, n)]
    for k, frame in enumerate(given):
        await accepted(host, 1 + k, framing.IMAGE, frame)
        got = await host.result()
        assert got == Packet(framing.RESULT, k, result(k, frame)), got
    want = pieces(given)
    await host.until(lambda: len(host.pieces) == len(want), "pieces")
    assert list(host.pieces) == want
    for at in (3, 1, 0, len(want)):  # none is confirmed yet but by the ones before
        host.pieces.clear()
        if at != 1:
            await host.packet(framing.MAPS, at if at < 3 else 3)
            rest = want[at if at < 3 else 3 :]
            if at in (3, len(want)):
                await host.until(lambda rest=rest: len(host.pieces) == len(rest), f"MAPS {at}")
                assert list(host.pieces) == rest
            else:
                assert (await host.answer()).payload == bytes((framing.NO_MAP,))
                await read(host)
        else:
            await refused(host, Packet(framing.MAPS, 1).encode(), 6, framing.NO_MAP)
            await read(host)
    host.pieces.clear()
    await host.packet(framing.TAKEN, len(want))
    await refused(host, Packet(framing.TAKEN, len(want) + 1).encode(), 6, framing.NO_MAP)
    await read(host)
    await host.packet(framing.MAPS, len(want))
    more = frames(1, 9, 20)
    await accepted(host, 6, framing.IMAGE, more[0])
    want = pieces(more, len(want), 5)
    await host.until(lambda: len(host.pieces) == len(want), "pieces")
    assert list(host.pieces) == want
    assert host.parser.skipped == 0


@cocotb.test(timeout_time=80, timeout_unit="ms")
async def nobody_confirms(dut: Any) -> None:
    """Maps stop where none fits any more; answers and results go on, and no map is lost."""
    host = await start(dut)
    given = frames(20, 3, 60)
    want = pieces(given)
    for k, frame in enumerate(given):
        await accepted(host, 1 + k, framing.IMAGE, frame)
        got = await host.result()
        assert got == Packet(framing.RESULT, k, result(k, frame)), got
        await read(host)
    await host.until(lambda: len(host.pieces) == framing.PIECES, "all that are kept", SLOW)
    await host.nothing(6000)
    assert list(host.pieces) == want[: framing.PIECES]
    while len(host.pieces) < len(want):
        count = len(host.pieces)
        await host.packet(framing.TAKEN, count)
        more = min(len(want), count + framing.PIECES)
        await host.until(lambda more=more: len(host.pieces) == more, f"{more} pieces", SLOW)
    assert list(host.pieces) == want


@cocotb.test(timeout_time=80, timeout_unit="ms")
async def turns(dut: Any) -> None:
    """With pieces in a row a result and an answer wait for one packet of each of the others."""
    host = await start(dut)
    given = frames(6, 4, 60)
    for k, frame in enumerate(given):
        await accepted(host, 1 + k, framing.IMAGE, frame)
    first = len(host.received)
    for _ in range(4):
        await read(host)
    found = Parser(framing.FROM_DEVICE).feed(bytes(host.received[first:]))
    between = [p.kind for p in found]
    answers = [n for n, kind in enumerate(between) if kind == framing.DATA]
    assert len(answers) == 4
    # a request takes about two packets of the device's on the line
    assert all(b - a <= 6 for a, b in pairwise(answers)), between
    assert between.count(framing.MAP) >= 4


@cocotb.test(timeout_time=80, timeout_unit="ms")
async def soft_reset(dut: Any) -> None:
    """A reset in the middle of maps; pieces count from 0 again and the next map is whole."""
    host = await start(dut)
    seq = 1
    for wait in (1, 300, 900, 2500, 6000):
        for frame in frames(2, wait, 50):
            await accepted(host, seq, framing.IMAGE, frame)
            seq += 1
        await ClockCycles(dut.clk, wait)
        await accepted(host, seq, framing.WRITE, register(CONTROL, 1))
        await host.hello(seq + 1)
        seq += 2
        await ClockCycles(dut.clk, 400)
        host.pieces.clear()
        host.results.clear()
        given = frames(2, wait + 1)
        for frame in given:
            await accepted(host, seq, framing.IMAGE, frame)
            seq += 1
        want = pieces(given)
        await host.until(lambda want=want: len(host.pieces) >= len(want), "pieces")
        await host.nothing(2000)
        assert list(host.pieces) == want, f"after {wait} cycles"
        host.results.clear()


@cocotb.test(timeout_time=400, timeout_unit="ms")
async def the_host_itself(dut: Any) -> None:
    """The serial transport at the pins of the RTL, over a line that damages bytes both ways."""
    framing.IDLE_BITS = IDLE_BITS  # as the device at this bench; the rest in its time scale
    serial.SLACK, serial.POLL, serial.PAUSE, serial.WINDOW_BYTES = 2e-5, 1e-5, 1e-5, 512
    host = Host(dut)
    await host.reset()
    wire = Wire(host, 0.0)
    given = frames(24, 12)
    raw = np.stack([np.frombuffer(f, np.uint8) for f in given])

    def drive() -> tuple[bytes, list[bytes | None], int]:
        port = Serial(wire, baud=round(1e12 / BIT_PS), clock=lambda: get_sim_time("sec"))
        port.stop()
        port.write(CONTROL, 1)
        port.start()
        wire.rate = 0.002
        port.submit(raw, len(raw), 1.0)
        answers = port.collect(0.3)
        return answers.tobytes(), [port.map(0.2) for _ in given], port.resent

    answers, maps, resent = await bridge(drive)()
    assert resent > 3, f"the line was mended {resent} times only"
    assert answers == b"".join(result(k, f) for k, f in enumerate(given))
    for k, frame in enumerate(given):
        assert maps[k] == packet(k, frame), f"map {k}"


def kinds(data: bytes) -> tuple[list[Packet], list[Packet], list[Packet]]:
    """Answers, results and pieces."""
    found: tuple[list[Packet], list[Packet], list[Packet]] = ([], [], [])
    for one in Parser(framing.FROM_DEVICE).feed(data):
        place = {framing.RESULT: 1, framing.MAP: 2, framing.MAP_END: 2}.get(one.kind, 0)
        found[place].append(one)
    return found


@cocotb.test(timeout_time=400, timeout_unit="ms")
async def equals_the_model(dut: Any) -> None:
    """Frames, confirmations, requests, resets: answers, results and pieces are the model's."""
    host = await start(dut)
    shell = SerialShell(ModelCore(), IMAGE_BYTES, beat_bytes=2, maps=True)
    want = bytearray(shell.feed(Packet(framing.HELLO, 0).encode()))
    rng = random.Random(8)
    seq, refusals = 1, 0
    for step in range(160):
        kind = rng.choice((1, 1, 1, 1, 3, 6, 6, 6, 7, 7))
        payload = {1: rng.randbytes(IMAGE_BYTES), 3: bytes(2)}.get(kind, b"")
        tag = seq
        if kind > framing.AGAIN:
            tag = shell._oldest + rng.randrange(-1, shell._stored - shell._oldest + 2)
        if rng.random() < 0.04:
            kind, tag, payload = framing.HELLO, rng.randrange(256), b""
            seq = tag
        elif rng.random() < 0.04:
            kind, tag, payload = framing.WRITE, seq, register(CONTROL, 1)
        seq += kind in (framing.IMAGE, framing.WRITE, framing.HELLO)
        data = Packet(kind, tag % 256, payload).encode()
        before = len(shell._answers)
        answered = shell.feed(data)
        refusals += before == 0 and any(p.kind == framing.NAK for p in kinds(answered)[0])
        want += answered
        await host.send(data)
        count = len(want)
        await host.until(
            lambda count=count: len(host.received) >= count, f"step {step}: {data.hex()}"
        )
        await ClockCycles(dut.clk, 700 if len(host.received) == count else 2000)
        got, expected = kinds(bytes(host.received)), kinds(bytes(want))
        for name, found, wanted in zip(
            ("answers", "results", "pieces"), got, expected, strict=True
        ):
            assert found == wanted, (
                f"step {step}, {data.hex()}: {name} {found[-3:]}, expected {wanted[-3:]}"
            )
    assert refusals > 5, f"{refusals} refusals"
