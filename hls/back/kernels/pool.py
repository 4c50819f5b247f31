"""Kernel `ex_pool`: parameters of a pool without overlap."""

from __future__ import annotations

from exeunt.hls.back.kernels.operators import Found, Operator
from exeunt.hls.back.kernels.registry import Backend, register, register_operator
from exeunt.kernels.layer import Pooling
from exeunt.kernels.pool import Pool

MODULES = ("ex_pool", "ex_accumulate")


def module(node: Pool) -> str:
    """Name of the RTL module."""
    return "ex_pool"


def parameters(node: Pool) -> dict[str, int | str]:
    """Parameters of the RTL module."""
    h, w, channels = node.input.shape
    return {
        "FUNCTION": ("max", "sum").index(node.function),
        "LANES": node.input.lanes,
        "IN_BITS": node.input.dtype.bits,
        "IN_SIGNED": int(node.input.dtype.signed),
        "OUT_BITS": node.output.dtype.bits,
        "C": channels,
        "H": h,
        "W": w,
        "KH": node.kernel[0],
        "KW": node.kernel[1],
    }


def read(found: Found) -> Pooling:
    """A FINN Pool with the window in front of it."""
    return Pooling(
        found.input,
        found.source,
        found.output,
        found.result,
        window=found.front.window,
        function="max" if found.get("Function") == "MaxPool" else "sum",
        finn=found.finn,
    )


register_operator(
    Operator(
        "Pool",
        "finn.custom_op.fpgadataflow.pool:Pool",
        read,
        ("ex_pool", "ex_reduce"),
        # the conversion sets an attribute that only FINN's HLS variant declares
        attributes={"cpp_interface": ("s", False, "")},
    )
)
register(Pool.kind, Backend(module, parameters, MODULES))
