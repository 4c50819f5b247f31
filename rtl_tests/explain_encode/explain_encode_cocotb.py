"""cocotb tests of `ex_explain_encode`: packets word for word, in which cycle, and decoded again."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any

import cocotb
import numpy as np
from explain_encode.corners import HEADER, MEAN
from lib.bench import Corner, bench_corners
from lib.handles import Joined, from_cycles, stream
from lib.patterns import always, bernoulli, gaps
from lib.streams import Cycles, StreamSink, StreamSource, compare, compare_packets

from exeunt.explain import encode
from exeunt.explain import encoder as reference
from exeunt.runtime.maps import CODES, LEVELS, METHODS, HeatMap, absolute, decode_all, map_shape

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
        values[0, 0, 0] = -limit - int(code != LEVELS)
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
        self.bits, self.most = int(corner.parameters["BITS"]), corner.data
        self.code = CODES[int(corner.parameters["CODE"])]

        def port(name: str) -> Any:
            return getattr(dut, f"u{index}_{name}")

        beside = {**HEADER, **MEAN}
        data = Joined((port("s_data"), self.bits), *((port(k), w) for k, w in beside.items()))
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
            one = self.maps[0]
            whole = encode.payload_bits(one.values[None], self.bits, self.code, one.method)
            if whole[0] % 32 == 0:
                break
            others = self.maps[1:]
            self._draw(rng, 1)
            self.maps += others

    def _draw(self, rng: np.random.Generator, count: int) -> None:
        self.maps = []
        for _ in range(count):
            self.maps.append(random_map(rng, self._shape(rng), self.bits, self.code))

    def _shape(self, rng: np.random.Generator) -> Shape:
        if self.code == LEVELS:
            channels, pixels = self.most
            height = int(rng.integers(1, min(pixels, 5) + 1))
            return (
                height,
                int(rng.integers(1, pixels // height + 1)),
                int(rng.integers(channels)) + 1,
            )
        across = int(rng.integers(1, min(self.most, 4) + 1))
        channels = int(rng.integers(1, max(1, self.most // across) + 1))
        down = max(1, self.most // across // channels)
        return 4 * down - int(rng.integers(0, 4)), 4 * across - int(rng.integers(0, 4)), channels

    @property
    def words(self) -> list[tuple[int, int]]:
        """What is sent: every value with the header beside it, and whether it is the last one.

        The header is right with the last value alone.
        """
        sent = []
        for k, found in enumerate(self.maps):
            fields = (found.id, found.class_, found.exit, METHODS.index(found.method),
                      found.exponent & 255, found.clipped)  # fmt: skip
            header = joined(zip(fields, HEADER.values(), strict=True))
            low = sum(HEADER.values())
            other = header ^ ((1 << low) - 1) * (k % 2)
            beside = self._beside(found)
            for place, (value, more) in enumerate(beside):
                last = place == len(beside) - 1
                mean = joined(zip(more, MEAN.values(), strict=True))
                word = mean << low | (header if last else other)
                ends = last or (self.code == LEVELS and place == len(beside) // 2 - 1)
                sent.append((word << self.bits | (value & ((1 << self.bits) - 1)), int(ends)))
        return sent

    def _beside(self, found: HeatMap) -> list[tuple[int, tuple[int, ...]]]:
        """The values of a map in the order in which they are sent, and `MEAN` beside each."""
        if self.code != LEVELS:
            values = encode.in_tiles(found.values[None]).ravel().tolist()
            return [(v, (0,) * len(MEAN)) for v in values]
        height, width, channels = found.values.shape
        scale = encode.mean_scale(height * width)
        return [
            (v, (int(c % channels == channels - 1), measure, int(absolute(found.method)), *scale))
            for measure in (1, 0)
            for c, v in enumerate(found.values.ravel().tolist())
        ]

    @property
    def packets(self) -> list[bytes]:
        """What must come."""
        return [encode.encode(found) for found in self.maps]

    def check(self, what: str) -> None:
        """Every word, where packets end, and that the decoder gives the maps back."""
        compare_packets(f"{self.name}: {what}", self.sink, self.packets)
        own = [map_shape(m.values.shape, self.code) for m in self.maps]
        shapes = {(m.exit, m.method): s for m, s in zip(self.maps, own, strict=True)}
        if all(shapes[m.exit, m.method] == s for m, s in zip(self.maps, own, strict=True)):
            back = decode_all(b"".join(struct.pack("<I", w) for w in self.sink.words), shapes)
            assert all(
                np.array_equal(a.values, encode.stored(b).values)
                for a, b in zip(back, self.maps, strict=True)
            )

    def times(self, first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """When values are taken and words given."""
        ones = [(encode.in_tiles(m.values[None])[0] != 0).sum(1).tolist() for m in self.maps]
        words = [len(p) // 4 for p in self.packets]
        if self.code == LEVELS:
            return self._twice(first.tolist(), words)
        return reference.encoder(ones, words, first, self.bits, self.code)

    def _twice(self, first: list[int], words: list[int]) -> tuple[np.ndarray, np.ndarray]:
        found, takes, gives = reference.Encoder(), list[int](), list[int]()
        for one, size in zip(self.maps, words, strict=True):
            height, width, _ = one.values.shape
            offered = first[len(takes) : len(takes) + one.values.size]
            takes += found.measured(offered, encode.mean_scale(height * width)[1])
            offered = first[len(takes) : len(takes) + one.values.size]
            taken, given = found.coded(size, offered, 4)
            takes += taken
            gives += given
        return np.array(takes), np.array(gives)


def joined(fields: Iterable[tuple[int, int]]) -> int:
    """Values and their widths as one number, the first one lowest."""
    word, low = 0, 0
    for value, width in fields:
        word |= value << low
        low += width
    return word


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
