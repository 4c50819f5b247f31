"""cocotb tests of `ex_axil`: every access reaches the bus once, in any channel timing."""

from __future__ import annotations

import random
from typing import Any

import cocotb
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiResp
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
                AxiLiteMaster(AxiLiteBus.from_prefix(dut, f"u{i}"), dut.clk, dut.rst),
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
