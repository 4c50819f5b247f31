"""cocotb tests of `ex_explain_registers`: reset values, writes, counts, what a clear keeps."""

from __future__ import annotations

import random
from typing import Any

import cocotb
from lib.bench import Corner, bench_corners
from lib.streams import Cycles

from exeunt import registers
from exeunt.registers import BY_NAME, EXPLAIN, NEVER, address

SNAPSHOT = BY_NAME["control"].fields["snapshot"].put(1)
EVERY = BY_NAME["explain_every"].fields
COUNTS = {"explained": "explained", "explain_missed": "missed", "explain_unmet": "unmet"}


class Device:
    """One corner, accessed over its one-cycle bus."""

    def __init__(self, dut: Any, index: int, corner: Corner, cycles: Cycles) -> None:
        self.name = corner.name
        self.exits, self.slots, self.first = (
            int(corner.parameters[k]) for k in ("EXITS", "SLOTS", "METHOD")
        )
        self.cycles = cycles
        self.port = {p.name: getattr(dut, f"u{index}_{p.name}") for p in corner.ports}
        for port in corner.ports:
            if not port.output:
                self.port[port.name].value = 0

    def get(self, name: str) -> int:
        """An output, as it was in the cycle that just ended."""
        return int(self.port[name].value)

    async def put(self, where: int, value: int) -> tuple[int, int, int]:
        """Write an address; ask, ask_id and forget of the cycle of the write."""
        self.port["write"].value = 1
        self.port["address"].value = where
        self.port["wdata"].value = value & 0xFFFFFFFF
        await self.cycles.wait()
        found = self.get("ask"), self.get("ask_id"), self.get("forget")
        self.port["write"].value = 0
        await self.cycles.wait()
        return found

    async def expect(self, where: int, value: int) -> None:
        """Read an address."""
        self.port["address"].value = where
        await self.cycles.wait(2)
        got = self.get("rdata")
        assert got == value & 0xFFFFFFFF, f"{self.name}: {where:#x} reads {got:#x}, not {value:#x}"


async def start(dut: Any) -> list[Device]:
    cycles = Cycles(dut.clk, dut.rst)
    devices = [Device(dut, i, c, cycles) for i, c in enumerate(bench_corners())]
    await cycles.reset()
    await cycles.wait(2)
    return devices


def resets(device: Device) -> dict[int, int]:
    """What every register reads behind a reset, by its address."""
    found = {}
    for register in EXPLAIN:
        for i in range(device.exits if register.per_exit else 1):
            found[address(register.name, i)] = register.reset
    found[address("explain_method")] = device.first
    return found


@cocotb.test()
async def reset_values(dut: Any) -> None:
    """Every register reads its reset value, every other address zero, and takes no write."""
    for device in await start(dut):
        known = resets(device)
        rng = random.Random(0)
        others = [a for a in rng.sample(range(1 << 12), 200) if a not in known]
        for where in others:
            await device.expect(where, 0)
            ask, _, forget = await device.put(where, 1234)
            assert (ask, forget) == (0, 0), f"{device.name}: {where:#x} asks or forgets"
        for name in ("explained", "explain_missed", "explain_unmet", "explain_slots"):
            await device.put(address(name), 77)
        for where, value in known.items():
            await device.expect(where, value)
        assert device.get("below") == sum(NEVER << 32 * e for e in range(device.exits))
        assert (device.get("every"), device.get("waits")) == (0, 0)
        assert device.get("method") == device.first


@cocotb.test()
async def writes(dut: Any) -> None:
    """What is written is in force at once, reads back, and outlives a clear."""
    for device in await start(dut):
        known = resets(device)
        below = [-5 - e for e in range(device.exits)]
        words = {
            address("explain_every"): EVERY["every"].put(513) | EVERY["wait"].put(1),
            address("explain_method"): 11,
            **{address("explain_below", e): v & 0xFFFFFFFF for e, v in enumerate(below)},
        }
        for where, value in words.items():
            await device.put(where, value)
        device.port["clear"].value = 1
        await device.cycles.wait(3)
        device.port["clear"].value = 0
        for where, value in (known | words).items():
            await device.expect(where, value)
        assert (device.get("every"), device.get("waits"), device.get("method")) == (513, 1, 11)
        packed = sum((v & 0xFFFFFFFF) << 32 * e for e, v in enumerate(below))
        assert device.get("below") == packed, device.name
        await device.put(address("explain_every"), 7)
        assert (device.get("every"), device.get("waits")) == (7, 0)
        assert await device.put(address("explain_ask"), 0x89ABCDEF) == (1, 0x89ABCDEF, 0)
        ask, _, forget = await device.put(address("explain_forget"), 0)
        assert (ask, forget) == (0, 1)
        assert (device.get("ask"), device.get("forget")) == (0, 0)


@cocotb.test()
async def counts(dut: Any) -> None:
    """A snapshot copies all counts, a clear ends it; slots are told as they are."""
    for device in await start(dut):
        values = {name: 0xF0000000 + i for i, name in enumerate(COUNTS)}
        for name, value in values.items():
            device.port[COUNTS[name]].value = value
        for name in values:
            await device.expect(address(name), 0)
        await device.put(address("control"), SNAPSHOT ^ 7)  # anything else
        await device.expect(address("explained"), 0)
        await device.put(address("control"), SNAPSHOT)
        for name in values:
            device.port[COUNTS[name]].value = 5
        for name, value in values.items():
            await device.expect(address(name), value)
        for used in (1, (1 << device.slots) - 1, 0):
            device.port["used"].value = used
            await device.expect(address("explain_slots"), used.bit_count())
        device.port["clear"].value = 1
        await device.cycles.wait(2)
        device.port["clear"].value = 0
        for name in values:
            await device.expect(address(name), 0)
    assert set(COUNTS) == {r.name for r in registers.EXPLAIN if r.counter}
