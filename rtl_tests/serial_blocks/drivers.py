"""What drives the blocks of the serial shell, and what they are compared with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lib.bench import Corner, bench_corners
from lib.handles import Joined, stream
from lib.patterns import always, bernoulli, bursts
from lib.streams import Cycles, StreamSink

from exeunt.reference.serial_shell import SerialShell


class Block:
    """One corner's ports."""

    def __init__(self, dut: Any, index: int, corner: Corner) -> None:
        self._dut, self._index, self.corner = dut, index, corner
        self.name = corner.name
        for port in corner.ports:
            if not port.output:
                self[port.name].value = 0

    def __getitem__(self, port: str) -> Any:
        return getattr(self._dut, f"u{self._index}_{port}")

    def get(self, port: str) -> int:
        return int(self[port].value)

    def parameter(self, name: str) -> int:
        return int(self.corner.parameters[name])


async def begin(dut: Any, module: str) -> tuple[Cycles, list[Block]]:
    """The clock, and the blocks of this module out of reset."""
    cycles = Cycles(dut.clk, dut.rst)
    blocks = [Block(dut, i, c) for i, c in enumerate(bench_corners())]
    for block in blocks:
        if block.corner.module == "ex_uart_rx":
            block["rx"].value = 1
    await cycles.reset(3)
    return cycles, [b for b in blocks if b.corner.module == module]


class Recorder(SerialShell):
    """What the model's parser makes of bytes: (reason, packet)."""

    def __init__(self, image_bytes: int, *, maps: bool) -> None:
        self.found: list[tuple[int, int, int, bytes]] = []
        super().__init__(None, image_bytes, maps=maps)  # type: ignore[arg-type]

    def _packet(self, kind: int, seq: int, payload: bytes) -> None:
        self.found.append((0, kind, seq, payload))

    def _refuse(self, reason: int) -> None:
        self.found.append((reason, 0, 0, b""))

    def flush(self) -> bytes:
        return b""


class Quiet:
    """A core that notes what is done to it."""

    def __init__(self) -> None:
        self.done: list[tuple[int, int]] = []

    def frame(self, data: bytes) -> None:
        self.done.append((-1, 0))

    def results(self) -> list[bytes]:
        return []

    def maps(self) -> list[bytes]:
        return []

    def read(self, where: int) -> int:
        return where * 0x10001 & 0xFFFFFFFF

    def write(self, where: int, value: int) -> None:
        self.done.append((where, value))


class Link:
    """One corner of `ex_link`: a bus behind it, what it did, and its answers."""

    def __init__(self, block: Block, cycles: Cycles) -> None:
        self.block, self.cycles = block, cycles
        self.done: list[tuple[int, int]] = []
        self.written: list[int] = []  # cycles of writes
        self.flushed: list[int] = []  # cycles of flush
        self.told: list[tuple[str, int]] = []  # what the ring was told, with the number asked for
        self._asked = 0
        parts = Joined((block["a_kind"], 2), (block["a_seq"], 8), (block["a_body"], 48))
        self.sink = StreamSink(stream(block["a_valid"], block["a_ready"], parts), "x", cycles)
        cycles.add(self._step)

    def _step(self, cycle: int) -> None:
        block = self.block
        if block.get("store_commit"):
            self.done.append((-1, 0))
        if block.get("reg_write"):
            self.done.append((block.get("reg_address"), block.get("reg_wdata")))
            self.written.append(cycle)
        if block.get("hello"):
            self.told.append(("hello", 0))
        if block.get("again"):
            self.told.append(("again", block.get("again_seq")))
        if block.get("map_taken"):
            name = "maps" if block.get("map_again") else "taken"
            self.told.append((name, block.get("again_seq")))
        else:
            assert not block.get("map_again"), "map_again without map_taken"
        if block.get("flush"):
            self.flushed.append(cycle)
        block["reg_rdata"].value = self._asked * 0x10001 & 0xFFFFFFFF
        self._asked = block.get("reg_address")

    async def packet(self, kind: int, tag: int, where: int, value: int, reason: int = 0) -> None:
        """A packet from the line; returns in the cycle in which a write shows."""
        for port, given in (("p_kind", kind), ("p_seq", tag % 256), ("p_address", where),
                            ("p_wdata", value), ("p_reason", reason)):  # fmt: skip
            self.block[port].value = given
        self.block["p_valid"].value = 1
        await self.cycles.wait(1)
        self.block["p_valid"].value = 0
        await self.cycles.wait(1)


def mixes() -> Iterator[tuple[Any, int]]:
    """Stall patterns."""
    yield always(), 0
    yield bernoulli(0.3, 1), 1
    yield bursts(9, 2), 2
