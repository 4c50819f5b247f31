"""cocotb tests of `ex_registers`: reset values, banks, modes, counters, snapshot, soft reset."""

from __future__ import annotations

import random
from typing import Any

import cocotb
from lib.bench import Corner, bench_corners
from lib.streams import Cycles
from registers.corners import CRITERION, HASH

from exeunt import registers
from exeunt.registers import ALWAYS, BY_NAME, NEVER, address

CONTROL = BY_NAME["control"].fields
STATUS = BY_NAME["status"].fields
RAW = BY_NAME["raw"].fields


class Device:
    """One corner, accessed over its one-cycle bus."""

    def __init__(self, dut: Any, index: int, corner: Corner, cycles: Cycles) -> None:
        self.name = corner.name
        self.exits = int(corner.parameters["EXITS"])
        self.count_bits = int(corner.parameters["COUNT_BITS"])
        self.cycles = cycles
        self.port = lambda name: getattr(dut, f"u{index}_{name}")
        for name in ("write", "address", "wdata", "offer", "ev_accept", "ev_leave", "ev_bad",
                     "ev_stall", "ev_take", "flight0", "flight1"):  # fmt: skip
            self.port(name).value = 0

    def get(self, name: str) -> int:
        """An output, as it was in the cycle that just ended."""
        return int(self.port(name).value)

    async def write(self, name: str, value: int, exit_index: int = 0) -> None:
        """Write a register; returns after the cycle of the write."""
        self.port("write").value = 1
        self.port("address").value = address(name, exit_index)
        self.port("wdata").value = value & 0xFFFFFFFF
        await self.cycles.wait()
        self.port("write").value = 0

    async def put(self, where: int, value: int) -> None:
        """Write an address."""
        self.port("write").value = 1
        self.port("address").value = where
        self.port("wdata").value = value
        await self.cycles.wait()
        self.port("write").value = 0

    async def read(self, name: str, exit_index: int = 0) -> int:
        """Read a register."""
        return await self.at(address(name, exit_index))

    async def at(self, where: int) -> int:
        """Read an address."""
        self.port("address").value = where
        await self.cycles.wait(3)
        return self.get("rdata")

    async def status(self, name: str) -> int:
        """A field of the status register."""
        return STATUS[name].get(await self.read("status"))

    async def control(self, name: str) -> None:
        """Start an action."""
        await self.write("control", CONTROL[name].put(1))

    def bank_thresholds(self, bank: int) -> list[int]:
        word = self.get(f"threshold{bank}")
        return [word >> (32 * i) & 0xFFFFFFFF for i in range(self.exits)]

    async def expect(self, name: str, value: int, exit_index: int = 0) -> None:
        got = await self.read(name, exit_index)
        assert got == value & 0xFFFFFFFF, (
            f"{self.name}: register {name}[{exit_index}] reads {got:#x}, "
            f"expected {value & 0xFFFFFFFF:#x}"
        )


async def start(dut: Any) -> list[Device]:
    cycles = Cycles(dut.clk, dut.rst)
    devices = [Device(dut, i, c, cycles) for i, c in enumerate(bench_corners())]
    await cycles.reset()
    await cycles.wait(2)
    return devices


@cocotb.test()
async def reset_values(dut: Any) -> None:
    """Every register reads its reset value, every other address zero; read-only ones keep it."""
    for device in await start(dut):
        known = {}
        for register in registers.MAP:
            for i in range(device.exits if register.per_exit else 1):
                value = {"hash": HASH, "criterion": CRITERION}.get(register.name, register.reset)
                if register.name in ("threshold", "active") and i + 1 == device.exits:
                    value = ALWAYS
                known[address(register.name, i)] = value
                await device.expect(register.name, value, i)
                if register.access == "r":
                    await device.write(register.name, 0xDEADBEEF, i)
                    await device.expect(register.name, value, i)
        rng = random.Random(0)
        for where in [a for a in rng.sample(range(1 << 12), 300) if a not in known]:
            assert await device.at(where) == 0, f"{device.name}: address {where:#x} is not zero"
            await device.put(where, 1234)  # and ignores writes
        for where, value in known.items():
            for low in (1, 2, 3):
                await device.put(where + low, 1234)
            got = await device.at(where)
            assert got == value & 0xFFFFFFFF, (
                f"{device.name}: {where:#x} reads {got:#x} after writes beside it"
            )
        await device.write("threshold", 5, device.exits - 1)  # the last exit's is fixed
        await device.expect("threshold", ALWAYS, device.exits - 1)


