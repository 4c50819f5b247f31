"""cocotb tests of `ex_tag`: frames by beats, ids, stamps, banks, TLAST, admission, stalls."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles
from lib.bench import Corner, bench_corners
from lib.patterns import always, bernoulli, bursts
from lib.streams import Cycles, StreamSink, StreamSource, compare, start_clock

NOW = 0xFFFFFF00  # the time base wraps during the test


class Line:
    """One corner; a step of its own counts events and takes frames off the count."""

    def __init__(self, dut: Any, index: int, corner: Corner, cycles: Cycles) -> None:
        self.name = corner.name
        self.width, self.frame, self.in_flight = (int(v) for v in corner.parameters.values())

        def port(name: str) -> Any:
            return getattr(dut, f"u{index}_{name}")

        self.port = port
        self._cycles = cycles
        self.source = StreamSource(dut, f"u{index}_s", cycles)
        self.sink = StreamSink(dut, f"u{index}_m", cycles)
        self.meta = StreamSink(dut, f"u{index}_meta", cycles)
        self.bank_seed = random.Random(index)
        self.clear()
        for name in ("bank", "hold", "leave", "leave_bank"):
            port(name).value = 0
        self.hold = 0
        self.leave: Iterator[bool] = itertools.repeat(False)
        self._bank = self._leave = self._leave_bank = 0
        cycles.add(self._step)

    def clear(self) -> None:
        """Forget what was counted."""
        self.accepts: list[tuple[int, int]] = []  # (now, bank) of every frame
        self.inside: list[int] = []  # banks of the frames inside, oldest first
        self.bad = self.stalls = 0
        self.most = 0

    def _step(self, cycle: int) -> None:
        p = self.port
        if self._cycles.in_reset:
            self.clear()
        else:
            if int(p("ev_stall").value):
                self.stalls += 1
            self.bad += int(p("ev_bad").value)
            if self._leave:
                self.inside.remove(self._leave_bank)
            flights = [int(p(f"flight{b}").value) for b in (0, 1)]
            before = self.inside + [self._leave_bank] * self._leave
            expected = [before.count(b) for b in (0, 1)]
            assert flights == expected, (
                f"{self.name}: frames inside by bank {flights}, expected {expected}, "
                f"at cycle {cycle}"
            )
            if int(p("ev_accept").value):
                self.accepts.append(((NOW + cycle) & 0xFFFFFFFF, self._bank))
                self.inside.append(self._bank)
            self.most = max(self.most, len(self.inside))
        self._bank = self.bank_seed.randint(0, 1)
        go = bool(self.inside) and next(self.leave) and not self._cycles.in_reset
        self._leave = int(go)
        self._leave_bank = self.bank_seed.choice(self.inside) if go else 0
        p("leave").value = self._leave
        p("leave_bank").value = self._leave_bank
        p("bank").value = self._bank
        p("hold").value = self.hold
        p("now").value = (NOW + cycle + 1) & 0xFFFFFFFF


def model(beats: list[tuple[int, int]], frame: int) -> tuple[list[int], list[int], int]:
    """Output beats and the bad flag of every frame; beats of an unfinished frame at the end."""
    out: list[int] = []
    bad: list[int] = []
    at = 0
    for data, last in beats:
        out.append(data)
        at += 1
        if at == frame:
            bad.append(0)
            at = 0
        elif last:
            out += [0] * (frame - at)
            bad.append(1)
            at = 0
    return out, bad, at


def start(dut: Any) -> tuple[Cycles, list[Line]]:
    cycles = Cycles(dut.clk, dut.rst)
    return cycles, [Line(dut, i, c, cycles) for i, c in enumerate(bench_corners())]


@cocotb.test()
async def frames(dut: Any) -> None:
    """Beats, tags and counts under idles x stalls x departures, with TLAST anywhere."""
    cycles, lines = start(dut)
    await cycles.reset()
    patterns = {
        "always": lambda s: always(),
        "half": lambda s: bernoulli(0.5, s),
        "bursts": lambda s: bursts(9, s),
    }
    ways = ("none", "ends", "anywhere")
    for seed, (idle, stall) in enumerate(itertools.product(patterns, patterns)):
        lasts = ways[(seed + seed // 3) % 3]
        rng = random.Random(seed)
        expected = []
        for k, line in enumerate(lines):
            beats = []
            for n in range(max(3 * line.frame, 30)):
                last = {
                    "none": False,
                    "ends": n % line.frame == line.frame - 1 and rng.random() < 0.5,
                    "anywhere": rng.random() < 0.2,
                }[lasts]
                beats.append((rng.getrandbits(line.width), int(last)))
            out, bad, at = model(beats, line.frame)
            if at:  # complete the last frame
                beats += [(1, 0)] * (line.frame - at)
                out, bad, _ = model(beats, line.frame)
            expected.append((out, bad))
            line.source.idle = patterns[idle](seed + k)
            line.sink.stall = patterns[stall](seed + k + 40)
            line.meta.stall = patterns[stall](seed + k + 80)
            line.leave = bernoulli(0.3, seed + k)
            line.source.send(beats)
        await cycles.until(
            lambda wanted=expected: all(
                len(x.meta.words) >= len(e[1]) for x, e in zip(lines, wanted, strict=True)
            ),
            20000,
            f"frames, idle {idle} stall {stall} TLAST {lasts}",
        )
        await cycles.wait(30)
        for line, (out, bad) in zip(lines, expected, strict=True):
            what = f"{line.name} idle {idle} stall {stall} TLAST {lasts}"
            compare(what, line.sink.words, out, line.frame)
            metas = [
                n | now << 32 | bank << 64 | bad[n] << 65
                for n, (now, bank) in enumerate(line.accepts)
            ]
            compare(f"{what}: metadata", line.meta.words, metas)
            assert line.bad == sum(bad), f"{what}: {line.bad} bad frames, expected {sum(bad)}"
            assert line.most <= line.in_flight, (
                f"{what}: {line.most} frames inside, at most {line.in_flight} allowed"
            )
            line.sink.clear()
            line.meta.clear()
            line.source.flush()
        await cycles.reset()


@cocotb.test()
async def admission(dut: Any) -> None:
    """Exactly IN_FLIGHT frames enter while none leaves; every departure lets one in; stalls."""
    cycles, lines = start(dut)
    await cycles.reset()
    for line in lines:
        line.source.send((0, 0) for _ in range((line.in_flight + 3) * line.frame))
    await cycles.wait(max(x.in_flight * x.frame for x in lines) + 20)
    for line in lines:
        taken = len(line.source.takes)
        assert taken == line.in_flight * line.frame, (
            f"{line.name}: {taken} beats entered, expected {line.in_flight * line.frame}"
        )
        line.stalls = 0
    await cycles.wait(10)
    for line in lines:
        assert line.stalls == 10, f"{line.name}: {line.stalls} stall cycles in 10"
        line.leave = iter([True] + [False] * 100000)
    await cycles.wait(max(x.frame for x in lines) + 10)
    for line in lines:
        taken = len(line.source.takes)
        expected = (line.in_flight + 1) * line.frame
        assert taken == expected, f"{line.name}: {taken} beats entered, expected {expected}"


@cocotb.test()
async def hold_keeps_new_frames_out(dut: Any) -> None:
    """A frame that has begun goes on under hold; the next begins after it."""
    cycles, lines = start(dut)
    await cycles.reset()
    for line in lines:
        line.leave = always()
        line.source.send((1, 0) for _ in range(3 * line.frame))
    await cycles.wait(2)
    for line in lines:
        line.hold = 1
    await cycles.wait(max(x.frame for x in lines) + 20)
    for line in lines:
        taken = len(line.source.takes)
        assert taken % line.frame == 0, f"{line.name}: a frame was cut by hold after {taken} beats"
        assert line.frame == 1 or 0 < taken < 3 * line.frame, f"{line.name}: hold had no effect"
        line.hold = 0
    await cycles.wait(3 * max(x.frame for x in lines) + 20)
    for line in lines:
        assert line.source.done(), f"{line.name}: frames did not enter after hold"


@cocotb.test()
async def hold_while_a_beat_waits(dut: Any) -> None:
    """Hold comes and goes under idles and stalls: what is shown stays, nothing new is shown."""
    cycles, lines = start(dut)
    count = len(lines)
    sent, waited, crossed = [0] * count, [0] * count, [0] * count
    holds = [bernoulli(0.5, 7 + k) for k in range(count)]

    def step(_: int) -> None:
        for k, line in enumerate(lines):
            valid, ready, hold = (int(line.port(n).value) for n in ("m_valid", "m_ready", "hold"))
            begins = int(valid and sent[k] % line.frame == 0)
            assert waited[k] or not (begins and hold), f"{line.name}: a frame began under hold"
            crossed[k] += waited[k] and hold
            waited[k] = begins and not ready
            sent[k] += valid and ready
            line.hold = int(next(holds[k]))

    await cycles.reset()
    cycles.add(step)
    for k, line in enumerate(lines):
        line.source.idle = bernoulli(0.7, k)
        line.sink.stall = bernoulli(0.3, 20 + k)
        line.leave = bernoulli(0.5, 40 + k)
        line.source.send((n & 1, 0) for n in range(30 * line.frame))
    await cycles.until(lambda: all(x.source.done() for x in lines), 20000, "frames under hold")
    for line, times in zip(lines, crossed, strict=True):
        compare(line.name, line.sink.words, [n & 1 for n in range(30 * line.frame)])
        assert times > 5, f"{line.name}: hold met a waiting beat {times} times only"


@cocotb.test()
async def ids_of_more_than_16_bits(dut: Any) -> None:
    """Frames are numbered beyond 65,535 (one-beat frames, so that it takes as many cycles)."""
    frames = (1 << 16) + 5
    corners = list(enumerate(bench_corners()))
    short = [i for i, c in corners if c.parameters["FRAME"] == 1]
    edge = start_clock(dut.clk)
    for i, _ in corners:
        for name in ("s_valid", "hold", "leave", "leave_bank", "bank"):
            getattr(dut, f"u{i}_{name}").value = 0
    dut.rst.value = 1
    for _ in range(2):
        await edge
    dut.rst.value = 0

    ports = [lambda name, i=i: getattr(dut, f"u{i}_{name}") for i in short]
    for port in ports:
        for name in ("s_valid", "m_ready", "meta_ready"):
            port(name).value = 1
    await edge
    for port in ports:
        port("leave").value = 1  # from now on one frame enters and one leaves in every cycle
    await ClockCycles(dut.clk, frames - 10)
    found: list[list[int]] = [[] for _ in ports]
    for _ in range(12):
        await edge
        for port, ids in zip(ports, found, strict=True):
            assert int(port("meta_valid").value)
            ids.append(int(port("meta_data").value) & 0xFFFFFFFF)
    for i, ids in zip(short, found, strict=True):
        name = corners[i][1].name
        compare(f"{name}: ids", ids, list(range(ids[0], ids[0] + len(ids))))
        assert ids[0] < 1 << 16 < ids[-1], f"{name}: {ids[0]} to {ids[-1]} do not cross 65,536"


@cocotb.test()
async def reset_in_a_frame(dut: Any) -> None:
    """After a reset inside a frame (or its padding) the next beat is beat 0 of frame 0."""
    cycles, lines = start(dut)
    await cycles.reset()
    for early in (0, 1):
        for line in lines:
            line.source.send([(1, early)])
        await cycles.wait(4)
        for line in lines:
            line.source.flush()
        await cycles.reset()
        for line in lines:
            line.sink.clear()
            line.meta.clear()
            line.source.send((k & 1, 0) for k in range(line.frame))
        await cycles.wait(max(x.frame for x in lines) + 8)
        for line in lines:
            compare(line.name, line.sink.words, [k & 1 for k in range(line.frame)])
            ids = [w & 0xFFFFFFFF for w in line.meta.words]
            assert ids == [0], f"{line.name}: ids {ids} after a reset, expected [0]"
        for line in lines:
            line.source.flush()
        await cycles.reset()
