"""Stream drivers for cocotb: a source, a sink, a clock that counts, a protocol check.

Cycle t is the period between two rising edges; a word is transferred in it when valid and ready
are both high. Signals are sampled at the rising edge that ends the cycle, and driven after it.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge
from lib.patterns import always
from lib.quick import reader

PERIOD_NS = 10


def start_clock(clk: Any) -> RisingEdge:
    """Starts the simulator's own clock on `clk`; await the trigger for the end of a cycle."""
    Clock(clk, PERIOD_NS, unit="ns").start()
    return RisingEdge(clk)


class Cycles:
    """Counts cycles and steps every source and sink: one coroutine for all of them.

    `now` is the number of the cycle that the last rising edge ended. Steps run in the order
    in which they were added; a step may read signals (as they were in that cycle) and write
    signals (for the next one). Until the first `reset()` sources and sinks are silent.
    """

    def __init__(self, clk: Any, rst: Any) -> None:
        self.edge = start_clock(clk)
        self.now = -1
        self.in_reset = True
        self._rst = rst
        self._steps: list[Callable[[int], None]] = []
        cocotb.start_soon(self._run())

    def add(self, step: Callable[[int], None]) -> None:
        """Calls `step(cycle)` at the end of every cycle from the next on."""
        self._steps.append(step)

    async def _run(self) -> None:
        while True:
            await self.edge
            self.now += 1
            for step in self._steps:
                step(self.now)

    async def reset(self, count: int = 1) -> None:
        """Holds rst for `count` cycles; a word on offer may vanish, sources offer it again."""
        self.in_reset = True
        self._rst.value = 1
        await self.wait(count + 1)
        self._rst.value = 0
        self.in_reset = False

    async def wait(self, count: int = 1) -> None:
        """Lets `count` cycles pass."""
        for _ in range(count):
            await self.edge

    async def until(self, done: Callable[[], bool], limit: int, what: str) -> None:
        """Waits until `done()`; fails after `limit` cycles with a sentence about `what`."""
        for _ in range(limit):
            if done():
                return
            await self.edge
        raise AssertionError(f"{what}: not done after {limit} cycles, at cycle {self.now}")


class StreamSource:
    """Offers words on <prefix>_valid, _ready, _data (and _last when the words are pairs).

    `takes[k]` is the cycle in which word k was transferred.
    """

    def __init__(
        self, dut: Any, prefix: str, cycles: Cycles, *, idle: Iterator[bool] | None = None
    ) -> None:
        self._valid = getattr(dut, prefix + "_valid")
        self._ready = reader(getattr(dut, prefix + "_ready"))
        self._data = getattr(dut, prefix + "_data")
        self._last = getattr(dut, prefix + "_last", None)
        self._cycles = cycles
        self._words: deque[int | tuple[int, int]] = deque()
        self._offering = False
        self.idle = idle if idle is not None else always()
        self.takes: list[int] = []
        self._valid.value = 0
        cycles.add(self._step)

    def send(self, words: Iterable[int | tuple[int, int]]) -> None:
        """Queues words: integers, or (data, last) pairs."""
        self._words.extend(words)

    def flush(self) -> None:
        """Forgets every word not yet transferred (for a reset)."""
        self._words.clear()
        self._offering = False
        self._valid.value = 0

    def done(self) -> bool:
        """Whether every word was transferred."""
        return not self._words

    def _step(self, cycle: int) -> None:
        if self._cycles.in_reset:
            self._offering = False
            self._valid.value = 0
            return
        if self._offering and self._words and self._ready():
            self._words.popleft()
            self.takes.append(cycle)
            self._offering = False
        if self._offering:
            return
        go = next(self.idle) and bool(self._words)
        self._offering = go
        self._valid.value = int(go)
        if go:
            word = self._words[0]
            if isinstance(word, tuple) and self._last is not None:
                self._data.value, self._last.value = word
            else:
                self._data.value = word


class StreamSink:
    """Takes words from <prefix>_valid, _ready, _data; checks the stream contract.

    `words[m]` (and `lasts[m]` where there is a _last) was transferred in cycle `gives[m]`.
    """

    def __init__(
        self, dut: Any, prefix: str, cycles: Cycles, *, stall: Iterator[bool] | None = None
    ) -> None:
        self.name = prefix
        self._valid = reader(getattr(dut, prefix + "_valid"))
        self._ready = getattr(dut, prefix + "_ready")
        self._data = reader(getattr(dut, prefix + "_data"))
        last = getattr(dut, prefix + "_last", None)
        self._last = (lambda: 0) if last is None else reader(last)
        self._cycles = cycles
        self._accepting = False
        self._held: tuple[int, int] | None = None
        self.stall = stall if stall is not None else always()
        self.words: list[int] = []
        self.lasts: list[int] = []
        self.gives: list[int] = []
        self._ready.value = 0
        cycles.add(self._step)

    def clear(self) -> None:
        """Forgets what was recorded."""
        self.words.clear()
        self.lasts.clear()
        self.gives.clear()

    def _step(self, cycle: int) -> None:
        if self._cycles.in_reset:
            self._held, self._accepting = None, False
            self._ready.value = 0
            return
        if self._valid():
            word = self._data(), self._last()
            if self._held is not None and word != self._held:
                raise AssertionError(
                    f"{self.name}: word {len(self.words)} changed from {self._held} to {word} "
                    f"before it was taken, at cycle {cycle}"
                )
            self._held = word
            if self._accepting:
                self.words.append(word[0])
                self.lasts.append(word[1])
                self.gives.append(cycle)
                self._held = None
        elif self._held is not None:
            raise AssertionError(
                f"{self.name}: word {len(self.words)} was withdrawn before it was taken, "
                f"at cycle {cycle}"
            )
        self._accepting = next(self.stall)
        self._ready.value = int(self._accepting)


def compare(what: str, got: list[int], expected: list[int], words_per_frame: int = 0) -> None:
    """Raises AssertionError naming the first difference with frame, word, got and expected."""
    for k, (g, e) in enumerate(zip(got, expected, strict=False)):
        if g != e:
            place = f"word {k}"
            if words_per_frame:
                place = f"frame {k // words_per_frame} word {k % words_per_frame}"
            raise AssertionError(f"{what}: {place}: got {g:#x}, expected {e:#x}")
    if len(got) != len(expected):
        raise AssertionError(f"{what}: got {len(got)} words, expected {len(expected)}")


def compare_packets(what: str, sink: StreamSink, packets: Iterable[bytes]) -> None:
    """Every word of 32 bits, and that a packet ends where it must; raises as `compare`."""
    sizes = [(p, len(p) // 4) for p in packets]
    words = [w for p, _ in sizes for (w,) in struct.iter_unpack("<I", p)]
    compare(what, sink.words, words)
    ends = [int(k == size - 1) for _, size in sizes for k in range(size)]
    compare(f"{what}: last", sink.lasts, ends)
