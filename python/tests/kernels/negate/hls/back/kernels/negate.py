"""Kernel `ex_negate`: parameters of a turned sign."""

from __future__ import annotations

from exeunt.hls.back.kernels.registry import Backend, register
from exeunt.kernels.negate import Negate


def module(node: Negate) -> str:
    """Name of the RTL module."""
    return "ex_negate"


def parameters(node: Negate) -> dict[str, int | str]:
    """Parameters of the RTL module."""
    return {
        "LANES": node.input.lanes,
        "IN_BITS": node.input.dtype.bits,
        "IN_SIGNED": int(node.input.dtype.signed),
        "OUT_BITS": node.output.dtype.bits,
        "OFFSET": node.offset,
    }


register(Negate.kind, Backend(module, parameters, ("ex_negate",)))
