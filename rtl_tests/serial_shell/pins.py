"""A host at the serial pins of a simulation: bytes with any timing, packets as they come back."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import Any

import cocotb
from cocotb.task import resume
from cocotb.triggers import ClockCycles, FallingEdge, Timer
from lib.streams import PERIOD_NS, start_clock
from serial_shell.design import DIVISOR, IDLE_BITS

from exeunt.runtime import framing
from exeunt.runtime.framing import Packet, Parser

BIT_PS = 1000 * DIVISOR * PERIOD_NS
LIMIT = 100_000  # cycles for anything at all


class Host:
    """Sends and receives; `answers`, `results` and `pieces` are what came and was not taken yet."""

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self.edge = start_clock(dut.clk)
        self.parser = Parser(framing.FROM_DEVICE)
        self.received = bytearray()
        self.answers: deque[Packet] = deque()
        self.results: deque[Packet] = deque()
        self.pieces: deque[Packet] = deque()
        self.hurt: Callable[[int], int | None] = lambda byte: byte
        dut.rx.value = 1
        dut.rst.value = 1
        cocotb.start_soon(self._listen())

    async def reset(self) -> None:
        self.dut.rst.value = 1
        await ClockCycles(self.dut.clk, 4)
        self.dut.rst.value = 0
        await ClockCycles(self.dut.clk, 4)

    async def _listen(self) -> None:
        tx = self.dut.tx
        while True:
            await FallingEdge(tx)
            if int(self.dut.rst.value):
                continue
            await Timer(BIT_PS * 3 // 2, "ps")
            byte = 0
            for k in range(8):
                byte |= int(tx.value) << k
                await Timer(BIT_PS, "ps")
            assert int(tx.value) == 1, f"byte {len(self.received)} from the device: no stop bit"
            kept = self.hurt(byte)
            if kept is None:
                continue
            self.received.append(kept)
            for packet in self.parser.feed(bytes((kept,))):
                kinds = {framing.RESULT: self.results}
                kinds |= dict.fromkeys((framing.MAP, framing.MAP_END), self.pieces)
                kinds.get(packet.kind, self.answers).append(packet)

    async def byte(self, value: int, *, bit_ps: int = BIT_PS, stop: int = 1) -> None:
        rx = self.dut.rx
        level = 0
        rx.value = 0
        run = 1
        for k in range(8):
            bit = value >> k & 1
            if bit != level:
                await Timer(bit_ps * run, "ps")
                rx.value = bit
                level, run = bit, 0
            run += 1
        await Timer(bit_ps * run, "ps")
        rx.value = stop
        await Timer(bit_ps, "ps")
        rx.value = 1
        if not stop:
            await Timer(2 * bit_ps, "ps")

    async def send(
        self, data: bytes, *, gaps: random.Random | None = None, bit_ps: int = BIT_PS
    ) -> None:
        """Bytes, back to back or with random gaps shorter than the device's patience."""
        for k, value in enumerate(data):
            await self.byte(value, bit_ps=bit_ps)
            if gaps is not None and k + 1 < len(data) and gaps.random() < 0.3:
                await Timer(gaps.randrange(1, (IDLE_BITS - 12) * BIT_PS), "ps")

    async def packet(self, kind: int, seq: int, payload: bytes = b"", **options: Any) -> None:
        await self.send(Packet(kind, seq % 256, payload).encode(), **options)

    async def quiet(self) -> None:
        """Silence until the device has given up on half a packet."""
        await Timer((IDLE_BITS + 3) * BIT_PS, "ps")

    async def until(self, done: Callable[[], bool], what: str, limit: int = LIMIT) -> None:
        for _ in range(limit // 16):
            if done():
                return
            await Timer(16 * PERIOD_NS, "ns")
        raise AssertionError(f"{what}: not after {limit} cycles")

    async def answer(self, what: str = "an answer") -> Packet:
        await self.until(lambda: bool(self.answers), what)
        return self.answers.popleft()

    async def result(self, what: str = "a result") -> Packet:
        await self.until(lambda: bool(self.results), what)
        return self.results.popleft()

    async def hello(self, seq: int = 0) -> framing.Greeting:
        await self.packet(framing.HELLO, seq)
        packet = await self.answer("HELLO")
        assert (packet.kind, packet.seq) == (framing.HI, seq), packet
        return framing.Greeting.decode(packet.payload)

    async def nothing(self, cycles: int = 3000) -> None:
        """No answer comes."""
        await ClockCycles(self.dut.clk, cycles)
        assert not self.answers, f"nothing may come, got {list(self.answers)}"


class Wire:
    """The pins as the port that `exeunt.runtime.serial` drives, from the thread of a bridge.

    It damages bytes both ways with a probability of `rate`.
    """

    def __init__(self, host: Host, rate: float) -> None:
        self.timeout: float | None = 0.0
        self.rng = random.Random(21)
        self.rate = rate
        self._host = host
        host.hurt = self.hurt

    def hurt(self, byte: int) -> int | None:
        chance = self.rng.random() / self.rate if self.rate else 1.0
        if chance < 0.5:
            return None
        return byte ^ 1 << self.rng.randrange(8) if chance < 1.0 else byte

    def write(self, data: bytes) -> int:
        hurt = [self.hurt(byte) for byte in data]
        resume(self._host.send)(bytes(b for b in hurt if b is not None))
        return len(data)

    def read(self, size: int = 1) -> bytes:
        return bytes(resume(self._read)())

    async def _read(self) -> bytes:
        received = self._host.received
        for _ in range(1 + int((self.timeout or 0.0) * 1e12 / (20 * BIT_PS))):
            if received:
                break
            await Timer(20 * BIT_PS, "ps")
        data = bytes(received)
        received.clear()
        return data

    def close(self) -> None:
        pass
