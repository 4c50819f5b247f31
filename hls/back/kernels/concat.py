"""Kernel `ex_concat`: parameters of two streams whose channels stand one behind the other."""

from __future__ import annotations

from exeunt.hls.back.kernels import joining
from exeunt.hls.back.kernels.operators import Found, Operator
from exeunt.hls.back.kernels.registry import Backend, register, register_operator
from exeunt.kernels.concat import Concat
from exeunt.kernels.layer import Concatenation, Fold

MODULES = ("ex_concat",)


def module(node: Concat) -> str:
    """Name of the RTL module."""
    return "ex_concat"


def parameters(node: Concat) -> dict[str, int | str]:
    """Parameters of the RTL module."""
    first, second = node.words
    return {**joining.parameters(node), "A_WORDS": first, "B_WORDS": second}


def read(found: Found) -> Concatenation:
    """The concatenation that a FINN StreamingConcat is."""
    first, second = ((*found.output[:2], int(c)) for c in found.get("ChannelsPerStream"))
    more = joining.other(found)
    return Concatenation(
        first, found.source, found.output, found.result, finn=found.finn, other=second, **more
    )


def simd_alone(fold: Fold) -> dict[str, int]:
    """FINN's folding attribute."""
    return {"SIMD": fold.simd}


register_operator(
    Operator(
        "StreamingConcat",
        "finn.custom_op.fpgadataflow.concat:StreamingConcat",
        read,
        MODULES,
        folding=simd_alone,
    )
)
register(Concat.kind, Backend(module, parameters, MODULES))
