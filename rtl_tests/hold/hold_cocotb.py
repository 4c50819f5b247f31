"""cocotb tests of `ex_hold`: every offset in every cycle, what is counted, what begins anew."""

from __future__ import annotations

import random
from typing import Any

import cocotb
from lib.bench import Corner, bench_corners
from lib.streams import Cycles

from exeunt.hold import COUNTED, LAG, Band, Held, Hold, start
from exeunt.registers import BY_NAME, HOLD, address

SNAPSHOT = BY_NAME["control"].fields["snapshot"].put(1)
ON = BY_NAME["hold"].fields["on"].put(1)
WINDOWS = (LAG, LAG + 1, 16, 37)


class Line:
    """One corner beside its reference, with random events of random odds of a hit."""

    def __init__(self, dut: Any, index: int, corner: Corner, cycles: Cycles) -> None:
        self.name = corner.name
        self.exits, self.bits = (int(corner.parameters[k]) for k in ("EXITS", "HELD"))
        self.port = {p.name: getattr(dut, f"u{index}_{p.name}") for p in corner.ports}
        self.rng = random.Random(index)
        self.most = (1 << (self.bits - 1)) - 1
        self.hold: Hold | None = None  # what is on
        self.given: Hold | None = None  # what was written
        self.held: tuple[Held, ...] = ()
        self.rate, self.odds = 0.0, 0.5  # of events, and of hits among them
        self.changes = [[0, 0] for _ in range(self.exits)]  # before the present windows
        self.shot = [0] * self.exits  # what the last snapshot had of them
        self.events = 0
        self.waits: list[tuple[int, int]] = [(0, 0)]  # whether a result left, and too late
        self._cycles = cycles
        for port in corner.ports:
            if not port.output:
                self.port[port.name].value = 0
        cycles.add(self._step)

    def get(self, name: str) -> int:
        return int(self.port[name].value)

    def offset(self, exit_: int) -> int:
        """The offset on the port, signed."""
        word = self.get("held") >> self.bits * exit_ & (1 << self.bits) - 1
        return word - (1 << self.bits if word >> (self.bits - 1) else 0)

    def _step(self, cycle: int) -> None:
        if self._cycles.in_reset:
            self.hold, self.held, self.waits = None, (), [(0, 0)]
            return
        for e in range(self.exits):
            want = self.held[e].offset if self.held else 0
            got = self.offset(e)
            assert got == want, f"{self.name} cycle {cycle}: exit {e} holds {got}, not {want}"
        late = self.waits.pop(0)
        self.waits.append((self.get("leave"), int(self.get("latency") > self.limit)))
        decide, keep = self.get("decide"), self.get("keep")
        for e, held in enumerate(self.held):
            event, hit = late if self.limit >= 0 else (decide >> e & 1, keep >> e & 1)
            if event:
                held.event(hit)
                self.events += 1
        if self.get("clear"):
            self.waits = [(0, 0)]
            self.forget(changes=True)
            self.held = start(self.hold) if self.hold is not None else ()
        elif self.get("write") and self.get("address") == address("hold"):
            self.forget()
            self.hold = self.given if self.get("wdata") & ON else None
            self.held = start(self.hold) if self.hold is not None else ()
        self._drive()

    @property
    def limit(self) -> int:
        """Of a latency; below 0: a rate is held, or nothing."""
        return -1 if self.hold is None or self.hold.limit is None else self.hold.limit

    def _drive(self) -> None:
        rng = self.rng

        def coins(odds: float) -> int:
            return sum((rng.random() < odds) << e for e in range(self.exits))

        self.port["decide"].value = coins(self.rate)
        self.port["keep"].value = coins(self.odds)
        self.port["leave"].value = int(rng.random() < self.rate)
        limit = max(self.limit, 0)
        late = rng.choice((limit + 1, 0xFFFFFFFF)) if rng.random() < self.odds else limit
        self.port["latency"].value = min(late, 0xFFFFFFFF)

    async def put(self, where: int, value: int) -> None:
        """Write an address."""
        self.port["write"].value = 1
        self.port["address"].value = where
        self.port["wdata"].value = value & 0xFFFFFFFF
        await self._cycles.wait()
        self.port["write"].value = 0

    async def read(self, where: int) -> int:
        """Read an address."""
        self.port["address"].value = where
        await self._cycles.wait(2)
        return self.get("rdata")

    def forget(self, *, changes: bool = False) -> None:
        """Offsets and windows are gone; changes too, or they are kept."""
        for kept, held in zip(self.changes, self.held, strict=False):
            kept[0] += held.raised
            kept[1] += held.lowered
        if changes:
            self.changes = [[0, 0] for _ in range(self.exits)]
            self.shot = [0] * self.exits
        self.held = ()

    async def begin(self, hold: Hold | None) -> None:
        """Set what is held and turn it on, or turn it off."""
        self.given = hold
        for name, exit_, value in hold.writes() if hold is not None else [("hold", 0, 0)]:
            await self.put(address(name, exit_), value)

    def some(self, window: int, *, latency: bool = False) -> Hold:
        """Random bands, with wide and narrow steps and limits."""
        rng, most = self.rng, self.most
        bands = []
        for _ in range(self.exits):
            low = rng.randrange(window + 1)
            high = rng.choice((low, rng.randrange(low, window + 1)))
            step = rng.choice((0, 1, rng.randint(0, most), most))
            floor, ceiling = (rng.choice((0, rng.randint(0, most), most)) for _ in range(2))
            bands.append(Band(low, high, step, -floor, ceiling))
        limit = rng.choice((0, 1000, 0xFFFFFFFE)) if latency else None
        return Hold(window, tuple(bands), limit)


