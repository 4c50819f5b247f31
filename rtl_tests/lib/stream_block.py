"""The standard test of a kernel kind, as cocotb tests over all corners at once.

Started by `lib.bench.check_stream_block`. One coroutine drives every corner: a cycle costs one
read of all handshakes, and data are read and written for all corners together.
"""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import cocotb
import numpy as np
import numpy.typing as npt
from cocotb.triggers import RisingEdge
from lib.bench import Corner, bench_data
from lib.patterns import LENGTH, always, bernoulli, bursts, gaps, masks
from lib.streams import start_clock

from exeunt.graph import Node, Stream
from exeunt.kernels import registry
from exeunt.packing import pack, unpack

PREROLL = 40  # cycles between reset and cycle 0, sources and sinks silent
PATIENCE = 4000  # cycles without any transfer before the bench gives up
TAIL = 12  # cycles after the last word in which nothing more may be offered

Cycle = npt.NDArray[np.int64]


def bit_strings(stream: Stream, values: npt.NDArray[Any]) -> list[str]:
    """Each word as a string of `stream.width` binary digits, most significant first."""
    raw = pack(stream, values)
    bits = np.unpackbits(raw, axis=1, bitorder="little", count=stream.width)[:, ::-1]
    text = (bits + ord("0")).astype(np.uint8).tobytes().decode()
    return [text[k : k + stream.width] for k in range(0, len(text), stream.width)]


