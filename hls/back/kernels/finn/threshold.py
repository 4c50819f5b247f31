"""FINN's thresholding (Thresholding_rtl without its AXI-Lite port) as a backend."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from exeunt.graph import IntArray
from exeunt.hls.back.kernels.finn.library import bundle, require
from exeunt.hls.back.kernels.registry import Backend, register
from exeunt.kernels.threshold import Threshold

MODULE = "ex_finn_threshold"


def unsupported(node: Threshold) -> str | None:
    """Why FINN's kernel cannot implement `node`, as the end of a sentence; None when it can."""
    if node.levels < 1:
        return f"FINN's thresholding needs 1 level or more, has {node.levels}"
    return None


def module(node: Threshold) -> str:
    """Name of the RTL module.

    Raises:
        InputError: FINN's kernel cannot implement this node.
    """
    require(node.name, unsupported(node))
    return MODULE


def parameters(node: Threshold) -> dict[str, int | str]:
    """Verilog parameters of `node`'s instance."""
    return {
        "PE": node.input.lanes,
        "IN_BITS": node.input.dtype.bits,
        "IN_SIGNED": int(node.input.dtype.signed),
        "OUT_BITS": node.output.dtype.bits,
        "FOLDS": node.input.shape[2] // node.input.lanes,
        "LEVELS": node.levels,
        "BIAS": node.bias,
        "THRESHOLD_PREFIX": f"{node.name}_",
    }


def memories(node: Threshold, arrays: Mapping[str, IntArray]) -> dict[str, str]:
    """Memory-init files of `node`: a search tree's level for each lane and stage.

    Args:
        node: C channels, `lanes` of them a word.
        arrays: `thresholds` (C, levels), ascending; kept within one above and the lowest input.
    """
    thresholds = np.asarray(arrays["thresholds"]).astype(np.int64)
    dtype, pe = node.input.dtype, node.input.lanes
    stages = int(node.levels).bit_length()
    tree = np.zeros((node.input.shape[2], (1 << stages) - 1), np.int64)
    tree[:, : node.levels] = thresholds.clip(dtype.min, dtype.max + 1)
    bits = dtype.bits + 1
    digits, mask = -(-bits // 4), (1 << bits) - 1
    files = {}
    for stage in range(stages):
        chosen = tree[:, (1 << (stages - stage - 1)) - 1 :: 1 << (stages - stage)]
        for lane in range(pe):
            lines = [f"{int(t) & mask:0{digits}x}\n" for t in chosen[lane::pe].reshape(-1)]
            files[f"{node.name}_threshs_{lane}_{stage}.dat"] = "".join(lines)
    return files


def sources(node: Threshold, arrays: Mapping[str, IntArray]) -> dict[str, str]:
    """SystemVerilog of the kernel: file name -> text; the same for every node of this kind.

    Raises:
        ToolError: finn-rtllib is missing.
    """
    require(node.name, unsupported(node))
    return bundle(MODULE, [("thresholding/hdl/thresholding.sv", ())])


register(
    Threshold.kind,
    Backend(module, parameters, memories=memories, sources=sources, unsupported=unsupported),
    name="finn",
)
