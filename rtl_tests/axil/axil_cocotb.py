"""cocotb tests of `ex_axil`: every access reaches the bus once, in any channel timing."""

from __future__ import annotations

import random
from itertools import chain, repeat
from typing import Any

import cocotb
from cocotbext.axi import AxiResp
from lib.axil import master
from lib.bench import bench_corners
from lib.patterns import bernoulli
from lib.streams import Cycles


class Memory:
    """What the bus sees: words by address; every write is logged."""

    def __init__(self, dut: Any, index: int, cycles: Cycles) -> None:
        self.words: dict[int, int] = {}
        self.writes: list[tuple[int, int]] = []

        def port(name: str) -> Any:
            return getattr(dut, f"u{index}_{name}")

        def step(_cycle: int) -> None:
            address = int(port("reg_address").value)
            port("reg_rdata").value = self.words.get(address, 0)
            if int(port("reg_write").value):
                self.words[address] = int(port("reg_wdata").value)
                self.writes.append((address, self.words[address]))

        cycles.add(step)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def accesses(dut: Any) -> None:
    """Random reads and writes with random pauses on every channel; partial writes are refused."""
    cycles = Cycles(dut.clk, dut.rst)
    lines = []
    for i, corner in enumerate(bench_corners()):
        lines.append(
            (
                corner,
                Memory(dut, i, cycles),
                master(dut, f"u{i}"),
            )
        )
    await cycles.reset()
    for corner, memory, axil in lines:
        size = 1 << int(corner.parameters["ADDRESS_BITS"])
        for seed in range(3):
            if seed:
                parts = (axil.write_if.aw_channel, axil.write_if.w_channel,
                         axil.write_if.b_channel, axil.read_if.ar_channel,
                         axil.read_if.r_channel)  # fmt: skip
                for k, channel in enumerate(parts):
                    channel.set_pause_generator(
                        not go for go in bernoulli(0.3 + 0.3 * seed / 2, 10 * seed + k)
                    )
            rng = random.Random(seed)
            expected: dict[int, int] = dict(memory.words)
            log = []
            for _ in range(40):
                address = rng.randrange(0, size, 4)
                if rng.random() < 0.5:
                    value = rng.getrandbits(32)
                    await axil.write_dword(address, value)
                    expected[address] = value
                    log.append((address, value))
                else:
                    got = await axil.read_dword(address)
                    want = expected.get(address, 0)
                    assert got == want, (
                        f"{corner.name}: read {got:#x} at {address:#x}, expected {want:#x}"
                    )
            assert memory.writes == log, f"{corner.name}: writes {memory.writes}, expected {log}"
            memory.writes.clear()
            for first, count in ((f, n) for n in (1, 2, 3) for f in range(5 - n)):
                answer = await axil.write(first, bytes(count))
                what = f"{corner.name}: {count} bytes from byte {first}"
                assert answer.resp == AxiResp.SLVERR, f"{what} got {answer.resp}"
                assert not memory.writes, f"{what} were written"
            answer = await axil.write(0, b"\x01\x02\x03\x04")
            assert answer.resp == AxiResp.OKAY, f"{corner.name}: four bytes got {answer.resp}"
            memory.writes.clear()
            pending = [cocotb.start_soon(axil.write_dword(0, k)) for k in range(5)]
            pending += [cocotb.start_soon(axil.read_dword(0)) for _ in range(5)]
            for one in pending:
                await one
            assert memory.writes == [(0, k) for k in range(5)], (
                f"{corner.name}: queued writes came as {memory.writes}"
            )
            memory.writes.clear()


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def ready_is_low_in_reset(dut: Any) -> None:
    """What a master offers while rst is high is not taken; it is taken once, right after."""
    cycles = Cycles(dut.clk, dut.rst)
    memories = [Memory(dut, i, cycles) for i in range(len(bench_corners()))]
    took: list[list[str]] = [[] for _ in memories]
    offers = ("aw", "w", "ar")

    def step(_cycle: int) -> None:
        for i, seen in enumerate(took):
            for name in offers:
                valid, ready = getattr(dut, f"u{i}_{name}valid"), getattr(dut, f"u{i}_{name}ready")
                if int(dut.rst.value):
                    assert not int(ready.value), f"u{i}_{name}ready is high in reset"
                if int(valid.value) and int(ready.value):
                    seen.append(name)
                    valid.value = 0

    for i in range(len(memories)):
        values = {"awaddr": 4, "wdata": 0x1234, "wstrb": 15, "araddr": 4, "bready": 1, "rready": 1}
        for name, value in values.items():
            getattr(dut, f"u{i}_{name}").value = value
        for name in offers:
            getattr(dut, f"u{i}_{name}valid").value = 1
    dut.rst.value = 1
    await cycles.wait(3)
    cycles.add(step)
    await cycles.reset(4)
    assert not any(took), f"taken in reset: {took}"
    await cycles.wait(12)
    for corner, memory, seen in zip(bench_corners(), memories, took, strict=True):
        assert sorted(seen) == sorted(offers), f"{corner.name}: taken after reset: {seen}"
        assert memory.writes == [(4, 0x1234)], f"{corner.name}: writes {memory.writes}"


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def reset_within_an_access(dut: Any) -> None:
    """A reset in any cycle of a read or write ends it; the next ones are whole and have no echo."""
    cycles = Cycles(dut.clk, dut.rst)
    lines = [
        (
            corner,
            Memory(dut, i, cycles),
            master(dut, f"u{i}"),
        )
        for i, corner in enumerate(bench_corners())
    ]
    await cycles.reset()
    rng = random.Random(5)
    echoes = [""] * len(lines)
    cut: dict[str, int] = dict.fromkeys(("read", "write", "both"), 0)
    for after in range(14):
        for kind in cut:
            for slow in (False, True):
                done = []
                for i, (_, memory, axil) in enumerate(lines):
                    for channel in (axil.write_if.b_channel, axil.read_if.r_channel):
                        # slow: the response is not taken at first
                        channel.set_pause_generator(chain([True] * 6 * slow, repeat(False)))
                    memory.writes.clear()
                    if kind != "read":
                        word = (0xAA00 + i).to_bytes(4, "little")
                        done.append(axil.init_write(4, word))
                    if kind != "write":
                        done.append(axil.init_read(4, 4))
                await cycles.wait(after)
                cut[kind] += sum(not event.is_set() for event in done)
                dut.rst.value = 1
                await cycles.wait(rng.randrange(1, 4))
                dut.rst.value = 0
                await cycles.wait()  # the first cycle without a reset
                for i, (corner, memory, _) in enumerate(lines):
                    what = f"{corner.name}: a {kind} cut after {after} cycles"
                    echoes[i] = what
                    assert memory.writes in ([], [(4, 0xAA00 + i)]), f"{what}: {memory.writes}"
                for _ in range(4):
                    for i, what in enumerate(echoes):
                        for name in ("bvalid", "rvalid", "reg_write"):
                            value = int(getattr(dut, f"u{i}_{name}").value)
                            assert not value, f"{what}: {name} is high after the reset"
                    await cycles.wait()
                for corner, memory, axil in lines:
                    what = f"{corner.name}: after a {kind} that was cut after {after} cycles"
                    memory.writes.clear()
                    value = rng.getrandbits(32)
                    answer = await axil.write(0, value.to_bytes(4, "little"))
                    assert answer.resp == AxiResp.OKAY, f"{what}: {answer.resp}"
                    assert memory.writes == [(0, value)], f"{what}: writes {memory.writes}"
                    got = await axil.read_dword(0)
                    assert got == value, f"{what}: read {got:#x}, expected {value:#x}"
                    answer = await axil.write(0, b"\0\0")  # the answer to this one is another
                    assert answer.resp == AxiResp.SLVERR, f"{what}: {answer.resp}"
    assert min(cut.values()) > 20, f"accesses that were cut: {cut}"