def describe(stream: Stream, word: str) -> str:
    """The elements of a word, lane 0 first."""
    raw = int(word, 2).to_bytes((stream.width + 7) // 8, "little")
    one = Stream((1, 1, stream.lanes), stream.dtype, stream.lanes)
    return str(unpack(one, np.frombuffer(raw, np.uint8).reshape(1, -1)).reshape(-1).tolist())


def random_input(node: Node, frames: int, seed: int) -> npt.NDArray[np.int64]:
    """Frames of every kind: uniform values, one frame of extremes, then zeros with spikes."""
    rng = np.random.default_rng(seed)
    dtype, shape = node.input.dtype, node.input.shape
    x = rng.integers(dtype.min, dtype.max + 1, (frames, *shape))
    if frames > 1:
        x[1] = np.where(rng.random(shape) < 0.5, dtype.min, dtype.max)
    if frames > 2:
        x[2] = np.where(rng.random(shape) < 0.9, 0, x[2])
    return x.astype(np.int64)


def salt(corner: Corner) -> int:
    """A part of every seed: a corner gets the same images and stalls alone and with others."""
    return zlib.crc32(corner.name.encode()) % 10_000


def reference_of(corner: Corner) -> tuple[Any, Any]:
    """What the corner computes and when: `values` and `times` of its kind, or of its reference."""
    assert corner.node is not None, f"corner {corner.name} carries no node"
    if corner.reference:
        module = importlib.import_module(corner.reference)
        return module.values, module.times
    return registry.of(corner.node).values, registry.times


@dataclass
class Track:
    """What one corner sends, should answer, and did."""

    corner: Corner
    node: Node
    sent: list[str]
    expected: list[str]
    takes: list[int]
    gives: list[int]
    words: list[str]
    offered: Cycle | None = None
    ready: Cycle | None = None

    def clear(self, frames: int, total: int) -> None:
        """Forgets the last run; from now on only the first `frames` frames of `total`."""
        self.takes, self.gives, self.words = [], [], []
        self.offered = self.ready = None
        self.wanted_in = len(self.sent) * frames // total
        self.wanted_out = len(self.expected) * frames // total


class Bench:
    """All corners under one clock."""

    def __init__(self, dut: Any, corners: Sequence[Corner], options: dict[str, Any]) -> None:
        self.dut, self.options = dut, options
        self.frames: int = options["frames"]
        self.tracks: list[Track] = []
        for corner in corners:
            node = corner.node
            assert node is not None, f"corner {corner.name} carries no node"
            values, _ = reference_of(corner)
            own = corner.reference and importlib.import_module(corner.reference)
            inputs = getattr(own, "inputs", random_input)
            x = inputs(node, self.frames, options["seed"] + salt(corner))
            y = values(node, corner.arrays, x)
            sent, expected = bit_strings(node.input, x), bit_strings(node.output, y)
            self.tracks.append(Track(corner, node, sent, expected, [], [], []))
        self.count = len(self.tracks)
        high = np.cumsum([0] + [t.node.output.width for t in self.tracks])
        total = int(high[-1])
        self.slices = [slice(total - int(b), total - int(a)) for a, b in pairwise(high)]
        self.edge: RisingEdge = start_clock(dut.clk)
        self.sleep = False  # clocks stand still where ex_gate would let them

    def where(self, track: Track) -> str:
        """The corner and its parameters, for a message."""
        values = " ".join(f"{k}={v}" for k, v in track.corner.parameters.items())
        return f"{track.corner.name} ({track.corner.module} {values})"

    async def reset(self) -> None:
        """One cycle of reset for all corners, then silence."""
        self.dut.sleep.value = int(self.sleep)
        self.dut.drive.value = 0
        self.dut.rst.value = (1 << self.count) - 1
        await self.edge
        self.dut.rst.value = 0
        for _ in range(PREROLL):
            await self.edge

    async def run(
        self,
        *,
        frames: int | None = None,
        idle: list[int] | None = None,
        stall: list[int] | None = None,
        offered: list[Cycle] | None = None,
        ready: list[Cycle] | None = None,
        reset_at: list[int] | None = None,
    ) -> None:
        """Sends and receives `frames` frames in every corner and records the transfer cycles.

        Args:
            frames: how many (default: all).
            idle: per cycle, a bit per corner: a new word may be offered.
            stall: per cycle, a bit per corner: the sink accepts.
            offered: per corner, the first cycle of each input word instead.
            ready: per corner, the first cycle in which each output word is accepted instead.
            reset_at: per corner, the number of words taken at which it is reset for a cycle,
                after which it is left alone.
        """
        await self.reset()
        dut, tracks, count = self.dut, self.tracks, self.count
        full = (1 << count) - 1
        for i, t in enumerate(tracks):
            t.clear(frames or self.frames, self.frames)
            t.offered = offered[i] if offered else None
            t.ready = ready[i] if ready else None
        read_status = dut.status._handle.get_signal_val_binstr  # far faster than .value
        read_data = dut.m_data._handle.get_signal_val_binstr
        chunks = ["0" * t.node.input.width for t in reversed(tracks)]
        valid = accept = 0
        live_in, live_out, waiting_reset = full, full, full if reset_at else 0
        cycle, quiet = -1, 0
        while (live_in | live_out) and not (reset_at and not waiting_reset):
            # Inputs of cycle + 1.
            changed = False
            start = live_in & ~valid
            if idle is not None:
                start &= idle[(cycle + 1) % LENGTH]
            for i in bits(start):
                t = tracks[i]
                k = len(t.takes)
                if t.offered is None or t.offered[k] <= cycle + 1:
                    valid |= 1 << i
                    chunks[count - 1 - i] = t.sent[k]
                    changed = True
            accept = live_out
            if stall is not None:
                accept &= stall[(cycle + 1) % LENGTH]
            if ready is not None:
                for i in bits(live_out):
                    t = tracks[i]
                    if t.ready is not None and t.ready[len(t.gives)] > cycle + 1:
                        accept &= ~(1 << i)
            dut.drive.value = f"{accept:0{count}b}{valid:0{count}b}"
            if changed:
                dut.s_data.value = "".join(chunks)
            await self.edge
            cycle += 1
            status = int(read_status(), 2)
            if status >> (2 * count):
                self.fail_protocol(status >> (2 * count), cycle)
            took = valid & status
            gave = accept & (status >> count)
            quiet = 0 if took | gave else quiet + 1
            if took:
                valid &= ~took
                for i in bits(took):
                    t = tracks[i]
                    t.takes.append(cycle)
                    if len(t.takes) == t.wanted_in:
                        live_in &= ~(1 << i)
            if gave:
                data = read_data()
                for i in bits(gave):
                    t = tracks[i]
                    t.gives.append(cycle)
                    t.words.append(data[self.slices[i]])
                    if len(t.gives) == t.wanted_out:
                        live_out &= ~(1 << i)
            if waiting_reset:
                assert reset_at is not None
                hit = sum(
                    1 << i for i in bits(waiting_reset) if len(tracks[i].takes) >= reset_at[i]
                )
                dut.rst.value = hit
                waiting_reset &= ~hit
                live_in &= ~hit
                live_out &= ~hit
                valid &= ~hit
            if quiet > PATIENCE:
                self.fail_stuck(live_in | live_out, cycle)
        dut.drive.value = 0
        await self.edge
        dut.rst.value = 0
        for _ in range(TAIL):
            await self.edge
        offers = (int(read_status(), 2) >> count) & full
        if offers and not self.options["leads"] and not reset_at:
            names = ", ".join(self.where(tracks[i]) for i in bits(offers))
            raise AssertionError(f"a word more than expected is offered by {names}")

    def fail_protocol(self, faults: int, cycle: int) -> None:
        """Raises for a word that was withdrawn or changed."""
        lines = [
            f"{self.where(t)}: output word {len(t.gives)} was withdrawn or changed before it "
            f"was taken, at cycle {cycle}"
            for t in (self.tracks[i] for i in bits(faults))
        ]
        raise AssertionError("\n".join(lines))

    def fail_stuck(self, corners: int, cycle: int) -> None:
        """Raises for corners that neither take nor give any more."""
        lines = [
            f"{self.where(t)}: stuck at cycle {cycle}: took {len(t.takes)} of {t.wanted_in} "
            f"words, gave {len(t.gives)} of {t.wanted_out}"
            for t in (self.tracks[i] for i in bits(corners))
        ]
        raise AssertionError("\n".join(lines))

    def check_values(self, scenario: str) -> None:
        """Compares every word with the reference."""
        lines = []
        for t in self.tracks:
            for m, (got, expected) in enumerate(zip(t.words, t.expected, strict=False)):
                if got != expected:
                    per = t.node.output.words
                    lines.append(
                        f"{scenario}: {self.where(t)}: frame {m // per} word {m % per} at cycle "
                        f"{t.gives[m]}: got {describe(t.node.output, got)}, "
                        f"expected {describe(t.node.output, expected)}"
                    )
                    break
        if lines:
            raise AssertionError("\n".join(lines))

    def check_times(self, scenario: str, slack: int = 0) -> None:
        """Compares every transfer cycle with the cycle reference."""
        lines = []
        for t in self.tracks:
            _, times = reference_of(t.corner)
            offered = np.zeros(t.wanted_in, np.int64) if t.offered is None else t.offered
            ready = None if t.ready is None else t.ready[: t.wanted_out]
            takes, gives = times(t.node, offered[: t.wanted_in], ready)
            for what, got, expected, per in (
                ("taken", t.takes, takes, t.node.input.words),
                ("given", t.gives, gives, t.node.output.words),
            ):
                assert len(got) == len(expected), f"times() returns {len(expected)} for {len(got)}"
                off = np.flatnonzero(np.abs(np.asarray(got) - np.asarray(expected)) > slack)
                if off.size:
                    k = int(off[0])
                    lines.append(
                        f"{scenario}: {self.where(t)}: frame {k // per} word {k % per} {what}: "
                        f"got cycle {got[k]}, expected cycle {int(expected[k])} "
                        f"({off.size} of {len(got)} differ)"
                    )
        if lines:
            raise AssertionError("\n".join(lines))


def bits(mask: int) -> list[int]:
    """The positions of the ones in `mask`."""
    found = []
    while mask:
        low = mask & -mask
        found.append(low.bit_length() - 1)
        mask ^= low
    return found


def _open(dut: Any) -> Bench:
    corners, options = bench_data()
    return Bench(dut, corners, options)


def _gaps(bench: Bench, seed: int, output: bool) -> list[Cycle]:
    result = []
    for t in bench.tracks:
        count = len(t.expected if output else t.sent)
        per = len(t.expected) / len(t.sent)
        longest = max(3, min(12, round(2 / per))) if output else 4
        result.append(gaps(count, 0.35, longest, seed + salt(t.corner)))
    return result


@cocotb.test()
async def unstalled(dut: Any) -> None:
    """Back to back: values and exact cycles."""
    bench = _open(dut)
    await bench.run()
    bench.check_values("unstalled")
    bench.check_times("unstalled")


@cocotb.test()
async def idle_source(dut: Any) -> None:
    """Words offered late: values and exact cycles."""
    bench = _open(dut)
    await bench.run(offered=_gaps(bench, 11, False))
    bench.check_values("idle source")
    bench.check_times("idle source")


@cocotb.test()
async def stalled_sink(dut: Any) -> None:
    """Words accepted late, offered early and late: values and cycles."""
    bench = _open(dut)
    for offered in (None, _gaps(bench, 13, False)):
        await bench.run(offered=offered, ready=_gaps(bench, 12, True))
        bench.check_values("stalled sink")
        if bench.options["stalled_slack"] is not None:
            bench.check_times("stalled sink", bench.options["stalled_slack"])


@cocotb.test()
async def stalls_and_idles(dut: Any) -> None:
    """Random stalls crossed with random idles: values and the stream contract."""
    bench = _open(dut)
    n = [salt(t.corner) for t in bench.tracks]
    kinds = {
        "none": lambda s: masks([always() for _ in n], LENGTH),
        "half": lambda s: masks([bernoulli(0.5, s + i) for i in n]),
        "rare": lambda s: masks([bernoulli(0.15, s + i) for i in n]),
        "bursts": lambda s: masks([bursts(9, s + i) for i in n]),
    }
    made = {(k, s): f(s) for k, f in kinds.items() for s in (100, 200)}
    for idle, stall in (
        ("half", "half"),
        ("none", "half"),
        ("half", "none"),
        ("none", "rare"),
        ("bursts", "bursts"),
        ("half", "bursts"),
        ("bursts", "half"),
        ("none", "bursts"),
    ):
        await bench.run(idle=made[idle, 100], stall=made[stall, 200], frames=min(2, bench.frames))
        bench.check_values(f"idle {idle} x stall {stall}")


@cocotb.test()
async def asleep(dut: Any) -> None:
    """With a clock that stands still whenever the corner says that it may: the same words, cycles.

    Every word that moves at the wrong time, or not at all, is a fault of `busy`.
    """
    bench = _open(dut)
    bench.sleep = True
    for ready in (None, _gaps(bench, 12, True)):
        await bench.run(offered=_gaps(bench, 11, False), ready=ready)
        bench.check_values("asleep")
        if ready is None or bench.options["stalled_slack"] is not None:
            bench.check_times("asleep", 0 if ready is None else bench.options["stalled_slack"])
    stall = masks([bursts(9, 200 + salt(t.corner)) for t in bench.tracks])
    await bench.run(stall=stall, frames=min(2, bench.frames))
    bench.check_values("asleep x stall")


@cocotb.test()
async def reset_in_mid_frame(dut: Any) -> None:
    """A reset somewhere in a frame, then clean frames with exact cycles."""
    bench = _open(dut)
    stall = masks([bernoulli(0.7, salt(t.corner)) for t in bench.tracks])
    for part in (0.3, 0.8):
        at = [max(1, int(part * t.node.input.words)) for t in bench.tracks]
        await bench.run(stall=stall, reset_at=at)
        frames = min(2, bench.frames)
        await bench.run(frames=frames)
        bench.check_values(f"after a reset at {part} of a frame")
        bench.check_times(f"after a reset at {part} of a frame")
