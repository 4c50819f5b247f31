"""Corners of `ex_merge`: exits x frames inside, widest and narrowest scores."""

from lib.bench import Corner, Port


def corner(n: int, in_flight: int, class_bits: int = 4, score_bits: int = 16) -> Corner:
    slot_bits = in_flight.bit_length() - 1
    return Corner(
        name=f"n{n}_inflight{in_flight}_class{class_bits}_score{score_bits}",
        module="ex_merge",
        parameters={
            "N": n, "IN_FLIGHT": in_flight, "CLASS_BITS": class_bits, "SCORE_BITS": score_bits,
        },
        ports=(
            Port("now", 32),
            Port("order"),
            Port("batch", 32),
            Port("raw"),
            Port("skip"),
            Port("clear"),
            Port("put"),
            Port("put_data", 66),
            Port("put_slot", slot_bits, output=True),
            Port("s_valid", n),
            Port("s_ready", n, output=True),
            Port("s_data", n * (slot_bits + class_bits + score_bits)),
            Port("m_valid", output=True),
            Port("m_ready"),
            Port("m_data", 128, output=True),
            Port("m_last", output=True),
            Port("busy", output=True),
        ),
    )  # fmt: skip


CORNERS = [
    corner(1, 2, 1, 1),
    corner(2, 64, 16, 32),
    corner(3, 16),
    corner(3, 64, 10, 8),
    corner(8, 1024, 7, 31),
]
