"""cocotb tests of `ex_merge`: every result once, in order, stamped, in exact cycles."""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np
from lib.bench import Corner, bench_corners
from lib.handles import from_cycles
from lib.streams import Cycles, StreamSink, compare

from exeunt.reference.controller import merge_times

FRAMES = 48
LATENCY = 64  # low bit of the field


class Line:
    """One corner; its inputs are bits of vectors, so it drives them itself."""

    def __init__(self, dut: Any, index: int, corner: Corner, cycles: Cycles) -> None:
        self.name = corner.name
        self.n, self.in_flight = (int(v) for v in corner.parameters.values())

        def port(name: str) -> Any:
            return getattr(dut, f"u{index}_{name}")

        self.port = port
        self._cycles = cycles
        self.sink = StreamSink(dut, f"u{index}_m", cycles)
        self.queues: list[list[tuple[int, int]]] = [[] for _ in range(self.n)]  # (cycle, word)
        self._valid = 0
        port("s_valid").value = 0
        port("skip").value = 0
        port("clear").value = 0
        port("order").value = 0
        port("batch").value = 0
        cycles.add(self._step)

    def _step(self, cycle: int) -> None:
        self.port("now").value = cycle + 1
        if self._cycles.in_reset:
            self._valid = 0
        taken = self._valid & int(self.port("s_ready").value)
        valid = data = 0
        for e, queue in enumerate(self.queues):
            if taken >> e & 1:
                queue.pop(0)
            if queue and queue[0][0] <= cycle + 1 and not self._cycles.in_reset:
                valid |= 1 << e
                data |= queue[0][1] << (128 * e)
        self._valid = valid
        self.port("s_valid").value = valid
        self.port("s_data").value = data


def pauses(probability: float, count: int, rng: np.random.Generator) -> np.ndarray:
    return np.cumsum((rng.random(count) < probability) * rng.integers(1, 9, count))


@cocotb.test()
async def exact(dut: Any) -> None:
    """Arrival and input order, idles x stalls, batches: words, last, latency and cycles."""
    cycles = Cycles(dut.clk, dut.rst)
    lines = [Line(dut, i, c, cycles) for i, c in enumerate(bench_corners())]
    await cycles.reset()
    first = [0] * len(lines)
    scenarios = [
        (order, idle, stall, batch)
        for order in (0, 1)
        for idle, stall, batch in (
            (0.0, 0.0, 0), (0.5, 0.0, 5), (0.0, 0.5, 1), (0.5, 0.5, 48), (0.2, 0.9, 7),
        )
    ]  # fmt: skip
    for seed, (order, idle, stall, batch) in enumerate(scenarios):
        rng = np.random.default_rng(seed)
        base = cycles.now + 3
        checks = []
        for index, line in enumerate(lines):
            frames = min(FRAMES, line.in_flight)  # all may wait inside at once
            exits = rng.integers(0, line.n, frames)
            lists = [np.flatnonzero(exits == e) for e in range(line.n)]
            offered = [base + pauses(idle, len(x), rng) for x in lists]
            ready = base + pauses(stall, frames, rng)
            fields = rng.integers(0, 1 << 32, (frames, 3)).tolist()
            stamps = [f[0] for f in fields]
            for e, ids in enumerate(lists):
                for k, i in enumerate(ids.tolist()):
                    word = (first[index] + i) | fields[i][1] << 32
                    word |= stamps[i] << 64 | fields[i][2] << 96
                    line.queues[e].append((int(offered[e][k]), word))
            line.port("order").value = order
            line.port("batch").value = batch
            line.sink.clear()
            line.sink.stall = from_cycles(cycles, ready.tolist(), line.sink.gives)
            source, loads, gives = merge_times(offered, ids=lists if order else None, ready=ready)
            ids = [int(lists[e][k]) for e, k in source]
            words = []
            for i, load in zip(ids, loads.tolist(), strict=True):
                latency = (load - stamps[i]) & 0xFFFFFFFF
                word = (first[index] + i) | fields[i][1] << 32
                words.append(word | latency << 64 | fields[i][2] << 96)
            if order:
                assert ids == sorted(ids), "the reference must keep the input order"
            lasts = [int(batch > 0 and (k + 1) % batch == 0) for k in range(frames)]
            checks.append((words, lasts, gives.tolist()))
            first[index] += frames
        await cycles.until(
            lambda: all(len(x.sink.words) >= len(c[0]) for x, c in zip(lines, checks, strict=True)),  # noqa: B023 - awaited in the same round
            4000,
            f"results, order {order} idle {idle} stall {stall}",
        )
        await cycles.wait(4)
        for line, (words, lasts, gives) in zip(lines, checks, strict=True):
            what = f"{line.name} order {order} idle {idle} stall {stall} batch {batch}"
            compare(f"{what}: in cycle", line.sink.gives, gives)
            compare(what, line.sink.words, words)
            compare(f"{what}: last", line.sink.lasts, lasts)
        # batches start anew
        for index in range(len(lines)):
            first[index] = 0
        await cycles.reset()


