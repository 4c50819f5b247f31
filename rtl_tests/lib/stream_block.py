"""The standard test of a kernel kind, as cocotb tests over all corners at once.

Started by `lib.bench.check_stream_block`. One coroutine drives every corner: a cycle costs one
read of all handshakes, and data are read and written for all corners together.
"""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
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
CLOSED = 40  # cycles in which a sink that opens late takes nothing
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


def random_values(stream: Stream, frames: int, seed: int) -> npt.NDArray[np.int64]:
    """Frames of every kind: uniform values, one frame of extremes, then zeros with spikes."""
    rng = np.random.default_rng(seed)
    dtype, shape = stream.dtype, stream.shape
    x = rng.integers(dtype.min, dtype.max + 1, (frames, *shape))
    if frames > 1:
        x[1] = np.where(rng.random(shape) < 0.5, dtype.min, dtype.max)
    if frames > 2:
        x[2] = np.where(rng.random(shape) < 0.9, 0, x[2])
    return x.astype(np.int64)


def random_input(node: Node, frames: int, seed: int) -> npt.NDArray[np.int64]:
    """Such frames for a node's first input."""
    return random_values(node.input, frames, seed)


def salt(corner: Corner) -> int:
    """A part of every seed: a corner gets the same images and stalls alone and with others."""
    return zlib.crc32(corner.name.encode()) % 10_000


class Reference:
    """What a corner computes and when: its kind, or `values` and `times` of its reference."""

    def __init__(self, corner: Corner) -> None:
        assert corner.node is not None, f"corner {corner.name} carries no node"
        self.corner, self.node = corner, corner.node
        self._own = importlib.import_module(corner.reference) if corner.reference else None

    def inputs(self, frames: int, seed: int) -> list[npt.NDArray[Any]]:
        """Frames for each input."""
        own = getattr(self._own, "inputs", None)
        if own is not None:
            return [own(self.node, frames, seed)]
        streams = enumerate(self.node.inputs)
        return [random_values(stream, frames, seed + 1000 * k) for k, stream in streams]

    def values(self, x: Sequence[npt.NDArray[Any]]) -> Sequence[npt.NDArray[Any]]:
        """What each output gives."""
        if self._own is not None:
            return [self._own.values(self.node, self.corner.arrays, x[0])]
        return registry.computed(self.node, self.corner.arrays, x)

    def times(
        self, offered: Sequence[Cycle], ready: Sequence[Cycle | None]
    ) -> tuple[Sequence[Cycle], Sequence[Cycle]]:
        """When the words of each input are taken and those of each output given."""
        if self._own is not None:
            takes, gives = self._own.times(self.node, offered[0], ready[0])
            return [takes], [gives]
        takes, gives, _ = registry.transfers(self.node, None, offered, ready)
        return takes, gives


@dataclass
class Line:
    """One stream of a corner: the words that are sent or expected, and what was seen."""

    track: int  # number of its corner
    stream: Stream
    wanted: list[str]
    cycles: list[int] = field(default_factory=list)  # of the transfers
    words: list[str] = field(default_factory=list)  # that came out
    when: Cycle | None = None  # first cycle of each word
    count: int = 0  # words of this run
    salt: int = 0  # a part of the seeds of its pauses

    def clear(self, frames: int, total: int, when: Cycle | None) -> None:
        """Forgets the last run; from now on only the first `frames` frames of `total`."""
        self.cycles, self.words, self.when = [], [], when
        self.count = len(self.wanted) * frames // total


@dataclass
class Track:
    """A corner with its streams."""

    corner: Corner
    reference: Reference
    inputs: list[Line]
    outputs: list[Line]

    @property
    def node(self) -> Node:
        """What it stands for."""
        return self.reference.node

    @property
    def words(self) -> list[str]:
        """That came out of the first output."""
        return self.outputs[0].words

    @property
    def expected(self) -> list[str]:
        """That should come out of the first output."""
        return self.outputs[0].wanted


