"""How far nextpnr is, by the lines of its log: packing, placing, refining the places, routing."""

from __future__ import annotations

import re
from dataclasses import dataclass

PLACING, REFINING, ROUTING = 0.05, 0.55, 0.75  # share of the time that is over before each
_PLACED = re.compile(r"at iteration #(\d+), type ALL")
_REFINED = re.compile(r"at iteration #(\d+): temp")
_ROUTED = re.compile(r"iter=(\d+) wires=\d+ overused=(\d+)")  # of router2, in rounds over all wires
_LEFT = re.compile(r"\d+ \| +\d+ +\d+ \| +\d+ +\d+ \| +(\d+)\|")  # of router1, one by one


@dataclass
class Routing:
    """What the log has said so far."""

    share: float = 0.0
    text: str = "packing"
    conflicts: int = 0  # wires that share a place or have none yet, when routing began

    def read(self, lines: str) -> None:
        """Take new lines of the log in."""
        for line in lines.splitlines():
            placed, refined, routed, left_over = (
                pattern.search(line) for pattern in (_PLACED, _REFINED, _ROUTED, _LEFT)
            )
            if placed:  # the rounds get shorter, and nobody knows how many there will be
                self.share = PLACING + (REFINING - PLACING) * (1 - 0.85 ** int(placed[1]))
                self.text = f"placing, round {placed[1]}"
            elif refined:
                self.share = REFINING + (ROUTING - REFINING) * (1 - 0.85 ** int(refined[1]))
                self.text = f"refining the places, round {refined[1]}"
            elif routed:
                self._route(int(routed[2]))
                self.text = f"routing, round {routed[1]}, {int(routed[2]):,} wires in conflict"
            elif left_over:
                self._route(int(left_over[1]))
                self.text = f"routing, {int(left_over[1]):,} wires to go"

    def _route(self, left: int) -> None:
        """`left` wires are not done; those that are routed anew for the clock change nothing."""
        self.conflicts = max(self.conflicts, left, 1)
        self.share = max(self.share, ROUTING + (1 - ROUTING) * (1 - left / self.conflicts))
