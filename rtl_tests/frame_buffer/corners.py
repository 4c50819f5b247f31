"""Corners of `ex_frame_buffer`: one-word frames, no word to spare, depths off the powers of two."""

from lib.bench import Corner, Port


def corner(width: int, frame: int, depth: int) -> Corner:
    return Corner(
        name=f"width{width}_frame{frame}_depth{depth}",
        module="ex_frame_buffer",
        parameters={"WIDTH": width, "FRAME": frame, "DEPTH": depth},
        ports=(
            Port("s_valid"),
            Port("s_ready", output=True),
            Port("s_data", width),
            Port("decide_valid"),
            Port("decide_ready", output=True),
            Port("decide_keep"),
            Port("m_valid", output=True),
            Port("m_ready"),
            Port("m_data", width, output=True),
        ),
    )


CORNERS = [
    corner(width, frame, depth)
    for width, frame, depth in (
        (8, 1, 1), (3, 1, 4), (1, 4, 4), (8, 4, 16), (9, 5, 10), (16, 3, 15), (33, 16, 48),
    )
]  # fmt: skip
