"""Corners of `ex_explain_encode`: bits of a value, tiles of the largest map."""

from lib.bench import Corner, Port

HEADER = {"id": 32, "class_id": 16, "exit_index": 8, "method": 4, "exponent": 8, "clipped": 16}


def corner(bits: int, tiles: int) -> Corner:
    inputs = {**HEADER, "s_valid": 1, "s_data": bits, "s_last": 1, "m_ready": 1}
    outputs = {"s_ready": 1, "m_valid": 1, "m_data": 32, "m_last": 1}
    return Corner(
        name=f"b{bits}_t{tiles}",
        module="ex_explain_encode",
        parameters={"BITS": bits, "TILES": tiles},
        ports=tuple(Port(k, w) for k, w in inputs.items())
        + tuple(Port(k, w, output=True) for k, w in outputs.items()),
    )


CORNERS = [corner(*c) for c in ((4, 1), (8, 2), (5, 7), (8, 12), (11, 6), (14, 3))]
