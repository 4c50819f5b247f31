"""cocotb test of ex_map_ring: every output of every cycle, against what its header says."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import cocotb
from serial_blocks.drivers import Block, begin


class Model:
    """A ring of pieces, numbered without a wrap, a cycle at a time."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.current: int | None = None  # number of the piece that is read, of this life
        self.seen: Counter[str] = Counter()
        self.clear()

    def clear(self) -> None:
        self.pieces: list[tuple[bytes, bool]] = []  # all that were stored
        self.first = self.shown = 0
        self.words: list[int] = []
        self.filling = False
        self.current = None

    @property
    def full(self) -> bool:
        return len(self.pieces) - self.first == self.size

    def number(self, seq: int) -> int:
        """The number that a wrapped one means."""
        return self.first + (seq - self.first) % 256

    def known(self, seq: int) -> bool:
        return self.number(seq) <= len(self.pieces)

    def byte(self, index: int) -> int | None:
        """What is read; None: the piece is not kept any more."""
        if self.current is None or self.current < self.first:
            return None
        return self.pieces[self.current][0][index]

    def step(self, given: dict[str, int], data: int, last: int) -> None:
        """A clock edge; `given`: the inputs of one bit, and seq."""
        goes, seq = given["flush"] or given["hello"], given["seq"]
        passes = given["taken"] and self.known(seq)
        if given["take"]:
            self.current = self.shown
            self.shown += 1
        if passes:
            number = self.number(seq)
            self.seen["beyond"] += number > self.shown
            self.seen["back"] += bool(given["again"]) and number < self.shown
            self.seen["kept"] += number < len(self.pieces)
            self.shown = number if given["again"] else max(self.shown, number)
        room = not self.full
        self.seen["full"] += not room
        if room and (self.filling or given["s_valid"]):
            self.words.append(0 if self.filling else data)
            ends = self.filling or bool(last)
            self.seen["fill"] += self.filling
            self.filling = ends and len(self.words) < 4
            if len(self.words) == 4:
                raw = b"".join(w.to_bytes(4, "little") for w in self.words)
                self.pieces.append((raw, ends))
                self.words.clear()
        if passes:
            self.first = number
        if goes:
            self.seen["half"] += bool(self.words)
            self.seen["flush" if given["flush"] else "hello"] += 1
            self.clear()


async def run(
    cycles: Any, block: Block, rng: random.Random, pace: dict[str, float]
) -> Counter[str]:
    """Random inputs for some thousand cycles; `pace`: how often each comes."""
    model = Model(block.parameter("PIECES"))
    offered: tuple[int, int] | None = None
    want: int | None = None
    flushing = 0
    for cycle in range(3000):
        if offered is None and rng.random() < pace["word"]:
            offered = rng.getrandbits(32), int(rng.random() < 0.2)
        if not flushing and rng.random() < pace["flush"]:
            flushing = rng.randrange(1, 9)
        seq = model.first + rng.randrange(-1, len(model.pieces) - model.first + 3)
        if rng.random() < 0.2:
            seq = rng.randrange(256)
        given = {
            "s_valid": int(offered is not None),
            "flush": int(flushing > 0),
            "hello": int(rng.random() < pace["flush"]),
            "taken": int(rng.random() < pace["taken"]),
            "again": 0,
            "take": int(model.shown < len(model.pieces) and rng.random() < pace["take"]),
            "seq": seq % 256,
        }
        given["again"] = given["taken"] and int(rng.random() < 0.3)
        flushing = max(0, flushing - 1)
        data, last = offered or (rng.getrandbits(32), 1)
        index = rng.randrange(16)
        for name, value in {**given, "s_data": data, "s_last": last, "m_index": index}.items():
            block[name].value = value
        await cycles.wait(1)
        ready = bool(given["flush"]) or not (model.full or model.filling)
        shown = {
            "s_ready": int(ready),
            "known": int(model.known(given["seq"])),
            "m_valid": int(model.shown < len(model.pieces)),
            "m_seq": model.shown % 256,
        }
        found = {name: block.get(name) for name in shown}
        assert found == shown, f"{block.name}, cycle {cycle}: {found}, expected {shown}"
        if want is not None:
            got = block.get("m_data")
            assert got == want, f"{block.name}, cycle {cycle}: byte {got:#x}, expected {want:#x}"
            model.seen["bytes"] += 1
        if model.byte(0) is not None:
            assert model.current is not None
            end = model.pieces[model.current][1]
            assert block.get("m_end") == end, f"{block.name}, cycle {cycle}: m_end is not {end}"
            model.seen["ends"] += end
        want = model.byte(index)
        if ready:
            offered = None if given["s_valid"] else offered
        before = model.current
        model.step(given, data, last)
        if model.current != before and model.byte(0) is None:
            want = None
        model.seen["wraps"] += len(model.pieces) > 256
    for name in ("s_valid", "flush", "hello", "taken", "again", "take"):
        block[name].value = 0
    return model.seen


PACES = {  # how often a word comes, a piece is taken, the host tells of one, all is forgotten
    "full": {"word": 0.9, "take": 0.5, "taken": 0.002, "flush": 0.0},
    "fast": {"word": 1.0, "take": 0.7, "taken": 0.4, "flush": 0.0},
    "idle": {"word": 0.3, "take": 0.2, "taken": 0.1, "flush": 0.01},
}


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def map_ring(dut: Any) -> None:
    """Words in, pieces out, again and again, a full ring, a flush, a HELLO."""
    cycles, blocks = await begin(dut, "ex_map_ring")
    for block in blocks:
        seen: Counter[str] = Counter()
        for name, pace in PACES.items():
            await cycles.reset(2)
            seen += await run(cycles, block, random.Random(f"{block.name}{name}"), pace)
            await cycles.wait(2)
        for what in ("full", "fill", "beyond", "back", "kept", "bytes", "ends", "flush", "hello",
                     "half", "wraps"):  # fmt: skip
            assert seen[what] > 10, f"{block.name}: {what} hardly ever: {seen}"
