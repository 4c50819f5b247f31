"""cocotb tests of a score block whose frames carry a word, for `lib.carry_block`."""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np
from lib.bench import Corner, bench_corners
from lib.carry_block import FRAMES, Frames
from lib.handles import from_cycles
from lib.patterns import bernoulli
from lib.streams import Cycles, StreamSink, StreamSource, compare


class Line:
    """One corner with its streams, and who tells it which frames stay."""

    def __init__(self, dut: Any, index: int, corner: Corner, cycles: Cycles) -> None:
        self.name = corner.name
        self.criterion, self.of = corner.data
        self.source = StreamSource(dut, f"u{index}_s", cycles)
        self.carried = StreamSource(dut, f"u{index}_carried", cycles)
        self.sink = StreamSink(dut, f"u{index}_m", cycles)
        self._ports = {p.name: getattr(dut, f"u{index}_{p.name}") for p in corner.ports}
        self._frames: Frames | None = None
        self.given: list[tuple[int, int]] = []  # (cycle, word) on carry
        cycles.add(self._step)

    def _step(self, cycle: int) -> None:
        """After the sink's own: what comes on carry, and the verdict on the next score."""
        if int(self._ports["carry_valid"].value):
            self.given.append((cycle, int(self._ports["carry_data"].value)))
        self.tell()

    def tell(self) -> None:
        """Drive the verdict on the frame whose score is taken next."""
        count, frames = len(self.sink.words), self._frames
        if frames is not None and count < len(frames.keep):
            self._ports["keep"].value = int(frames.keep[count])
            if "limit" in self._ports:
                self._ports["limit"].value = int(frames.limits[count])

    def start(self, frames: Frames) -> None:
        """Queue these frames; nothing was taken yet."""
        for record in (self.source.takes, self.carried.takes, self.given):
            record.clear()
        self.sink.clear()
        self._frames = frames
        self.source.send(frames.beats)
        self.carried.send(frames.words)
        self.tell()

    def done(self, frames: Frames) -> bool:
        """Whether everything came out."""
        return len(self.sink.words) >= len(frames.keep) and len(self.given) >= frames.keep.sum()


def pauses(probability: float, count: int, rng: np.random.Generator) -> np.ndarray:
    return np.cumsum((rng.random(count) < probability) * rng.integers(1, 9, count))


@cocotb.test()
async def exact(dut: Any) -> None:
    """Idles x late words x stalls: values, and every transfer in its cycle."""
    cycles = Cycles(dut.clk, dut.rst)
    lines = [Line(dut, i, c, cycles) for i, c in enumerate(bench_corners())]
    await cycles.reset()
    kinds = (0.0, 0.3)
    scenarios = [(a, b, c) for a in kinds for b in kinds for c in kinds]
    for seed, (idle, late, stall) in enumerate(scenarios):
        rng = np.random.default_rng(seed)
        base = cycles.now + 3
        expected = []
        for line in lines:
            frames = Frames.draw(line.criterion, line.of, seed)
            beats = line.of.beats
            offered = base + pauses(idle / beats, FRAMES * beats, rng)
            words = base + pauses(late, FRAMES, rng)
            if late:  # words that come some time after the first beat could
                words = words + np.arange(FRAMES) * (beats + 2)
            ready = base + pauses(stall, FRAMES, rng) + np.arange(FRAMES) * bool(stall) * beats
            line.start(frames)
            line.source.idle = from_cycles(cycles, offered.tolist(), line.source.takes)
            line.carried.idle = from_cycles(cycles, words.tolist(), line.carried.takes)
            line.sink.stall = from_cycles(cycles, ready.tolist(), line.sink.gives)
            first = offered.copy()
            first[::beats] = np.maximum(first[::beats], words)
            expected.append((frames, *frames.rule.times(line.of, first, ready)))
        await cycles.until(
            lambda expected=expected: all(
                x.done(f) for x, (f, *_) in zip(lines, expected, strict=True)
            ),
            60_000,
            f"idle {idle}, late {late}, stall {stall}",
        )
        await cycles.wait(4)
        for line, (frames, takes, gives) in zip(lines, expected, strict=True):
            what = f"{line.name} idle {idle} late {late} stall {stall}"
            assert frames.rule.carry is not None
            delay = frames.rule.carry.delay(line.of)
            compare(what, line.sink.words, frames.answers)
            compare(f"{what}: carried on", [w for _, w in line.given], frames.next_words)
            compare(f"{what}: beats taken in cycle", line.source.takes, takes.tolist())
            last = takes[line.of.beats - 1 :: line.of.beats]
            compare(f"{what}: words taken in cycle", line.carried.takes, last.tolist())
            compare(f"{what}: scores given in cycle", line.sink.gives, gives.tolist())
            on = (gives[frames.keep] + delay).tolist()
            compare(f"{what}: words given in cycle", [c for c, _ in line.given], on)


@cocotb.test()
async def reset_in_mid_frame(dut: Any) -> None:
    """A reset while beats, scores and words are inside, then clean frames."""
    cycles = Cycles(dut.clk, dut.rst)
    lines = [Line(dut, i, c, cycles) for i, c in enumerate(bench_corners())]
    await cycles.reset()
    for seed, part in enumerate((0.4, 1.3, 2.6)):
        for line in lines:
            line.start(Frames.draw(line.criterion, line.of, seed))
            line.sink.stall = bernoulli(0.7, seed)
        await cycles.wait(3 + int(part * max(line.of.beats for line in lines)))
        for line in lines:
            line.source.flush()
            line.carried.flush()
        await cycles.reset()
        drawn = []
        for line in lines:
            frames = Frames.draw(line.criterion, line.of, 10 + seed).some(3)
            line.start(frames)
            drawn.append(frames)
        await cycles.until(
            lambda drawn=drawn: all(x.done(f) for x, f in zip(lines, drawn, strict=True)),
            20_000,
            "clean frames",
        )
        await cycles.wait(4)
        for line, frames in zip(lines, drawn, strict=True):
            compare(f"{line.name} after a reset", line.sink.words, frames.answers)
            compare(
                f"{line.name} after a reset: carried on",
                [w for _, w in line.given],
                frames.next_words,
            )
