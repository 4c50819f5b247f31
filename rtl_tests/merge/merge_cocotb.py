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
MASK = 0xFFFFFFFF


class Line:
    """One corner; its inputs are bits of vectors, so it drives them itself."""

    def __init__(self, dut: Any, index: int, corner: Corner, cycles: Cycles) -> None:
        self.name = corner.name
        self.n, self.in_flight, self.class_bits, self.score_bits = (
            int(v) for v in corner.parameters.values()
        )
        self.slot_bits = self.in_flight.bit_length() - 1
        self.width = self.slot_bits + self.class_bits + self.score_bits

        def port(name: str) -> Any:
            return getattr(dut, f"u{index}_{name}")

        self.port = port
        self._cycles = cycles
        self.sink = StreamSink(dut, f"u{index}_m", cycles)
        self.queues: list[list[tuple[int, int]]] = [[] for _ in range(self.n)]  # (cycle, word)
        self.puts: list[tuple[int, int]] = []  # frame, its record
        self.slots: dict[int, int] = {}  # place of each frame that was put
        self._putting: int | None = None
        self._valid = 0
        for name in ("s_valid", "skip", "raw", "clear", "order", "batch", "put"):
            port(name).value = 0
        cycles.add(self._step)

    def _step(self, cycle: int) -> None:
        self.port("now").value = cycle + 1
        if self._putting is not None:
            self.slots[self._putting] = int(self.port("put_slot").value)
        self._putting = None
        if self.puts and not self._cycles.in_reset:
            self._putting, record = self.puts.pop(0)
            self.port("put_data").value = record
        self.port("put").value = int(self._putting is not None)
        if self._cycles.in_reset:
            self._valid = 0
        taken = self._valid & int(self.port("s_ready").value)
        valid = data = 0
        for e, queue in enumerate(self.queues):
            if taken >> e & 1:
                queue.pop(0)
            if queue and queue[0][0] <= cycle + 1 and not self._cycles.in_reset:
                valid |= 1 << e
                data |= queue[0][1] << (self.width * e)
        self._valid = valid
        self.port("s_valid").value = valid
        self.port("s_data").value = data

    def enter(self, frame: int, *, stamp: int = 0, flags: int = 0) -> None:
        """The next frame comes inside; flags: bit 0 bad, bit 1 bank, as in its result."""
        bad, bank = flags & 1, flags >> 1
        self.puts.append((frame, frame & MASK | stamp << 32 | bank << 64 | bad << 65))

    def word(self, frame: int, score: int = 0, winner: int = 0) -> int:
        """Its result, as an exit gives it, once it was put."""
        mask = (1 << self.score_bits) - 1
        return self.slots[frame] | (winner | (score & mask) << self.class_bits) << self.slot_bits

    def results(self, rng: np.random.Generator, count: int) -> list[tuple[int, int]]:
        """Scores and classes from the whole range."""
        high = 1 << (self.score_bits - 1)
        scores = rng.integers(-high, high, count)
        return list(
            zip(scores.tolist(), rng.integers(0, 1 << self.class_bits, count).tolist(), strict=True)
        )


def pauses(probability: float, count: int, rng: np.random.Generator) -> np.ndarray:
    return np.cumsum((rng.random(count) < probability) * rng.integers(1, 9, count))


async def entered(lines: list[Line], cycles: Cycles) -> None:
    """Until all frames that were to be put are."""
    await cycles.until(lambda: not any(line.puts for line in lines), 1200, "places")
    await cycles.wait(1)


@cocotb.test()
async def exact(dut: Any) -> None:
    """Arrival and input order, idles x stalls, batches: words, last, latency and cycles."""
    cycles = Cycles(dut.clk, dut.rst)
    lines = [Line(dut, i, c, cycles) for i, c in enumerate(bench_corners())]
    await cycles.reset()
    scenarios = [
        (order, idle, stall, batch)
        for order in (0, 1)
        for idle, stall, batch in (
            (0.0, 0.0, 0), (0.5, 0.0, 5), (0.0, 0.5, 1), (0.5, 0.5, 48), (0.2, 0.9, 7),
        )
    ]  # fmt: skip
    for seed, (order, idle, stall, batch) in enumerate(scenarios):
        rng = np.random.default_rng(seed)
        checks = []
        told = []
        for line in lines:
            line.port("order").value = order
            frames = min(FRAMES, line.in_flight)  # all may wait inside at once
            stamps = rng.integers(0, 1 << 32, frames).tolist()
            flags = rng.integers(0, 4, frames).tolist()
            told.append((frames, stamps, flags))
            for i in range(frames):
                line.enter(i, stamp=stamps[i], flags=flags[i])
        await entered(lines, cycles)
        base = cycles.now + 3
        for line, (frames, stamps, flags) in zip(lines, told, strict=True):
            exits = rng.integers(0, line.n, frames)
            lists = [np.flatnonzero(exits == e) for e in range(line.n)]
            offered = [base + pauses(idle, len(x), rng) for x in lists]
            ready = base + pauses(stall, frames, rng)
            fields = line.results(rng, frames)
            for e, ids in enumerate(lists):
                for k, i in enumerate(ids.tolist()):
                    line.queues[e].append((int(offered[e][k]), line.word(i, *fields[i])))
            line.port("batch").value = batch
            line.sink.clear()
            line.sink.stall = from_cycles(cycles, ready.tolist(), line.sink.gives)
            source, loads, gives = merge_times(offered, ids=lists if order else None, ready=ready)
            words = []
            ids = [int(lists[e][k]) for e, k in source]
            for i, load in zip(ids, loads.tolist(), strict=True):
                score, winner = fields[i]
                latency = (load - stamps[i]) & MASK
                high = winner | int(exits[i]) << 16 | flags[i] << 24
                words.append(i | (score & MASK) << 32 | latency << 64 | high << 96)
            if order:
                assert ids == sorted(ids), "the reference must keep the input order"
            lasts = [int(batch > 0 and (k + 1) % batch == 0) for k in range(frames)]
            checks.append((words, lasts, gives.tolist()))
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
        await cycles.reset()  # batches and ids start anew


