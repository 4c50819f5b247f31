"""Kernels `ex_swg` and `ex_swg_parallel`: parameters of a sliding window."""

from __future__ import annotations

from exeunt.hls.back.kernels.registry import Backend, register
from exeunt.kernels.swg import Swg

MODULES = ("ex_swg", "ex_swg_parallel")


def module(node: Swg) -> str:
    """Name of the RTL module."""
    return "ex_swg_parallel" if node.parallel else "ex_swg"


def parameters(node: Swg) -> dict[str, int | str]:
    """Parameters of the RTL module."""
    h, w, channels = node.input.shape
    top, left, bottom, right = node.pad
    lanes: dict[str, int | str] = {} if node.parallel else {"SIMD": node.input.lanes}
    return {
        "BITS": node.input.dtype.bits,
        **lanes,
        "C": channels,
        "H": h,
        "W": w,
        "KH": node.kernel[0],
        "KW": node.kernel[1],
        "SH": node.stride[0],
        "SW": node.stride[1],
        "PT": top,
        "PL": left,
        "PB": bottom,
        "PR": right,
    }


register(Swg.kind, Backend(module, parameters, MODULES))
