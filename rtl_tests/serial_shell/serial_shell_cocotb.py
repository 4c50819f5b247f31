"""cocotb tests of the shell from its serial pins, against its model in Python."""

from __future__ import annotations

import random
from typing import Any

import cocotb
import numpy as np
from cocotb.task import bridge
from cocotb.triggers import ClockCycles, Timer
from cocotb.utils import get_sim_time
from controller.controller_cocotb import expect
from controller.design import EXITS, HASH, frames_for
from serial_shell.design import IDLE_BITS, IMAGE_BYTES, STORE, ModelCore, image
from serial_shell.pins import BIT_PS, Host, Wire

from exeunt import registers
from exeunt.reference import controller
from exeunt.reference.serial_shell import SerialShell
from exeunt.registers import ALWAYS, BY_NAME, address
from exeunt.runtime import framing, serial
from exeunt.runtime.framing import Packet, Parser, register
from exeunt.runtime.serial import Serial

CONTROL = address("control")
RESET = BY_NAME["control"].fields["reset"].put(1)
COMMIT = BY_NAME["control"].fields["commit"].put(1)
LATENCY = slice(8, 12)  # bytes of a result


async def start(dut: Any) -> Host:
    host = Host(dut)
    await host.reset()
    told = await host.hello(0)
    assert told == framing.Greeting(framing.VERSION, STORE, IMAGE_BYTES, 0, 2)
    return host


async def accepted(host: Host, seq: int, kind: int, payload: bytes, **options: Any) -> None:
    await host.packet(kind, seq, payload, **options)
    got = await host.answer(f"ACK {seq}")
    assert (got.kind, got.seq) == (framing.ACK, seq % 256), got


async def refused(host: Host, data: bytes, seq: int, reason: int) -> None:
    await host.send(data)
    got = await host.answer(f"NAK {reason}")
    assert got == Packet(framing.NAK, seq % 256, bytes((reason,))), got


async def refused_again(host: Host, number: int, seq: int) -> None:
    """AGAIN for a result that is not kept, once refusals are told again."""
    await read(host, address("id"))
    await refused(host, Packet(framing.AGAIN, number).encode(), seq, framing.NO_RESULT)


async def read(host: Host, where: int) -> int:
    await host.packet(framing.READ, 99, where.to_bytes(2, "little"))
    got = await host.answer("DATA")
    assert (got.kind, got.seq) == (framing.DATA, 99), got
    assert framing.split_register(got.payload)[0] == where
    return framing.split_register(got.payload)[1]


async def set_thresholds(host: Host, seq: int, *values: int) -> int:
    for e, value in enumerate(values):
        payload = register(address("threshold", e), value & 0xFFFFFFFF)
        await accepted(host, seq, framing.WRITE, payload)
        seq += 1
    await accepted(host, seq, framing.WRITE, register(CONTROL, COMMIT))
    return seq + 1