@cocotb.test()
async def banks(dut: Any) -> None:
    """All thresholds change in one cycle, once the other bank is out of use."""
    for device in await start(dut):
        many = device.exits - 1
        for i in range(many):
            await device.write("threshold", 100 + i, i)
        assert device.bank_thresholds(1)[:many] == [NEVER] * many, f"{device.name}: no commit yet"
        device.port("flight1").value = 1  # a frame still uses bank 1
        await device.control("commit")
        await device.cycles.wait(20)
        assert await device.status("commit_pending") == 1, f"{device.name}: the commit did not wait"
        assert device.get("bank") == 0, f"{device.name}: the bank changed before its frames left"
        await device.write("threshold", 7, device.exits - 1)  # ignored as always
        assert await device.status("refused") == 0, f"{device.name}: nothing was refused"
        await device.control("commit")  # a second one
        assert await device.status("refused") == 1, f"{device.name}: a refused commit is not told"
        if many:
            await device.write("threshold", 7)
            assert await device.status("refused") == 1, f"{device.name}: refused is not set"
            await device.expect("threshold", 100)
        device.port("flight1").value = 0
        device.port("flight0").value = 1  # the bank in force does not matter
        before = device.bank_thresholds(0)
        for _ in range(4):
            await device.cycles.wait()
            new = device.bank_thresholds(1)[:many] == [100 + i for i in range(many)]
            assert new == bool(device.get("bank")) or not many, (
                f"{device.name}: bank and thresholds did not change together"
            )
        assert device.get("bank") == 1, f"{device.name}: the commit did not happen"
        assert device.bank_thresholds(0) == before, f"{device.name}: the other bank changed"
        assert await device.status("bank") == 1
        assert await device.status("commit_pending") == 0
        for i in range(many):
            await device.expect("active", 100 + i, i)
        device.port("flight0").value = 0
        await device.write("threshold", -3)
        await device.control("commit")
        await device.cycles.wait(4)
        assert device.get("bank") == 0, f"{device.name}: the second commit did not happen"
        assert await device.status("refused") == 0, f"{device.name}: a commit clears refused"
        if many:
            await device.expect("active", -3)


@cocotb.test()
async def commit_in_the_commit_cycle(dut: Any) -> None:
    """A commit is pending until it has happened: one written in that cycle is refused."""
    for device in await start(dut):
        for bank in (1, 0):
            await device.control("commit")  # nothing is inside: it happens in the next cycle
            await device.control("commit")
            await device.cycles.wait(5)
            assert device.get("bank") == bank, f"{device.name}: two commits changed the bank twice"
            assert await device.status("refused") == 1, f"{device.name}: refused is not set"
            assert await device.status("commit_pending") == 0


@cocotb.test()
async def modes(dut: Any) -> None:
    """Order and raw wait for an empty pipeline and hold new frames out until then."""
    for device in await start(dut):
        for flight in ("flight0", "flight1"):
            device.port(flight).value = 1
            await device.write("order", 1)
            await device.write("raw", RAW["enable"].put(1) | RAW["exit"].put(200))
            await device.cycles.wait(20)
            state = [device.get(n) for n in ("order", "raw_enable", "hold")]
            assert state == [0, 0, 1], f"{device.name}: order, raw, hold are {state}, not [0, 0, 1]"
            assert await device.status("mode_pending") == 1
            assert await device.status("in_flight") == 1
            device.port(flight).value = 0
            await device.cycles.wait(3)
            state = [device.get(n) for n in ("order", "raw_enable", "hold", "raw_exit")]
            assert state == [1, 1, 0, device.exits - 1], f"{device.name}: modes are {state}"
            await device.expect("raw", RAW["enable"].put(1) | (device.exits - 1))
            await device.write("order", 0)
            await device.write("raw", 0)
            await device.cycles.wait(3)
            assert device.get("order") == 0
            assert device.get("raw_enable") == 0
        await device.write("batch", 0x12345678)
        await device.cycles.wait(1)
        assert device.get("batch") == 0x12345678


