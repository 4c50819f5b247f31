"""Corners of `ex_explain_registers`: one exit, three, eight; addresses from the register map."""

from lib.bench import Corner, Port

from exeunt import registers


def corner(exits: int, slots: int, method: int) -> Corner:
    inputs = {
        "clear": 1, "write": 1, "address": 12, "wdata": 32, "explained": 32, "missed": 32,
        "unmet": 32, "used": slots,
    }  # fmt: skip
    outputs = {
        "rdata": 32, "every": 16, "waits": 1, "method": 4, "below": 32 * exits, "ask": 1,
        "ask_id": 32, "forget": 1,
    }  # fmt: skip
    return Corner(
        name=f"exits{exits}_slots{slots}",
        module="ex_explain_registers",
        parameters={
            "EXITS": exits,
            "SLOTS": slots,
            "METHOD": method,
            "A_CONTROL": registers.address("control"),
            **registers.explain_parameters(),
        },
        ports=tuple(Port(k, w) for k, w in inputs.items())
        + tuple(Port(k, w, output=True) for k, w in outputs.items()),
    )


CORNERS = [corner(1, 1, 0), corner(3, 2, 1), corner(8, 5, 4)]