async def lines_of(dut: Any) -> tuple[Cycles, list[Line]]:
    cycles = Cycles(dut.clk, dut.rst)
    lines = [Line(dut, i, c, cycles) for i, c in enumerate(bench_corners())]
    await cycles.reset()
    return cycles, lines


async def counts(line: Line) -> None:
    """The counts of changes and the offsets, as read."""
    line.rate = 0.0
    await line._cycles.wait(12)
    await line.put(address("control"), SNAPSHOT ^ 7)  # anything else
    for e, before in enumerate(line.shot):
        assert await line.read(address("hold_changes", e)) == before, f"{line.name}: no snapshot"
    await line.put(address("control"), SNAPSHOT)
    for e in range(line.exits):
        up, down = line.changes[e]
        if line.held:
            up, down = up + line.held[e].raised, down + line.held[e].lowered
        want = down % COUNTED << 16 | up % COUNTED
        got = await line.read(address("hold_changes", e))
        assert got == want, f"{line.name}: exit {e} counts {got:#x}, not {want:#x}"
        line.shot[e] = want
        want = line.held[e].offset & 0xFFFFFFFF if line.held else 0
        got = await line.read(address("hold_offset", e))
        assert got == want, f"{line.name}: exit {e} reads {got:#x}, not {want:#x}"


@cocotb.test()
async def every_offset(dut: Any) -> None:
    """Windows x rates of events, for rates and latencies: each offset in the cycle it is due."""
    cycles, lines = await lines_of(dut)
    for line in lines:
        turned = 0
        for k, window in enumerate(WINDOWS * 2):
            await line.begin(line.some(window, latency=k >= len(WINDOWS)))
            for rate, odds in ((1.0, 0.9), (1.0, 0.1), (0.5, 0.5), (0.2, 0.95), (0.9, 0.0)):
                line.rate, line.odds = rate, odds
                await cycles.wait(int(2.5 * window / rate) + line.rng.randrange(window))
            await counts(line)
            turned += sum(h.raised + h.lowered for h in line.held)
        assert turned > 6, f"{line.name}: offsets changed only {turned} times"
        await line.begin(Hold(8, (Band(0, 0, 1, -1, 1),) * line.exits))
        await line.begin(None)
        line.rate = line.odds = 1.0  # off, so nothing counts
        await cycles.wait(40)
        line.rate = 0.0
    assert min(line.events for line in lines) > 1000


@cocotb.test()
async def begins_anew(dut: Any) -> None:
    """Writing the register, a clear and rst forget offset and window in the middle of one."""
    cycles, lines = await lines_of(dut)
    for line in lines:
        for latency, high in ((None, 5), (77, 5), (None, 8), (77, 8)):  # of 8, all of them hits
            band = Band(min(high, 3), high, 1, -line.most, line.most)
            hold = Hold(8, (band,) * line.exits, latency)
            await line.begin(hold)
            for n, events in enumerate((19, 7, 16, 13, 15)):
                line.rate, line.odds = 1.0, 1.0
                await cycles.wait(events)
                line.rate = 0.0
                if n % 2:
                    line.rate = 1.0  # a result leaves in this cycle
                    await cycles.wait(2)
                    line.port["clear"].value = 1
                    await cycles.wait()
                    line.port["clear"].value = 0
                else:
                    await line.begin(hold)
            line.rate = 1.0
            await cycles.wait(40)
            await counts(line)
            assert all(bool(h.lowered) == (high < 8) for h in line.held), line.name
        line.rate = 0.0
        await line.begin(None)


@cocotb.test()
async def registers(dut: Any) -> None:
    """Reset values, what reads back, and what is no register of it."""
    cycles, lines = await lines_of(dut)
    mine = {
        address(r.name, e) for r in HOLD for e in range(7 if r.per_exit else 1) if "r" in r.access
    }
    for line in lines:
        rng = random.Random(line.name)
        line.rate = 1.0  # while it is off nothing counts
        for where in [*mine, *rng.sample(range(1 << 12), 100)]:
            got = await line.read(where)
            assert got == 0, f"{line.name}: {where:#x} reads {got:#x} after a reset"
        await line.begin(Hold(16, (Band(0, 16, 1, 0, 0),) * line.exits))
        assert await line.read(address("hold")) == ON
        await line.begin(Hold(16, (Band(0, 16, 1, 0, 0),) * line.exits, 5))
        assert await line.read(address("hold")) == ON | BY_NAME["hold"].fields["latency"].put(1)
        for name in ("hold_offset", "hold_changes", "control"):
            await line.put(address(name), 0xFFFFFFFF ^ SNAPSHOT)
        assert await line.read(address("hold_offset")) == 0
        assert await line.read(address("hold_changes")) == 0
    await cycles.reset()
    for line in lines:
        assert await line.read(address("hold")) == 0, f"{line.name}: rst leaves it on"
