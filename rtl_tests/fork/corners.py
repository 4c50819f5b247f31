"""Corners of `ex_fork`: only the width."""

from lib.bench import Corner, Port

CORNERS = [
    Corner(
        name=f"width{width}",
        module="ex_fork",
        parameters={"WIDTH": width},
        ports=(
            Port("s_valid"),
            Port("s_ready", output=True),
            Port("s_data", width),
            Port("m0_valid", output=True),
            Port("m0_ready"),
            Port("m0_data", width, output=True),
            Port("m1_valid", output=True),
            Port("m1_ready"),
            Port("m1_data", width, output=True),
        ),
    )
    for width in (1, 8, 37)
]
