"""The RTL itself as a device: the compiled Verilator model behind the driver's transport.

A DMA moves whole transfers at the full rate of the streams, TLAST with the last beat; registers are
read and written over the core's register port while the streams go on. Every time is in cycles, and
cycles pass only while somebody waits. For tests the device can be disturbed: `cut`, `hold`,
`reset_after`, `pull_reset_after`.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

import numpy as np

from exeunt import manifest as manifests
from exeunt import registers
from exeunt.errors import InputError
from exeunt.manifest import Manifest
from exeunt.runtime.transport import Bytes, TransferFault, TransferTimeout, alone
from exeunt.simulate import verilator
from exeunt.simulate.dma import MAPPED, RECEIVED, SENT, DmaModel

CAPACITY = (1 << 26) - 1
DEPTH = 2
SPARE_CYCLES = 20_000
CHUNK = 10_000  # cycles that a register access of another thread waits for


_IN_FOLDER = threading.Lock()  # a process has one working folder for all of its threads


class Simulated:
    """A run folder's RTL under Verilator as a transport.

    Args:
        run_folder: holds manifest.json and rtl/.
        cache: where compiled models are kept; `<run folder>/.sim` unless given.
        capacity: most bytes a transfer, as the length register of a DMA limits it.

    Raises:
        InputError: the folder holds no design, or it was changed by hand.
        ToolError: Verilator or g++ is missing or failed.
    """

    unit = "cycles"

    def __init__(
        self, run_folder: str | Path, *, cache: Path | None = None, capacity: int = CAPACITY
    ) -> None:
        self._manifest: Manifest = manifests.read(Path(run_folder))
        stream = self._manifest.data["input"]
        self.beat_bytes = -(-int(stream["width"]) // 8)
        self.capacity = capacity
        self.depth = DEPTH
        frame = int(stream["words"]) * self.beat_bytes
        if capacity < frame:
            raise InputError(
                f"capacity must be at least one frame of {frame} bytes, got {capacity}; raise it."
            )
        cycles = self._manifest.data["cycles"].values()
        self._patience = sum(c["interval"] + c["last_word"] for c in cycles)
        library = verilator.build(self._manifest, cache=cache)
        with _IN_FOLDER:
            here = Path.cwd()
            os.chdir(self._manifest.folder / "rtl")  # where the memory-init files are
            try:
                self.device = DmaModel(library, width=int(stream["width"]))
                self.device.reset()
            finally:
                os.chdir(here)
        self._pending: deque[int] = deque()
        self._maps: deque[bytes] = deque()  # packets that nobody has asked for
        self._cut: int | None = None
        self._open = True

    # ------------------------------------------------------------------ the transport

    def read(self, address: int) -> int:
        """The register at a byte address; one cycle."""
        self._usable()
        return self.device.read(address)

    def write(self, address: int, value: int) -> None:
        """Write a register; one cycle."""
        self._usable()
        self.device.write(address, value)

    def ready(self, timeout: float, between: Callable[[], None] = alone) -> None:
        """Wait until the input side has sent all that was submitted."""
        self._usable()
        if not self._go(timeout, between, sent=True):
            raise TransferTimeout(
                f"{self.device.left} input beats were not taken in after waiting {timeout:g} "
                "cycles",
                "input",
                self.device.received,
            )

    def submit(self, frames: Bytes, records: int, timeout: float) -> None:
        """Send frames, uint8 (N, words * beat_bytes), and receive their records."""
        self._usable()
        assert frames.nbytes <= self.capacity, "more than a transfer carries"
        assert len(self._pending) < DEPTH, "more transfers than the depth"
        assert not self.device.left, "the transfer before is not sent"
        words = np.array(frames).reshape(-1, self.beat_bytes)  # the caller keeps its own
        self.device.send(words, beats=self._cut)
        self._cut = None
        if not self._pending:
            self.device.receive(records)
        self._pending.append(records)

    def collect(self, timeout: float, between: Callable[[], None] = alone) -> Bytes:
        """The records of the oldest transfer, uint8 (records, 16)."""
        self._usable()
        assert self._pending, "nothing was submitted"
        came = self._go(timeout, between, sent=False)
        records = self.device.received
        if not came:
            left = self.device.left
            stage = "input" if left else "results"
            text = f"{left} input beats were not taken in" if left else "results stay out"
            raise TransferTimeout(f"{text} after waiting {timeout:g} cycles", stage, records)
        want = self._pending.popleft()
        if len(records) != want:
            self._pending.appendleft(want)
            raise TransferFault(
                f"TLAST came after {len(records)} of {want} results of a transfer", records
            )
        if self._pending:
            self.device.receive(self._pending[0])
        return records

    def map(self, timeout: float, between: Callable[[], None] = alone) -> bytes | None:
        """The oldest packet of a heat map."""
        self._usable()
        end = self.device.cycle + timeout
        while True:
            self._maps.extend(self.device.packets())
            left = end - self.device.cycle
            if self._maps or left <= 0:
                return self._maps.popleft() if self._maps else None
            self.device.go(int(min(CHUNK, left)) or 1, until=MAPPED)
            between()

    def stop(self) -> None:
        """Reset the DMAs: both transfers and all maps are forgotten."""
        self._usable()
        self.device.stop()
        self._maps.clear()
        self._pending.clear()
        self._cut = None
        self.device.hold()

    def drain(self) -> None:
        """Take what the core has on offer."""
        self._usable()
        self.device.receive(1)
        self.device.open_maps()

    def start(self) -> None:
        """Forget what `drain` took."""
        self._usable()
        self.device.stop()
        self.device.open_maps()

    def patience(self, frames: int, cycles: int) -> float:
        """Three times the cycles of all frames one after another, and some to spare."""
        return float(SPARE_CYCLES + 3 * cycles)

    def now(self) -> float:
        """Cycles since the model was made."""
        return float(self.device.cycle)

    def close(self) -> None:
        """Free the model."""
        if self._open:
            self._open = False
            self.device.close()

    # ------------------------------------------------------------------ disturbances, for tests

    def cut(self, beats: int | None) -> None:
        """The next transfer ends after `beats` beats, with TLAST: of the wrong length."""
        self._cut = beats

    def hold(self, *, input: int = 0, output: int = 0, maps: int = 0) -> None:
        """No beat is offered, no result or word of a map taken, for so many cycles from now."""
        self.device.hold(input=input, output=output, maps=maps)

    def random(
        self, *, idle: float = 0.0, stall: float = 0.0, maps: float = 0.0, seed: int = 0
    ) -> None:
        """A random fraction of the cycles without a new beat, a result or a word of a map."""
        self.device.random(idle=idle, stall=stall, maps=maps, seed=seed)

    def reset_after(self, cycles: int) -> None:
        """Somebody else resets the accelerator softly in `cycles` cycles from now."""
        reset = registers.BY_NAME["control"]
        self.device.disturb(reset.address, reset.fields["reset"].put(1), after=cycles)

    def pull_reset_after(self, cycles: int) -> None:
        """The reset pin is pulled in `cycles` cycles from now: thresholds are lost, too."""
        self.device.pull_reset(after=cycles)

    # ------------------------------------------------------------------ inside

    def _usable(self) -> None:
        if not self._open:
            raise InputError(
                "The simulated device must be open to be used and was closed; make a new Simulated."
            )

    def _go(self, timeout: float, between: Callable[[], None], *, sent: bool) -> bool:
        """Run until all is sent, or the oldest transfer has its results; False: it takes too long.

        It takes too long after `timeout` cycles, and also when nothing moved for so many cycles
        that all frames inside could have passed thrice.
        """
        end = self.device.cycle + timeout
        quiet = SPARE_CYCLES + 3 * self._patience * int(self._manifest.data["in_flight"])
        moved, since = self.device.progress, self.device.cycle
        while not self.device.go(0, until=SENT if sent else RECEIVED):
            left = min(end, since + quiet) - self.device.cycle
            if left <= 0:
                return False
            self.device.go(int(min(CHUNK, left)), until=SENT if sent else RECEIVED)
            if self.device.progress != moved:
                moved, since = self.device.progress, self.device.cycle
            between()
        return True
