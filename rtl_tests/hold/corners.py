"""Corners of `ex_hold`: one exit and the most, the narrowest and the widest offsets."""

from lib.bench import Corner, Port

from exeunt import registers


def corner(exits: int, held: int) -> Corner:
    inputs = {
        "clear": 1, "write": 1, "address": 12, "wdata": 32, "decide": exits, "keep": exits,
        "leave": 1, "latency": 32,
    }  # fmt: skip
    outputs = {"rdata": 32, "held": exits * held}
    return Corner(
        name=f"exits{exits}_held{held}",
        module="ex_hold",
        parameters={"EXITS": exits, "HELD": held, **registers.hold_parameters()},
        ports=tuple(Port(k, w) for k, w in inputs.items())
        + tuple(Port(k, w, output=True) for k, w in outputs.items()),
    )


CORNERS = [corner(1, 2), corner(2, 12), corner(3, 30), corner(7, 17)]
