"""Corners of `ex_registers`: one exit, three, eight; addresses from the register map."""

from lib.bench import Corner, Port

from exeunt import registers

HASH = 0xC0FFEE42
CRITERION = 0xA5


def corner(exits: int, count_bits: int) -> Corner:
    inputs = {
        "write": 1, "address": 12, "wdata": 32, "offer": 1, "ev_accept": 1, "ev_leave": 1,
        "ev_bad": 1, "ev_stall": 1, "ev_take": exits, "flight0": count_bits, "flight1": count_bits,
    }  # fmt: skip
    outputs = {
        "rdata": 32, "threshold0": 32 * exits, "threshold1": 32 * exits, "bank": 1, "hold": 1,
        "order": 1, "raw_enable": 1, "raw_exit": 8, "batch": 32, "now": 32, "core_rst": 1,
    }  # fmt: skip
    return Corner(
        name=f"exits{exits}_count{count_bits}",
        module="ex_registers",
        parameters={
            "EXITS": exits,
            "COUNT_BITS": count_bits,
            "ID": registers.ID,
            "VERSION": registers.VERSION,
            "HASH": HASH,
            "CRITERION": CRITERION,
            **registers.parameters(),
        },
        ports=tuple(Port(k, w) for k, w in inputs.items())
        + tuple(Port(k, w, output=True) for k, w in outputs.items()),
    )


CORNERS = [corner(1, 2), corner(3, 5), corner(8, 11)]
