"""Kernel `ex_add`: parameters of a sum of two streams."""

from __future__ import annotations

from exeunt.hls.back.kernels import joining
from exeunt.hls.back.kernels.operators import Found, Front, Operator
from exeunt.hls.back.kernels.registry import Backend, register, register_operator
from exeunt.kernels.add import Add
from exeunt.kernels.layer import Addition

MODULES = ("ex_add",)


def module(node: Add) -> str:
    """Name of the RTL module."""
    return "ex_add"


def read(found: Found) -> Addition:
    """The sum that a FINN ElementwiseAdd is."""
    shape = found.output
    more = joining.other(found)
    return Addition(shape, found.source, shape, found.result, finn=found.finn, other=shape, **more)


def factor(found: Found) -> Front:
    """An ElementwiseMul by an integer is part of the sum or concatenation behind it."""
    value = found.model.get_initializer(found.node.input[1])
    return Front(factor=found.front.factor * int(value.reshape(-1)[0]))


BINARY = "finn.custom_op.fpgadataflow.elementwise_binary"
register_operator(Operator("ElementwiseAdd", f"{BINARY}:ElementwiseAdd", read, MODULES))
register_operator(Operator("ElementwiseMul", f"{BINARY}:ElementwiseMul", factor))
register(Add.kind, Backend(module, joining.parameters, MODULES))
