"""Sizes on xc7, as Yosys maps a design: what a memory takes, and LUT by the parts of a kernel.

A kernel's LUT are a sum of terms, each the number of some part that it is made of times what Yosys
was measured to spend on one; the factors are in coefficients.json and come from `python -m
exeunt.cost`. DSP and BRAM follow Yosys' own rules.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from typing import Any

from exeunt.graph import Integer

# (words, bits of a word) of an 18 kbit block; one of 36 kbit has twice the bits of a word, or 72
SHAPES_18 = ((16384, 1), (8192, 2), (4096, 4), (2048, 9), (1024, 18), (512, 36))
SHAPES_36 = ((32768, 1), (16384, 2), (8192, 4), (4096, 9), (2048, 18), (1024, 36), (512, 72))
COST_18, COST_36, COST_LOGIC = 129, 257, 64  # of a block; bits of a constant memory for 1
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

    def less(self, other: Size) -> Size:
        """What is left without another one."""
        return Size(self.lut - other.lut, self.dsp - other.dsp, self.bram18 - other.bram18)


@cache
def stored() -> Mapping[str, Any]:
    """The contents of coefficients.json."""
    text = (
        resources.files("exeunt.kernels.parts")
        .joinpath("coefficients.json")
        .read_text(encoding="ascii")
    )
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


def blocks(words: int, bits: int) -> int:
    """18 kbit blocks of a memory that is told to be made of them."""
    return _blocks(words, bits)[1]


def lutrams(words: int, bits: int) -> int:
    """Groups of four LUT that hold `words` words in registers' place, 3 or 6 bits of each."""
    return min(
        math.ceil(words / 32) * math.ceil(bits / 6), math.ceil(words / 64) * math.ceil(bits / 3)
    )


def selection(words: int, bits: int) -> int:
    """LUT that select one of `words` words."""
    return round(bits * max(1.0, 0.42 * (words - 1)))


def converter(in_width: int, out_width: int) -> Size:
    """A converter from words of `in_width` bits to words of `out_width`."""
    if out_width < in_width:
        return Size(4 + selection(in_width // out_width, out_width))
    return Size(4 + in_width // 4)


@lru_cache(maxsize=1 << 16)
def _blocks(words: int, bits: int) -> tuple[int, int]:
    """(Yosys' cost, 18 kbit blocks) of the cheapest arrangement of blocks."""
    found = []
    for shapes, cost, blocks in ((SHAPES_18, COST_18, 1), (SHAPES_36, COST_36, 2)):
        for depth, width in shapes:
            count = math.ceil(words / depth) * math.ceil(bits / width)
            found.append((count * cost, count * blocks))
    return min(found)


def lut(model: str, parts: Mapping[str, float]) -> int:
    """LUT of a kernel by its parts, with the measured factors of a model."""
    factors = coefficients()[model]
    return max(0, round(sum(factors.get(name, 0.0) * value for name, value in parts.items())))


DSP_PRODUCT = 9  # bits of a product from which Yosys takes a DSP for it


def digits(factor: int) -> int:
    """Ones of a constant in two's complement, no wider than it must be: rows of a product."""
    return bin(factor & ((1 << Integer.covering(factor, factor).bits) - 1)).count("1")


def in_dsp(dtype: Integer, factor: int) -> bool:
    """Whether Yosys takes a DSP for an element times a constant, if it may."""
    return digits(factor) > 1 and dtype.bits + abs(factor).bit_length() >= DSP_PRODUCT


def scaled(dtype: Integer, factor: int, dsp: bool) -> Size:
    """An element times a constant: an adder for each further one of its digits, or a DSP."""
    if dsp and in_dsp(dtype, factor):
        return Size(dsp=1)
    return Size(dtype.bits * max(0, digits(factor) - 1) * 5 // 4)


def occupied(dtype: Integer, factor: int, bits: int) -> range:
    """The bits, of `bits`, of an element times a constant that are not always zero."""
    if not factor:
        return range(0)
    low = (factor & -factor).bit_length() - 1
    signed = dtype.signed or factor < 0
    return range(low, bits if signed else min(bits, (dtype.max * factor).bit_length()))


def fifo(width: int, depth: int = 2) -> Size:
    """A queue between kernels."""
    if depth <= 4:
        return Size(6 + width)
    if depth <= 64:
        pointer = (depth - 1).bit_length()
        wraps = pointer + 1 if depth & (depth - 1) else 0  # it does not wrap by itself
        return Size(3 + 3 * pointer + wraps + 4 * lutrams(depth, width))
    blocks = ram(depth, width)
    memory = 0 if blocks else 4 * lutrams(depth, width) + selection(math.ceil(depth / 64), width)
    return Size(41 + width + memory, 0, blocks)
