"""LUT of the controller on xc7: what tags frames, decides, merges results and keeps count.

As for kernels a sum of parts, with factors fitted to counts (`rtl_tests/cost_control.jsonl`). What
decides at an exit depends on how many logits come at once: it belongs to the folding of the head.
"""

from __future__ import annotations

from collections.abc import Sequence

from exeunt.graph import Stream
from exeunt.kernels.parts.size import lut

MODEL = "control"
IN_FLIGHT = 16  # frames, unless more or fewer are asked for


def parts(*, lanes: Sequence[int], bits: int, in_flight: int = IN_FLIGHT) -> dict[str, float]:
    """The parts of a controller.

    "one": any controller has one, "several": one where there is more than one exit, "further":
    exits beside the first, "beyond": exits beside the first three, "slot": frames in flight,
    "logit": bits of logits that come at once, over all exits.

    Args:
        lanes: logits a beat, of each exit.
        bits: of a logit.
        in_flight: most frames inside.
    """
    return {
        "one": 1.0,
        "several": float(len(lanes) > 1),
        "further": len(lanes) - 1.0,
        "beyond": max(0.0, len(lanes) - 3.0),
        "slot": float(in_flight),
        "logit": float(sum(lanes) * bits),
    }


def decision(logits: Stream) -> int:
    """What an exit decides with, by the margin: the part of it that the lanes of logits ask for."""
    return lut(MODEL, {"logit": float(logits.width)})


def shared(exits: int, in_flight: int = IN_FLIGHT) -> int:
    """Everything else, by the number of exits and the most frames inside."""
    return lut(MODEL, parts(lanes=(1,) * exits, bits=0, in_flight=in_flight))


def whole(logits: Sequence[Stream], in_flight: int = IN_FLIGHT) -> int:
    """The controller of exits with such logits."""
    return shared(len(logits), in_flight) + sum(map(decision, logits))
