"""Corners of `ex_explain_port`: narrow and wide words."""

from lib.bench import Corner, Port


def corner(width: int) -> Corner:
    inputs = {"clear": 1, "s_valid": 1, "s_data": width, "s_last": 1, "m_ready": 1}
    outputs = {"s_ready": 1, "m_valid": 1, "m_data": width, "m_last": 1}
    return Corner(
        name=f"w{width}",
        module="ex_explain_port",
        parameters={"WIDTH": width},
        ports=tuple(Port(k, w) for k, w in inputs.items())
        + tuple(Port(k, w, output=True) for k, w in outputs.items()),
    )


CORNERS = [corner(w) for w in (1, 32)]
