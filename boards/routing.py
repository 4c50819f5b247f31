"""How far nextpnr is, by the lines of its log: packing, placing, refining the places, routing."""

from __future__ import annotations

import re
from dataclasses import dataclass

PLACING, REFINING, ROUTING = 0.05, 0.55, 0.75  # share of the time that is over before each
_PLACED = re.compile(r"at iteration #(\d+), type ALL")
_REFINED = re.compile(r"at iteration #(\d+): temp")
_ROUTED = re.compile(r"iter=(\d+) wires=\d+ overused=(\d+)")


@dataclass
class Routing:
    """What the log has said so far."""

    share: float = 0.0
    text: str = "packing"
    conflicts: int = 0  # wires that share a place, when routing began

    def read(self, lines: str) -> None:
        """Take new lines of the log in."""
        for line in lines.splitlines():
            placed, refined, routed = (p.search(line) for p in (_PLACED, _REFINED, _ROUTED))
            if placed:  # the rounds get shorter, and nobody knows how many there will be
                self.share = PLACING + (REFINING - PLACING) * (1 - 0.85 ** int(placed[1]))
                self.text = f"placing, round {placed[1]}"
            elif refined:
                self.share = REFINING + (ROUTING - REFINING) * (1 - 0.85 ** int(refined[1]))
                self.text = f"refining the places, round {refined[1]}"
            elif routed:
                left = int(routed[2])
                self.conflicts = max(self.conflicts, left, 1)
                self.share = ROUTING + (1 - ROUTING) * (1 - left / self.conflicts)
                self.text = f"routing, round {routed[1]}, {left:,} wires in conflict"
