"""cocotb tests of `ex_explain`: packets word for word, in which cycle, from any slot."""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np
from explain.engines import FRAMES, Case, case
from lib.bench import Corner, bench_corners
from lib.handles import Joined, from_cycles, stream
from lib.patterns import always, bernoulli, gaps
from lib.streams import Cycles, StreamSink, StreamSource, compare, compare_packets

from exeunt.explain import engine as reference
from exeunt.runtime.maps import METHODS

SLOTS = 4
REQUEST = {"id": 32, "class": 16, "exit": 8, "method": 4, "slot": 2}


class Line:
    """One corner, with the memories of the context beside it."""

    def __init__(self, dut: Any, index: int, corner: Corner, cycles: Cycles) -> None:
        self.name = corner.name
        self.case: Case = case(*corner.data)
        self.engine = self.case.engine
        self.keys = list(self.case.maps)
        self.cycles = cycles
        self.port = {p.name: getattr(dut, f"u{index}_{p.name}") for p in corner.ports}
        at = self.port
        request = Joined(*((at[f"s_{k}"], w) for k, w in REQUEST.items()))
        self.source = StreamSource(stream(at["s_valid"], at["s_ready"], request), "x", cycles)
        self.sink = StreamSink(
            stream(at["m_valid"], at["m_ready"], at["m_data"], at["m_last"]), "x", cycles
        )
        self.words = {
            key: [tap.packed(found).tolist() for tap in self.engine.taps if self._used(tap, key)]
            for key, found in self.case.contexts.items()
        }
        self.numbers = {
            key: [k for k, tap in enumerate(self.engine.taps) if self._used(tap, key)]
            for key in self.keys
        }
        self.asked: list[tuple[tuple[str, int], int, int]] = []  # key, frame, id
        self.freed: list[int] = []
        self.slots: dict[int, int] = {}  # slot: which request
        self.known = 0
        at["c_data"].value = 0
        cycles.add(self._step)

    def _used(self, tap: Any, key: tuple[str, int]) -> bool:
        steps = self.engine.steps[key]
        return any(s.tap >= 0 and self.engine.taps[s.tap] is tap for s in steps)

    def _step(self, cycle: int) -> None:
        """The context answers one cycle later; a slot belongs to the request taken last."""
        at = self.port
        if self.cycles.in_reset:
            return
        if int(at["c_enable"].value):
            slot, tap = int(at["c_slot"].value), int(at["c_tap"].value)
            key, frame, _ = self.asked[self.slots[slot]]
            words = self.words[key][self.numbers[key].index(tap)][frame]
            address = int(at["c_address"].value)
            beyond = address >= len(words)  # pixels of a tile beyond the edge of the map
            assert not beyond or self.engine.taps[tap].kind == "pixels"
            at["c_data"].value = 1 if beyond else words[address]
        if int(at["done"].value):
            self.freed.append(int(at["done_slot"].value))
        while self.known < len(self.source.takes):
            self.slots[self.known % SLOTS] = self.known
            self.known += 1

    def ask(self, rng: np.random.Generator, count: int) -> list[int]:
        """Requests of any method, exit and frame; their words."""
        self.asked, self.freed, self.known = [], [], 0
        sent = []
        for k in range(count):
            key = self.keys[int(rng.integers(len(self.keys)))]
            frame, number = int(rng.integers(FRAMES)), int(rng.integers(1 << 32))
            self.asked.append((key, frame, number))
            class_ = int(self.case.maps[key].classes[frame])
            fields = (number, class_, key[1], METHODS.index(key[0]), k % SLOTS)
            word, low = 0, 0
            for value, width in zip(fields, REQUEST.values(), strict=True):
                word |= value << low
                low += width
            sent.append(word)
        return sent

    @property
    def packets(self) -> list[bytes]:
        """What must come."""
        found = []
        for (method, exit), frame, number in self.asked:
            maps = self.case.maps[method, exit]
            ids = [number] * FRAMES
            found.append(reference.packets(self.engine, method, exit, maps, ids)[frame])
        return found

    def check(self, what: str) -> None:
        """Every word, where packets end, and which slots were given back."""
        packets = self.packets
        compare_packets(f"{self.name}: {what}", self.sink, packets)
        compare(f"{self.name}: {what}: slots", self.freed, [k % SLOTS for k in range(len(packets))])

    def times(self, offered: np.ndarray) -> reference.Moves:
        """When requests are taken and words given."""
        found = []
        for (method, exit), frame, _ in self.asked:
            key = (method, exit)
            found.append(
                reference.timed(
                    self.engine, method, exit, self.case.contexts[key], self.case.maps[key], frame
                )
            )
        return reference.moves(found, offered.tolist())


async def everything(cycles: Cycles, lines: list[Line], what: str) -> None:
    """Until every packet has come and every slot is free."""
    counts = [sum(len(p) for p in line.packets) // 4 for line in lines]
    await cycles.until(
        lambda: all(
            len(x.sink.words) >= n and len(x.freed) == len(x.asked)
            for x, n in zip(lines, counts, strict=True)
        ),
        200_000,
        what,
    )
    await cycles.wait(8)


@cocotb.test()
async def packets(dut: Any) -> None:
    """Requests in a row, idles x stalls; without stalls in the cycles of the reference."""
    cycles = Cycles(dut.clk, dut.rst)
    lines = [Line(dut, i, c, cycles) for i, c in enumerate(bench_corners())]
    await cycles.reset()
    rng = np.random.default_rng(0)
    for run, (idle, stall) in enumerate([(0.0, 1.0), (0.5, 1.0), (0.3, 0.5), (0.0, 0.012)]):
        start = cycles.now + 4
        offers = []
        for k, line in enumerate(lines):
            sent = line.ask(rng, 4)
            first = start + gaps(len(sent), idle, 3000, run * 100 + k)
            offers.append(first)
            line.source.takes.clear()
            line.source.idle = from_cycles(cycles, first, line.source.takes)
            line.sink.clear()
            line.sink.stall = always() if stall == 1.0 else bernoulli(stall, run * 50 + k)
            line.source.send(sent)
        await everything(cycles, lines, f"run {run}")
        for line, first in zip(lines, offers, strict=True):
            what = f"run {run} idle {idle} stall {stall}"
            line.check(what)
            if stall == 1.0:
                moves = line.times(first)
                compare(f"{line.name}: {what}: takes", line.source.takes, moves.takes)
                compare(f"{line.name}: {what}: gives", line.sink.gives, moves.gives)


@cocotb.test()
async def reset_in_a_map(dut: Any) -> None:
    """Wherever a reset comes, the next map is right."""
    cycles = Cycles(dut.clk, dut.rst)
    lines = [Line(dut, i, c, cycles) for i, c in enumerate(bench_corners())]
    await cycles.reset()
    rng = np.random.default_rng(1)
    for pause in (2, 5, 9, 36, 60, 99, 133, 180, 257, 400, 640, 901):
        for line in lines:
            line.source.idle = line.sink.stall = always()
            line.source.takes.clear()
            line.source.send(line.ask(rng, 2))
        await cycles.wait(pause)
        for line in lines:
            line.source.flush()
        await cycles.reset()
        for line in lines:
            line.sink.clear()
            line.source.takes.clear()
            line.source.send(line.ask(rng, 1))
        await everything(cycles, lines, f"after {pause} cycles")
        for line in lines:
            line.check(f"after a reset at {pause}")
