"""Kernel backend of `Threshold` nodes: `ex_threshold` and its threshold memories."""

from __future__ import annotations

from collections.abc import Mapping

from exeunt.graph import IntArray
from exeunt.hls.back.kernels import levels
from exeunt.hls.back.kernels.operators import Found, Operator
from exeunt.hls.back.kernels.registry import (
    Backend,
    Parameters,
    Texts,
    register,
    register_operator,
)
from exeunt.kernels.layer import Levels
from exeunt.kernels.parts.back import Steps
from exeunt.kernels.threshold import Threshold, back

MODULES = ("ex_threshold",)


def module(node: Threshold) -> str:
    """The RTL module of the node."""
    return "ex_threshold"


def parameters(node: Threshold) -> dict[str, int | str]:
    """Parameters of `ex_threshold`."""
    return {
        "PE": node.input.lanes,
        "IN_BITS": node.input.dtype.bits,
        "IN_SIGNED": int(node.input.dtype.signed),
        "OUT_BITS": node.output.dtype.bits,
        "FOLDS": node.input.shape[2] // node.input.lanes,
        "LEVELS": node.levels,
        "BIAS": node.bias,
        "THRESHOLD_FILE": f"{node.name}_thresholds",
    }


def memories(node: Threshold, arrays: Mapping[str, IntArray]) -> dict[str, str]:
    """The threshold files, from `thresholds` (C, levels)."""
    return levels.files(
        f"{node.name}_thresholds",
        arrays["thresholds"],
        dtype=node.input.dtype,
        lanes=node.input.lanes,
    )


def edges(
    node: Threshold, arrays: Mapping[str, IntArray], edges: IntArray
) -> tuple[Parameters, Texts]:
    """What `m_edge` needs; see `Backend.edges`."""
    (steps,) = back(node, arrays)[0]
    assert isinstance(steps, Steps)
    prefix = f"{node.name}_edges"
    files = levels.edge_files(
        prefix,
        levels.edge_words(node.name, steps, edges),
        dtype=node.input.dtype,
        lanes=node.input.lanes,
    )
    return {"EDGES": 1, "EDGE_FILE": prefix}, files


def read(found: Found) -> Levels:
    """The levels of a FINN Thresholding."""
    shape, values, source = found.input, found.tables[found.node.input[1]], found.source
    channels = shape[2] if values.shape[0] == 1 else int(values.shape[0])
    if channels != shape[2]:
        shape = (1, 1, channels)  # one threshold row per element of a flattened map
    thresholds = levels.integer_thresholds(values, channels, source.min, source.max)
    return Levels(
        shape,
        source,
        shape,
        found.result,
        finn=found.finn,
        levels=thresholds.shape[1],
        bias=int(found.get("ActVal")),
        arrays={"thresholds": thresholds},
    )


register_operator(
    Operator(
        "Thresholding",
        "finn.custom_op.fpgadataflow.thresholding:Thresholding",
        read,
        MODULES,
    )
)
register(Threshold.kind, Backend(module, parameters, MODULES, memories=memories, edges=edges))