class Bench:
    """All corners under one clock; their streams numbered as in `lib.bench.stream_wrapper`."""

    def __init__(self, dut: Any, corners: Sequence[Corner], options: dict[str, Any]) -> None:
        self.dut, self.options = dut, options
        self.frames: int = options["frames"]
        self.tracks: list[Track] = []
        for i, corner in enumerate(corners):
            found = Reference(corner)
            x = found.inputs(self.frames, options["seed"] + salt(corner))
            y = found.values(x)
            sent, expected = (
                [Line(i, s, bit_strings(s, v)) for s, v in zip(streams, values, strict=True)]
                for streams, values in ((found.node.inputs, x), (found.node.outputs, y))
            )
            self.tracks.append(Track(corner, found, sent, expected))
        for t in self.tracks:
            for k, line in enumerate([*t.inputs, *t.outputs]):
                line.salt = salt(t.corner) + k
        self.inputs = [line for t in self.tracks for line in t.inputs]
        self.outputs = [line for t in self.tracks for line in t.outputs]
        high = np.cumsum([0] + [line.stream.width for line in self.outputs])
        total = int(high[-1])
        self.slices = [slice(total - int(b), total - int(a)) for a, b in pairwise(high)]
        self.edge: RisingEdge = start_clock(dut.clk)
        self.sleep = False  # clocks stand still where ex_gate would let them

    @property
    def count(self) -> int:
        """Corners."""
        return len(self.tracks)

    def where(self, line: Line) -> str:
        """The stream's corner with its parameters, for a message."""
        track = self.tracks[line.track]
        values = " ".join(f"{k}={v}" for k, v in track.corner.parameters.items())
        found = f"{track.corner.name} ({track.corner.module} {values})"
        for what, lines in (("input", track.inputs), ("output", track.outputs)):
            if len(lines) > 1 and any(x is line for x in lines):
                found += f" {what} {[x is line for x in lines].index(True)}"
        return found

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
            idle: per cycle, a bit per input: a new word may be offered.
            stall: per cycle, a bit per output: the sink accepts.
            offered: per input, the first cycle of each word instead.
            ready: per output, the first cycle in which each word is accepted instead.
            reset_at: per corner, the number of words of its first input at which it is reset for
                a cycle, after which it is left alone.
        """
        await self.reset()
        dut, tracks, ins, outs = self.dut, self.tracks, self.inputs, self.outputs
        count, full_out = len(ins), (1 << len(outs)) - 1
        for lines, when in ((ins, offered), (outs, ready)):
            for i, line in enumerate(lines):
                line.clear(frames or self.frames, self.frames, when[i] if when else None)
        read_status = dut.status._handle.get_signal_val_binstr  # far faster than .value
        read_data = dut.m_data._handle.get_signal_val_binstr
        chunks = ["0" * line.stream.width for line in reversed(ins)]
        valid = accept = 0
        live_in, live_out = (1 << count) - 1, full_out
        waiting_reset = (1 << self.count) - 1 if reset_at else 0
        cycle, quiet = -1, 0
        while (live_in | live_out) and not (reset_at and not waiting_reset):
            # Inputs of cycle + 1.
            changed = False
            start = live_in & ~valid
            if idle is not None:
                start &= idle[(cycle + 1) % LENGTH]
            for i in bits(start):
                line = ins[i]
                k = len(line.cycles)
                if line.when is None or line.when[k] <= cycle + 1:
                    valid |= 1 << i
                    chunks[count - 1 - i] = line.wanted[k]
                    changed = True
            accept = live_out
            if stall is not None:
                accept &= stall[(cycle + 1) % LENGTH]
            if ready is not None:
                for i in bits(live_out):
                    line = outs[i]
                    if line.when is not None and line.when[len(line.cycles)] > cycle + 1:
                        accept &= ~(1 << i)
            dut.drive.value = f"{accept:0{len(outs)}b}{valid:0{count}b}"
            if changed:
                dut.s_data.value = "".join(chunks)
            await self.edge
            cycle += 1
            status = int(read_status(), 2)
            faults = status >> (count + len(outs))
            if faults:
                self.fail_protocol(faults, cycle)
            took = valid & status
            gave = accept & (status >> count)
            quiet = 0 if took | gave else quiet + 1
            if took:
                valid &= ~took
                for i in bits(took):
                    line = ins[i]
                    line.cycles.append(cycle)
                    if len(line.cycles) == line.count:
                        live_in &= ~(1 << i)
            if gave:
                data = read_data()
                for i in bits(gave):
                    line = outs[i]
                    line.cycles.append(cycle)
                    line.words.append(data[self.slices[i]])
                    if len(line.cycles) == line.count:
                        live_out &= ~(1 << i)
            if waiting_reset:
                assert reset_at is not None
                hit = sum(
                    1 << i
                    for i in bits(waiting_reset)
                    if len(tracks[i].inputs[0].cycles) >= reset_at[i]
                )
                dut.rst.value = hit
                waiting_reset &= ~hit
                if hit:
                    live_in &= ~sum(1 << k for k, x in enumerate(ins) if hit >> x.track & 1)
                    live_out &= ~sum(1 << k for k, x in enumerate(outs) if hit >> x.track & 1)
                    valid &= live_in
            if quiet > PATIENCE:
                self.fail_stuck(live_in, live_out, cycle)
        dut.drive.value = 0
        await self.edge
        dut.rst.value = 0
        for _ in range(TAIL):
            await self.edge
        offers = (int(read_status(), 2) >> count) & full_out
        if offers and not self.options["leads"] and not reset_at:
            names = ", ".join(self.where(outs[i]) for i in bits(offers))
            raise AssertionError(f"a word more than expected is offered by {names}")

    def fail_protocol(self, faults: int, cycle: int) -> None:
        """Raises for a word that was withdrawn or changed."""
        lines = [
            f"{self.where(x)}: output word {len(x.cycles)} was withdrawn or changed before it "
            f"was taken, at cycle {cycle}"
            for x in (self.outputs[i] for i in bits(faults))
        ]
        raise AssertionError("\n".join(lines))

    def fail_stuck(self, live_in: int, live_out: int, cycle: int) -> None:
        """Raises for corners that neither take nor give any more."""
        stuck = {self.inputs[i].track for i in bits(live_in)}
        stuck |= {self.outputs[i].track for i in bits(live_out)}
        lines = []
        for t in (self.tracks[i] for i in sorted(stuck)):
            took, given = (
                " and ".join(f"{len(x.cycles)} of {x.count}" for x in side)
                for side in (t.inputs, t.outputs)
            )
            name = self.where(t.inputs[0])
            lines.append(f"{name}: stuck at cycle {cycle}: took {took} words, gave {given}")
        raise AssertionError("\n".join(lines))

    def check_values(self, scenario: str) -> None:
        """Compares every word with the reference."""
        lines = []
        for x in self.outputs:
            for m, (got, expected) in enumerate(zip(x.words, x.wanted, strict=False)):
                if got != expected:
                    per = x.stream.words
                    lines.append(
                        f"{scenario}: {self.where(x)}: frame {m // per} word {m % per} at cycle "
                        f"{x.cycles[m]}: got {describe(x.stream, got)}, "
                        f"expected {describe(x.stream, expected)}"
                    )
                    break
        if lines:
            raise AssertionError("\n".join(lines))

    def check_times(self, scenario: str, slack: int = 0) -> None:
        """Compares every transfer cycle with the cycle reference."""
        lines = []
        for t in self.tracks:
            offered = [
                np.zeros(x.count, np.int64) if x.when is None else x.when[: x.count]
                for x in t.inputs
            ]
            ready = [None if x.when is None else x.when[: x.count] for x in t.outputs]
            takes, gives = t.reference.times(offered, ready)
            for what, found, times in (("taken", t.inputs, takes), ("given", t.outputs, gives)):
                for x, expected in zip(found, times, strict=True):
                    got, per = x.cycles, x.stream.words
                    assert len(got) == len(expected), f"{len(expected)} cycles for {len(got)} words"
                    off = np.flatnonzero(np.abs(np.asarray(got) - np.asarray(expected)) > slack)
                    if off.size:
                        k = int(off[0])
                        lines.append(
                            f"{scenario}: {self.where(x)}: frame {k // per} word {k % per} {what}: "
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
    for line in bench.outputs if output else bench.inputs:
        per = len(line.wanted) / len(bench.tracks[line.track].inputs[0].wanted)
        longest = max(3, min(12, round(2 / per))) if output else 4
        result.append(gaps(len(line.wanted), 0.35, longest, seed + line.salt))
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
    """Words accepted late, offered early and late: values and cycles.

    In the end nothing is accepted for a while, so that words with gaps between them close up.
    """
    bench = _open(dut)
    late, shut = _gaps(bench, 12, True), _gaps(bench, 14, True)
    closed = [when + CLOSED for when in shut]
    for offered, ready in (
        (None, late), (_gaps(bench, 13, False), late), (_gaps(bench, 15, False), closed)
    ):  # fmt: skip
        await bench.run(offered=offered, ready=ready)
        bench.check_values("stalled sink")
        if bench.options["stalled_slack"] is not None:
            bench.check_times("stalled sink", bench.options["stalled_slack"])


@cocotb.test()
async def stalls_and_idles(dut: Any) -> None:
    """Random stalls crossed with random idles: values and the stream contract."""
    bench = _open(dut)
    kinds = {
        "none": lambda s, n: masks([always() for _ in n], LENGTH),
        "half": lambda s, n: masks([bernoulli(0.5, s + i) for i in n]),
        "rare": lambda s, n: masks([bernoulli(0.15, s + i) for i in n]),
        "bursts": lambda s, n: masks([bursts(9, s + i) for i in n]),
    }
    sides = {100: [x.salt for x in bench.inputs], 200: [x.salt for x in bench.outputs]}
    made = {(k, s): f(s, n) for k, f in kinds.items() for s, n in sides.items()}
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
    stall = masks([bursts(9, 200 + x.salt) for x in bench.outputs])
    await bench.run(stall=stall, frames=min(2, bench.frames))
    bench.check_values("asleep x stall")


@cocotb.test()
async def reset_in_mid_frame(dut: Any) -> None:
    """A reset somewhere in a frame, then clean frames with exact cycles."""
    bench = _open(dut)
    stall = masks([bernoulli(0.7, x.salt) for x in bench.outputs])
    for part in (0.3, 0.8):
        at = [max(1, int(part * t.node.input.words)) for t in bench.tracks]
        await bench.run(stall=stall, reset_at=at)
        frames = min(2, bench.frames)
        await bench.run(frames=frames)
        bench.check_values(f"after a reset at {part} of a frame")
        bench.check_times(f"after a reset at {part} of a frame")
