"""Kernel `ex_width`: parameters of a width converter."""

from __future__ import annotations

from exeunt.hls.back.kernels.registry import Backend, register
from exeunt.kernels.width import Width

MODULES = ("ex_width",)


def module(node: Width) -> str:
    """Name of the RTL module."""
    return "ex_width"


def parameters(node: Width) -> dict[str, int | str]:
    """Parameters of the RTL module."""
    return {"IN_WIDTH": node.input.width, "OUT_WIDTH": node.output.width}


register(Width.kind, Backend(module, parameters, MODULES))
