"""Quantizers in front of a max pool, with all that keeps their context."""

from __future__ import annotations

from dataclasses import replace

import edges.corners
import threshold.corners
from lib.bench import Corner, Port

from exeunt.explain.program import Route
from exeunt.explain.store import Gather, way_bits

SLOTS = 3


def quantizer(
    name: str, channels: int, lanes: int, size: tuple[int, int], kernel: tuple[int, int], bias: int
) -> Corner:
    """One of 15 levels with the edges of a line; its data are what `ex_threshold` has."""
    plain = threshold.corners.corner(
        name, bits=9, signed=True, levels=15, channels=channels, lanes=lanes, bias=bias, pixels=size
    )
    told = edges.corners.straight(plain)
    height, width = size
    route = Route(0, (*size, channels), kernel, kernel, (0, 0, 0, 0))
    mask = Gather((*size, channels), 1, lanes)
    pooled = Gather((height // kernel[0], width // kernel[1], channels), 1, lanes)
    wide, bits = mask.lanes_of_word, way_bits(kernel) + 1
    inputs = {
        "pass": 1, "pass_kept": 1, "pass_slot": 2, "r_valid": 1, "r_slot": 2,
        "r_address": (mask.words - 1).bit_length(),
        "r_pooled_address": (pooled.words - 1).bit_length(),
    }  # fmt: skip
    outputs = {"r_mask": wide, "r_levels": wide * 4, "r_pooled": wide * bits}
    return replace(
        told,
        name=name,
        module="kept_quantizer",
        parameters={
            **told.parameters, "C": channels, "H": height, "W": width,
            "KH": kernel[0], "KW": kernel[1], "SLOTS": SLOTS,
        },
        ports=tuple(p for p in told.ports if p.name != "m_edge")
        + tuple(Port(k, w) for k, w in inputs.items())
        + tuple(Port(k, w, output=True) for k, w in outputs.items()),
        sleeps=False,
        data=(told, route),
    )  # fmt: skip


CORNERS = [
    quantizer("relu", 8, 4, (6, 4), (2, 2), 0),
    quantizer("signed", 20, 5, (5, 4), (2, 2), -8),
    quantizer("wide", 24, 24, (3, 6), (3, 2), 0),
]
