"""Kernel backend of `Mvu` nodes: `ex_mvu`, its weight memory and threshold memories."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from exeunt.graph import IntArray, Integer
from exeunt.hls.back.kernels import levels, sparsity
from exeunt.hls.back.kernels.operators import Found, Operator, groups_of
from exeunt.hls.back.kernels.registry import (
    Backend,
    Parameters,
    Texts,
    register,
    register_operator,
)
from exeunt.kernels.layer import Fold, Matrix
from exeunt.kernels.mvu import Mvu, back, columns, folds
from exeunt.kernels.mvu.products import FEW
from exeunt.kernels.parts.back import Steps
from exeunt.kernels.parts.weights import accumulator_range, smallest

MULTIPLIERS = {"": 0, "lut": 1, "dsp": 2, "packed": 3}
MODULES = ("ex_mvu", "ex_packed", "ex_rom", "ex_search", "ex_threshold", "ex_width")


def module(node: Mvu) -> str:
    """The RTL module of the node."""
    return "ex_mvu"


def weight_file(weights: IntArray, *, lanes_in: int, lanes_out: int, bits: int) -> str:
    """The weight memory: one hexadecimal word a line for every step of a vector.

    A single bit of a weight is its sign: 1 for -1.

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
    words = math.prod(folds(node)) * node.groups // node.together
    weights, apart = f"{node.name}_weights.hex", words > FEW
    return {
        "MW": columns(node),
        "MH": node.output.shape[2],
        "SIMD": node.simd,
        "PE": node.output.lanes,
        "IN_BITS": node.input.dtype.bits,
        "IN_SIGNED": int(node.input.dtype.signed),
        "W_BITS": node.weight_bits,
        "SIGNS": int(node.signs),
        "ACC_BITS": node.accumulator.bits,
        "OUT_BITS": node.output.dtype.bits,
        "LEVELS": node.levels,
        "BIAS": node.bias,
        "SEARCH": node.search,
        "PARTS": node.groups,
        "ARMS": node.together,
        "WEIGHT_FILE": "" if apart else weights,
        "ROM_FILE": weights if apart else "",
        "THRESHOLD_FILE": f"{node.name}_thresholds" if node.levels else "",
        "OFFSET_FILE": f"{node.name}_offsets.hex" if _begins(node) else "",
        **({"MULTIPLIERS": MULTIPLIERS[node.multiplier]} if node.multiplier else {}),
    }


def _begins(node: Mvu) -> bool:
    """Whether the accumulators of a row begin with a constant."""
    return node.offset or (node.signs and not node.levels)


def memories(node: Mvu, arrays: Mapping[str, IntArray]) -> dict[str, str]:
    """The weight file, from `weights` (MH, MW), and those of thresholds and constants, if any.

    With signs the hardware counts from the smallest result of each row on.
    """
    weights, lanes = arrays["weights"].astype(np.int64), node.output.lanes
    bits = node.weight_bits
    words = (weights < 0).astype(np.int64) if bits == 1 else weights
    result = {
        f"{node.name}_weights.hex": weight_file(
            words, lanes_in=node.simd, lanes_out=lanes, bits=bits
        )
    }
    start = smallest(weights, node.input.dtype) if node.signs else np.zeros(len(weights), np.int64)
    if _begins(node):
        constants = start + arrays["offsets"] if node.offset else start
        result[f"{node.name}_offsets.hex"] = weight_file(
            constants[:, None], lanes_in=1, lanes_out=lanes, bits=node.accumulator.bits
        )
    if node.levels:
        counted = Integer(node.accumulator.bits) if node.signs else node.accumulator
        result |= levels.files(
            f"{node.name}_thresholds",
            arrays["thresholds"] - start[:, None],
            dtype=counted,
            lanes=node.search,
        )
    return result


def edges(
    node: Mvu, arrays: Mapping[str, IntArray], edges: IntArray
) -> tuple[Parameters, Texts] | None:
    """What `m_edge` needs, None without thresholds; see `Backend.edges`.

    With signs the edges count from the smallest result of each row on, as thresholds do.
    """
    if not node.levels:
        return None
    steps = back(node, arrays)[0][-1]
    assert isinstance(steps, Steps)
    words, counted = levels.edge_words(node.name, steps, edges), node.accumulator
    if node.signs:
        words = words - smallest(arrays["weights"].astype(np.int64), node.input.dtype)[:, None]
        counted = Integer(node.accumulator.bits)
    prefix = f"{node.name}_edges"
    files = levels.edge_files(prefix, words, dtype=counted, lanes=node.search)
    return {"EDGES": 1, "EDGE_FILE": prefix}, files


