"""cocotb tests of `ex_explain_slots`: every output of every cycle, for frames that come and go."""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np
from lib.bench import Corner, bench_corners
from lib.streams import Cycles

from exeunt.explain.slots import Slots

ROUNDS = 1200


class Line:
    """One corner, its reference, and frames: never more inside than may be."""

    def __init__(self, dut: Any, index: int, corner: Corner) -> None:
        self.name = corner.name
        self.slots, self.exits, self.in_flight = (
            int(corner.parameters[k]) for k in ("SLOTS", "EXITS", "IN_FLIGHT")
        )
        self.bits = max(1, (self.slots - 1).bit_length())
        self.port = {p.name: getattr(dut, f"u{index}_{p.name}") for p in corner.ports}
        self.rng = np.random.default_rng(index)
        self.seen = {"kept": 0, "missed": 0, "left": 0}
        self.clear()

    def clear(self) -> None:
        """As behind a reset."""
        self.model = Slots(self.slots, self.exits)
        self.want: dict[str, int] = {}
        for name in ("enter", "want", "decide", "take", "explain", "free", "free_slot"):
            self.port[name].value = 0

    def drive(self, busy: float) -> None:
        """Inputs of the next cycle, and what must stand beside them."""
        rng, model, exits = self.rng, self.model, self.exits
        inside = sum(len(q) for q in model.inside)
        enter = bool(inside < self.in_flight and rng.random() < busy)
        want = bool(rng.random() < 0.8)
        decide = [bool(q) and bool(rng.random() < 0.4) for q in model.inside]
        take = [e == exits - 1 or bool(rng.random() < 0.5) for e in range(exits)]
        explain = [bool(x) for x in rng.random(exits) < 0.6]
        ready = sorted(model.engine)
        free = int(rng.choice(ready)) if ready and rng.random() < 0.3 else None
        values = {
            "enter": enter, "want": want, "free": free is not None,
            "free_slot": free if free is not None else rng.integers(self.slots),
        }  # fmt: skip
        for name, bits in (("decide", decide), ("take", take), ("explain", explain)):
            values[name] = sum(int(b) << e for e, b in enumerate(bits))
        for name, value in values.items():
            self.port[name].value = int(value)
        used = sum(int(taken) << i for i, taken in enumerate(model.used))
        found = model.step(
            enter=enter, want=want, explain=explain, free=free,
            take=[t if d else None for d, t in zip(decide, take, strict=True)],
        )  # fmt: skip
        self.want = {"ev_missed": int(found.missed), "used": used, "pass": 0, "left": 0}
        self.rows = (dict(found.passing), dict(found.left))
        for e in found.passing:
            self.want["pass"] |= 1 << e
        for e in found.left:
            self.want["left"] |= 1 << e
        self.seen["missed"] += found.missed
        self.seen["left"] += len(found.left)
        self.seen["kept"] += found.passing.get(0) is not None

    def check(self, cycle: int) -> None:
        """All outputs of the cycle."""
        for name, value in self.want.items():
            got = int(self.port[name].value)
            assert got == value, f"{self.name}: cycle {cycle}: {name} {got:b}, expected {value:b}"
        kept, slots, left = (
            int(self.port[k].value) for k in ("pass_kept", "pass_slot", "left_slot")
        )
        mask = (1 << self.bits) - 1
        for e, slot in self.rows[0].items():
            got_slot = slots >> e * self.bits & mask if kept >> e & 1 else None
            assert got_slot == slot, (
                f"{self.name}: cycle {cycle}: segment {e} has slot {got_slot}, expected {slot}"
            )
        for e, slot in self.rows[1].items():
            got = left >> e * self.bits & mask
            assert got == slot, (
                f"{self.name}: cycle {cycle}: slot {got} left at {e}, expected {slot}"
            )


@cocotb.test()
async def gives(dut: Any) -> None:
    """Few and many frames, and a reset between."""
    cycles = Cycles(dut.clk, dut.rst)
    lines = [Line(dut, i, c) for i, c in enumerate(bench_corners())]
    for busy in (0.3, 0.9, 0.6):
        for line in lines:
            line.clear()
        await cycles.reset()
        await cycles.wait(1)
        for cycle in range(ROUNDS):
            for line in lines:
                line.drive(busy)
            await cycles.wait(1)
            for line in lines:
                line.check(cycle)
    for line in lines:
        assert all(line.seen.values()), f"{line.name}: not all happened: {line.seen}"
