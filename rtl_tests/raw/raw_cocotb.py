"""cocotb tests of `ex_raw`: four logits a beat, the rest of a frame's last beat zero."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cocotb
import numpy as np
from lib.bench import Corner, bench_corners
from lib.handles import Joined, stream
from lib.patterns import always, bernoulli
from lib.streams import Cycles, StreamSink, compare

from exeunt.reference.controller import raw_beats


class Line:
    """One corner; its inputs are bits of vectors, so it drives them itself."""

    def __init__(self, dut: Any, index: int, corner: Corner, cycles: Cycles) -> None:
        self.name = corner.name
        self.n = int(corner.parameters["N"])

        def port(name: str) -> Any:
            return getattr(dut, f"u{index}_{name}")

        self.port = port
        self._cycles = cycles
        data = Joined((port("m_data"), 128), (port("m_bank"), 1))
        view = stream(port("m_valid"), port("m_ready"), data, port("m_last"))
        self.sink = StreamSink(view, "x", cycles)
        self.active = 0  # the exit whose logits come
        self.queue: list[tuple[int, int, int]] = []  # logit, last, bank
        self.idle: Iterator[bool] = always()
        self._valid = False
        port("s_valid").value = 0
        port("clear").value = 0
        cycles.add(self._step)

    def _step(self, _cycle: int) -> None:
        if self._cycles.in_reset:
            self._valid = False
        elif self._valid and int(self.port("s_ready").value) >> self.active & 1:
            self.queue.pop(0)
            self._valid = False
        if not self._valid and not self._cycles.in_reset:
            self._valid = bool(self.queue) and next(self.idle)
        self.port("s_valid").value = int(self._valid) << self.active
        if self._valid:
            logit, last, bank = self.queue[0]
            self.port("s_data").value = (logit & 0xFFFFFFFF) << (32 * self.active)
            self.port("s_last").value = last << self.active
            self.port("s_bank").value = bank << self.active


@cocotb.test()
async def beats(dut: Any) -> None:
    """Frames of 2 to 9 logits from every exit, idles x stalls, one logit a cycle; a reset."""
    cycles = Cycles(dut.clk, dut.rst)
    lines = [Line(dut, i, c, cycles) for i, c in enumerate(bench_corners())]
    await cycles.reset()
    rng = np.random.default_rng(0)
    for classes in range(2, 10):
        for idle, stall in ((1.0, 1.0), (0.5, 1.0), (0.5, 0.4)):
            logits = rng.integers(-(1 << 30), 1 << 30, (5, classes))
            banks = rng.integers(0, 2, 5).tolist()
            sent = [
                (v, int(c + 1 == classes), int(b) * (c + 1 == classes))
                for frame, b in zip(logits.tolist(), banks, strict=True)
                for c, v in enumerate(frame)
            ]
            a_frame = -(-classes // 4)
            want = raw_beats(logits)
            count, start = len(want), cycles.now
            for k, line in enumerate(lines):
                line.active = int(rng.integers(0, line.n))
                line.idle = bernoulli(idle, k)
                line.sink.stall = bernoulli(stall, k + 5)
                line.sink.clear()
                line.queue += sent
            await cycles.until(
                lambda count=count: all(len(x.sink.words) >= count for x in lines), 900, "beats"
            )
            await cycles.wait(3)
            for line in lines:
                what = f"{line.name} classes {classes} idle {idle} stall {stall}"
                compare(what, [w & ((1 << 128) - 1) for w in line.sink.words], want, a_frame)
                lasts = [int((k + 1) % a_frame == 0) for k in range(len(want))]
                compare(f"{what}: last", line.sink.lasts, lasts)
                got = [w >> 128 for w in line.sink.words][a_frame - 1 :: a_frame]
                compare(f"{what}: bank", got, banks)
                if idle == stall == 1.0:
                    took = line.sink.gives[-1] - start
                    assert took <= len(sent) + 3, f"{what}: {len(sent)} logits took {took} cycles"
    for line in lines:
        line.idle = line.sink.stall = always()
        line.queue += [(1, 0, 0)] * 2
    await cycles.wait(6)
    await cycles.reset()
    for line in lines:
        line.sink.clear()
        line.queue += [(7, 0, 0), (8, 1, 1)]
    await cycles.wait(8)
    for line in lines:
        compare(f"{line.name} after reset", line.sink.words, [1 << 128 | 8 << 32 | 7])


@cocotb.test()
async def clear_keeps_the_beat_on_offer(dut: Any) -> None:
    """With TREADY low the beat on m stays as it is through a clear; half a beat is forgotten."""
    cycles = Cycles(dut.clk, dut.rst)
    lines = [Line(dut, i, c, cycles) for i, c in enumerate(bench_corners())]
    await cycles.reset()
    for whole in (True, False):
        beat = [(k, int(k == 3), 1) for k in range(4)] if whole else []
        for line in lines:
            line.active = line.n - 1
            line.sink.clear()
            line.sink.stall = iter([False] * 1000)
            line.queue += [*beat, (9, 0, 0)]
        await cycles.wait(10)
        for line in lines:
            assert int(line.port("m_valid").value) == whole, f"{line.name}: what is on offer"
            line.port("clear").value = 1
            line.queue.clear()
            line.queue += [(5, 1, 0)] * 2  # neither enters
        await cycles.wait(3)
        for line in lines:
            line.sink.stall = always()
        await cycles.wait(4)
        for line in lines:
            line.queue.clear()
            want = [1 << 128 | sum(k << 32 * k for k in range(4))] * whole
            compare(f"{line.name}: through a clear", line.sink.words, want)
            line.sink.clear()
        await cycles.wait(2)
        for line in lines:
            line.port("clear").value = 0
            line.queue += [(7, 0, 0), (8, 1, 1)]
        await cycles.wait(8)
        for line in lines:
            compare(f"{line.name}: after a clear", line.sink.words, [1 << 128 | 8 << 32 | 7])
