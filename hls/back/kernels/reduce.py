"""Kernel `ex_reduce`: parameters of a maximum or sum over successive vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from exeunt.hls.back.kernels.operators import Found, Operator
from exeunt.hls.back.kernels.registry import Backend, register, register_operator
from exeunt.kernels.layer import Pooling
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


def read(found: Found) -> Pooling:
    """A FINN GlobalAccPool: the sum of the whole map."""
    return Pooling(
        found.input, found.source, found.output, found.result, function="sum", finn=found.finn
    )


def cycles(self: Any) -> int:
    """Words of the map."""
    vectors = int(np.prod(self.get_nodeattr("numInputVectors")))
    return int(vectors * (self.get_nodeattr("NumChannels") // self.get_nodeattr("PE")))


register_operator(
    Operator(
        "GlobalAccPool",
        "finn.custom_op.fpgadataflow.globalaccpool:GlobalAccPool",
        read,
        ("ex_reduce",),
        methods={"get_exp_cycles": cycles},
    )
)
register(Reduce.kind, Backend(module, parameters, MODULES))
