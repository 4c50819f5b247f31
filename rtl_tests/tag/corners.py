"""Corners of `ex_tag`: one-beat frames, one frame inside, wide beats."""

from lib.bench import Corner, Port


def corner(width: int, frame: int, in_flight: int) -> Corner:
    count = in_flight.bit_length()
    inputs = {
        "now": 32, "bank": 1, "hold": 1, "leave": 1, "leave_bank": 1, "s_valid": 1,
        "s_data": width, "s_last": 1, "m_ready": 1, "meta_ready": 1,
    }  # fmt: skip
    outputs = {
        "s_ready": 1, "m_valid": 1, "m_data": width, "meta_valid": 1, "meta_data": 66,
        "flight0": count, "flight1": count, "ev_accept": 1, "ev_bad": 1, "ev_stall": 1,
    }  # fmt: skip
    return Corner(
        name=f"width{width}_frame{frame}_inflight{in_flight}",
        module="ex_tag",
        parameters={"WIDTH": width, "FRAME": frame, "IN_FLIGHT": in_flight},
        ports=tuple(Port(k, w) for k, w in inputs.items())
        + tuple(Port(k, w, output=True) for k, w in outputs.items()),
    )


CORNERS = [corner(*c) for c in ((8, 1, 4), (8, 7, 4), (1, 2, 1), (33, 5, 16), (16, 20, 8))]
