"""`null.Null` with heat maps: slots, ids that are asked for, counters, and an engine."""

from __future__ import annotations

from collections import deque
from dataclasses import replace as replace
from typing import Any

import null
import numpy as np

from exeunt import registers
from exeunt.explain.encode import encode
from exeunt.runtime import maps
from exeunt.runtime.maps import LINEAR, METHODS, HeatMap

SHAPES = ((4, 4, 1), (6, 5, 2), (8, 8, 1))
BUILT = ("saliency", "grad-cam")
SLOTS, ASKED = 3, 2
PLACES = {r.address: r.name for r in registers.EXPLAIN}


def manifest(*, every: int = 0, **options: Any) -> dict[str, Any]:
    """That of `null`, explained."""
    data = null.manifest(**options)
    data["registers"] = registers.to_json(explain=True)
    data["explain"] = {
        "methods": list(BUILT), "bits": 8, "lanes": 8, "slots": SLOTS, "asked": ASKED,
        "every": every, "code": LINEAR, "maps": {m: [list(s) for s in SHAPES] for m in BUILT},
    }  # fmt: skip
    return data


def expected(number: int, class_: int, exit_index: int, method: str) -> HeatMap:
    """The map of a frame."""
    rng = np.random.default_rng((number, METHODS.index(method)))
    values = rng.integers(-9, 10, SHAPES[exit_index]) * (rng.random(SHAPES[exit_index]) < 0.3)
    return HeatMap(values.astype(np.int32), number, exit_index, class_, method, -3, 8)


def decode(packet: bytes) -> HeatMap:
    """The map of a packet."""
    return maps.decode(packet, {(e, m): s for e, s in enumerate(SHAPES) for m in BUILT})


class Mapping(null.Null):
    """Requests are served one a look at the slots, and one a wait for a map."""

    def __init__(self, data: dict[str, Any], **options: Any) -> None:
        self.state = {name: 0 for name in PLACES.values()}
        self.shown = dict(self.state)
        self.below = [registers.NEVER] * 3
        super().__init__(data, **options)
        self.clear()
        self.damage: Any = None  # called with each packet, gives those that come instead
        self.stuck = False
        self.leftover: list[bytes] = []  # of a packet that a reset has cut
        self.most = SLOTS  # slots that may be had
        self.used_most = 0

    def clear(self) -> None:
        self.asked: list[int] = []
        self.used, self.since = 0, 1 << 20
        self.requests: deque[tuple[int, int, int]] = deque()
        self.out: deque[bytes] = deque()
        self.state |= dict.fromkeys(("explained", "explain_missed", "explain_unmet"), 0)

    def read(self, address: int) -> int:
        if address == registers.address("explain_slots"):
            used = self.used
            self.work()
            return used
        name = PLACES.get(address)
        return super().read(address) if name is None else self.shown.get(name, 0)

    def write(self, address: int, value: int) -> None:
        super().write(address, value)
        below = (address - registers.address("explain_below")) // 4
        if address == null.CONTROL:
            if value & 1:
                self.clear()
            self.shown |= self.state
        elif 0 <= below < 3:
            self.below[below] = value - (1 << 32) if value >> 31 else value
        elif address in PLACES:
            name = PLACES[address]
            self.state[name] = self.shown[name] = value
            if name == "explain_forget":
                self.asked.clear()
            if name == "explain_ask":
                if value < self.id or len(self.asked) == ASKED:
                    self.state["explain_unmet"] += 1
                else:
                    self.asked.append(value)

    def work(self) -> None:
        """The engine makes a map, and its slot is free."""
        if self.requests and not self.stuck:
            number, class_, exit_index = self.requests.popleft()
            self.used -= 1
            self.state["explained"] += 1
            packet = encode(expected(number, class_, exit_index, METHODS[self.method]))
            self.out.extend([packet] if self.damage is None else self.damage(packet))

    @property
    def method(self) -> int:
        return self.state["explain_method"]

    def submit(self, frames: np.ndarray, records: int, timeout: float) -> None:
        first = self.id
        super().submit(frames, records, timeout)
        every, wait = self.state["explain_every"] & 0xFFFF, self.state["explain_every"] >> 31
        for k, frame in enumerate(frames):
            turn = every > 0 and self.since >= every - 1
            self.since = 0 if turn else self.since + 1
            asked = first + k in self.asked
            self.asked = [i for i in self.asked if i > first + k]
            if not turn and not asked:
                continue
            while wait and self.used >= self.most > 1 and self.requests:
                self.work()
            if self.used >= self.most:
                self.state["explain_missed"] += 1
                continue
            exit_index, score = int(frame[1]) % 3, int(frame[2])
            limit = self.below[exit_index]
            if asked or limit == registers.NEVER or score < limit:
                self.used += 1
                self.used_most = max(self.used_most, self.used)
                self.requests.append((first + k, int(frame[0]) % 10, exit_index))

    def map(self, timeout: float, between: Any = None) -> bytes | None:
        if self.leftover:
            return self.leftover.pop(0)
        if timeout:
            self.work()
            if not self.out:
                self.seconds += timeout
        return self.out.popleft() if self.out else None

    def now(self) -> float:
        return super().now() + self.seconds
