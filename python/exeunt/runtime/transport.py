"""What carries frames, results and register accesses between the driver and an accelerator.

A transport moves whole transfers: `submit` starts one, `collect` waits for the results of the
oldest. Times are in its `unit`, seconds on a board, cycles in simulation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from exeunt.errors import ToolError

Bytes = npt.NDArray[np.uint8]

RECORD_BYTES = 16
NOTHING: Bytes = np.zeros((0, RECORD_BYTES), np.uint8)


def alone() -> None:
    """Nobody else uses the transport while it waits."""


class TransferError(ToolError):
    """A transfer or a register access did not succeed.

    `partial`: uint8 (K, 16), records of the oldest transfer that did come, in any order.
    """

    def __init__(self, text: str, partial: Bytes = NOTHING) -> None:
        super().__init__(text)
        self.partial = partial


class TransferFault(TransferError):
    """The carrier failed: a DMA error, a packet of the wrong length, a cable without an end."""


class TransferTimeout(TransferError):
    """Something did not happen in time; `stage`: "input", "results", "register" or "maps"."""

    def __init__(self, text: str, stage: str, partial: Bytes = NOTHING) -> None:
        super().__init__(text, partial)
        self.stage = stage


class Transport(Protocol):
    """One accelerator as the driver reaches it.

    `unit`: "s" or "cycles", of every time here.
    `beat_bytes`: bytes of an input beat in what `submit` gets, at least ceil(width / 8).
    `capacity`: most bytes that one `submit` may carry, at least one frame.
    `depth`: most transfers that may be submitted and not collected.
    `map` is called only for accelerators with explanations, and not if there is an attribute
    `carries_maps` that is False.

    Of several threads one is in a transport at a time. Where a method waits it calls `between` now
    and then: in it other threads may read and write registers, and collect the transfer that is
    waited for. What `between` raises ends the wait and leaves the transport as it is.
    """

    @property
    def unit(self) -> str: ...  # noqa: D102

    @property
    def beat_bytes(self) -> int: ...  # noqa: D102

    @property
    def capacity(self) -> int: ...  # noqa: D102

    @property
    def depth(self) -> int: ...  # noqa: D102

    def read(self, address: int) -> int:
        """The 32-bit register at a byte address."""
        ...

    def write(self, address: int, value: int) -> None:
        """Write a 32-bit register."""
        ...

    def ready(self, timeout: float, between: Callable[[], None] = alone) -> None:
        """Wait until the input side has sent all that was submitted; only called for depth > 1.

        Raises:
            TransferTimeout: of stage "input", the earlier transfer is not taken.
            TransferFault: the carrier failed.
        """
        ...

    def submit(self, frames: Bytes, records: int, timeout: float) -> None:
        """Start to send whole frames and to receive their records; all before them is sent.

        Args:
            frames: uint8 (N, words * beat_bytes); the caller may reuse it after the return.
            records: 16-byte records that will come back for them.
            timeout: how long the transfer may take, for a carrier that sends before it returns.

        Raises:
            TransferTimeout: of stage "input", the frames are not taken.
            TransferFault: the carrier failed.
        """
        ...

    def collect(self, timeout: float, between: Callable[[], None] = alone) -> Bytes:
        """All records of the oldest transfer, uint8 (records, 16), in any order.

        Raises:
            TransferTimeout: of stage "input" or "results"; `partial` has what came.
            TransferFault: the carrier failed, or the transfer ended early.
        """
        ...

    def map(self, timeout: float, between: Callable[[], None] = alone) -> bytes | None:
        """The oldest packet of a heat map that came since `start`, up to the end that it was given.

        None: none came within `timeout`; 0 does not wait. Maps come beside the results, and none is
        lost because nobody asks: then the accelerator keeps them, and makes no more.

        Raises:
            TransferFault: the carrier failed.
        """
        ...

    def stop(self) -> None:
        """Abort everything under way and forget what comes late; register accesses still work."""
        ...

    def drain(self) -> None:
        """Take what the accelerator still has on offer, and forget it, until `start`."""
        ...

    def start(self) -> None:
        """Be ready for transfers again; the accelerator is empty."""
        ...

    def patience(self, frames: int, cycles: int) -> float:
        """How long a transfer of `frames` frames, `cycles` cycles of the core, may well take."""
        ...

    def now(self) -> float:
        """The time, in `unit`."""
        ...

    def close(self) -> None:
        """Give the device back; a second call does nothing."""
        ...
