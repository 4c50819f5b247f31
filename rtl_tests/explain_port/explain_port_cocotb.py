"""cocotb tests of `ex_explain_port`: every output of every cycle, over soft resets as well."""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np
from lib.bench import Corner, bench_corners
from lib.streams import Cycles

from exeunt.explain.port import Port, Word

ROUNDS = 1500


class Line:
    """One corner, its reference, and packets that come from an engine which a clear resets."""

    def __init__(self, dut: Any, index: int, corner: Corner) -> None:
        self.name = corner.name
        self.width = int(corner.parameters["WIDTH"])
        self.port = {p.name: getattr(dut, f"u{index}_{p.name}") for p in corner.ports}
        self.rng = np.random.default_rng(index)
        self.seen = {"whole": 0, "cut": 0, "kept": 0, "words": 0}
        self.begin()

    def begin(self) -> None:
        """As behind a reset."""
        self.model = Port()
        self.left = 0  # words of the packet that are to come, 0: the next one begins
        self.word: Word | None = None
        self.clears = 0
        self.drive(0.0, 0.0, 0.0)

    def drive(self, busy: float, taking: float, clearing: float) -> None:
        """Inputs of the next cycle."""
        rng = self.rng
        self.clears = max(0, self.clears - 1)
        if not self.clears and rng.random() < clearing:
            self.clears = int(rng.integers(1, 6))
        if self.clears:
            self.word, self.left = None, 0
        elif self.word is None and rng.random() < busy:
            self.left = self.left or int(rng.integers(1, 6))
            self.word = int(rng.integers(1 << self.width)), self.left == 1
        self.taken = bool(rng.random() < taking)
        data, last = self.word or (int(rng.integers(1 << self.width)), False)
        values = {
            "clear": self.clears > 0, "s_valid": self.word is not None, "s_data": data,
            "s_last": last, "m_ready": self.taken,
        }  # fmt: skip
        for name, value in values.items():
            self.port[name].value = int(value)

    def check(self, cycle: int) -> None:
        """All outputs of the cycle, then the cycle itself."""
        got = {name: int(self.port[name].value) for name in ("s_ready", "m_valid")}
        clear, offer = self.clears > 0, self.model.offer
        taken = self.taken and offer is not None
        ready = self.model.ready(taken=taken, clear=clear)
        want = {"s_ready": int(ready), "m_valid": int(offer is not None)}
        assert got == want, f"{self.name}: cycle {cycle}: {got}, expected {want}"
        if offer is not None:
            word = int(self.port["m_data"].value), bool(int(self.port["m_last"].value))
            assert word == offer, f"{self.name}: cycle {cycle}: word {word}, expected {offer}"
        self.seen["words"] += taken
        self.seen["kept"] += clear and offer is not None and not taken
        self.seen["whole"] += bool(ready and self.word and self.word[1])
        inside = self.model.cutting
        self.model.step(self.word, taken=taken, clear=clear)
        self.seen["cut"] += inside and not self.model.cutting
        if ready and self.word is not None:
            self.left -= 1
            self.word = None


@cocotb.test()
async def whole(dut: Any) -> None:
    """Idle and stalled in all ways; with clears, and with a reset between."""
    cycles = Cycles(dut.clk, dut.rst)
    lines = [Line(dut, i, c) for i, c in enumerate(bench_corners())]
    await cycles.reset()
    await cycles.wait()
    runs = ((1.0, 1.0, 0.0), (0.5, 1.0, 0.0), (1.0, 0.3, 0.0), (0.6, 0.6, 0.05), (1.0, 0.2, 0.1),
            (1.0, 1.0, 0.1))  # fmt: skip
    for number, (busy, taking, clearing) in enumerate(runs):
        for _ in range(ROUNDS):
            for line in lines:
                line.drive(busy, taking, clearing)
            await cycles.wait()
            for line in lines:
                line.check(cycles.now)
        if number == 3:
            for line in lines:
                line.begin()
            await cycles.reset()
            await cycles.wait()
    for line in lines:
        assert min(line.seen.values()) > 50, f"{line.name}: {line.seen}"
