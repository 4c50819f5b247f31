"""Heat maps on their way: what a design sends, and the packets that have come."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from exeunt.runtime import maps
from exeunt.runtime.transport import Transport, alone

KEY = "explain"
SLOWEST = 64
"""Times the cycles of its image that a map may take, where the manifest does not say."""


@dataclass(frozen=True)
class Built:
    """What an accelerator explains, as its manifest says.

    `methods`: that were built. `slots`: frames that may wait for their maps. `asked`: ids that may
    be asked for at a time. `every`: it explains one image in so many unless told, 0: none.
    `shapes`: (H, W, C) of its maps by exit and method. `cycles`: most that one map takes.
    `packet_bytes`: of the longest map.
    """

    methods: tuple[str, ...]
    slots: int
    asked: int
    every: int
    shapes: Mapping[tuple[int, str], tuple[int, int, int]]
    cycles: int
    packet_bytes: int

    @classmethod
    def of(cls, data: Mapping[str, Any], frame_cycles: int) -> Built:
        """From the manifest's entry; `frame_cycles`: cycles of an image through all parts."""
        shapes = {
            (exit_index, method): (int(h), int(w), int(c))
            for method, exits in data["maps"].items()
            for exit_index, (h, w, c) in enumerate(exits)
        }
        told = [int(n) for row in data.get("cycles", {}).values() for n in row]
        bits, code = int(data["bits"]), str(data["code"])
        return cls(
            methods=tuple(data["methods"]),
            slots=int(data["slots"]),
            asked=int(data["asked"]),
            every=int(data["every"]),
            shapes=shapes,
            cycles=max(told) if told else SLOWEST * frame_cycles,
            packet_bytes=max(maps.most_bytes(shape, bits, code) for shape in shapes.values()),
        )


class Packets:
    """The packets of maps that have come since the last reset and were not fetched.

    `came`: all of them so far.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.begin()

    def begin(self) -> None:
        """The device was reset: of a packet under way two words may still come."""
        self.came = 0
        self._waiting: deque[bytes] = deque()
        self._fresh = True

    def take(self, timeout: float = 0.0, between: Callable[[], None] = alone) -> None:
        """Take what is there, waiting up to `timeout` for a first one.

        Raises:
            TransferError: the carrier failed.
        """
        while (found := self._transport.map(timeout, between)) is not None:
            timeout = 0.0
            rest, self._fresh = self._fresh and len(found) < maps.LEAST, False
            if not rest:
                self._waiting.append(found)
                self.came += 1

    def fetch(self) -> list[bytes]:
        """Those that came since the last call."""
        found = list(self._waiting)
        self._waiting.clear()
        return found
