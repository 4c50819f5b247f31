"""cocotb tests of `ex_explain_encode`: packets word for word, in which cycle, and decoded again."""

from __future__ import annotations

import struct
from typing import Any

import cocotb
import numpy as np
from explain_encode.corners import HEADER
from lib.bench import Corner, bench_corners
from lib.handles import Joined, from_cycles, stream
from lib.patterns import always, bernoulli, gaps
from lib.streams import Cycles, StreamSink, StreamSource, compare, compare_packets

from exeunt.explain import encode
from exeunt.explain import encoder as reference
from exeunt.runtime.maps import CODES, LINEAR, METHODS, HeatMap, decode_all

Shape = tuple[int, int, int]


def random_map(rng: np.random.Generator, shape: Shape, bits: int, code: str) -> HeatMap:
    """Empty, sparse, dense and full maps, values of every size."""
    limit = (1 << (bits - 1)) - 1
    share = rng.choice([0.0, 0.05, 0.3, 1.0])
    wide = int(rng.choice([1, limit]))
    values = rng.integers(-wide, wide + 1, shape)
    values[rng.random(shape) >= share] = 0
    if share == 1.0:
        values[values == 0] = 1
        values[0, 0, 0] = -limit - 1
    return HeatMap(
        values.astype(np.int32), id=int(rng.integers(0, 1 << 32)), exit=int(rng.integers(0, 8)),
        class_=int(rng.integers(0, 1 << 16)), method=METHODS[rng.integers(0, 5)],
        exponent=int(rng.integers(-128, 128)), bits=bits, clipped=int(rng.integers(0, 1 << 16)),
        code=code,
    )  # fmt: skip


