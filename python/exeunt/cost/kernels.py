"""What one kernel takes on xc7, as Yosys maps it, and how many cycles a frame it needs.

A matrix-vector unit's LUT are a sum of terms, each the number of some part that it is made of
(`mvu_parts`, `threshold_parts`) times what Yosys was measured to spend on one; the factors are in
coefficients.json and come from `python -m exeunt.cost`. DSP and BRAM follow Yosys' own rules.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from exeunt.errors import InputError
from exeunt.graph import Node
from exeunt.kernels.mvu import Mvu
from exeunt.kernels.pool import Pool
from exeunt.kernels.swg import Swg
from exeunt.kernels.threshold import Threshold
from exeunt.kernels.width import Width

MIN_BITS, MAX_BITS = 2, 8
DSP_RESULT = 9  # bits of a product below which Yosys leaves it to LUTs
# (words, bits of a word) of an 18 kbit block; one of 36 kbit has twice the bits of a word, or 72
SHAPES_18 = ((16384, 1), (8192, 2), (4096, 4), (2048, 9), (1024, 18), (512, 36))
SHAPES_36 = ((32768, 1), (16384, 2), (8192, 4), (4096, 9), (2048, 18), (1024, 36), (512, 72))
COST_18, COST_36, COST_LOGIC = 129, 257, 64  # of a block; bits of a constant memory for 1
SMALL_TABLE = 4  # words of a table that the comparison behind it absorbs
COST_LUTRAM = 8  # of four LUT as 64 words of 3 bits or 32 of 6


@dataclass(frozen=True)
class Size:
    """Resources on xc7; `bram18` counts blocks of 18 kbit."""

    lut: int = 0
    dsp: int = 0
    bram18: int = 0

    def __add__(self, other: Size) -> Size:
        """Both."""
        return Size(self.lut + other.lut, self.dsp + other.dsp, self.bram18 + other.bram18)


@cache
def stored() -> Mapping[str, Any]:
    """The contents of coefficients.json."""
    text = resources.files("exeunt.cost").joinpath("coefficients.json").read_text(encoding="ascii")
    found: dict[str, Any] = json.loads(text)
    return found


def coefficients() -> Mapping[str, Mapping[str, float]]:
    """LUT a part, by model and part: the measured table."""
    found: Mapping[str, Mapping[str, float]] = stored()["lut"]
    return found


def rom(words: int, bits: int) -> int:
    """18 kbit blocks of a constant memory; 0: Yosys makes it of LUTs."""
    cost, blocks = _blocks(words, bits)
    return blocks if cost < words * bits / COST_LOGIC else 0


def ram(words: int, bits: int) -> int:
    """18 kbit blocks of a memory with a write port; 0: Yosys makes it of LUTs as memory."""
    cost, blocks = _blocks(words, bits)
    deep, wide = math.ceil(words / 64), bits / 3
    in_luts = min(math.ceil(words / 32) * bits / 6, deep * wide) * COST_LUTRAM
    return blocks if cost < in_luts + (deep - 1) * bits / 4 else 0


def lutrams(words: int, bits: int) -> int:
    """Groups of four LUT that hold `words` words in registers' place, 3 or 6 bits of each."""
    return min(
        math.ceil(words / 32) * math.ceil(bits / 6), math.ceil(words / 64) * math.ceil(bits / 3)
    )


def _blocks(words: int, bits: int) -> tuple[int, int]:
    """(Yosys' cost, 18 kbit blocks) of the cheapest arrangement of blocks."""
    found = []
    for shapes, cost, blocks in ((SHAPES_18, COST_18, 1), (SHAPES_36, COST_36, 2)):
        for depth, width in shapes:
            count = math.ceil(words / depth) * math.ceil(bits / width)
            found.append((count * cost, count * blocks))
    return min(found)


def in_dsp(in_bits: int, weight_bits: int, simd: int) -> bool:
    """Whether Yosys puts a product of an unsigned input and a signed weight into a DSP.

    It does from nine bits of result on; beside others the product keeps its sign's bit.
    """
    return in_bits + weight_bits + (simd > 1) >= DSP_RESULT


