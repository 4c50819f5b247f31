"""The accelerator as its references describe it: a transport without hardware or simulator.

Answers are the integer reference's, cycles the cycle reference's for frames that come without a
pause. Nothing here runs RTL: it is for trying out host code where there is neither a board nor
Verilator, with NumPy alone.

As a board does, it works on a transfer while the host does something else: its registers answer
meanwhile, and its counters move.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from exeunt import criteria, registers
from exeunt import manifest as manifests
from exeunt.errors import InputError
from exeunt.graph import IntArray
from exeunt.packing import unpack
from exeunt.reference import controller, system
from exeunt.reference.prepared import Prepared
from exeunt.rules import NONE
from exeunt.runtime.transport import Bytes, TransferFault, TransferTimeout, alone

FRAMES = 4096
"""Frames a transfer carries."""

PART = 256
"""Frames that are computed together; the counters move behind them."""

POLL_SECONDS = 0.01
"""Longest time that another thread waits for a register while a transfer is computed."""

PATIENCE = 4.0
"""Times the predicted cycles that a transfer may take."""


class Modelled:
    """Answers as the references do, behind the interface of a device.

    Args:
        folder: a run folder, or the network/ folder of a deploy package: manifest.json and
            rtl/params.npz.

    Raises:
        InputError: there is no manifest, or the parameters are missing or not those it recorded.
    """

    unit = "cycles"
    depth = 1
    carries_maps = False

    def __init__(self, folder: str | Path) -> None:
        found = manifests.read(Path(folder), verify=(manifests.PARAMETERS,))
        data = found.data
        accelerator = found.accelerator()
        if accelerator.rules is not None and accelerator.rules.looks:
            raise InputError(
                f"the network {data['name']} must be without further looks for the model to answer "
                "as it does; use the simulated device"
            )
        self._accelerator = accelerator
        self._prepared = Prepared(accelerator)
        self._input = accelerator.segments[0].input
        self._sizes = system.Sizes.of(data)
        built = data["rules"]["unit"] if "rules" in data else {"rules": 0, "tables": 0}
        self._built = int(built["tables"]) << 16 | int(built["rules"]) << 8
        self._exits = len(accelerator.heads)
        self._map: Mapping[str, Any] = data["registers"]
        self._names = {
            entry["address"] + 4 * i: (name, i)
            for name, entry in self._map.items()
            for i in range(self._exits if entry["per_exit"] else 1)
        }
        self._stored = {
            (name, i): int(entry["reset"])
            for name, entry in self._map.items()
            for i in range(self._exits if entry["per_exit"] else 1)
        }
        self._stored["hash", 0] = int(data["design_hash"])
        self._stored["criterion", 0] = criteria.get(accelerator.criterion).code
        for name in ("threshold", "active"):
            self._stored[name, self._exits - 1] = registers.ALWAYS & 0xFFFFFFFF
        self._bank, self._epoch = 0, 0
        self._clock = 0
        self._job: _Job | None = None
        self._last: _Job | None = None  # perhaps still at work, although it was dropped
        self.beat_bytes = -(-self._input.width // 8)
        self.capacity = FRAMES * self._input.words * self.beat_bytes
        self._clear()

    def _clear(self) -> None:
        self._frames = 0
        self._since = self._clock
        self._taken = [0] * self._exits
        rules = self._accelerator.rules
        self._fired = np.zeros(1 if rules is None else len(rules.every) + 1, np.int64)
        self._states: tuple[Any, ...] = ()
        for name in ("frames_in", "frames_out", "in_flight", "bad", "stall", "cycles"):
            self._stored[name, 0] = 0
        for i in range(self._exits):
            self._stored["taken", i] = 0
        self._job = None

    def read(self, address: int) -> int:
        """A register; unknown addresses read zero."""
        name = self._names.get(address)
        if name is None or name[0] == "control":
            return 0
        if name[0] == "status":
            fields = self._map["status"]["fields"]
            values = {"bank": self._bank, "epoch": self._epoch & 0xFF}
            return sum(values.get(field, 0) << low for field, (low, _) in fields.items())
        if name[0] == "rule_fired":
            index = self._stored["rule_at", 0] & 0xFFFF
            return int(self._fired[index]) if index < len(self._fired) else 0
        if name[0] == "rules":
            return self._stored[name] & 1 | self._built
        return self._stored[name]

    def write(self, address: int, value: int) -> None:
        """Store a register, or do what control asks; unknown addresses ignore it."""
        name = self._names.get(address)
        if name is None:
            return
        entry = self._map[name[0]]
        if name[0] == "rule_word":
            raise TransferFault("the model has the rules of its manifest and takes no others")
        if name[0] == "hold" and value & 1:
            raise TransferFault(
                "the model's thresholds stay; use the simulated device to hold a rate"
            )
        if name[0] == "control":
            actions = {field for field, (low, _) in entry["fields"].items() if value >> low & 1}
            if "reset" in actions:
                self._epoch += 1
                self._clear()
            if "commit" in actions:
                self._bank ^= 1
                for i in range(self._exits):
                    self._stored["active", i] = self._stored["threshold", i]
            if "snapshot" in actions:
                self._snapshot()
        elif "w" in entry["access"] and name != ("threshold", self._exits - 1):
            self._stored[name] = value & 0xFFFFFFFF

    def _snapshot(self) -> None:
        taken = list(self._taken)
        if self._job is not None:
            taken = [a + b for a, b in zip(taken, self._job.taken, strict=True)]
        self._stored["frames_in", 0] = self._stored["frames_out", 0] = sum(taken)
        self._stored["cycles", 0] = (self._clock - self._since) & 0xFFFFFFFF
        for i, count in enumerate(taken):
            self._stored["taken", i] = count

    def submit(self, frames: Bytes, records: int, timeout: float) -> None:
        """Begin to compute what the device would answer; see `exeunt.runtime.transport`.

        The frames are under the thresholds that are in force now.
        """
        del records, timeout
        assert self._job is None, "collect() first"
        if self._last is not None:
            self._last.join()
        words = np.asarray(frames, np.uint8).reshape(-1, self.beat_bytes)
        images = unpack(self._input, words).astype(np.uint8)
        active = [self._stored["active", i] for i in range(self._exits)]
        raw, mode = self._map["raw"]["fields"], self._stored["raw", 0]
        enabled = mode >> raw["enable"][0] & 1
        exit_index = min(mode >> raw["exit"][0] & 0xFF, self._exits - 1)
        self._job = self._last = _Job(
            images=images,
            limits=[a - (1 << 32) if a >> 31 else a for a in active],
            criterion=self._accelerator.criterion,
            scales=self._accelerator.logit_scales,
            offsets=self._accelerator.offsets,
            raw=exit_index if enabled else None,
            arrival=self._stored["order", 0] == registers.ORDER_ARRIVAL,
            first=self._frames,
            bank=self._bank,
            taken=[0] * self._exits,
            states=self._states,
            logits=self._logits(),
            cycles=self._cycles,
        )
        self._job.start()

    def _logits(self) -> Callable[[npt.NDArray[np.uint8]], tuple[IntArray, ...]]:
        """What computes logits under the rules that are in force now."""
        rules, fired = self._accelerator.rules, self._fired
        enabled = rules is not None and bool(self._stored["rules", 0] & 1)

        def logits(images: npt.NDArray[np.uint8]) -> tuple[IntArray, ...]:
            which = np.full(len(images), NONE, np.int64)
            if enabled and rules is not None:
                images, which = rules.look(images, 0)
            np.add.at(fired, which - NONE, 1)
            return self._prepared.logits(images, batch=PART)

        return logits

    def _cycles(self, exits: IntArray) -> system.Prediction:
        return system.predict(self._accelerator, exits, sizes=self._sizes, gives=False)

    def collect(self, timeout: float, between: Callable[[], None] = alone) -> Bytes:
        """Records of the oldest transfer, however long they take.

        Raises:
            TransferTimeout: nothing was submitted.
        """
        del timeout
        job = self._job
        if job is None:
            raise TransferTimeout("the model must be given frames first, got none", "results")
        while not job.join(POLL_SECONDS):
            between()
        if self._job is not job:
            raise TransferFault("the model was reset while it answered")
        self._job = None
        answer, spent = job.answer()
        self._frames += len(job.images)
        self._taken = [a + b for a, b in zip(self._taken, job.taken, strict=True)]
        self._states = job.states
        self._clock += spent
        return answer

    def map(self, timeout: float, between: Callable[[], None] = alone) -> bytes | None:
        """None: the model makes no heat maps."""
        del timeout, between
        return None

    def stop(self) -> None:
        """Drop what was not collected."""
        self._job = None

    def drain(self) -> None:
        """Nothing is on offer."""

    def start(self) -> None:
        """Ready again."""

    def patience(self, frames: int, cycles: int) -> float:
        """Cycles that a transfer may take."""
        return PATIENCE * max(cycles, 1) + frames

    def now(self) -> float:
        """Cycles so far, in all transfers together."""
        return float(self._clock)

    def close(self) -> None:
        """Nothing to give back but the thread of a transfer that was dropped."""
        if self._last is not None:
            self._last.join()


@dataclass
class _Job:
    """A transfer that is worked on in a thread: what it met when it was submitted.

    `raw`: the exit whose logits are wanted; `first`: id of its first frame; `taken`: frames that
    left at each exit so far; `states`: what the exits remember of the frames so far.
    """

    images: npt.NDArray[np.uint8]
    limits: list[int]
    criterion: str
    scales: Sequence[float]
    offsets: Sequence[Sequence[int]]
    raw: int | None
    arrival: bool
    first: int
    bank: int
    taken: list[int]
    states: tuple[Any, ...]
    logits: Callable[[npt.NDArray[np.uint8]], tuple[IntArray, ...]]
    cycles: Callable[[IntArray], system.Prediction]
    _thread: threading.Thread = field(init=False)
    _answer: tuple[Bytes, int] | None = None
    _error: BaseException | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="exeunt-model", daemon=True)
        self._thread.start()

    def join(self, timeout: float | None = None) -> bool:
        """Whether the work is done, within `timeout` seconds."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def answer(self) -> tuple[Bytes, int]:
        """The records, and the cycles that they took."""
        if self._error is not None:
            raise self._error
        assert self._answer is not None
        return self._answer

    def _run(self) -> None:
        try:
            self._answer = self._work()
        except BaseException as error:  # told to whoever collects
            self._error = error

    def _work(self) -> tuple[Bytes, int]:
        parts, lefts = [], []
        for at in range(0, len(self.images), PART):
            parts.append(self.logits(self.images[at : at + PART]))
            lefts.append(self._leave(parts[-1]))
            for i in range(len(self.taken)):
                self.taken[i] += int((lefts[-1].exits == i).sum())
        exits, classes, scores = (
            np.concatenate([getattr(left, name) for left in lefts])
            for name in ("exits", "classes", "scores")
        )
        cycles = self.cycles(exits)
        if self.raw is not None:
            beats = controller.raw_beats(np.concatenate([part[self.raw] for part in parts]))
            answer = b"".join(beat.to_bytes(16, "little") for beat in beats)
        else:
            found = controller.Decisions(exits, classes, scores)
            banks = np.full(len(self.images), self.bank)
            table = controller.results(found, first_id=self.first, banks=banks)
            table["latency"] = cycles.reported
            if self.arrival:
                table = table[np.argsort(cycles.results, kind="stable")]
            answer = table.tobytes()
        return np.frombuffer(answer, np.uint8).reshape(-1, 16).copy(), cycles.cycles

    def _leave(self, logits: Sequence[IntArray]) -> criteria.Left:
        """Where the next frames leave: at the exit whose logits are wanted, if there is one."""
        limits = self.limits
        if self.raw is not None:
            logits, limits = logits[: self.raw + 1], [registers.NEVER] * self.raw
        left = criteria.run(
            self.criterion, logits, limits, scales=self.scales, states=self.states,
            offsets=self.offsets,
        )  # fmt: skip
        self.states = left.states
        return left
