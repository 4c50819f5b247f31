"""Kernel backend of `Mvu` nodes: `ex_mvu`, its weight memory and threshold memories."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from exeunt.graph import IntArray
from exeunt.hls.back.kernels import levels, sparsity
from exeunt.hls.back.kernels.registry import Backend, register
from exeunt.kernels.mvu import Mvu

MODULES = ("ex_mvu", "ex_threshold")


def module(node: Mvu) -> str:
    """The RTL module of the node."""
    return "ex_mvu"


def weight_file(weights: IntArray, *, lanes_in: int, lanes_out: int, bits: int) -> str:
    """The weight memory: one hexadecimal word a line for every step of a vector.

    Args:
        weights: integers (MH, MW), `bits` wide, two's complement.
        lanes_in: SIMD, columns of a step.
        lanes_out: PE, rows of a step.
        bits: of a weight.
    """
    mh = len(weights)
    blocks = weights.astype(np.int64).reshape(mh // lanes_out, lanes_out, -1, lanes_in)
    words = blocks.transpose(0, 2, 1, 3).reshape(-1, lanes_out * lanes_in)
    ones = ((words[:, :, None] >> np.arange(bits)) & 1).astype(np.uint8)
    raw = np.packbits(ones.reshape(len(words), -1), axis=1, bitorder="little")[:, ::-1]
    digits = (lanes_out * lanes_in * bits + 3) // 4
    return "".join(f"{row.tobytes().hex()[-digits:]}\n" for row in raw)


def parameters(node: Mvu) -> dict[str, int | str]:
    """Parameters of `ex_mvu`."""
    vectors = node.output.shape[0] * node.output.shape[1]
    return {
        "MW": node.input.elements // vectors,
        "MH": node.output.shape[2],
        "SIMD": node.input.lanes,
        "PE": node.output.lanes,
        "IN_BITS": node.input.dtype.bits,
        "IN_SIGNED": int(node.input.dtype.signed),
        "W_BITS": node.weight_bits,
        "ACC_BITS": node.accumulator.bits,
        "OUT_BITS": node.output.dtype.bits,
        "LEVELS": node.levels,
        "BIAS": node.bias,
        "WEIGHT_FILE": f"{node.name}_weights.hex",
        "THRESHOLD_FILE": f"{node.name}_thresholds" if node.levels else "",
    }


def memories(node: Mvu, arrays: Mapping[str, IntArray]) -> dict[str, str]:
    """The weight file, from `weights` (MH, MW), and with levels the threshold files."""
    result = {
        f"{node.name}_weights.hex": weight_file(
            arrays["weights"],
            lanes_in=node.input.lanes,
            lanes_out=node.output.lanes,
            bits=node.weight_bits,
        )
    }
    if node.levels:
        result |= levels.files(
            f"{node.name}_thresholds",
            arrays["thresholds"],
            dtype=node.accumulator,
            lanes=node.output.lanes,
        )
    return result


def facts(node: Mvu, arrays: Mapping[str, IntArray]) -> dict[str, Any]:
    """What a schedule that skips zeros could gain."""
    lanes = {"simd": node.input.lanes, "pe": node.output.lanes}
    return {"sparsity": sparsity.pattern(arrays["weights"], **lanes)}


register(Mvu.kind, Backend(module, parameters, MODULES, memories=memories, facts=facts))
