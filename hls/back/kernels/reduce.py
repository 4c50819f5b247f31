"""Kernel `ex_reduce`: parameters of a maximum or sum over successive vectors."""

from __future__ import annotations

from collections.abc import Mapping

from exeunt.graph import IntArray
from exeunt.kernels.reduce import Reduce

MODULES = ("ex_reduce", "ex_accumulate")


def module(node: Reduce) -> str:
    """Name of the RTL module."""
    return "ex_reduce"


def parameters(node: Reduce) -> dict[str, int | str]:
    """Parameters of the RTL module."""
    return {
        "FUNCTION": ("max", "sum").index(node.function),
        "LANES": node.input.lanes,
        "IN_BITS": node.input.dtype.bits,
        "IN_SIGNED": int(node.input.dtype.signed),
        "OUT_BITS": node.output.dtype.bits,
        "C": node.output.shape[2],
        "COUNT": node.count,
    }


def memories(node: Reduce, arrays: Mapping[str, IntArray]) -> dict[str, str]:
    """Memory files by name: none."""
    return {}
