"""Corners of `ex_looks`: classes one by one, in lanes and all at once, one and two looks."""

from lib.bench import Corner, Port, stream_ports


def corner(pe: int, classes: int, bits: int, looks: int, slots: int) -> Corner:
    return Corner(
        name=f"pe{pe}_classes{classes}_bits{bits}_looks{looks}_slots{slots}",
        module="ex_looks",
        parameters={"PE": pe, "CLASSES": classes, "BITS": bits, "LOOKS": looks, "SLOTS": slots},
        ports=(
            *stream_ports(pe * bits, pe * (bits + looks)),
            Port("info_valid"),
            Port("info_ready", output=True),
            Port("info_data", max(1, (slots - 1).bit_length()) + 2),
        ),
    )


CORNERS = [
    corner(*values)
    for values in (
        (1, 10, 14, 1, 4), (2, 10, 9, 2, 3), (5, 5, 4, 2, 1), (1, 3, 2, 1, 2), (4, 12, 17, 2, 5),
    )
]  # fmt: skip