def random_logits(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return frames_for(rng.integers(0, EXITS, count), rng)


async def check_results(host: Host, want: np.ndarray, first: int = 0) -> None:
    """Every result once, numbered from `first` on, with the right answer."""
    found = [await host.result(f"result {k}") for k in range(len(want))]
    assert [p.seq for p in found] == [(first + k) % 256 for k in range(len(want))]
    table = np.frombuffer(b"".join(p.payload for p in found), controller.RESULT)
    table = table[np.argsort(table["id"], kind="stable")]
    for name in ("id", "exit", "class", "score", "flags"):
        assert (table[name] == want[name]).all(), (
            f"{name} is {table[name].tolist()}, expected {want[name].tolist()}"
        )


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def registers_from_the_pins(dut: Any) -> None:
    """Nothing is accepted before HELLO; then registers are read and written."""
    host = Host(dut)
    await host.reset()
    await refused(host, Packet(framing.AGAIN, 7).encode(), 0, framing.NO_HELLO)
    await read(host, address("id"))  # an answer: refusals are told again
    write = Packet(framing.WRITE, 1, register(address("batch"), 7)).encode()
    await refused(host, write, 0, framing.NO_HELLO)
    assert await read(host, address("batch")) == 1
    assert (await host.hello(0)).next_result == 0
    assert await read(host, address("id")) == registers.ID
    assert await read(host, address("hash")) == HASH
    await accepted(host, 1, framing.WRITE, register(address("batch"), 7))
    assert await read(host, address("batch")) == 7
    for strange in (address("batch") + 1, address("batch") + 0x1000, 0xFFFC):
        assert await read(host, strange) == 0
    await accepted(host, 2, framing.WRITE, register(address("batch") + 0x1000, 9))
    assert await read(host, address("batch")) == 7
    await refused(host, Packet(framing.WRITE, 2 + 128, write[5:11]).encode(), 3, framing.ORDER)


@cocotb.test(timeout_time=40, timeout_unit="ms")
async def frames_with_gaps_and_garbage(dut: Any) -> None:
    """Frames with gaps between bytes, garbage between packets, and a line that is 2% off."""
    host = await start(dut)
    rng = random.Random(1)
    seq = await set_thresholds(host, 1, 100, 100)
    logits = random_logits(10, 2)
    for k, frame in enumerate(logits):
        rate = (BIT_PS, BIT_PS * 98 // 100, BIT_PS * 102 // 100)[k % 3]
        garbage = bytes(b for b in rng.randbytes(k) if b != framing.SYNC)
        await host.send(garbage, bit_ps=rate)
        await accepted(host, seq + k, framing.IMAGE, image(frame), gaps=rng, bit_ps=rate)
    await check_results(host, expect(logits, (100, 100)))
    assert host.parser.skipped == 0


@cocotb.test(timeout_time=40, timeout_unit="ms")
async def damage_has_no_effect(dut: Any) -> None:
    """Every kind of damage is refused with its reason, once, and the packet itself accepted."""
    host = await start(dut)
    logits = random_logits(3, 3)
    good = Packet(framing.IMAGE, 1, image(logits[0])).encode()
    wrong = bytearray(good)
    wrong[9] ^= 4
    await refused(host, bytes(wrong), 1, framing.BAD_CRC)
    await host.send(bytes(wrong))  # a second loss is told only once
    await host.nothing()
    assert await read(host, address("frames_in")) == 0  # an answer: refusals are told again
    length = bytearray(good)
    length[3] += 1
    await refused(host, bytes(length[:5]), 1, framing.BAD_LENGTH)
    assert await read(host, address("id")) == registers.ID
    await refused(host, bytes((framing.SYNC, 0x77)), 1, framing.BAD_KIND)
    await host.hello(0)
    await host.send(good[:11])
    await host.quiet()
    assert (await host.answer()).payload == bytes((framing.TIMEOUT,))
    await host.hello(0)
    await host.send(good[:7])
    await host.byte(0x11, stop=0)
    assert (await host.answer()).payload == bytes((framing.BROKEN,))
    await host.byte(0x11, stop=0)  # outside a packet: of no interest
    await host.send(bytes((framing.SYNC,)))  # one SYNC too many
    await accepted(host, 1, framing.IMAGE, image(logits[0]))
    await check_results(host, expect(logits[:1], (registers.NEVER,) * 2, bank=0))


@cocotb.test(timeout_time=40, timeout_unit="ms")
async def exactly_once_and_in_order(dut: Any) -> None:
    """Twice the same is accepted once; one too early is refused; seq wraps."""
    host = await start(dut)
    await host.hello(253)
    logits = random_logits(5, 4)
    for k, frame in enumerate(logits):
        seq = (254 + k) % 256
        early = Packet(framing.IMAGE, (seq + 1) % 256, image(logits[0])).encode()
        await refused(host, early, seq, framing.ORDER)
        await accepted(host, seq, framing.IMAGE, image(frame))
        for back in (0, 1, 127):
            await accepted(host, seq - back, framing.IMAGE, image(logits[k - 1]))
    await check_results(host, expect(logits, (registers.NEVER,) * 2, bank=0))
    await host.nothing()
    assert not host.results


@cocotb.test(timeout_time=80, timeout_unit="ms")
async def more_frames_than_fit(dut: Any) -> None:
    """Frames as fast as the line takes them: those without room are refused and come again."""
    host = await start(dut)
    seq = first = await set_thresholds(host, 1, 100, 100)
    logits = random_logits(24, 5)
    refusals = 0
    while seq - first < len(logits):
        for k in range(seq - first, min(len(logits), seq - first + 3)):
            await host.packet(framing.IMAGE, first + k, image(logits[k]))
        await ClockCycles(dut.clk, 1500)
        while host.answers:
            got = host.answers.popleft()
            if got.kind == framing.ACK:
                seq += got.seq == seq % 256
            else:
                assert got.payload[0] in (framing.ROOM, framing.ORDER), got
                assert got.seq == seq % 256, f"{got} while {seq} is the next"
                refusals += got.payload[0] == framing.ROOM
    assert refusals > 3, f"{refusals} frames found no room"
    await check_results(host, expect(logits, (100, 100)))


@cocotb.test(timeout_time=80, timeout_unit="ms")
async def results_while_frames_come(dut: Any) -> None:
    """Register accesses and results share the line while frames go in; all leave, none twice."""
    host = await start(dut)
    seq = await set_thresholds(host, 1, ALWAYS, 0)
    logits = random_logits(8, 6)
    for k, frame in enumerate(logits):
        await host.packet(framing.IMAGE, seq + 2 * k, image(frame))
        await host.packet(framing.READ, k, address("id").to_bytes(2, "little"))
        await host.packet(framing.WRITE, seq + 2 * k + 1, register(address("order"), 0))
        for kind in (framing.ACK, framing.DATA, framing.ACK):
            assert (await host.answer()).kind == kind
        await ClockCycles(dut.clk, 500)
    await check_results(host, expect(logits, (ALWAYS, 0)))


@cocotb.test(timeout_time=40, timeout_unit="ms")
async def results_again(dut: Any) -> None:
    """AGAIN brings back every result from the one asked for on, and new ones go on behind them."""
    host = await start(dut)
    logits = random_logits(4, 7)
    for k in range(3):
        await accepted(host, 1 + k, framing.IMAGE, image(logits[k]))
        await host.until(lambda k=k: len(host.results) == k + 1, "results")
    before = list(host.results)
    for n in range(3):
        await host.packet(framing.AGAIN, n)
        count = len(before) + 3 - n
        await host.until(lambda count=count: len(host.results) == count, f"AGAIN {n}")
        assert list(host.results)[len(before) :] == before[n:3]
        before = list(host.results)
    await host.packet(framing.AGAIN, 3)  # none is missing
    await accepted(host, 4, framing.IMAGE, image(logits[3]))
    await host.until(lambda: len(host.results) == len(before) + 1, "the next result")
    assert host.results[-1].seq == 3
    await refused(host, Packet(framing.AGAIN, 5).encode(), 5, framing.NO_RESULT)
    await refused_again(host, 255, 5)
    assert (await host.hello(9)).next_result == 4
    await refused(host, Packet(framing.AGAIN, 3).encode(), 10, framing.NO_RESULT)
    await accepted(host, 10, framing.IMAGE, image(logits[0]))
    await host.until(lambda: host.results[-1].seq == 4, "the result after HELLO")
    await refused(host, Packet(framing.AGAIN, 3).encode(), 11, framing.NO_RESULT)
    count = len(host.results)
    await host.packet(framing.AGAIN, 4)
    await host.until(lambda: len(host.results) == count + 1, "the result again")
    assert host.results[-1] == host.results[-2]
    await accepted(host, 11, framing.WRITE, register(CONTROL, RESET))
    await refused(host, Packet(framing.AGAIN, 4).encode(), 12, framing.NO_RESULT)
    await host.nothing()
    assert len(host.results) == count + 1, "a result from before a reset was sent again"


@cocotb.test(timeout_time=40, timeout_unit="ms")
async def soft_reset(dut: Any) -> None:
    """A reset empties store, core and ring in mid-frame; the next frame is whole and has id 0."""
    host = await start(dut)
    seq = await set_thresholds(host, 1, 100, 100)
    logits = random_logits(6, 8)
    for wait in (1, 700, 2500, 5000):
        host.results.clear()
        for k in range(2):
            await host.packet(framing.IMAGE, seq + k, image(logits[k]))
            assert (await host.answer()).kind == framing.ACK
        seq += 2
        await ClockCycles(dut.clk, wait)
        await accepted(host, seq, framing.WRITE, register(CONTROL, RESET))
        host.results.clear()
        first = (await host.hello(seq + 1)).next_result
        seq += 2
        for k in range(2, 6):
            await accepted(host, seq, framing.IMAGE, image(logits[k]))
            await ClockCycles(dut.clk, 1500)
            seq += 1
        await check_results(host, expect(logits[2:], (100, 100)), first)
        await host.nothing(6000)
        assert not host.results, f"after {wait} cycles: {host.results}"


@cocotb.test(timeout_time=40, timeout_unit="ms")
async def soft_reset_with_a_full_store(dut: Any) -> None:
    """Frames that waited for the core when the reset came are gone with it."""
    host = await start(dut)
    seq = await set_thresholds(host, 1, 100, 100)
    logits = random_logits(20, 13)
    for frame in logits:  # as fast as the line is, until one finds no room
        await host.packet(framing.IMAGE, seq, image(frame))
        got = await host.answer()
        if got.kind == framing.NAK:
            break
        seq += 1
    assert got.payload == bytes((framing.ROOM,)), f"{got}: the store was never full"
    await accepted(host, seq, framing.WRITE, register(CONTROL, RESET))
    first = (await host.hello(seq + 1)).next_result
    host.results.clear()
    await accepted(host, seq + 2, framing.IMAGE, image(logits[0]))
    await check_results(host, expect(logits[:1], (100, 100)), first)
    await host.nothing(9000)
    assert not host.results, f"{len(host.results)} frames came through the reset"


@cocotb.test(timeout_time=40, timeout_unit="ms")
async def raw_logits(dut: Any) -> None:
    """In raw mode each beat of logits is a result of its own."""
    host = await start(dut)
    await accepted(host, 1, framing.WRITE, register(address("raw"), 1 << 31 | 1))
    await ClockCycles(dut.clk, 100)
    logits = random_logits(3, 9)
    for k, frame in enumerate(logits):
        await accepted(host, 2 + k, framing.IMAGE, image(frame))
        got = await host.result()
        assert got.seq == k
        assert np.frombuffer(got.payload, "<i4").tolist() == frame[1].tolist()


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def lights(dut: Any) -> None:
    """led 0 says that it runs; the others follow what happens and go dark again."""
    host = Host(dut)
    await host.reset()
    assert int(dut.led.value) == 1
    seen = 0
    await host.hello(0)
    await accepted(host, 1, framing.WRITE, register(address("threshold"), 0x80000000))
    await accepted(host, 2, framing.WRITE, register(CONTROL, COMMIT))
    await host.packet(framing.IMAGE, 3, bytes(IMAGE_BYTES))
    for _ in range(400):
        await ClockCycles(dut.clk, 16)
        seen |= int(dut.led.value)
    assert seen == 0b00101111, f"{seen:#010b}"
    await host.send(bytes((framing.SYNC, 0x60)))
    await ClockCycles(dut.clk, 20)
    assert int(dut.led.value) & 0b10000, "a refusal is not shown"
    await ClockCycles(dut.clk, 3000)
    assert int(dut.led.value) == 1, f"{int(dut.led.value):#010b}"


@cocotb.test(timeout_time=400, timeout_unit="ms")
async def the_host_itself(dut: Any) -> None:
    """The serial transport at the pins of the RTL, over a line that damages bytes both ways."""
    framing.IDLE_BITS = IDLE_BITS  # as the device at this bench; the rest in its time scale
    serial.SLACK, serial.POLL, serial.PAUSE, serial.WINDOW_BYTES = 2e-5, 1e-5, 1e-5, 512
    host = Host(dut)
    await host.reset()
    wire = Wire(host, 0.0)
    logits = random_logits(30, 12)
    frames = np.stack([np.frombuffer(image(x), np.uint8) for x in logits])

    def drive() -> tuple[bytes, bytes, int]:
        port = Serial(wire, baud=round(1e12 / BIT_PS), clock=lambda: get_sim_time("sec"))
        port.stop()
        port.write(CONTROL, RESET)
        port.start()
        for e in range(EXITS - 1):
            port.write(address("threshold", e), 100)
        port.write(CONTROL, COMMIT)
        wire.rate = 0.003
        port.submit(frames[:20], 20, 1.0)
        first = port.collect(0.3)
        port.submit(frames[20:], 10, 1.0)
        assert port.read(address("hash")) == HASH
        second = port.collect(0.3)
        return first.tobytes(), second.tobytes(), port.resent

    first, second, resent = await bridge(drive)()
    assert resent > 3, f"the line was mended {resent} times only"
    want = expect(logits, (100, 100))
    for part, answers in ((first, want[:20]), (second, want[20:])):
        table = np.frombuffer(part, controller.RESULT)
        table = table[np.argsort(table["id"], kind="stable")]
        for name in ("id", "exit", "class", "score", "flags"):
            assert (table[name] == answers[name]).all(), f"{name}: {table[name].tolist()}"


def plain(data: bytes) -> list[Packet]:
    """Packets, without the latency of results, which only the RTL knows."""
    found = []
    for packet in Parser(framing.FROM_DEVICE).feed(data):
        payload = bytearray(packet.payload)
        if packet.kind == framing.RESULT:
            payload[LATENCY] = bytes(4)
        found.append(Packet(packet.kind, packet.seq, bytes(payload)))
    return found


class Script:
    """Random stimuli, good ones among damaged and foolish ones."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.seq = 1
        self.results = 0

    def packet(self) -> tuple[bytes, bool]:
        """Bytes of a packet, and whether it is an IMAGE."""
        rng = self.rng
        kind = rng.choice(
            (framing.IMAGE, framing.IMAGE, framing.WRITE, framing.READ, framing.AGAIN)
        )
        seq = (self.seq + rng.choice((0, 0, 0, 0, 0, 1, 2, 100, 127, 128, -1, -2, -128))) % 256
        where = rng.choice(
            [address(n) for n in ("id", "batch", "threshold", "active", "hash")]
            + [1, 0x1C01, 0x101C]
        )
        if kind == framing.IMAGE:
            return Packet(kind, seq, image(random_logits(1, rng.randrange(999))[0])).encode(), True
        if kind == framing.WRITE:
            value = rng.randrange(1000)
            if rng.random() < 0.4:
                where, value = CONTROL, rng.choice((COMMIT, COMMIT, COMMIT, RESET))
            return Packet(kind, seq, register(where, value)).encode(), False
        if kind == framing.READ:
            return Packet(kind, rng.randrange(256), where.to_bytes(2, "little")).encode(), False
        back = rng.randrange(min(self.results, 5) + 1)
        if rng.random() < 0.3:  # most likely never stored, or not since the last HELLO
            back = rng.randrange(256)
        return Packet(kind, (self.results - back) % 256, b"").encode(), False


@cocotb.test(timeout_time=400, timeout_unit="ms")
async def equals_the_model(dut: Any) -> None:
    """Packet after packet, good and bad, the RTL answers what the model answers, byte for byte."""
    host = await start(dut)
    shell = SerialShell(ModelCore(), IMAGE_BYTES, beat_bytes=2, store=STORE)
    want = bytearray(shell.feed(Packet(framing.HELLO, 0).encode()))
    script = Script(3)
    rng = script.rng
    for step in range(220):
        data, _ = script.packet()
        kind = rng.random()
        if kind < 0.12:  # a byte changed, lost or too much
            where = rng.randrange(len(data))
            data = (
                data[:where]
                + rng.choice(
                    (
                        bytes((data[where] ^ 1 << rng.randrange(8),)),
                        b"",
                        data[where : where + 1] * 2,
                    )
                )
                + data[where + 1 :]
            )
        elif kind < 0.16:
            data = data[: rng.randrange(1, len(data))]
        elif kind < 0.20:
            data = rng.randbytes(rng.randrange(1, 12))
        elif kind < 0.23:
            data = Packet(framing.HELLO, rng.randrange(256)).encode()
            script.seq = (data[2] + 1) % 256
        answered = shell.feed(data)
        broken = rng.random() < 0.05
        await host.send(data, gaps=rng if step % 3 else None)
        if broken:
            await host.byte(rng.randrange(256), stop=0)
            answered += shell.broken()
        if rng.random() < 0.3 or broken:
            await host.quiet()
            answered += shell.idle()
        want += answered
        for packet in plain(answered):
            if packet.kind == framing.ACK and packet.seq == script.seq:
                script.seq = (script.seq + 1) % 256
            if packet.kind == framing.NAK:
                script.seq = packet.seq
            if packet.kind == framing.RESULT:
                script.results = (packet.seq + 1) % 256
        if shell.pending:  # the rest comes before the device's patience ends
            continue
        count = len(want)
        await host.until(
            lambda count=count: len(host.received) >= count, f"step {step}: {data.hex()}"
        )
        await Timer(20 * BIT_PS, "ps")
        if len(host.received) != count:  # something more is on its way: let it come
            await Timer(400 * BIT_PS, "ps")
        assert plain(bytes(host.received)) == plain(bytes(want)), (
            f"step {step}, {data.hex()}: got {plain(bytes(host.received))[-4:]}, "
            f"expected {plain(bytes(want))[-4:]}"
        )
        assert len(host.received) == len(want), (
            f"step {step}, {data.hex()}: {host.received[-60:].hex()} for {want[-60:].hex()}"
        )
        if len(want) > 4000:
            host.received.clear()
            want.clear()
    assert script.results > 20
