"""cocotb tests of `ex_explain_choose`: every output of every cycle, for frames that come and go.

Slots are given as `ex_explain_slots` gives them, by its reference; the engine takes requests when
it likes, and keeps each slot for a while.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import cocotb
import numpy as np
from lib.bench import Corner, bench_corners
from lib.streams import Cycles

from exeunt.explain.choice import ANY, NONE, Choice
from exeunt.explain.slots import Slots

ROUNDS = 1500
MORE = 2  # frames inside than slots: most have one, so that some leave together


class Line:
    """One corner, its reference, the slots and frames beside it."""

    def __init__(self, dut: Any, index: int, corner: Corner) -> None:
        self.name = corner.name
        names = ("SLOTS", "EXITS", "ASKED", "CLASS_BITS")
        self.slots, self.exits, self.asked, bits = (int(corner.parameters[k]) for k in names)
        self.class_mask = (1 << bits) - 1
        self.slot_bits = max(1, (self.slots - 1).bit_length())
        self.port = {p.name: getattr(dut, f"u{index}_{p.name}") for p in corner.ports}
        self.inputs = [p.name for p in corner.ports if not p.output]
        self.rng = np.random.default_rng(index)
        self.seen: Counter[str] = Counter()
        self.clear()

    def clear(self) -> None:
        """As behind a reset."""
        self.model = Choice(self.asked)
        self.store = Slots(self.slots, self.exits)
        self.waiting = 0  # requests in the queue
        self.engine: set[int] = set()  # slots that the engine works on
        self.first = [65535, 0]  # from a reset on: no turn for a while, then one at once
        self.configure()
        for name in self.inputs:
            self.port[name].value = 0

    def configure(self) -> None:
        """Other settings."""
        rng = self.rng
        some = int(rng.choice((0, 1, 1, 2, 3, 7, 65535)))
        self.every = self.first.pop() if self.first else some
        self.method = int(rng.integers(16))
        self.below = [int(rng.choice((ANY, NONE, -3, 0, 4, 4))) for _ in range(self.exits)]

    def score(self, below: int) -> int:
        """Near a limit, or at the ends."""
        if self.rng.random() < 0.7:
            near = below + int(self.rng.integers(-1, 2))
            return int(np.clip(near, NONE, ANY))
        return int(self.rng.integers(NONE, ANY + 1))

    def drive(self, busy: float, ready: float) -> None:
        """Inputs of the next cycle, and what must stand beside them."""
        rng, model, store, exits = self.rng, self.model, self.store, self.exits
        if rng.random() < 0.02:
            self.configure()
        inside = sum(len(q) for q in store.inside)
        enter = bool(inside < self.slots + MORE and rng.random() < busy)
        want = model.wants(self.every)
        rush = bool(rng.random() < 0.15)  # all exits decide, and all frames leave
        decide = [bool(q) and (rush or bool(rng.random() < 0.3)) for q in store.inside]
        take = [rush or e == exits - 1 or bool(rng.random() < 0.3) for e in range(exits)]
        silent = [bool(x) for x in rng.random(exits) < 0.1]
        scores = [self.score(b) for b in self.below]
        classes = [int(x) & self.class_mask for x in rng.integers(1 << 16, size=exits)]
        held = [q[0] if q else None for q in store.inside]
        explain = [
            None if s is None else model.explains(s, score, below, quiet)
            for s, score, below, quiet in zip(held, scores, self.below, silent, strict=True)
        ]
        free = None
        if self.engine and rng.random() < 0.3:
            free = int(rng.choice(sorted(self.engine)))
            self.engine.discard(free)
        found = store.step(
            enter=enter, want=want, explain=[bool(x) for x in explain], free=free,
            take=[t if d else None for d, t in zip(decide, take, strict=True)],
        )  # fmt: skip
        slot = found.passing.get(0)
        left = {e: (s, classes[e]) for e, s in found.left.items()}
        offer = model.offer
        taken = bool(rng.random() < ready)

        ask = None
        if rng.random() < 0.15:
            near = model.entered + int(rng.integers(-2, 12))
            ask = int(rng.choice((near, near, near, rng.integers(2**32)))) % 2**32
        forget = bool(rng.random() < 0.01)

        slots = [s if s is not None else int(rng.integers(1 << self.slot_bits)) for s in held]
        values = {
            "every": self.every, "method": self.method, "ask": ask is not None,
            "ask_id": ask if ask is not None else model.entered, "forget": forget,
            "enter": enter, "kept": slot is not None or (not enter and rng.random() < 0.5),
            "kept_slot": slot if slot is not None else rng.integers(1 << self.slot_bits),
            "m_ready": taken,
        }  # fmt: skip
        for name, width, items in (
            ("below", 32, self.below), ("silent", 1, silent), ("classes", 16, classes),
            ("scores", 32, scores), ("left", 1, [e in left for e in range(exits)]),
            ("left_slot", self.slot_bits, slots),
        ):  # fmt: skip
            values[name] = sum((int(x) & ((1 << width) - 1)) << e * width
                               for e, x in enumerate(items))  # fmt: skip
        for name, value in values.items():
            self.port[name].value = int(value)

        self.want = {"want": int(want), "m_valid": int(offer is not None),
                     "explained": model.explained, "missed": model.missed,
                     "unmet": model.unmet}  # fmt: skip
        if offer is not None:
            self.want |= {"m_id": offer.id, "m_class": offer.label, "m_exit": offer.exit,
                          "m_method": offer.method, "m_slot": offer.slot}  # fmt: skip
        self.explain = explain
        self._count(enter, want, explain, left, scores)
        self.waiting += len(left)
        self.seen["queue full"] += self.waiting == self.slots
        if taken and offer is not None:
            self.engine.add(offer.slot)
            self.waiting -= 1
        model.step(
            every=self.every, method=self.method, enter=enter, slot=slot, left=left,
            taken=taken and offer is not None, ask=ask, forget=forget,
        )  # fmt: skip

    def _count(
        self,
        enter: bool,
        want: bool,
        explain: list[bool | None],
        left: dict[int, tuple[int, int]],
        scores: list[int],
    ) -> None:
        """What has happened, so that a test in which it does not is no test."""
        seen = self.seen
        seen["wanted"] += enter and want
        seen["asked for alone"] += enter and want and self.every == 0
        seen["not wanted"] += enter and not want
        seen["at its limit"] += any(
            x is not None and s == b for x, s, b in zip(explain, scores, self.below, strict=True)
        )
        seen["chosen"] += len(left)
        seen["not chosen"] += sum(x is False for x in explain)
        if self.exits > 1 and self.slots > 1:
            seen["several at once"] += len(left) > 1

    def check(self, cycle: int) -> None:
        """All outputs of the cycle."""
        for name, value in self.want.items():
            got = int(self.port[name].value)
            assert got == value, f"{self.name}: cycle {cycle}: {name} {got}, expected {value}"
        got = int(self.port["explain"].value)
        for e, x in enumerate(self.explain):
            assert x is None or x == bool(got >> e & 1), (
                f"{self.name}: cycle {cycle}: explain {not x} at exit {e}, expected {x}"
            )


@cocotb.test()
async def chooses(dut: Any) -> None:
    """Few and many frames, an engine that is fast, slow, and stands still, a reset between."""
    cycles = Cycles(dut.clk, dut.rst)
    lines = [Line(dut, i, c) for i, c in enumerate(bench_corners())]
    for busy, ready in ((0.3, 0.5), (0.9, 0.9), (0.9, 0.1), (0.6, 1.0)):
        for line in lines:
            line.clear()
        await cycles.reset()
        await cycles.wait(1)
        for cycle in range(ROUNDS):
            stands = cycle % 300 > 240  # nothing is taken for 60 cycles: the queue fills, and keeps
            for line in lines:
                line.drive(busy, 0.0 if stands else ready)
            await cycles.wait(1)
            for line in lines:
                line.check(cycle)
        for line in lines:
            counts = (line.model.explained, line.model.missed, line.model.unmet)
            assert all(counts), f"{line.name}: not all happened: {counts}"
    for line in lines:
        assert all(line.seen.values()), f"{line.name}: not all happened: {line.seen}"