@cocotb.test()
async def places_go_round(dut: Any) -> None:
    """Both orders by turns, many times through the memory, raw frames between: records are kept."""
    cycles = Cycles(dut.clk, dut.rst)
    lines = [Line(dut, i, c, cycles) for i, c in enumerate(bench_corners())]
    await cycles.reset()
    rng = np.random.default_rng(0)
    sent = [0] * len(lines)
    # three frames in input order give back too few places for those in arrival order behind them
    for order, rounds, most in (
        *((0, 9, 16), (0, 5, 16), (1, 5, 16), (0, 3, 16), (1, 1, 3), (0, 3, 16), (1, 1, 16)),
        *((0, 14, 16), (1, 14, 16)),
    ):
        for line in lines:
            line.port("raw").value = 1
        await cycles.wait(2)
        for k, line in enumerate(lines):  # frames that leave another way, one after the other
            line.enter(sent[k])
            sent[k] += 1
        await entered(lines, cycles)
        for line in lines:
            line.port("skip").value = 1
        await cycles.wait(1)
        for line in lines:
            line.port("skip").value = 0
            line.port("raw").value = 0
            line.port("order").value = order
        await cycles.wait(1)
        want: list[list[int]] = [[] for _ in lines]
        inside: list[list[int]] = [[] for _ in lines]
        for line in lines:
            line.sink.clear()
        for turn in range(rounds):
            for k, line in enumerate(lines):
                for _ in range(min(line.in_flight, most) - len(inside[k])):  # all there is room for
                    line.enter(sent[k], stamp=sent[k] * 7, flags=sent[k] % 4)
                    inside[k].append(sent[k])
                    sent[k] += 1
            await entered(lines, cycles)
            for k, line in enumerate(lines):
                # in arrival order some stay inside for long
                leave = (
                    inside[k] if order or turn + 1 == rounds else inside[k][:1] + inside[k][2::2]
                )
                going = rng.permutation(leave).tolist()
                inside[k] = [i for i in inside[k] if i not in going]
                want[k] += sorted(going) if order else going
                line.queues[-1] += [(0, line.word(i)) for i in going]
            await cycles.until(
                lambda: all(len(x.sink.words) == len(w) for x, w in zip(lines, want, strict=True)),  # noqa: B023 - awaited in the same round
                400,
                "results",
            )
        for line, ids in zip(lines, want, strict=True):
            got = [(w & MASK, w >> 120) for w in line.sink.words]
            compare(f"{line.name}, order {order}", got, [(i, i % 4) for i in ids])


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
        for k in range(sent, sent + count):  # one after the other
            for line in lines:
                line.enter(k)
            await entered(lines, cycles)
            for line in lines:
                line.queues[-1].append((0, line.word(k)))
            await cycles.until(
                lambda: all(len(x.sink.words) == k + 1 for x in lines),  # noqa: B023 - awaited at once
                60,
                f"results in batches of {batch}",
            )
        sent += count
    for line in lines:
        compare(f"{line.name}: last", line.sink.lasts, lasts)


@cocotb.test()
async def reset_empties(dut: Any) -> None:
    """Results that wait for their turn are gone after a reset, and the next id is 0."""
    cycles = Cycles(dut.clk, dut.rst)
    lines = [Line(dut, i, c, cycles) for i, c in enumerate(bench_corners())]
    await cycles.reset()
    for again in (False, True):
        for line in lines:
            line.port("order").value = 1
            line.enter(0)
            line.enter(1)
        await entered(lines, cycles)
        for line in lines:
            line.queues[0].append((0, line.word(int(not again))))
        await cycles.wait(8)
        for line in lines:
            ids = [w & MASK for w in line.sink.words]
            assert ids == [0] * again, f"{line.name}: {ids} left before id 0 was there"
        if not again:
            await cycles.reset()


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
            for k in range(1 + behind):
                line.enter(k, stamp=7)
        await entered(lines, cycles)
        for line in lines:
            line.queues[0] += [(0, line.word(k)) for k in range(1 + behind)]
        await cycles.wait(6)
        words = [int(line.port("m_data").value) for line in lines]
        for line in lines:
            line.port("clear").value = 1
            line.queues[0].clear()
            line.queues[0] += [(0, line.word(0, 1, 1))] * 3  # not before the end of the clear
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
            line.enter(0)
            line.enter(1)
        await entered(lines, cycles)
        for line in lines:
            line.queues[0] += [(0, line.word(0)), (0, line.word(1))]
        await cycles.wait(8)
        for line in lines:
            ids = [w & MASK for w in line.sink.words]
            compare(f"{line.name}, order {order}: after a clear", ids, [0, 1])
            compare(f"{line.name}, order {order}: last", line.sink.lasts, [0, 1])
        await cycles.reset()
