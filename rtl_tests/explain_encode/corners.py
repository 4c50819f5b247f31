"""Corners of `ex_explain_encode`: bits of a value, tiles of the largest map, every code."""

from lib.bench import Corner, Port

from exeunt.explain.encode import most_bits
from exeunt.runtime.maps import CODES, LINEAR, LOG

HEADER = {"id": 32, "class_id": 16, "exit_index": 8, "method": 4, "exponent": 8, "clipped": 16}


def corner(bits: int, tiles: int, code: str = LINEAR) -> Corner:
    inputs = {**HEADER, "s_valid": 1, "s_data": bits, "s_last": 1, "m_ready": 1}
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


SIZES = ((4, 1), (8, 2), (5, 7), (8, 12), (11, 6), (14, 3))
LOGS = ((8, 3), (4, 6), (9, 5), (14, 2))
CORNERS = [corner(*c) for c in SIZES] + [corner(*c, LOG) for c in LOGS]
