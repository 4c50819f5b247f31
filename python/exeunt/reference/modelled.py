"""The accelerator as its references describe it: a transport without hardware or simulator.

Answers are the integer reference's, cycles the cycle reference's for frames that come without a
pause. Nothing here runs RTL: it is for trying out host code where there is neither a board nor
Verilator, with NumPy alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from exeunt import manifest as manifests
from exeunt import registers
from exeunt.graph import IntArray
from exeunt.packing import unpack
from exeunt.reference import controller, system
from exeunt.reference.prepared import Prepared
from exeunt.runtime.transport import TransferTimeout

Bytes = npt.NDArray[np.uint8]

FRAMES = 4096
"""Frames a transfer carries."""

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

    def __init__(self, folder: str | Path) -> None:
        found = manifests.read(Path(folder), verify=(manifests.PARAMETERS,))
        data = found.data
        accelerator = found.accelerator()
        self._accelerator = accelerator
        self._prepared = Prepared(accelerator)
        self._input = accelerator.segments[0].input
        self._sizes = system.Sizes(
            buffers=tuple(data["buffers"]),
            verdicts=int(data["decision_depth"]),
            in_flight=int(data["in_flight"]),
            entries=tuple(data["entries"]),
        )
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
        for name in ("threshold", "active"):
            self._stored[name, self._exits - 1] = registers.ALWAYS & 0xFFFFFFFF
        self._bank, self._epoch = 0, 0
        self._clock = 0
        self._waiting: deque[Bytes] = deque()
        self.beat_bytes = -(-self._input.width // 8)
        self.capacity = FRAMES * self._input.words * self.beat_bytes
        self._clear()

    def _clear(self) -> None:
        self._frames = 0
        self._since = self._clock
        self._taken = [0] * self._exits
        for name in ("frames_in", "frames_out", "in_flight", "bad", "stall", "cycles"):
            self._stored[name, 0] = 0
        for i in range(self._exits):
            self._stored["taken", i] = 0
        self._waiting.clear()

    def read(self, address: int) -> int:
        """A register; unknown addresses read zero."""
        name = self._names.get(address)
        if name is None or name[0] == "control":
            return 0
        if name[0] == "status":
            fields = self._map["status"]["fields"]
            values = {"bank": self._bank, "epoch": self._epoch & 0xFF}
            return sum(values.get(field, 0) << low for field, (low, _) in fields.items())
        return self._stored[name]

    def write(self, address: int, value: int) -> None:
        """Store a register, or do what control asks; unknown addresses ignore it."""
        name = self._names.get(address)
        if name is None:
            return
        entry = self._map[name[0]]
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
        self._stored["frames_in", 0] = self._stored["frames_out", 0] = self._frames
        self._stored["cycles", 0] = (self._clock - self._since) & 0xFFFFFFFF
        for i, count in enumerate(self._taken):
            self._stored["taken", i] = count

    def submit(self, frames: Bytes, records: int, timeout: float) -> None:
        """Compute what the device would answer; see `exeunt.runtime.transport`."""
        del records, timeout
        words = np.asarray(frames, np.uint8).reshape(-1, self.beat_bytes)
        images = unpack(self._input, words)
        logits = self._prepared.logits(images.astype(np.uint8), batch=256)
        raw = self._map["raw"]["fields"]
        mode = self._stored["raw", 0]
        active = [self._stored["active", i] for i in range(self._exits)]
        limits = [a - (1 << 32) if a >> 31 else a for a in active]
        found = controller.decide(logits, limits)
        enabled = mode >> raw["enable"][0] & 1
        exit_index = min(mode >> raw["exit"][0] & 0xFF, self._exits - 1)
        exits = np.full_like(found.exits, exit_index) if enabled else found.exits
        cycles = self._cycles(exits)
        if enabled:
            beats = controller.raw_beats(logits[exit_index])
            answer = b"".join(beat.to_bytes(16, "little") for beat in beats)
        else:
            table = controller.results(
                found, first_id=self._frames, banks=np.full(len(images), self._bank)
            )
            table["latency"] = cycles.reported
            if self._stored["order", 0] == registers.ORDER_ARRIVAL:
                table = table[np.argsort(cycles.results, kind="stable")]
            answer = table.tobytes()
        self._frames += len(images)
        for i in range(self._exits):
            self._taken[i] += int((exits == i).sum())
        self._clock += cycles.cycles
        self._waiting.append(np.frombuffer(answer, np.uint8).reshape(-1, 16).copy())

    def _cycles(self, exits: IntArray) -> system.Prediction:
        return system.predict(self._accelerator, exits, sizes=self._sizes, gives=False)

    def collect(self, timeout: float) -> Bytes:
        """Records of the oldest transfer.

        Raises:
            TransferTimeout: nothing was submitted.
        """
        del timeout
        if not self._waiting:
            raise TransferTimeout("the model must be given frames first, got none", "results")
        return self._waiting.popleft()

    def stop(self) -> None:
        """Drop what was not collected."""
        self._waiting.clear()

    def start(self) -> None:
        """Ready again."""

    def patience(self, frames: int, cycles: int) -> float:
        """Cycles that a transfer may take."""
        return PATIENCE * max(cycles, 1) + frames

    def now(self) -> float:
        """Cycles so far, in all transfers together."""
        return float(self._clock)

    def close(self) -> None:
        """Nothing to give back."""
