"""Corners of `ex_again`: the fewest bits that say which frame it is, and more."""

from lib.bench import Corner, Port


def corner(who: int) -> Corner:
    return Corner(
        name=f"who{who}",
        module="ex_again",
        parameters={"WHO_BITS": who},
        ports=(
            Port("off"),
            Port("decide"),
            Port("info", who + 3),
            Port("s_valid"),
            Port("s_take"),
            Port("s_silent"),
            Port("m_ready"),
            Port("m_take", output=True),
            Port("m_silent", output=True),
            Port("again", output=True),
            Port("look", 2, output=True),
            Port("verdict_valid", output=True),
            Port("verdict_again", output=True),
            Port("verdict_info", who + 2, output=True),
        ),
        resets=False,
    )


CORNERS = [corner(who) for who in (1, 4)]