class Line:
    """One corner."""

    def __init__(self, dut: Any, index: int, corner: Corner, cycles: Cycles) -> None:
        self.name = corner.name
        self.bits, self.tiles = int(corner.parameters["BITS"]), int(corner.data)
        self.code = CODES[int(corner.parameters["CODE"])]

        def port(name: str) -> Any:
            return getattr(dut, f"u{index}_{name}")

        data = Joined((port("s_data"), self.bits), *((port(k), w) for k, w in HEADER.items()))
        self.source = StreamSource(
            stream(port("s_valid"), port("s_ready"), data, port("s_last")), "x", cycles
        )
        self.sink = StreamSink(
            stream(port("m_valid"), port("m_ready"), port("m_data"), port("m_last")), "x", cycles
        )
        self.maps: list[HeatMap] = []

    def draw(self, rng: np.random.Generator, count: int) -> None:
        """So many maps of any shape that fits, the first one with whole words if one is found."""
        self._draw(rng, count)
        for _ in range(40):
            if encode.payload_bits(self.maps[0].values[None], self.bits, self.code)[0] % 32 == 0:
                break
            others = self.maps[1:]
            self._draw(rng, 1)
            self.maps += others

    def _draw(self, rng: np.random.Generator, count: int) -> None:
        self.maps = []
        for _ in range(count):
            across = int(rng.integers(1, min(self.tiles, 4) + 1))
            channels = int(rng.integers(1, max(1, self.tiles // across) + 1))
            down = max(1, self.tiles // across // channels)
            shape = (4 * down - int(rng.integers(0, 4)), 4 * across - int(rng.integers(0, 4)))
            self.maps.append(random_map(rng, (*shape, channels), self.bits, self.code))

    @property
    def words(self) -> list[tuple[int, int]]:
        """What is sent: every value with the header beside it, and whether it is the last one.

        The header is right with the last value alone.
        """
        sent = []
        for k, found in enumerate(self.maps):
            values = encode.in_tiles(found.values[None]).ravel().tolist()
            fields = (found.id, found.class_, found.exit, METHODS.index(found.method),
                      found.exponent & 255, found.clipped)  # fmt: skip
            header, low = 0, 0
            for value, width in zip(fields, HEADER.values(), strict=True):
                header |= value << low
                low += width
            mask = (1 << self.bits) - 1
            other = header ^ ((1 << low) - 1) * (k % 2)
            sent += [(other << self.bits | (v & mask), 0) for v in values[:-1]]
            sent.append((header << self.bits | (values[-1] & mask), 1))
        return sent

    @property
    def packets(self) -> list[bytes]:
        """What must come."""
        return [encode.encode(found) for found in self.maps]

    def check(self, what: str) -> None:
        """Every word, where packets end, and that the decoder gives the maps back."""
        compare_packets(f"{self.name}: {what}", self.sink, self.packets)
        shapes = {(m.exit, m.method): m.values.shape for m in self.maps}
        if all(shapes[m.exit, m.method] == m.values.shape for m in self.maps):
            back = decode_all(b"".join(struct.pack("<I", w) for w in self.sink.words), shapes)
            assert all(
                np.array_equal(a.values, self.stored(b.values))
                for a, b in zip(back, self.maps, strict=True)
            )

    def stored(self, values: np.ndarray) -> np.ndarray:
        """What is left of values in a packet."""
        return values if self.code == LINEAR else encode.middles(values)

    def times(self, first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """When values are taken and words given."""
        ones = [(encode.in_tiles(m.values[None])[0] != 0).sum(1).tolist() for m in self.maps]
        words = [len(p) // 4 for p in self.packets]
        return reference.encoder(ones, words, first, self.bits, self.code)


@cocotb.test()
async def packets(dut: Any) -> None:
    """Three maps in a row, idles x stalls; without stalls in the cycles of the reference."""
    cycles = Cycles(dut.clk, dut.rst)
    lines = [Line(dut, i, c, cycles) for i, c in enumerate(bench_corners())]
    await cycles.reset()
    rng = np.random.default_rng(0)
    for run, (idle, stall) in enumerate(
        [(0.0, 1.0), (0.0, 1.0), (0.2, 1.0), (0.0, 0.5), (0.1, 0.2)]
    ):
        start = cycles.now + 4
        offers = []
        for k, line in enumerate(lines):
            line.draw(rng, 3)
            sent = line.words
            first = start + gaps(len(sent), idle, 9, run * 100 + k)
            offers.append(first)
            line.source.takes.clear()
            line.source.idle = from_cycles(cycles, first, line.source.takes)
            line.sink.clear()
            line.sink.stall = always() if stall == 1.0 else bernoulli(stall, run * 50 + k)
            line.source.send(sent)
        counts = [sum(len(p) for p in line.packets) // 4 for line in lines]
        await cycles.until(
            lambda counts=counts: all(
                len(x.sink.words) >= n for x, n in zip(lines, counts, strict=True)
            ),
            60_000,
            f"run {run}",
        )
        await cycles.wait(8)
        for line, first in zip(lines, offers, strict=True):
            what = f"run {run} idle {idle} stall {stall}"
            line.check(what)
            if stall == 1.0:
                takes, gives = line.times(first)
                compare(f"{line.name}: {what}: takes", line.source.takes, takes.tolist())
                compare(f"{line.name}: {what}: gives", line.sink.gives, gives.tolist())


@cocotb.test()
async def reset_in_a_map(dut: Any) -> None:
    """Wherever a reset comes, the next map is whole."""
    cycles = Cycles(dut.clk, dut.rst)
    lines = [Line(dut, i, c, cycles) for i, c in enumerate(bench_corners())]
    await cycles.reset()
    rng = np.random.default_rng(1)
    for pause in (5, *range(18, 28), 40, 63, 90, 140):
        for line in lines:
            line.draw(rng, 3)
            line.source.idle = line.sink.stall = always()
            line.source.send(line.words)
        await cycles.wait(pause)
        for line in lines:
            line.source.flush()
        await cycles.reset()
        for line in lines:
            line.sink.clear()
            line.draw(rng, 1)
            line.source.send(line.words)
        counts = [sum(len(p) for p in line.packets) // 4 for line in lines]
        await cycles.until(
            lambda counts=counts: all(
                len(x.sink.words) >= n for x, n in zip(lines, counts, strict=True)
            ),
            60_000,
            f"after {pause} cycles",
        )
        await cycles.wait(4)
        for line in lines:
            line.check(f"after a reset at {pause}")
