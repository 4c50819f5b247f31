"""cocotb tests of `ex_decide`: the verdict on every frame in exact cycles, whatever its score."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cocotb
import numpy as np
from decide.corners import offsets_of
from lib.bench import Corner, bench_corners
from lib.handles import Joined, from_cycles, stream
from lib.patterns import bernoulli
from lib.streams import Cycles, StreamSink, StreamSource, compare

from exeunt.reference.controller import decide_times
from exeunt.reference.pipeline import in_order
from exeunt.registers import ALWAYS, NEVER

FRAMES = 20
BANK = 0  # bit of the metadata


class Line:
    """One corner with its streams; the bench is the score block."""

    def __init__(self, dut: Any, index: int, corner: Corner, cycles: Cycles) -> None:
        self.name = corner.name
        found = {k.lower(): int(v) for k, v in corner.parameters.items() if k != "OFFSET_FILE"}
        self.pe, self.classes, self.bits = found["pe"], found["classes"], found["bits"]
        self.score_bits, self.last = found["score_bits"], found["last"]
        self.held_bits, self.held = found["held"], 0
        self.beats = self.classes // self.pe
        self.offsets = np.array(offsets_of(self.classes, found["offset_bits"]), np.int64)
        self.class_bits = (self.classes - 1).bit_length()

        def port(name: str) -> Any:
            return getattr(dut, f"u{index}_{name}")

        self.port = port
        self.source = StreamSource(dut, f"u{index}_s", cycles)
        self.logits = StreamSink(dut, f"u{index}_logits", cycles)
        self.score = StreamSource(dut, f"u{index}_score", cycles)
        self.meta = StreamSource(dut, f"u{index}_meta", cycles)
        token = Joined(
            (port("m_meta"), 7), (port("m_score"), 32), (port("m_class"), 16),
            (port("m_take"), 1), (port("m_silent"), 1),
        )  # fmt: skip
        self.sink = StreamSink(stream(port("m_valid"), port("m_ready"), token), "x", cycles)
        raw = Joined((port("raw_data"), 32), (port("raw_bank"), 1))
        self.raw = StreamSink(
            stream(port("raw_valid"), port("raw_ready"), raw, port("raw_last")), "x", cycles
        )
        self.told: list[tuple[int, int]] = []  # keep and limit, as each score was taken
        cycles.add(self._step)
        self.configure(NEVER, NEVER)

    def _step(self, cycle: int) -> None:
        if int(self.port("score_valid").value) and int(self.port("score_ready").value):
            names = ("score_keep", "score_limit")
            self.told.append(tuple(int(self.port(name).value) for name in names))

    def configure(self, t0: int, t1: int, *, here: int = 0, later: int = 0, held: int = 0) -> None:
        self.held = held
        self.port("held").value = held & (1 << max(1, self.held_bits)) - 1
        self.port("threshold0").value = t0 & 0xFFFFFFFF
        self.port("threshold1").value = t1 & 0xFFFFFFFF
        self.port("raw_here").value = here
        self.port("raw_later").value = later

    def offset(self, seed: int) -> int:
        """What is held: the largest, the smallest and others; 0 where nothing is."""
        most = (1 << (self.held_bits - 1)) - 1 if self.held_bits else 0
        least = -most - 1 if self.held_bits else 0
        return (most, least, 0, most // 3, least // 2, min(1, most), max(-1, least))[seed % 7]

    def clear(self) -> None:
        for source in (self.source, self.score, self.meta):
            source.takes.clear()
        self.told.clear()
        for sink in (self.logits, self.sink, self.raw):
            sink.clear()

    def frames(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Logits (FRAMES, classes), classes and scores (FRAMES,), scores of the whole range."""
        low, high = -(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1
        logits = rng.integers(low, high + 1, (FRAMES, self.classes))
        least, most = -(1 << (self.score_bits - 1)), (1 << (self.score_bits - 1)) - 1
        scores = rng.integers(least, most + 1, FRAMES)
        scores[5], scores[6], scores[7] = most, least, 0
        return logits, rng.integers(0, self.classes, FRAMES), scores

    def words(self, logits: np.ndarray) -> list[int]:
        mask = (1 << self.bits) - 1
        return [
            sum((int(v) & mask) << (self.bits * k) for k, v in enumerate(beat))
            for beat in logits.reshape(-1, self.pe)
        ]

    def scored(self, classes: np.ndarray, scores: np.ndarray) -> list[int]:
        mask = (1 << self.score_bits) - 1
        pairs = zip(classes, scores, strict=True)
        return [int(c) | (int(s) & mask) << self.class_bits for c, s in pairs]

    def less(self, classes: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """Scores (N,) less the offsets of their classes."""
        taken: np.ndarray = scores - self.offsets[classes]
        return taken

    def tokens(
        self, classes: np.ndarray, scores: np.ndarray, metas: list[int],
        thresholds: tuple[int, int], here: int, later: int,
    ) -> list[int]:  # fmt: skip
        found = []
        for klass, score, meta in zip(classes, self.less(classes, scores), metas, strict=True):
            t = thresholds[meta >> BANK & 1]
            reaches = t == ALWAYS or (t != NEVER and score >= t + self.held)
            take = bool(self.last or here or (not later and reaches))
            told = int(score) & 0xFFFFFFFF
            found.append(meta | told << 7 | int(klass) << 39 | take << 55 | here << 56)
        return found

    def verdicts(self, tokens: list[int], thresholds: tuple[int, int]) -> list[tuple[int, int]]:
        """What the score block is told of the frames with these tokens."""
        limits = (
            (0, 0) if self.held_bits else thresholds
        )  # score blocks that want it: not with held
        return [(1 - (token >> 55 & 1), limits[token >> BANK & 1] & 0xFFFFFFFF) for token in tokens]

    def block(self, odds: float, seed: int) -> Iterator[bool]:
        """A score only for frames whose logits have all come, some of them late."""
        coin = bernoulli(odds, seed)
        while True:
            yield next(coin) and len(self.logits.words) // self.beats > len(self.score.takes)


def metadata(rng: np.random.Generator) -> list[int]:
    flags = rng.integers(0, 4, FRAMES)
    flags[5] |= 1  # bank 1 may say never, and frame 5 has the largest score there is
    return [int(rng.integers(0, 1 << 5)) << 2 | int(b) << BANK for b in flags]


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
            (logits, classes, scores), metas = line.frames(rng), metadata(rng)
            middle = int(
                np.sort(line.less(classes, scores))[FRAMES // 2]
            )  # a threshold that is met exactly
            held = line.offset(seed)
            middle -= held  # met exactly with it
            limits = [(middle, NEVER), (ALWAYS, middle + 1), (0, -5), (middle, middle)][seed % 4]
            limits = tuple(min(max(t, ALWAYS), NEVER) for t in limits)
            line.configure(*limits, held=held)
            line.clear()
            words = line.words(logits)
            first = {
                line.source: base + pauses(idle, len(words), rng),
                line.score: base + pauses(idle, FRAMES, rng),
                line.meta: base + pauses(late, FRAMES, rng),
            }
            ready = {
                line.logits: base + pauses(stall, len(words), rng),
                line.sink: base + pauses(stall, FRAMES, rng),
            }
            for source, at in first.items():
                source.idle = from_cycles(cycles, at.tolist(), source.takes)
            for sink, at in ready.items():
                sink.stall = from_cycles(cycles, at.tolist(), sink.gives)
            line.source.send(words)
            line.score.send(line.scored(classes, scores))
            line.meta.send(metas)
            passed = in_order(np.maximum(first[line.source], ready[line.logits]))
            takes, gives = decide_times(
                first[line.score], meta=first[line.meta], ready=ready[line.sink]
            )
            tokens = line.tokens(classes, scores, metas, limits, 0, 0)
            told = line.verdicts(tokens, limits)
            expected.append((words, tokens, told, passed, takes, gives))
        await cycles.until(
            lambda: all(
                len(li.sink.words) >= FRAMES and len(li.logits.words) >= FRAMES * li.beats
                for li in lines
            ),
            9000,
            "tokens and logits",
        )
        await cycles.wait(4)
        for line, (words, tokens, told, passed, takes, gives) in zip(lines, expected, strict=True):
            what = f"{line.name} idle {idle} late {late} stall {stall}"
            compare(what, line.sink.words, tokens)
            assert line.told == told, f"{what}: the score block was told {line.told}, not {told}"
            compare(f"{what}: logits", line.logits.words, words)
            compare(f"{what}: logits pass in cycle", line.logits.gives, passed.tolist())
            compare(f"{what}: beats taken in cycle", line.source.takes, passed.tolist())
            compare(f"{what}: scores taken in cycle", line.score.takes, takes.tolist())
            compare(f"{what}: metadata taken in cycle", line.meta.takes, takes.tolist())
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
                (logits, classes, scores), metas = line.frames(rng), metadata(rng)
                line.configure(ALWAYS, 0, here=here, later=later)
                line.clear()
                for port, odds in ((line.source, 0.7), (line.meta, 0.3)):
                    port.idle = bernoulli(1.0 if seed == 0 else odds, seed + k)
                line.score.idle = line.block(1.0 if seed == 0 else 0.4, seed + k + 5)
                for j, sink in enumerate((line.sink, line.raw, line.logits)):
                    sink.stall = bernoulli(1.0 if seed == 0 else 0.6, seed + k + 9 + j)
                words = line.words(logits)
                line.source.send(words)
                line.score.send(line.scored(classes, scores))
                line.meta.send(metas)
                tokens = line.tokens(classes, scores, metas, (ALWAYS, 0), here, later)
                raw = [
                    (int(v) & 0xFFFFFFFF, meta >> BANK & 1, int(c + 1 == line.classes))
                    for frame, meta in zip(logits, metas, strict=True)
                    for c, v in enumerate(frame)
                ]
                expected.append((words, tokens, raw if here else []))
            await cycles.until(
                lambda: all(len(line.sink.words) >= FRAMES for line in lines), 30000, "tokens"
            )
            await cycles.wait(9)
            for line, (words, tokens, raw) in zip(lines, expected, strict=True):
                what = f"{line.name} raw_here {here} raw_later {later}"
                compare(what, line.sink.words, tokens)
                told = line.verdicts(tokens, (ALWAYS, 0))
                assert line.told == told, f"{what}: the score block was told {line.told}"
                compare(f"{what}: logits to the score block", line.logits.words, words)
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
            line.score.flush()
        await cycles.reset()


@cocotb.test()
async def raw_mode_ends_with_the_last_logit(dut: Any) -> None:
    """The frame is silent though its score comes after the end of raw mode; the next one is not."""
    cycles = Cycles(dut.clk, dut.rst)
    lines = [Line(dut, i, c, cycles) for i, c in enumerate(bench_corners())]
    await cycles.reset()
    for blocked in (0, 1):  # whether the score block takes the last beat only afterwards
        rng = np.random.default_rng(blocked)
        expected = []
        for line in lines:
            (logits, classes, scores), metas = line.frames(rng), metadata(rng)
            line.configure(NEVER, NEVER, here=1)
            line.clear()
            beats = line.beats
            line.logits.stall = iter([True] * 10**6)
            if blocked:  # the last beat of the first frame has to wait
                line.logits.stall = iter(_until(line, beats - 1, cycles, 5 * line.classes + 20))
            line.score.idle = _after(line, cycles, 5 * line.classes + 60)
            line.source.send(line.words(logits[:1]))
            line.meta.send(metas[:2])
            line.score.send(line.scored(classes[:2], scores[:2]))
            tokens = line.tokens(classes[:1], scores[:1], metas[:1], (NEVER, NEVER), 1, 0)
            tokens += line.tokens(classes[1:2], scores[1:2], metas[1:2], (NEVER, NEVER), 0, 0)
            expected.append((tokens, line.words(logits[1:2])))
        await cycles.until(
            lambda: all(len(line.raw.words) >= line.classes for line in lines), 900, "raw logits"
        )
        await cycles.wait(2)
        for line, (_, words) in zip(lines, expected, strict=True):
            line.configure(NEVER, NEVER)
            line.source.send(words)
        await cycles.until(
            lambda: all(len(line.sink.words) >= 2 for line in lines), 3000, "both tokens"
        )
        await cycles.wait(5)
        for line, (tokens, _) in zip(lines, expected, strict=True):
            compare(f"{line.name} blocked {blocked}", line.sink.words, tokens)
            compare(f"{line.name}: raw logits", line.raw.lasts, [0] * (line.classes - 1) + [1])


def _until(line: Line, count: int, cycles: Cycles, wait: int) -> Iterator[bool]:
    """Takes `count` beats, and the others only `wait` cycles from now."""
    end = cycles.now + wait
    while True:
        taken = len(line.logits.words) + int(line.logits._accepting)
        yield taken < count or cycles.now > end


def _after(line: Line, cycles: Cycles, wait: int) -> Iterator[bool]:
    """Scores of whole frames, `wait` cycles from now at the earliest."""
    end = cycles.now + wait
    for go in line.block(1.0, 0):
        yield go and cycles.now > end
