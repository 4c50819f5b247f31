"""Corners of `ex_decide`: one beat or many, odd lane counts, narrowest and widest scores."""

import numpy as np
from lib.bench import Corner, Port

from exeunt.hls.back.stitch_core import offset_file

INPUTS = {
    "threshold0": 32,
    "threshold1": 32,
    "held": 1,
    "raw_here": 1,
    "raw_later": 1,
    "s_valid": 1,
    "s_data": 0,
    "logits_ready": 1,
    "score_valid": 1,
    "score_data": 0,
    "meta_valid": 1,
    "meta_data": 7,
    "m_ready": 1,
    "raw_ready": 1,
}
OUTPUTS = {
    "s_ready": 1,
    "logits_valid": 1,
    "logits_data": 0,
    "score_ready": 1,
    "score_keep": 1,
    "score_limit": 32,
    "meta_ready": 1,
    "m_valid": 1,
    "m_take": 1,
    "m_silent": 1,
    "m_class": 16,
    "m_score": 32,
    "m_meta": 7,
    "raw_valid": 1,
    "raw_data": 32,
    "raw_last": 1,
    "raw_bank": 1,
}


def offsets_of(classes: int, bits: int) -> tuple[int, ...]:
    """Offsets of classes: 0 and the largest among them."""
    if not bits:
        return (0,) * classes
    found = np.random.default_rng(classes).integers(0, 1 << bits, classes)
    found[:2] = (1 << bits) - 1, 0
    return tuple(found.tolist())


def corner(
    pe: int,
    classes: int,
    bits: int,
    score_bits: int,
    last: int = 0,
    offset_bits: int = 0,
    held: int = 0,
) -> Corner:
    score = score_bits + (classes - 1).bit_length()
    inputs = {**INPUTS, "s_data": pe * bits, "score_data": score, "held": max(held, 1)}
    outputs = {**OUTPUTS, "logits_data": pe * bits}
    name = f"pe{pe}_classes{classes}_bits{bits}_score{score_bits}" + ("_last" if last else "")
    name += f"_offsets{offset_bits}" if offset_bits else ""
    name += f"_held{held}" if held else ""
    file = f"{name}.hex" if offset_bits else ""
    return Corner(
        name=name,
        module="ex_decide",
        parameters={
            "PE": pe, "CLASSES": classes, "BITS": bits, "SCORE_BITS": score_bits, "LAST": last,
            "OFFSET_BITS": offset_bits, "OFFSET_FILE": file, "META": 7,
            "HELD": held, "LIMIT": int(not held),
        },
        memories={file: offset_file(offsets_of(classes, offset_bits))} if offset_bits else {},
        ports=tuple(Port(k, w) for k, w in inputs.items())
        + tuple(Port(k, w, output=True) for k, w in outputs.items()),
    )  # fmt: skip


CORNERS = [
    corner(1, 10, 14, 15),
    corner(5, 10, 12, 8),
    corner(10, 10, 31, 32),
    corner(1, 2, 2, 3),
    corner(2, 2, 8, 1, last=1),
    corner(3, 9, 16, 17),
    corner(7, 7, 5, 32, last=1),
    corner(4, 100, 20, 21),
    corner(1, 10, 14, 15, offset_bits=14),
    corner(2, 2, 31, 31, offset_bits=30),
    corner(3, 9, 16, 9, offset_bits=1),
    corner(20, 100, 8, 8, offset_bits=7),
    corner(1, 10, 14, 15, held=16),
    corner(10, 10, 31, 32, held=30),
    corner(2, 2, 30, 30, held=30),
    corner(3, 9, 16, 9, offset_bits=1, held=2),
    corner(2, 2, 8, 4, last=1, held=5),
]