@cocotb.test()
async def another_raw_exit(dut: Any) -> None:
    """While raw logits of one exit are streamed, another one waits and holds as the modes do."""
    for device in await start(dut):
        last = device.exits - 1
        await device.write("raw", RAW["enable"].put(1))
        await device.cycles.wait(3)
        device.port("flight1").value = 1
        await device.write("raw", RAW["enable"].put(1) | RAW["exit"].put(last))
        await device.cycles.wait(5)
        state = [device.get(n) for n in ("raw_enable", "raw_exit", "hold")]
        wanted = [1, 0, int(last > 0)]
        assert state == wanted, f"{device.name}: raw, exit, hold are {state}, not {wanted}"
        assert await device.status("mode_pending") == int(last > 0)
        device.port("flight1").value = 0
        await device.cycles.wait(3)
        state = [device.get(n) for n in ("raw_enable", "raw_exit", "hold")]
        assert state == [1, last, 0], f"{device.name}: raw, exit, hold are {state}"
        await device.write("raw", 0)
        await device.cycles.wait(3)
        device.port("flight0").value = 1
        await device.write("raw", RAW["exit"].put(last))  # nobody sees the exit: nothing to hold
        await device.cycles.wait(3)
        assert device.get("hold") == 0, f"{device.name}: held for an exit that is not streamed"
        device.port("flight0").value = 0


@cocotb.test()
async def counters(dut: Any) -> None:
    """Counters count cycles of their events; all are read as they were at the snapshot."""
    for device in await start(dut):
        rng = random.Random(1)
        most = (1 << int(device.count_bits)) - 1
        total = dict.fromkeys(("ev_accept", "ev_leave", "ev_bad", "ev_stall"), 0)
        taken = [0] * device.exits
        for _ in range(200):
            device.port("flight1").value = total["ev_accept"] - total["ev_leave"]
            for name in total:
                bit = rng.randint(0, 1)
                inside = total["ev_accept"] - total["ev_leave"]  # never more than flight can tell
                if (name, inside) in (("ev_leave", 0), ("ev_accept", most)):
                    bit = 0
                device.port(name).value = bit
                total[name] += bit
            take = rng.getrandbits(device.exits)
            device.port("ev_take").value = take
            for i in range(device.exits):
                taken[i] += take >> i & 1
            await device.cycles.wait()
        now = device.get("now")
        # the events of the last round are on in the cycle of the write, and counted behind it
        device.port("flight1").value = total["ev_accept"] - total["ev_leave"]
        await device.control("snapshot")
        await device.cycles.wait(7)
        first = {n: await device.read(n) for n in ("frames_in", "frames_out", "bad", "stall")}
        again = {n: await device.read(n) for n in first}
        assert first == again, f"{device.name}: a snapshot changed from {first} to {again}"
        wanted = dict(zip(first, total.values(), strict=True))
        assert first == wanted, f"{device.name}: counters {first}, expected {wanted}"
        await device.expect("in_flight", total["ev_accept"] - total["ev_leave"])
        for i in range(device.exits):
            await device.expect("taken", taken[i], i)
        cycles = await device.read("cycles")
        assert 0 <= cycles - now <= 2, f"{device.name}: cycles {cycles} at the snapshot, now {now}"
        for name in ("ev_accept", "ev_leave", "ev_bad", "ev_stall", "ev_take"):
            device.port(name).value = 0


