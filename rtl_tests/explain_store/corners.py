"""Corners of `ex_explain_store`: one word and many, slots, words that are written at once."""

from lib.bench import Corner, Port


def corner(width: int, words: int, slots: int, wide: int = 1) -> Corner:
    rows = words // wide
    slot, row, word = (max(1, (n - 1).bit_length()) for n in (slots, rows, words))
    inputs = {"w_valid": 1, "w_slot": slot, "w_address": row, "w_data": wide * width,
              "r_valid": 1, "r_slot": slot, "r_address": word}  # fmt: skip
    return Corner(
        name=f"b{width}_w{words}_s{slots}_x{wide}",
        module="ex_explain_store",
        parameters={"WIDTH": width, "WORDS": words, "SLOTS": slots, "WIDE": wide},
        ports=(*(Port(k, w) for k, w in inputs.items()), Port("r_data", width, output=True)),
        resets=False,
    )


CORNERS = [
    corner(*c)
    for c in ((1, 1, 1), (8, 49, 2), (16, 7, 3), (1, 196, 4), (32, 12, 1), (5, 6, 2, 2),
              (16, 8, 3, 4), (16, 9, 2, 3), (3, 2, 5, 2), (2, 3, 1, 3))
]  # fmt: skip
