"""Corners of `ex_merge`: exits x frames inside."""

from lib.bench import Corner, Port


def corner(n: int, in_flight: int) -> Corner:
    return Corner(
        name=f"n{n}_inflight{in_flight}",
        module="ex_merge",
        parameters={"N": n, "IN_FLIGHT": in_flight},
        ports=(
            Port("now", 32),
            Port("order"),
            Port("batch", 32),
            Port("skip"),
            Port("clear"),
            Port("s_valid", n),
            Port("s_ready", n, output=True),
            Port("s_data", n * 128),
            Port("m_valid", output=True),
            Port("m_ready"),
            Port("m_data", 128, output=True),
            Port("m_last", output=True),
        ),
    )


CORNERS = [corner(n, w) for n, w in ((1, 2), (2, 64), (3, 16), (3, 64), (8, 1024))]
