"""Kernel `ex_width`: parameters of a width converter."""

from __future__ import annotations

from collections.abc import Mapping

from exeunt.graph import IntArray
from exeunt.kernels.width import Width

MODULES = ("ex_width",)


def module(node: Width) -> str:
    """Name of the RTL module."""
    return "ex_width"


def parameters(node: Width) -> dict[str, int | str]:
    """Parameters of the RTL module."""
    return {"IN_WIDTH": node.input.width, "OUT_WIDTH": node.output.width}


def memories(node: Width, arrays: Mapping[str, IntArray]) -> dict[str, str]:
    """Memory files by name: none."""
    return {}
