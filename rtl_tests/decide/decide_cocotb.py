"""cocotb tests of `ex_decide`: class, score and verdict of every frame, in exact cycles."""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np
from lib.bench import Corner, bench_corners
from lib.handles import Joined, from_cycles, stream
from lib.patterns import bernoulli
from lib.streams import Cycles, StreamSink, StreamSource, compare

from exeunt.reference.controller import decide_times, margin
from exeunt.registers import ALWAYS, NEVER

FRAMES = 20
BANK = 64  # bit of the metadata


class Line:
    """One corner with its streams."""

    def __init__(self, dut: Any, index: int, corner: Corner, cycles: Cycles) -> None:
        self.name = corner.name
        self.pe, self.classes, self.bits, self.last = (int(v) for v in corner.parameters.values())
        self.beats = self.classes // self.pe

        def port(name: str) -> Any:
            return getattr(dut, f"u{index}_{name}")

        self.port = port
        self.source = StreamSource(dut, f"u{index}_s", cycles)
        self.meta = StreamSource(dut, f"u{index}_meta", cycles)
        token = Joined(
            (port("m_meta"), 66), (port("m_score"), 32), (port("m_class"), 16),
            (port("m_take"), 1), (port("m_silent"), 1),
        )  # fmt: skip
        self.sink = StreamSink(stream(port("m_valid"), port("m_ready"), token), "x", cycles)
        raw = Joined((port("raw_data"), 32), (port("raw_bank"), 1))
        self.raw = StreamSink(
            stream(port("raw_valid"), port("raw_ready"), raw, port("raw_last")), "x", cycles
        )
        self.configure(NEVER, NEVER)

    def configure(self, t0: int, t1: int, *, here: int = 0, later: int = 0) -> None:
        self.port("threshold0").value = t0 & 0xFFFFFFFF
        self.port("threshold1").value = t1 & 0xFFFFFFFF
        self.port("raw_here").value = here
        self.port("raw_later").value = later

    def logits(self, rng: np.random.Generator) -> np.ndarray:
        """Uniform, extreme, tied and constant frames."""
        low, high = -(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1
        x = rng.integers(low, high + 1, (FRAMES, self.classes))
        x[1::4] = rng.integers(max(low, -2), min(high, 1) + 1, x[1::4].shape)
        x[2] = np.where(rng.random(self.classes) < 0.5, low, high)
        x[3], x[4] = low, high
        x[5], x[5, -1] = low, high
        return x

    def words(self, logits: np.ndarray) -> list[int]:
        mask = (1 << self.bits) - 1
        return [
            sum((int(v) & mask) << (self.bits * k) for k, v in enumerate(beat))
            for beat in logits.reshape(-1, self.pe)
        ]

    def tokens(
        self, logits: np.ndarray, metas: list[int], thresholds: tuple[int, int], here: int,
        later: int,
    ) -> list[int]:  # fmt: skip
        found = []
        for klass, score, meta in zip(*margin(logits), metas, strict=True):
            t = thresholds[meta >> BANK & 1]
            take = bool(self.last or here or (not later and t != NEVER and score >= t))
            word = meta | int(score) << 66 | int(klass) << 98 | take << 114 | here << 115
            found.append(word)
        return found


def metadata(rng: np.random.Generator) -> list[int]:
    flags = rng.integers(0, 4, FRAMES)
    flags[5] |= 1  # bank 1 may say never, and frame 5 has the largest margin there is
    return [int(rng.integers(0, 1 << 62)) | int(b) << BANK for b in flags]


def pauses(probability: float, count: int, rng: np.random.Generator) -> np.ndarray:
    return np.cumsum((rng.random(count) < probability) * rng.integers(1, 9, count))


@cocotb.test()
async def exact(dut: Any) -> None:
    """Thresholds of both banks, codes and ties; idles x late metadata x stalls; exact cycles."""
    cycles = Cycles(dut.clk, dut.rst)
    lines = [Line(dut, i, c, cycles) for i, c in enumerate(bench_corners())]
    await cycles.reset()
    kinds = (0.0, 0.4)
    scenarios = [(a, b, c) for a in kinds for b in kinds for c in kinds] + [(0.0, 0.05, 0.05)]
    for seed, (idle, late, stall) in enumerate(scenarios):
        rng = np.random.default_rng(seed)
        base = cycles.now + 3
        expected = []
        for line in lines:
            logits, metas = line.logits(rng), metadata(rng)
            scores = np.sort(margin(logits)[1])
            middle = int(scores[FRAMES // 2])  # a threshold that is met exactly
            limits = [(middle, NEVER), (ALWAYS, middle + 1), (0, -5), (middle, middle)][seed % 4]
            line.configure(*limits)
            tokens = line.tokens(logits, metas, limits, 0, 0)
            offered = base + pauses(idle, FRAMES * line.beats, rng)
            meta = base + pauses(late, FRAMES, rng)
            ready = base + pauses(stall, FRAMES, rng)
            line.source.takes.clear()
            line.meta.takes.clear()
            line.sink.clear()
            line.source.idle = from_cycles(cycles, offered.tolist(), line.source.takes)
            line.meta.idle = from_cycles(cycles, meta.tolist(), line.meta.takes)
            line.sink.stall = from_cycles(cycles, ready.tolist(), line.sink.gives)
            line.source.send(line.words(logits))
            line.meta.send(metas)
            expected.append((tokens, decide_times(line.beats, offered, meta=meta, ready=ready)))
        await cycles.until(
            lambda: all(len(line.sink.words) >= FRAMES for line in lines), 9000, "tokens"
        )
        await cycles.wait(4)
        for line, (tokens, (takes, gives)) in zip(lines, expected, strict=True):
            what = f"{line.name} idle {idle} late {late} stall {stall}"
            compare(what, line.sink.words, tokens)
            compare(f"{what}: beats taken in cycle", line.source.takes, takes.tolist())
            compare(f"{what}: tokens given in cycle", line.sink.gives, gives.tolist())
            assert not line.raw.words, f"{what}: logits came out though raw mode is off"


@cocotb.test()
async def raw_modes(dut: Any) -> None:
    """raw_here streams the logits and takes silently; raw_later never takes; reset in between."""
    cycles = Cycles(dut.clk, dut.rst)
    lines = [Line(dut, i, c, cycles) for i, c in enumerate(bench_corners())]
    await cycles.reset()
    for seed in range(3):
        rng = np.random.default_rng(seed)
        for here, later in ((1, 0), (0, 1)):
            expected = []
            for k, line in enumerate(lines):
                logits, metas = line.logits(rng), metadata(rng)
                line.configure(ALWAYS, 0, here=here, later=later)
                for port, odds in ((line.source, 0.7), (line.meta, 0.3)):
                    port.idle = bernoulli(1.0 if seed == 0 else odds, seed + k)
                for sink in (line.sink, line.raw):
                    sink.stall = bernoulli(1.0 if seed == 0 else 0.6, seed + k + 9)
                    sink.clear()
                line.source.send(line.words(logits))
                line.meta.send(metas)
                tokens = line.tokens(logits, metas, (ALWAYS, 0), here, later)
                raw = [
                    (int(v) & 0xFFFFFFFF, meta >> BANK & 1, int(c + 1 == line.classes))
                    for frame, meta in zip(logits, metas, strict=True)
                    for c, v in enumerate(frame)
                ]
                expected.append((tokens, raw if here else []))
            await cycles.until(
                lambda: all(len(line.sink.words) >= FRAMES for line in lines), 30000, "tokens"
            )
            await cycles.wait(9)
            for line, (tokens, raw) in zip(lines, expected, strict=True):
                what = f"{line.name} raw_here {here} raw_later {later}"
                compare(what, line.sink.words, tokens)
                compare(
                    f"{what} logits", [w & 0xFFFFFFFF for w in line.raw.words], [r[0] for r in raw]
                )
                compare(f"{what} last", line.raw.lasts, [r[2] for r in raw])
                banks = [
                    w >> 32 for w, last in zip(line.raw.words, line.raw.lasts, strict=True) if last
                ]
                compare(f"{what} bank", banks, [r[1] for r in raw if r[2]])
        for line in lines:  # a reset inside a frame
            line.source.send([0] * (line.beats - 1))
        await cycles.wait(30)
        for line in lines:
            line.source.flush()
        await cycles.reset()
