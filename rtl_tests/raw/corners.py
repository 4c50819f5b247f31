"""Corners of `ex_raw`: number of exits."""

from lib.bench import Corner, Port


def corner(n: int) -> Corner:
    inputs = {"clear": 1, "s_valid": n, "s_data": 32 * n, "s_last": n, "s_bank": n, "m_ready": 1}
    outputs = {"s_ready": n, "m_valid": 1, "m_data": 128, "m_last": 1, "m_bank": 1}
    return Corner(
        name=f"n{n}",
        module="ex_raw",
        parameters={"N": n},
        ports=tuple(Port(k, w) for k, w in inputs.items())
        + tuple(Port(k, w, output=True) for k, w in outputs.items()),
    )


CORNERS = [corner(n) for n in (1, 3, 8)]
