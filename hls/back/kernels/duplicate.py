"""Kernel `ex_duplicate`: a stream for two readers."""

from __future__ import annotations

from exeunt.hls.back.kernels.registry import Backend, register
from exeunt.kernels.duplicate import Duplicate

MODULES = ("ex_duplicate", "ex_fork")


def module(node: Duplicate) -> str:
    """Name of the RTL module."""
    return "ex_duplicate"


def parameters(node: Duplicate) -> dict[str, int | str]:
    """Parameters of the RTL module."""
    return {"WIDTH": node.input.width}


register(Duplicate.kind, Backend(module, parameters, MODULES))
