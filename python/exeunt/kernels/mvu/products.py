"""Size of a matrix-vector unit by its parts: products, sums, weights, the room for its input."""

from __future__ import annotations

import math
from functools import lru_cache

from exeunt.errors import InputError
from exeunt.kernels.layer import Style
from exeunt.kernels.parts.levels import size as levels_size
from exeunt.kernels.parts.levels import stages
from exeunt.kernels.parts.size import Size, converter, lut, lutrams, ram, rom

MIN_BITS, MAX_BITS = 2, 8  # of weights that are no signs
FEW = 8  # words of weights that are logic like any other, and no memory
GROUP = 9  # products, or sums of them, that the hardware adds in one cycle
TURNED = 2  # comparisons of a search from which on lanes take turns
DSP_RESULT = 9  # bits of a product below which Yosys leaves it to LUTs
DSP_BITS = 25  # of the wide operand of a DSP48E1, in which several weights stand side by side


def in_dsp(in_bits: int, weight_bits: int, simd: int) -> bool:
    """Whether Yosys puts a product of an unsigned input and a signed weight into a DSP.

    It does from nine bits of result on; beside others the product keeps its sign's bit.
    """
    return in_bits + weight_bits + (simd > 1) >= DSP_RESULT


def sharing(in_bits: int, weight_bits: int, lanes: int) -> int:
    """Lanes whose products with the same unsigned input one DSP makes, see `ex_packed`.

    Args:
        in_bits: of the input.
        weight_bits: of a weight, two's complement.
        lanes: that see the same input.
    """
    return max(1, min(lanes, (DSP_BITS - weight_bits) // (in_bits + weight_bits - 1) + 1))


def shares(in_bits: int, weight_bits: int, lanes: int) -> bool:
    """Whether two of `lanes` can share a DSP at all, and Yosys takes one for that product."""
    count = sharing(in_bits, weight_bits, lanes)
    operand = (in_bits + weight_bits - 1) * (count - 1) + weight_bits
    return count > 1 and operand + in_bits + 1 >= DSP_RESULT


def groups_of(simd: int) -> int:
    """How many groups of products are summed apart, see `ex_mvu`."""
    return math.ceil(simd / GROUP)


def operands(simd: int, *, signs: bool) -> int:
    """Registers in front of the accumulator, STAGES of `ex_mvu`."""
    added, reach = 0, 1
    while reach < simd:
        added, reach = added + 1, reach * GROUP
    return 2 + max(added, 1) if signs else 3 + added


@lru_cache(maxsize=1 << 14)
def searched(*, pe: int, steps: int, levels: int) -> int:
    """Lanes that search thresholds: the fewest through which `pe` lanes get in `steps` - 1 cycles.

    Args:
        pe: lanes out.
        steps: input words of a vector, so the cycles of an output word.
        levels: thresholds of a row, at least 1.
    """
    if stages(levels) < TURNED:
        return pe
    fitting = (lanes for lanes in range(1, pe) if pe % lanes == 0 and pe // lanes < steps)
    return next(fitting, pe)


def parts(
    *,
    rows: int, columns: int, simd: int, pe: int, in_bits: int, weight_bits: int, acc_bits: int,
    groups: int = 1, signs: bool = False,
) -> dict[str, float]:  # fmt: skip
    """The parts of a matrix-vector unit without thresholds, by name.

    "product": bits of input times bits of weight over all lanes, "sum": bits that are added up,
    "tree": those of the sums of groups;
    for weights that are signs "sign": bits of input over all lanes, "zero": those of weights that
    may be zero;
    "accumulator": bits of it, "rom": LUTs that each hold 64 words of a bit of the weights, "few":
    words of 64 bits of weights that are no memory, "room": groups of LUT memory for the input,
    "control": bits of its counters.
    """
    lanes, steps = simd * pe, (rows // pe) * (columns // simd)
    arms = max(1, pe * groups // rows)
    room = 2 if rows <= pe * groups else 2 * (columns // simd)
    word = lanes * weight_bits
    in_logic = not rom(steps, word)
    return {
        "product": 0 if signs else lanes * in_bits * weight_bits,
        "sum": 0 if signs else lanes * (in_bits + weight_bits),
        "tree": 0 if signs else pe * (groups_of(simd) - 1) * (in_bits + weight_bits + 4),
        "sign": lanes * in_bits if signs else 0,
        "zero": lanes * in_bits if signs and weight_bits > 1 else 0,
        "lane": 0 if signs else lanes,
        "accumulator": pe * acc_bits,
        "rom": math.ceil(steps / 64) * word if in_logic and steps > FEW else 0,
        "few": steps * word / 64 if 1 < steps <= FEW else 0.0,
        "room": 0 if ram(room, arms * simd * in_bits) else lutrams(room, arms * simd * in_bits),
        "control": math.log2(steps) + math.log2(columns // simd),
        "one": 1,
    }


@lru_cache(maxsize=1 << 16)
def unit(
    *,
    rows: int,
    columns: int,
    simd: int,
    pe: int,
    in_bits: int,
    weight_bits: int,
    acc_bits: int,
    levels: int = 0,
    groups: int = 1,
    signs: bool = False,
    dsp: bool = True,
    multiplier: Style = "",
) -> Size:
    """A matrix-vector unit of `rows` x `columns`, folded to `pe` x `simd` multipliers.

    Args:
        rows: MH, a multiple of `pe`.
        columns: MW, a multiple of `simd`.
        simd: lanes in.
        pe: lanes out.
        in_bits: of an unsigned input, 2 to 16.
        weight_bits: 2 to 8, 1 or 2 with `signs`.
        acc_bits: of an accumulator, 2 to 32.
        levels: thresholds of a row, 0 for none.
        groups: parts of the rows with vectors of their own.
        signs: weights are -1, 0 and 1, of a single bit -1 and 1.
        dsp: products may become DSPs.
        multiplier: what multiplies, see `Mvu`.

    Raises:
        InputError: widths or lanes that the kernel does not have.
    """
    if not (weight_bits in (1, 2) if signs else MIN_BITS <= weight_bits <= MAX_BITS):
        raise InputError(
            f"weights must have {MIN_BITS} to {MAX_BITS} bits (signs 1 or 2), got {weight_bits}: "
            "choose such a width"
        )
    if not 1 <= in_bits <= 16:
        raise InputError(
            f"inputs of a matrix must have 1 to 16 bits, got {in_bits}: requantize them"
        )
    if min(pe, simd) < 1 or rows % pe or columns % simd:
        raise InputError(
            f"PE must divide the {rows} rows and SIMD the {columns} columns, got PE {pe} and SIMD "
            f"{simd}: choose divisors"
        )
    found = parts(
        rows=rows, columns=columns, simd=simd, pe=pe, in_bits=in_bits, weight_bits=weight_bits,
        acc_bits=acc_bits, groups=groups, signs=signs,
    )  # fmt: skip
    steps = (rows // pe) * (columns // simd)
    arms = max(1, pe * groups // rows)
    dsps, model = 0, "mvu_adders" if multiplier == "lut" and not signs else "mvu"
    lanes = pe // arms
    if dsp and multiplier == "packed" and shares(in_bits, weight_bits, lanes):
        dsps = arms * math.ceil(lanes / sharing(in_bits, weight_bits, lanes)) * simd
        model = "mvu_packed"
    elif dsp and not signs and multiplier != "lut" and in_dsp(in_bits, weight_bits, simd):
        dsps, model = pe * simd, "mvu_dsp"
    room = 2 if rows <= pe * groups else 2 * (columns // simd)
    blocks = rom(steps, pe * simd * weight_bits) + ram(room, arms * simd * in_bits)
    size = Size(lut(model, found), dsps, blocks)
    if levels:
        lanes = searched(pe=pe, steps=columns // simd, levels=levels)
        size += levels_size(channels=rows, pe=lanes, in_bits=acc_bits, levels=levels)
        if lanes < pe:
            size += converter(pe * acc_bits, lanes * acc_bits)
            size += converter(lanes * stages(levels), pe * stages(levels))
    return size