@cocotb.test()
async def counters_of_more_than_16_bits(dut: Any) -> None:
    """Every counter goes on beyond 65,535."""
    devices = await start(dut)
    events = ("ev_accept", "ev_leave", "ev_bad", "ev_stall", "ev_take")
    count = (1 << 16) + 9
    for device in devices:
        for name in events:
            device.port(name).value = (1 << device.exits) - 1 if name == "ev_take" else 1
    await devices[0].cycles.wait(count)
    for device in devices:
        for name in events:
            device.port(name).value = 0
    await devices[0].cycles.wait()
    for device in devices:
        await device.control("snapshot")
        for name in ("frames_in", "frames_out", "bad", "stall"):
            await device.expect(name, count)
        for i in range(device.exits):
            await device.expect("taken", count, i)
        cycles = await device.read("cycles")
        assert cycles > count, f"{device.name}: {cycles} cycles after {count}"


@cocotb.test()
async def soft_reset(dut: Any) -> None:
    """core_rst is held for 15 cycles; counters start again, thresholds and modes stay."""
    for device in await start(dut):
        await device.write("threshold", 9)
        await device.write("order", 1)
        await device.write("batch", 3)
        await device.control("commit")
        device.port("ev_accept").value = 1
        device.port("ev_take").value = (1 << device.exits) - 1
        await device.cycles.wait(9)
        device.port("ev_accept").value = 0
        device.port("ev_take").value = 0
        await device.control("snapshot")
        assert await device.read("frames_in") > 0
        await device.control("reset")
        length = 0
        for _ in range(30):
            await device.cycles.wait()
            length += device.get("core_rst")
        assert length == 15, f"{device.name}: core_rst was held for {length} cycles, not 15"
        for name in ("frames_in", "frames_out", "bad", "stall", "cycles", "in_flight"):
            await device.expect(name, 0)
        await device.expect("taken", 0)
        await device.expect("order", 1)
        await device.expect("batch", 3)
        if device.exits > 1:
            await device.expect("active", 9)
        assert await device.status("resetting") == 0


@cocotb.test()
async def soft_reset_waits_for_the_output(dut: Any) -> None:
    """core_rst is held while a word is on the output, and order and raw do not change under it."""
    for device in await start(dut):
        for taken in (3, 14, 15, 16, 40):
            await device.write("order", 0)
            await device.write("raw", 0)
            await device.cycles.wait(2)
            device.port("flight1").value = 1
            device.port("offer").value = 1
            await device.write("order", 1)
            await device.write("raw", RAW["enable"].put(1))
            await device.control("reset")
            device.port("flight1").value = 0  # what was inside is gone
            length = 0
            for cycle in range(1, 60):
                await device.cycles.wait()
                if cycle == taken:
                    device.port("offer").value = 0
                length += device.get("core_rst")
                state = [device.get(n) for n in ("order", "raw_enable")]
                want = [0, 0] if cycle <= taken else state
                assert state == want, f"{device.name}: order, raw {state} under a word on offer"
            what = f"{device.name}: with a word on offer for {taken} cycles core_rst was held for"
            assert length == max(15, taken + 1), f"{what} {length} cycles"
            state = [device.get(n) for n in ("order", "raw_enable", "hold")]
            assert state == [1, 1, 0], f"{device.name}: order, raw, hold are {state} after it"
        await device.cycles.reset()


@cocotb.test()
async def epoch(dut: Any) -> None:
    """Soft resets are counted from 0 after rst; behind 255 comes 1, which no rst gives."""
    for device in await start(dut):
        for count in range(1, 258):
            await device.control("reset")
            if count in (1, 2, 255, 256, 257):
                got = await device.status("epoch")
                want = count if count < 256 else count - 255
                assert got == want, f"{device.name}: epoch {got} after {count} resets, not {want}"
        await device.control("snapshot")
        await device.control("commit")
        assert await device.status("epoch") == 2, f"{device.name}: only resets count"
        await device.cycles.reset()
        assert await device.status("epoch") == 0, f"{device.name}: rst starts the epochs again"
