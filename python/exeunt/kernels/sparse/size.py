"""Size of a scheduled matrix-vector unit by its parts."""

from __future__ import annotations

import math

from exeunt.graph import Integer
from exeunt.kernels.mvu.products import groups_of, in_dsp
from exeunt.kernels.parts.levels import size as levels_size
from exeunt.kernels.parts.levels import stages
from exeunt.kernels.parts.size import Size, converter, lut, lutrams, ram, rom
from exeunt.kernels.sparse import codebook

GROUP = 9  # products that the hardware adds in one cycle


def word_bits(
    *, columns: int, lanes: int, block: int, pe: int, banks: int, queue: int, weight_bits: int,
    centroids: int, negates: bool,
) -> int:  # fmt: skip
    """Bits of a step in the memory of the schedule."""
    bits = codebook.index_bits(centroids) if centroids else weight_bits
    word = block * pe * bits + pe * negates
    return word + (1 + banks * (block_bits(columns, lanes, block) + (queue > 1)) if banks else 0)


def block_bits(columns: int, lanes: int, block: int) -> int:
    """Bits of the place of a block in the room: word, and block in it."""
    size, inside = columns // lanes, lanes // block
    bits = (size - 1).bit_length() + (inside - 1).bit_length()
    return max(1, bits)


def parts(
    *, rows: int, columns: int, lanes: int, block: int, pe: int, banks: int, steps: int, queue: int,
    in_bits: int, weight_bits: int, acc_bits: int, centroids: int = 0, negates: bool = False,
) -> dict[str, float]:  # fmt: skip
    """The parts of a scheduled unit without thresholds, by name.

    "product", "sum", "tree", "lane", "accumulator" and "control" are those of a matrix-vector unit,
    "term": bits of index times digit that are added; "rom": LUTs that each hold 64 words of a bit
    of the schedule, "room": groups of LUT memory for the input, of all banks, "choice": bits that
    are chosen among the blocks of a word, "queue": groups of LUT memory for results, "minus": bits
    of accumulators that may be turned.
    """
    each = block * pe
    bits = in_bits + weight_bits
    source = Integer(in_bits)
    table = weight_bits + codebook.digit_bits(centroids, source) if centroids else 0
    size, inside, copies = columns // lanes, lanes // block, max(1, banks)
    word = word_bits(
        columns=columns, lanes=lanes, block=block, pe=pe, banks=banks, queue=queue,
        weight_bits=weight_bits, centroids=centroids, negates=negates,
    )  # fmt: skip
    depth = 2 << max(1, (size - 1).bit_length())
    return {
        "product": 0 if centroids else each * in_bits * weight_bits,
        "term": each * codebook.digits(centroids, source) * table if centroids else 0,
        "sum": each * bits if block > 1 else 0,
        "tree": pe * (groups_of(block) - 1) * (bits + 4),
        "lane": each,
        "accumulator": pe * acc_bits,
        "rom": 0 if rom(steps, word) else math.ceil(steps / 64) * word,
        "room": 0 if ram(depth, lanes * in_bits) else copies * lutrams(depth, lanes * in_bits),
        "choice": copies * block * in_bits * (inside - 1),
        "queue": pe * lutrams(queue, acc_bits) if queue > 1 else 0,
        "minus": pe * acc_bits * negates,
        "bank": banks if queue > 1 else 0,
        "control": math.log2(steps) + math.log2(2 * size),
        "one": 1,
    }


def unit(
    *, rows: int, columns: int, lanes: int, block: int, pe: int, banks: int, steps: int, queue: int,
    in_bits: int, weight_bits: int, acc_bits: int, centroids: int = 0, negates: bool = False,
    levels: int = 0, search: int = 1, dsp: bool = True,
) -> Size:  # fmt: skip
    """A scheduled unit of a matrix of `rows` x `columns`.

    Args:
        rows: of the matrix.
        columns: of the matrix.
        lanes: elements of a word of input.
        block: elements of a block.
        pe: lanes of output.
        banks: blocks that are seen in a step; 0: no block is left out.
        steps: of a vector.
        queue: words of output that may be incomplete.
        in_bits: of an input.
        weight_bits: of a weight, or of a number of the codebook.
        acc_bits: of an accumulator.
        centroids: numbers of the codebook, 0 without one.
        negates: rows may be times -1.
        levels: thresholds of a row, 0 for none.
        search: lanes that search thresholds.
        dsp: products may become DSPs.
    """
    found = parts(
        rows=rows, columns=columns, lanes=lanes, block=block, pe=pe, banks=banks, steps=steps,
        queue=queue, in_bits=in_bits, weight_bits=weight_bits, acc_bits=acc_bits,
        centroids=centroids, negates=negates,
    )  # fmt: skip
    mapped = dsp and not centroids and in_dsp(in_bits, weight_bits, block)
    word = word_bits(
        columns=columns, lanes=lanes, block=block, pe=pe, banks=banks, queue=queue,
        weight_bits=weight_bits, centroids=centroids, negates=negates,
    )  # fmt: skip
    depth = 2 << max(1, (columns // lanes - 1).bit_length())
    blocks = rom(steps, word) + max(1, banks) * ram(depth, lanes * in_bits)
    model = "sparse_dsp" if mapped else "sparse"
    result = Size(lut(model, found), block * pe if mapped else 0, blocks)
    if levels:
        result += levels_size(channels=rows, pe=search, in_bits=acc_bits, levels=levels)
        if search < pe:
            result += converter(pe * acc_bits, search * acc_bits)
            result += converter(search * stages(levels), pe * stages(levels))
    return result
