"""Corners of `ex_look_buffer`: one place, one-word frames, places off the powers of two."""

from lib.bench import Corner, Port, stream_ports


def corner(width: int, frame: int, depth: int) -> Corner:
    bits = max(1, (depth // frame - 1).bit_length())
    return Corner(
        name=f"width{width}_frame{frame}_depth{depth}",
        module="ex_look_buffer",
        parameters={"WIDTH": width, "FRAME": frame, "DEPTH": depth},
        ports=(
            *stream_ports(width, width),
            Port("place_free", output=True),
            Port("place_take"),
            Port("place", bits, output=True),
            Port("info_valid"),
            Port("info_ready", output=True),
            Port("info_data", bits + 1),
            Port("verdict_valid"),
            Port("verdict_keep"),
            Port("verdict_place", bits),
        ),
    )


CORNERS = [
    corner(width, frame, depth)
    for width, frame, depth in (
        (8, 1, 1), (8, 1, 3), (5, 4, 4), (8, 4, 16), (9, 5, 15), (33, 16, 48), (8, 3, 24),
    )
]  # fmt: skip
