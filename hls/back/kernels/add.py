"""Kernel `ex_add`: parameters of a sum of two streams."""

from __future__ import annotations

from exeunt.hls.back.kernels.operators import Found, Front, Operator
from exeunt.hls.back.kernels.registry import Backend, register, register_operator
from exeunt.kernels.add import Add
from exeunt.kernels.layer import Addition

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


def read(found: Found) -> Addition:
    """The sum that a FINN ElementwiseAdd is."""
    assert found.other is not None, "it takes two streams"
    source, factor = found.other
    return Addition(
        found.output, found.source, found.output, found.result, finn=found.finn,
        other=found.output, other_source=source, factors=(found.front.factor, factor),
    )  # fmt: skip


def factor(found: Found) -> Front:
    """An ElementwiseMul by an integer is part of the sum or concatenation behind it."""
    value = found.model.get_initializer(found.node.input[1])
    return Front(factor=found.front.factor * int(value.reshape(-1)[0]))


BINARY = "finn.custom_op.fpgadataflow.elementwise_binary"
register_operator(Operator("ElementwiseAdd", f"{BINARY}:ElementwiseAdd", read, MODULES))
register_operator(Operator("ElementwiseMul", f"{BINARY}:ElementwiseMul", factor))
register(Add.kind, Backend(module, parameters, MODULES))
