"""Corners of `ex_explain_choose`: slots, exits, places for ids, bits of a class."""

from lib.bench import Corner, Port


def corner(slots: int, exits: int, asked: int, class_bits: int) -> Corner:
    slot = max(1, (slots - 1).bit_length())
    inputs = {"every": 16, "below": exits * 32, "method": 4, "ask": 1, "ask_id": 32, "forget": 1,
              "enter": 1, "kept": 1, "kept_slot": slot, "silent": exits, "classes": exits * 16,
              "scores": exits * 32, "left": exits, "left_slot": exits * slot,
              "m_ready": 1}  # fmt: skip
    outputs = {"want": 1, "explain": exits, "m_valid": 1, "m_id": 32, "m_class": 16, "m_exit": 8,
               "m_method": 4, "m_slot": slot, "explained": 32, "missed": 32,
               "unmet": 32}  # fmt: skip
    return Corner(
        name=f"s{slots}_e{exits}_a{asked}_c{class_bits}",
        module="ex_explain_choose",
        parameters={"SLOTS": slots, "EXITS": exits, "ASKED": asked, "CLASS_BITS": class_bits},
        ports=tuple(Port(k, w) for k, w in inputs.items())
        + tuple(Port(k, w, output=True) for k, w in outputs.items()),
    )


CORNERS = [
    corner(*c) for c in ((1, 1, 1, 1), (2, 3, 2, 4), (3, 2, 4, 16), (4, 3, 3, 4), (6, 8, 8, 10))
]
