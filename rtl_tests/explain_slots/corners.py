"""Corners of `ex_explain_slots`: slots, exits, frames inside."""

from lib.bench import Corner, Port


def corner(slots: int, exits: int, in_flight: int) -> Corner:
    slot = max(1, (slots - 1).bit_length())
    inputs = {"enter": 1, "want": 1, "decide": exits, "take": exits, "explain": exits,
              "free": 1, "free_slot": slot}  # fmt: skip
    outputs = {"ev_missed": 1, "used": slots, "pass": exits, "pass_kept": exits,
               "pass_slot": exits * slot, "left": exits, "left_slot": exits * slot}  # fmt: skip
    return Corner(
        name=f"s{slots}_e{exits}_f{in_flight}",
        module="ex_explain_slots",
        parameters={"SLOTS": slots, "EXITS": exits, "IN_FLIGHT": in_flight},
        ports=tuple(Port(k, w) for k, w in inputs.items())
        + tuple(Port(k, w, output=True) for k, w in outputs.items()),
    )


CORNERS = [corner(*c) for c in ((1, 1, 2), (2, 3, 4), (3, 2, 16), (4, 3, 16), (5, 8, 32))]
