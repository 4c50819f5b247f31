"""cocotb tests of `ex_looks`: sums over the looks at frames that mix, each beat in its cycle."""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np
from lib.bench import Corner, bench_corners
from lib.handles import from_cycles
from lib.streams import Cycles, StreamSink, StreamSource, compare

VIEWS = 60


class Line:
    """One corner with its sources and its sink."""

    def __init__(self, dut: Any, index: int, corner: Corner, cycles: Cycles) -> None:
        self.name = corner.name
        self.pe, self.classes, self.bits, self.looks, self.slots = (
            int(v) for v in corner.parameters.values()
        )
        self.beats = self.classes // self.pe
        self.slot_bits = max(1, (self.slots - 1).bit_length())
        self.source = StreamSource(dut, f"u{index}_s", cycles)
        self.info = StreamSource(dut, f"u{index}_info", cycles)
        self.sink = StreamSink(dut, f"u{index}_m", cycles)

    def views(
        self, rng: np.random.Generator, count: int
    ) -> tuple[list[int], np.ndarray, np.ndarray]:
        """Looks at frames in all slots, in any order: infos, logits and sums (views, classes)."""
        made = [0] * self.slots  # looks at the frame that is in each slot
        total = np.zeros((self.slots, self.classes), np.int64)
        infos, logits, sums = [], [], []
        low, high = -(1 << self.bits - 1), 1 << self.bits - 1
        for _ in range(count):
            slot = int(rng.integers(self.slots))
            values = rng.integers(low, high, self.classes)
            if rng.random() < 0.3:
                values[:] = rng.choice([low, high - 1])  # the widest sums
            look = made[slot]
            total[slot] = values + (total[slot] if look else 0)
            made[slot] = 0 if look == self.looks or rng.random() < 0.3 else look + 1
            infos.append(look << self.slot_bits | slot)
            logits.append(values)
            sums.append(total[slot].copy())
        return infos, np.array(logits), np.array(sums)

    def words(self, values: np.ndarray, bits: int) -> list[int]:
        """Logits (views, classes) as beats of PE lanes."""
        lanes = (values & (1 << bits) - 1).reshape(-1, self.pe).tolist()
        return [sum(v << bits * k for k, v in enumerate(beat)) for beat in lanes]


def pauses(kind: str, count: int, rng: np.random.Generator) -> np.ndarray:
    """Cycles, relative to the start, from which word k may move."""
    probability, longest = {"never": (0.0, 1), "some": (0.3, 3), "long": (0.05, 30)}[kind]
    return np.cumsum((rng.random(count) < probability) * rng.integers(1, longest + 1, count))


@cocotb.test()
async def exact(dut: Any) -> None:
    """Idles of logits x of infos x stalls: every sum, in the cycle in which all three are there."""
    cycles = Cycles(dut.clk, dut.rst)
    lines = [Line(dut, i, c, cycles) for i, c in enumerate(bench_corners())]
    await cycles.reset()
    kinds = ("never", "some", "long")
    for seed, (idle, late, stall) in enumerate(
        [(a, b, c) for a in kinds for b in kinds for c in kinds]
    ):
        rng = np.random.default_rng(seed)
        base = cycles.now + 3
        expected = []
        for line in lines:
            infos, logits, sums = line.views(rng, VIEWS)
            count = VIEWS * line.beats
            offered, ready = (base + pauses(kind, count, rng) for kind in (idle, stall))
            told = base + pauses(late, VIEWS, rng)
            for port in (line.source, line.info):
                port.takes.clear()
            line.sink.clear()
            line.source.idle = from_cycles(cycles, offered.tolist(), line.source.takes)
            line.info.idle = from_cycles(cycles, told.tolist(), line.info.takes)
            line.sink.stall = from_cycles(cycles, ready.tolist(), line.sink.gives)
            line.source.send(line.words(logits, line.bits))
            line.info.send(infos)
            moves, cycle = [], -1
            for k in range(count):
                cycle = max(cycle + 1, int(offered[k]), int(told[k // line.beats]), int(ready[k]))
                moves.append(cycle)
            expected.append((line.words(sums, line.bits + line.looks), moves))
        what = f"idle {idle} late {late} stall {stall}"
        await cycles.until(
            lambda e=expected: all(
                len(x.sink.words) >= len(m) for x, (_, m) in zip(lines, e, strict=True)
            ),
            20000, what,
        )  # fmt: skip
        await cycles.wait(3)
        for line, (words, moves) in zip(lines, expected, strict=True):
            compare(f"{line.name} {what}", line.sink.words, words, line.beats)
            compare(f"{line.name} {what}: given in cycle", line.sink.gives, moves, line.beats)
            compare(f"{line.name} {what}: taken in cycle", line.source.takes, moves, line.beats)
            last = moves[line.beats - 1 :: line.beats]
            compare(f"{line.name} {what}: info taken in cycle", line.info.takes, last)


@cocotb.test()
async def reset_in_mid_frame(dut: Any) -> None:
    """After a reset the next beat is the first of a look."""
    cycles = Cycles(dut.clk, dut.rst)
    lines = [Line(dut, i, c, cycles) for i, c in enumerate(bench_corners())]
    await cycles.reset()
    rng = np.random.default_rng(1)
    for line in lines:
        infos, logits, _ = line.views(rng, 1)
        line.info.send(infos)
        line.source.send(line.words(logits, line.bits)[: max(1, line.beats // 2)])
    await cycles.until(lambda: all(x.source.done() for x in lines), 100, "half a look")
    for line in lines:
        line.info.flush()
    await cycles.reset()
    expected = []
    for line in lines:
        line.sink.clear()
        infos, logits, sums = line.views(rng, 5)
        line.info.send(infos)
        line.source.send(line.words(logits, line.bits))
        expected.append(line.words(sums, line.bits + line.looks))
    await cycles.until(lambda: all(x.source.done() for x in lines), 400, "after the reset")
    await cycles.wait(3)
    for line, words in zip(lines, expected, strict=True):
        compare(f"{line.name} after reset", line.sink.words, words, line.beats)
