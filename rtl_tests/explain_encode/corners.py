"""Corners of `ex_explain_encode`: bits of a value, tiles of the largest map, every code."""

from dataclasses import replace

from lib.bench import Corner, Port

from exeunt.explain.encode import most_bits
from exeunt.runtime.maps import CODES, LEVELS, LINEAR, LOG

HEADER = {"id": 32, "class_id": 16, "exit_index": 8, "method": 4, "exponent": 8, "clipped": 16}
MEAN = {"s_end": 1, "measure": 1, "absolute": 1, "factor": 8, "shift": 5}


def corner(bits: int, tiles: int, code: str = LINEAR) -> Corner:
    inputs = {**HEADER, **MEAN, "s_valid": 1, "s_data": bits, "s_last": 1, "m_ready": 1}
    outputs = {"s_ready": 1, "m_valid": 1, "m_data": 32, "m_last": 1}
    return Corner(
        name=f"b{bits}_t{tiles}" + "_log" * (code == LOG),
        module="ex_explain_encode",
        parameters={
            "BITS": bits,
            "CODE": CODES.index(code),
            "MOST": most_bits((4, 4, tiles), bits, code),
        },
        ports=tuple(Port(k, w) for k, w in inputs.items())
        + tuple(Port(k, w, output=True) for k, w in outputs.items()),
        data=tiles,
    )


def levels(bits: int, channels: int, pixels: int) -> Corner:
    """Of the code of levels."""
    found = corner(bits, 1)
    return replace(
        found,
        name=f"b{bits}_c{channels}_p{pixels}_levels",
        parameters={
            "BITS": bits,
            "CODE": CODES.index(LEVELS),
            "CHANNELS": channels,
            "MOST": most_bits((1, pixels, channels), bits, LEVELS),
        },
        data=(channels, pixels),
    )


SIZES = ((4, 1), (8, 2), (5, 7), (8, 12), (11, 6), (14, 3))
LOGS = ((8, 3), (4, 6), (9, 5), (14, 2))
CORNERS = [corner(*c) for c in SIZES] + [corner(*c, LOG) for c in LOGS]
CORNERS += [levels(*c) for c in ((8, 3, 40), (4, 1, 1), (9, 16, 9), (13, 1, 17))]
