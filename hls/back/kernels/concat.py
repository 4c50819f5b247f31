"""Kernel `ex_concat`: parameters of two streams whose channels stand one behind the other."""

from __future__ import annotations

from exeunt.hls.back.kernels.registry import Backend, register
from exeunt.kernels.concat import Concat

MODULES = ("ex_concat",)


def module(node: Concat) -> str:
    """Name of the RTL module."""
    return "ex_concat"


def parameters(node: Concat) -> dict[str, int | str]:
    """Parameters of the RTL module."""
    first, second = node.words
    return {
        "LANES": node.input.lanes,
        "A_BITS": node.input.dtype.bits,
        "A_SIGNED": int(node.input.dtype.signed),
        "A_WORDS": first,
        "B_BITS": node.other.dtype.bits,
        "B_SIGNED": int(node.other.dtype.signed),
        "B_WORDS": second,
        "FACTOR_A": node.factors[0],
        "FACTOR_B": node.factors[1],
        "OUT_BITS": node.output.dtype.bits,
    }


register(Concat.kind, Backend(module, parameters, MODULES))
