"""Corners of `ex_explain_tap`: streams of few and many lanes, slots."""

from lib.bench import Corner, Port

from exeunt.explain.store import Gather


def corner(channels: int, lanes: int, bits: int, positions: int, *, slots: int = 2) -> Corner:
    found = Gather((1, positions, channels), bits, lanes)
    slot, word = (max(1, (n - 1).bit_length()) for n in (slots, found.words))
    inputs = {"pass": 1, "pass_kept": 1, "pass_slot": slot, "take": 1, "s_data": lanes * bits,
              "r_valid": 1, "r_slot": slot, "r_address": word}  # fmt: skip
    return Corner(
        name=f"c{channels}_l{lanes}_b{bits}_p{positions}_s{slots}",
        module="ex_explain_tap",
        parameters={**found.parameters(), "SLOTS": slots, "IN_FLIGHT": 4},
        ports=(*(Port(k, w) for k, w in inputs.items()), Port("r_data", found.width, output=True)),
        data=(found, slots),
    )


CORNERS = [
    corner(8, 8, 1, 9),
    corner(16, 1, 4, 5, slots=3),
    corner(24, 12, 1, 6),
    corner(24, 24, 2, 4, slots=4),
    corner(64, 32, 1, 3, slots=1),
    corner(1, 1, 8, 30, slots=3),
    corner(20, 4, 1, 1, slots=5),
]
