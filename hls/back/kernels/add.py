"""Kernel `ex_add`: parameters of a sum of two streams."""

from __future__ import annotations

from exeunt.hls.back.kernels.registry import Backend, register
from exeunt.kernels.add import Add

MODULES = ("ex_add",)


def module(node: Add) -> str:
    """Name of the RTL module."""
    return "ex_add"


def parameters(node: Add) -> dict[str, int | str]:
    """Parameters of the RTL module."""
    return {
        "LANES": node.input.lanes,
        "A_BITS": node.input.dtype.bits,
        "A_SIGNED": int(node.input.dtype.signed),
        "B_BITS": node.other.dtype.bits,
        "B_SIGNED": int(node.other.dtype.signed),
        "FACTOR_A": node.factors[0],
        "FACTOR_B": node.factors[1],
        "OUT_BITS": node.output.dtype.bits,
    }


register(Add.kind, Backend(module, parameters, MODULES))