def facts(node: Mvu, arrays: Mapping[str, IntArray]) -> dict[str, Any]:
    """What a schedule that skips zeros could gain."""
    lanes = {"simd": node.simd, "pe": node.output.lanes}
    return {"sparsity": sparsity.pattern(arrays["weights"], **lanes)}


def read(found: Found) -> Matrix:
    """The matrix of a FINN MVAU, with the window in front of it and the thresholds in it."""
    name = found.node.input[1]
    weights = np.rint(found.model.get_initializer(name)).astype(np.int64).T
    vectors = [int(v) for v in found.get("numInputVectors")]
    size = (vectors[1], vectors[2]) if len(vectors) == 3 else (1, int(np.prod(vectors)))
    groups = int(found.model.get_metadata_prop(groups_of(name)) or 1)
    if groups > 1:
        filters = len(weights) // groups
        parts = weights.reshape(groups, filters, -1, groups, found.input[2] // groups)
        own = np.arange(groups)
        weights = parts[own, :, :, own].reshape(len(weights), -1)
    return _read(found, weights, size, groups)


def read_depthwise(found: Found) -> Matrix:
    """The filters of a FINN VVAU, each on its own channel."""
    weights = np.rint(found.model.get_initializer(found.node.input[1])).astype(np.int64)
    height, width = (int(v) for v in found.get("Dim"))
    return _read(found, weights.reshape(len(weights), -1), (height, width), len(weights))


def _read(found: Found, weights: IntArray, size: tuple[int, int], groups: int) -> Matrix:
    """The matrix with weights (rows, columns of a group) for an output of `size`."""
    source, get, window = found.source, found.get, found.front.window
    low, high = accumulator_range(weights, source)
    shape = found.input
    height, width = size
    # signed, two bits at least, as the kernel wants it
    thresholds, bias, accumulator = None, 0, Integer.covering(min(low, -2), max(high, 1))
    result = accumulator
    if not get("noActivation"):
        bias, result = int(get("ActVal")), found.result
        thresholds = levels.integer_thresholds(
            found.tables[found.node.input[2]], weights.shape[0], low, high
        )
        accumulator = Integer.covering(min(low, -2), max(high, int(thresholds.max()), 1))
    if window is None and (height, width) != shape[:2]:
        shape = (height, width, weights.shape[1])
    arrays: dict[str, IntArray] = {"weights": weights}
    if thresholds is not None:
        arrays["thresholds"] = thresholds
    least, most = int(weights.min()), int(weights.max())
    signs = least >= -1 and most <= 1
    bits = Integer.covering(min(least, -2), max(most, 1)).bits
    return Matrix(
        shape,
        source,
        (height, width, weights.shape[0]),
        result,
        window=window,
        finn=found.finn,
        columns=weights.shape[1],
        groups=groups,
        weight_bits=1 if signs and weights.all() else bits,
        signs=signs,
        levels=0 if thresholds is None else thresholds.shape[1],
        bias=bias,
        accumulator=accumulator,
        arrays=arrays,
    )


def folding(fold: Fold) -> dict[str, int]:
    """FINN's folding attributes."""
    return {"PE": fold.pe, "SIMD": fold.simd}


def folding_depthwise(fold: Fold) -> dict[str, int]:
    """The same of a VVAU, whose SIMD is of each of its channels."""
    return {"PE": fold.pe, "SIMD": fold.simd // fold.pe}


def lut_estimation(self: Any, fpgapart: str) -> int:
    """FINN's rule of thumb for a multiplier in LUTs, plus the thresholds' comparators."""
    pe, simd = self.get_nodeattr("PE"), self.get_nodeattr("SIMD")
    w = self.get_input_datatype(1).bitwidth()
    a = self.get_input_datatype(0).bitwidth()
    acc = self.get_accumulator_datatype().bitwidth()
    return int(pe * simd * w * a + pe * (simd - 1) * (w + a) + pe * acc * 2)


register_operator(
    Operator(
        "MVAU",
        "finn.custom_op.fpgadataflow.matrixvectoractivation:MVAU",
        read,
        MODULES,
        folding,
        {"lut_estimation": lut_estimation},
    )
)
register_operator(
    Operator(
        "VVAU",
        "finn.custom_op.fpgadataflow.vectorvectoractivation:VVAU",
        read_depthwise,
        MODULES,
        folding_depthwise,
        {"lut_estimation": lut_estimation},
    )
)
register(
    Mvu.kind, Backend(module, parameters, MODULES, memories=memories, facts=facts, edges=edges)
)