@cocotb.test()
async def ids_wrap_and_skips(dut: Any) -> None:
    """Input order goes round the memory many times; a skipped frame gives up its turn."""
    cycles = Cycles(dut.clk, dut.rst)
    lines = [Line(dut, i, c, cycles) for i, c in enumerate(bench_corners())]
    await cycles.reset()
    for line in lines:
        line.port("order").value = 1
        line.port("skip").value = 1
    await cycles.wait(3)  # three frames leave another way
    for line in lines:
        line.port("skip").value = 0
    rng = np.random.default_rng(0)
    sent = [3] * len(lines)
    for _ in range(30):
        for k, line in enumerate(lines):  # never more than in_flight inside
            window = min(line.in_flight, 8)
            for i in rng.permutation(window).tolist():
                line.queues[int(rng.integers(0, line.n))].append((0, sent[k] + i))
            sent[k] += window
        await cycles.until(
            lambda: all(len(x.sink.words) == n - 3 for x, n in zip(lines, sent, strict=True)),
            400,
            "results in input order",
        )
    for line, n in zip(lines, sent, strict=True):
        compare(line.name, [w & 0xFFFFFFFF for w in line.sink.words], list(range(3, n)))


@cocotb.test()
async def batch_changes(dut: Any) -> None:
    """The batch length in force when a result moves out counts, also below what has left."""
    cycles = Cycles(dut.clk, dut.rst)
    lines = [Line(dut, i, c, cycles) for i, c in enumerate(bench_corners())]
    await cycles.reset()
    sent = 0
    lasts: list[int] = []
    for batch, count, ends in (
        (10, 6, []),
        (3, 5, [0, 3]),  # six have left already: the next one ends the batch
        (0, 4, []),  # never
        (4, 6, [0, 4]),
        (1, 3, [0, 1, 2]),
        (2, 4, [1, 3]),
    ):
        lasts += [int(k in ends) for k in range(count)]
        for line in lines:
            line.port("batch").value = batch
            line.queues[-1].extend((0, sent + k) for k in range(count))
        sent += count
        await cycles.until(
            lambda: all(len(x.sink.words) == sent for x in lines),  # noqa: B023 - awaited at once
            60,
            f"results in batches of {batch}",
        )
    for line in lines:
        compare(f"{line.name}: last", line.sink.lasts, lasts)


@cocotb.test()
async def reset_empties(dut: Any) -> None:
    """Results that wait for their turn are gone after a reset, and the next id is 0."""
    cycles = Cycles(dut.clk, dut.rst)
    lines = [Line(dut, i, c, cycles) for i, c in enumerate(bench_corners())]
    await cycles.reset()
    for line in lines:
        line.port("order").value = 1
        line.queues[0].append((0, 1))
    await cycles.wait(8)
    for line in lines:
        assert not line.sink.words, f"{line.name}: id 1 left before id 0"
    await cycles.reset()
    for line in lines:
        line.queues[0].append((0, 0))
    await cycles.wait(8)
    for line in lines:
        compare(line.name, [w & 0xFFFFFFFF for w in line.sink.words], [0])


@cocotb.test()
async def clear_keeps_the_word_on_offer(dut: Any) -> None:
    """With TREADY low the result on m stays as it is through a clear, and is the last of its time.

    What waits behind it is gone, the batch begins anew, and nothing enters while clear is high.
    """
    cycles = Cycles(dut.clk, dut.rst)
    lines = [Line(dut, i, c, cycles) for i, c in enumerate(bench_corners())]
    await cycles.reset()
    for order, behind in ((0, 1), (1, 1), (0, 0), (1, 0)):
        for line in lines:
            line.port("order").value = order
            line.port("batch").value = 2
            line.sink.clear()
            line.sink.stall = iter([False] * 1000)
            line.queues[0] += [(0, 7 << 64 | k) for k in range(1 + behind)]
        await cycles.wait(6)
        words = [int(line.port("m_data").value) for line in lines]
        for line in lines:
            line.port("clear").value = 1
            line.queues[0].clear()
            line.queues[0] += [(0, 5 << 64 | 5)] * 3  # not before the end of the clear
        await cycles.wait(3)
        for line in lines:
            assert int(line.port("m_valid").value), f"{line.name}: the word on offer is gone"
            line.sink.stall = iter([True] * 1000)
        await cycles.wait(4)
        for line, word in zip(lines, words, strict=True):
            line.queues[0].clear()
            compare(f"{line.name}, order {order}: through a clear", line.sink.words, [word])
            line.sink.clear()
        await cycles.wait(2)
        for line in lines:
            line.port("clear").value = 0
        await cycles.wait(2)
        for line in lines:
            line.queues[0] += [(0, 0), (0, 1)]
        await cycles.wait(8)
        for line in lines:
            ids = [w & 0xFFFFFFFF for w in line.sink.words]
            compare(f"{line.name}, order {order}: after a clear", ids, [0, 1])
            compare(f"{line.name}, order {order}: last", line.sink.lasts, [0, 1])
        await cycles.reset()