def mvu_parts(
    *,
    rows: int, columns: int, simd: int, pe: int, in_bits: int, weight_bits: int, acc_bits: int,
) -> dict[str, float]:  # fmt: skip
    """The parts of a matrix-vector unit without thresholds, by name.

    "product": bits of input times bits of weight over all lanes, "sum": bits that are added up,
    "accumulator": bits of it, "rom": words of 64 bits of weights in LUTs, "room": groups of LUT
    memory for the input, "control": bits of its counters.
    """
    lanes, steps = simd * pe, (rows // pe) * (columns // simd)
    room = 2 if rows == pe else 2 * (columns // simd)
    word = lanes * weight_bits
    in_logic = not rom(steps, word)
    return {
        "product": lanes * in_bits * weight_bits,
        "sum": lanes * (in_bits + weight_bits),
        "lane": lanes,
        "accumulator": pe * acc_bits,
        "rom": steps * word / 64 if in_logic and steps > 1 else 0.0,
        "room": 0 if ram(room, simd * in_bits) else lutrams(room, simd * in_bits),
        "control": math.log2(steps) + math.log2(columns // simd),
        "one": 1,
    }


def threshold_parts(*, channels: int, pe: int, in_bits: int, levels: int) -> dict[str, float]:
    """The parts of a threshold kernel, by name.

    "compare": bits compared over lanes and stages, "rom": words of 64 bits of thresholds, "table":
    bits of words from tables that do not vanish in the comparison, "lane": stages of all lanes.
    """
    stages = math.ceil(math.log2(levels + 1))
    depths = [(channels // pe) << j for j in range(stages)]
    in_logic = [d for d in depths if not rom(d, in_bits + 1)]
    word = pe * (in_bits + 1)
    return {
        "compare": pe * stages * in_bits,
        "rom": word * sum(in_logic) / 64,
        "table": word * sum(d > SMALL_TABLE for d in in_logic),
        "lane": pe * stages,
        "one": 1,
    }


def mvu(
    *,
    rows: int,
    columns: int,
    simd: int,
    pe: int,
    in_bits: int,
    weight_bits: int,
    acc_bits: int,
    levels: int = 0,
    dsp: bool = True,
) -> Size:
    """A matrix-vector unit of `rows` x `columns`, folded to `pe` x `simd` multipliers.

    Args:
        rows: MH, a multiple of `pe`.
        columns: MW, a multiple of `simd`.
        simd: lanes in.
        pe: lanes out.
        in_bits: of an unsigned input, 2 to 16.
        weight_bits: 2 to 8.
        acc_bits: of an accumulator, 2 to 32.
        levels: thresholds of a row, 0 for none.
        dsp: products may become DSPs.

    Raises:
        InputError: widths or lanes that the kernel does not have.
    """
    if not MIN_BITS <= weight_bits <= MAX_BITS:
        raise InputError(
            f"weights must have {MIN_BITS} to {MAX_BITS} bits, got {weight_bits}: choose a width "
            "in between"
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
    parts = mvu_parts(
        rows=rows, columns=columns, simd=simd, pe=pe, in_bits=in_bits, weight_bits=weight_bits,
        acc_bits=acc_bits,
    )  # fmt: skip
    mapped = dsp and in_dsp(in_bits, weight_bits, simd)
    steps = (rows // pe) * (columns // simd)
    room = 2 if rows == pe else 2 * (columns // simd)
    blocks = rom(steps, pe * simd * weight_bits) + ram(room, simd * in_bits)
    size = Size(_lut("mvu_dsp" if mapped else "mvu", parts), pe * simd if mapped else 0, blocks)
    if levels:
        size += threshold(channels=rows, pe=pe, in_bits=acc_bits, levels=levels)
    return size


def threshold(*, channels: int, pe: int, in_bits: int, levels: int) -> Size:
    """Thresholds: `levels` (1 to 255) a channel, `pe` channels a word.

    Raises:
        InputError: lanes that do not divide the channels.
    """
    if pe < 1 or channels % pe:
        raise InputError(f"PE must divide the {channels} channels, got {pe}: choose a divisor")
    stages = math.ceil(math.log2(levels + 1))
    blocks = pe * sum(rom((channels // pe) << j, in_bits + 1) for j in range(stages))
    parts = threshold_parts(channels=channels, pe=pe, in_bits=in_bits, levels=levels)
    return Size(_lut("threshold", parts), 0, blocks)


def fifo(width: int, depth: int = 2) -> Size:
    """A queue between kernels."""
    if depth <= 64:
        return Size(6 + width + 4 * (lutrams(depth, width) if depth > 4 else 0))
    return Size(41 + width, 0, max(1, ram(depth, width)))


def entry(width: int) -> Size:
    """The queue in front of a later segment, where kept frames wait."""
    return Size(49 + width, 0, 1)


def node(item: Node, *, dsp: bool = True) -> Size:
    """The size of any kernel of a graph."""
    if isinstance(item, Mvu):
        columns = item.input.elements // vectors(item)
        return mvu(
            rows=item.output.shape[2], columns=columns, simd=item.input.lanes,
            pe=item.output.lanes, in_bits=item.input.dtype.bits, weight_bits=item.weight_bits,
            acc_bits=item.accumulator.bits, levels=item.levels, dsp=dsp,
        )  # fmt: skip
    if isinstance(item, Threshold):
        return threshold(
            channels=item.input.shape[2], pe=item.input.lanes, in_bits=item.input.dtype.bits,
            levels=item.levels,
        )  # fmt: skip
    if isinstance(item, Swg):
        return _window(item)
    if isinstance(item, Width):
        narrow, wide = sorted((item.input.width, item.output.width))
        return Size(wide - 1 if item.input.width == wide else 4 + narrow // 4)
    # an accumulator with a memory of partial results, one word a column
    lanes = item.output.lanes
    words = item.output.shape[2] // lanes
    if isinstance(item, Pool):
        words *= item.output.shape[1]
    memory = 4 * lutrams(words, lanes * item.output.dtype.bits)
    return Size(26 + 2 * lanes * item.output.dtype.bits + memory)


def _window(item: Swg) -> Size:
    """Serial: counters and a ring of rows; parallel: rows in shift registers, the window in FF."""
    height, width, channels = item.input.shape
    lanes = item.input.lanes
    kernel, stride = item.kernel, item.stride
    row = width * (channels // lanes)
    words = (kernel[0] - 1 + stride[0]) * row + (kernel[1] + 1) * (channels // lanes)
    if item.parallel:
        bits = item.input.width
        return Size(100 + (kernel[0] - 1) * bits * math.ceil(row / 32) + bits)
    blocks = ram(words, item.input.width)
    memory = 0 if blocks else 4 * lutrams(words, item.input.width)
    del height
    return Size(160 if blocks else round(190 + 0.6 * memory), 0, blocks)


def period(item: Node) -> int:
    """Cycles a frame of a kernel that never waits."""
    if isinstance(item, Mvu):
        columns = item.input.elements // vectors(item)
        folds = (item.output.shape[2] // item.output.lanes) * (columns // item.input.lanes)
        return vectors(item) * folds
    if isinstance(item, Swg) and item.parallel:
        return max(item.input.words, item.output.words)
    return max(item.input.words, item.output.words)


def vectors(item: Node) -> int:
    """Output pixels of a frame."""
    return item.output.shape[0] * item.output.shape[1]


def weights(item: Mvu) -> int:
    """Number of weights of a matrix."""
    return item.output.shape[2] * (item.input.elements // vectors(item))


def _lut(model: str, parts: Mapping[str, float]) -> int:
    factors = coefficients()[model]
    return max(0, round(sum(factors.get(name, 0.0) * value for name, value in parts.items())))
