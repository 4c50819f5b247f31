"""cocotb tests of `ex_again`: what becomes of each token, and in which cycle it is told."""

from __future__ import annotations

import random
from typing import Any

import cocotb
from lib.bench import bench_corners
from lib.streams import Cycles

TOKENS = 400


class Line:
    """One corner with a decision in front of it, which offers a token the cycle after its score."""

    def __init__(self, dut: Any, index: int, who: int, name: str, cycles: Cycles) -> None:
        self.name, self.who, self._cycles = name, who, cycles
        self._dut, self._index = dut, index
        self.rng = random.Random(index)
        self.idle = self.stall = 0.0
        self.done = 0
        self._next: dict[str, int] | None = None  # scored in this cycle
        self._token: dict[str, int] | None = None  # on s in this cycle
        for port in ("off", "decide", "s_valid", "m_ready"):
            self.port(port).value = 0
        cycles.add(self._step)

    def port(self, name: str) -> Any:
        return getattr(self._dut, f"u{self._index}_{name}")

    def got(self, name: str) -> int:
        return int(self.port(name).value)

    def _check(self, ready: bool) -> None:
        token = self._token
        if token is None:
            assert not self.got("again"), f"{self.name}: sent again without a token"
            assert not self.got("verdict_valid"), f"{self.name}: a verdict without a token"
            return
        once_more = int(token["more"] and not token["take"] and not token["off"])
        expected = {
            "m_take": token["take"] | once_more,
            "m_silent": token["silent"] | once_more,
            "verdict_again": once_more,
            "again": once_more & ready,
            "verdict_valid": token["more"] & ready,
            "look": token["look"],
            "verdict_info": token["look"] << self.who | token["who"],
        }
        for name, value in expected.items():
            assert self.got(name) == value, (
                f"{self.name}: token {self.done}: {name}: got {self.got(name)}, expected {value}"
            )

    def _step(self, cycle: int) -> None:
        del cycle
        if self._cycles.in_reset:
            return
        ready = bool(self.got("m_ready"))
        self._check(ready)
        if self._token is not None and ready:
            self._token = None
            self.done += 1
        if self._next is not None:
            assert self._token is None, "the bench decides too early"
            self._token, self._next = self._next, None
        rng = self.rng
        ready = rng.random() >= self.stall
        self.port("m_ready").value = int(ready)
        self.port("s_valid").value = int(self._token is not None)
        if self._token is not None:
            for name in ("take", "silent"):
                self.port(f"s_{name}").value = self._token[name]
            self.port("off").value = self._token["off"]
        free = self._token is None or ready
        score = free and rng.random() >= self.idle
        self.port("decide").value = int(score)
        # at other times info is anything
        info = {
            "more": rng.randrange(2),
            "look": rng.randrange(3),
            "who": rng.randrange(1 << self.who),
        }
        self.port("info").value = (
            info["more"] << self.who + 2 | info["look"] << self.who | info["who"]
        )
        if score:
            token = {"take": rng.randrange(2)}
            token["silent"] = token["take"] & rng.randrange(2)
            self._next = {**info, **token, "off": int(rng.random() < 0.2)}


@cocotb.test()
async def every_token(dut: Any) -> None:
    """Idles x stalls: every kind of token, in every cycle what the header says."""
    cycles = Cycles(dut.clk, dut.rst)
    lines = [
        Line(dut, i, int(c.parameters["WHO_BITS"]), c.name, cycles)
        for i, c in enumerate(bench_corners())
    ]
    await cycles.reset()
    for idle, stall in ((0.0, 0.0), (0.0, 0.5), (0.5, 0.0), (0.4, 0.4)):
        for line in lines:
            line.idle, line.stall = idle, stall
        goal = min(line.done for line in lines) + TOKENS
        await cycles.until(
            lambda goal=goal: all(x.done >= goal for x in lines), 8 * TOKENS, f"{idle} {stall}"
        )
