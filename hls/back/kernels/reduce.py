"""Kernel `ex_reduce`: parameters of a maximum or sum over successive vectors."""

from __future__ import annotations

from exeunt.hls.back.kernels.registry import Backend, register
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


register(Reduce.kind, Backend(module, parameters, MODULES))
