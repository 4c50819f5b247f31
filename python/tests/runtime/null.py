"""A transport without a device: it answers every frame at once, from the frame's first bytes."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import numpy as np

from exeunt import registers
from exeunt.runtime import RESULT
from exeunt.runtime.transport import NOTHING, TransferFault, TransferTimeout

STATUS, FRAMES_IN = registers.address("status"), registers.address("frames_in")
CONTROL, HASH = registers.address("control"), registers.address("hash")
FIELDS = registers.BY_NAME["status"].fields


def manifest(shape=(4, 4, 1), *, bits: int = 8, lanes: int = 1, exits: int = 3) -> dict[str, Any]:
    """What the driver reads of a manifest."""
    words = int(np.prod(shape)) // lanes
    limits = [5] * (exits - 1) + [registers.ALWAYS]
    return {
        "schema": 1,
        "name": "null",
        "design_hash": 0xFEEDF00D,
        "input": {"shape": list(shape), "bits": bits, "signed": False, "lanes": lanes,
                  "words": words, "width": bits * lanes},
        "classes": 10,
        "exits": [{"criterion": "margin", "threshold": t} for t in limits],
        "cycles": {"seg0": {"interval": 16, "last_word": 40}},
        "in_flight": 16,
        "registers": registers.to_json(),
    }  # fmt: skip


class Null:
    """Registers in a dictionary; class, exit and score from the first three bytes of a frame."""

    unit = "s"

    def __init__(self, data: dict[str, Any], *, capacity: int = 1 << 26, depth: int = 2) -> None:
        self.beat_bytes = -(-data["input"]["width"] // 8)
        self.capacity, self.depth = capacity, depth
        self.words = {r.address: r.reset & 0xFFFFFFFF for r in registers.MAP}
        self.words[registers.address("active", 2)] = registers.threshold_word(None)
        self.words[HASH] = data["design_hash"]
        self.id, self.epoch, self.closed = 0, 0, 0
        self.pending: deque[np.ndarray] = deque()
        self.seconds = 0.0  # of the work that a device would do
        self.submits: list[int] = []
        self.wrong: Any = None  # called with the records of each transfer
        self.fault: BaseException | None = None  # of the next collect
        self.dead = False
        self.commit_takes = 0
        self.overtake, self.overtaken = False, 0

    def read(self, address: int) -> int:
        if self.dead:
            raise TransferTimeout("a register was not read within 1 s", "register")
        if address == STATUS:
            pending = self.commit_takes > 0
            self.commit_takes -= pending
            return FIELDS["epoch"].put(self.epoch) | FIELDS["commit_pending"].put(int(pending))
        if address == FRAMES_IN:
            return self.id
        return self.words.get(address, 0)

    def write(self, address: int, value: int) -> None:
        if self.dead:
            raise TransferTimeout("a register was not written within 1 s", "register")
        if address == CONTROL and value & 1:
            self.id, self.epoch = 0, self.epoch + 1
        if address == CONTROL and value & 2:
            for i in range(2):
                at = registers.address("threshold", i)
                self.words[registers.address("active", i)] = self.words.get(at, registers.NEVER)
        self.words[address] = value

    def ready(self, timeout: float, between=None) -> None:
        pass

    def submit(self, frames: np.ndarray, records: int, timeout: float) -> None:
        started = time.perf_counter()
        assert len(self.pending) < self.depth
        self.submits.append(len(frames))
        table = np.zeros(len(frames), RESULT)
        table["id"] = (self.id + np.arange(len(frames))) & 0xFFFFFFFF
        table["class"], table["exit"] = frames[:, 0] % 10, frames[:, 1] % 3
        table["score"] = frames[:, 2]
        self.id = (self.id + len(frames)) & 0xFFFFFFFF
        if self.overtake and self.pending:  # some of these leave with the transfer before
            before = self.pending[-1].reshape(-1).view(RESULT)
            count = min(len(before), len(table)) // 3
            self.overtaken += count
            before[:count], table[:count] = table[:count].copy(), before[:count].copy()
        mixed = table[np.random.default_rng(len(frames)).permutation(len(frames))]
        self.pending.append(mixed.view(np.uint8).reshape(-1, 16))
        self.seconds += time.perf_counter() - started

    def collect(self, timeout: float, between=None) -> np.ndarray:
        if self.fault is not None:
            error, self.fault = self.fault, None
            raise error
        found = self.pending.popleft()
        return found if self.wrong is None else self.wrong(found)

    def stop(self) -> None:
        self.pending.clear()

    def drain(self) -> None:
        assert not self.pending

    def start(self) -> None:
        assert not self.pending

    def patience(self, frames: int, cycles: int) -> float:
        return 0.05

    def now(self) -> float:
        return time.perf_counter()

    def close(self) -> None:
        self.closed += 1


def late(records: np.ndarray = NOTHING, stage: str = "results") -> TransferTimeout:
    return TransferTimeout("results stay out after waiting 0.05 s", stage, records)


def broken(text: str) -> TransferFault:
    return TransferFault(text)
