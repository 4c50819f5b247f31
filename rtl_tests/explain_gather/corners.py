"""Corners of `ex_explain_gather`: lanes that divide 16 and do not, words that are not full."""

from lib.bench import Corner, Port

from exeunt.explain.store import Gather


def corner(channels: int, lanes: int, bits: int, positions: int) -> Corner:
    found = Gather((1, positions, channels), bits, lanes)
    writes = found.words // found.wide
    outputs = {
        "w_valid": 1,
        "w_last": 1,
        "w_address": max(1, (writes - 1).bit_length()),
        "w_data": found.wide * found.width,
    }
    return Corner(
        name=f"c{channels}_l{lanes}_b{bits}_p{positions}",
        module="ex_explain_gather",
        parameters=found.parameters(),
        ports=(
            Port("take"), Port("s_data", lanes * bits),
            *(Port(k, w, output=True) for k, w in outputs.items()),
        ),
        data=found,
    )  # fmt: skip


CORNERS = [
    corner(*c)
    for c in (
        (1, 1, 1, 1), (1, 1, 8, 6), (3, 1, 8, 5), (3, 3, 2, 4), (10, 5, 1, 3), (10, 1, 4, 2),
        (12, 6, 1, 7), (15, 5, 2, 3), (16, 1, 1, 4), (16, 4, 2, 4), (16, 16, 1, 9), (24, 8, 1, 5),
        (24, 24, 1, 5), (24, 12, 1, 6), (24, 6, 2, 5), (18, 9, 1, 4), (20, 4, 3, 3), (20, 5, 1, 4),
        (20, 10, 4, 3), (30, 15, 1, 5), (33, 11, 2, 3), (48, 3, 1, 3), (48, 16, 2, 3),
        (48, 48, 1, 2), (64, 32, 1, 4), (64, 2, 1, 2), (34, 2, 1, 3), (34, 17 * 2, 2, 3),
        (45, 9, 1, 1), (17, 1, 1, 3),
    )
]  # fmt: skip
