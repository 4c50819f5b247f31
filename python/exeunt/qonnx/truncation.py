"""QONNX's Trunc in the plain form."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from exeunt.errors import InputError
from exeunt.qonnx.plain import Node, Tensors, quantizer_attributes
from exeunt.qonnx.quantizer import MAX_BITS, MAX_ZERO, SMALLEST
from exeunt.qonnx.shapes import Shape

UNLIMITED = 24.0  # bits: the older Trunc gives whatever comes, also one more than fits its bits


def trunc(found: Tensors, node: Node, shape: Shape) -> None:
    """QONNX's Trunc: integers of a scale, divided by a power of two and rounded once more."""
    given = [found.constants.get(i, np.zeros(0)) for i in node.inputs[1:]]
    if len(given) not in (4, 5) or any(v.size != 1 for v in given):
        raise InputError(
            f"{node.label} must have one scale, zero point and bit width but has others; use "
            "per-tensor scaling"
        )
    scale, zero, bits, *rest = (float(v.reshape(())) for v in given)
    widths = [bits, rest[-1]]
    least = 1 if len(rest) == 2 else 0  # the older one may leave no bit but the sign
    scales = [scale, rest[0]] if len(rest) == 2 else [scale]
    told = ", ".join(f"{v:g}" for v in (scale, zero, bits, *rest))
    if not (
        all(SMALLEST <= s < np.inf for s in scales)
        and zero == np.rint(zero)
        and abs(zero) < MAX_ZERO
        and all(least <= b <= MAX_BITS and b == int(b) for b in widths)
    ):
        raise InputError(
            f"{node.label} must have positive scales, a whole zero point and bit widths of "
            f"{least} to {MAX_BITS} but has {told}; train the network again"
        )
    last = node.inputs[0]

    def put(operator: str, value: float | None, result: str = "") -> None:
        nonlocal last
        result = result or f"{node.output}.{len(found.nodes)}"
        inputs = (last,) if value is None else (
            last, found.constant(f"{result}.by", np.asarray(value, np.float32)))  # fmt: skip
        made = Node(operator, f"{node.name}.{len(found.nodes)}", inputs, result)
        found.keep(made, shape)
        last = result

    put("Div", scale)
    if zero:
        put("Add", zero)
    put("Round", None)
    newer = len(rest) == 2  # it says what it gives: the scale, and the bits
    step = 2.0 ** round(np.log2(rest[0] / scale)) if newer else 2.0 ** (bits - rest[0])
    put("Div", step)
    mode = node.attributes.get("rounding_mode", b"FLOOR")
    attributes = quantizer_attributes(replace(node, attributes={"rounding_mode": mode}))
    if newer:
        attributes |= {k: int(node.attributes.get(k, d)) for k, d in (("signed", 1), ("narrow", 0))}
    width = rest[1] if newer else UNLIMITED
    if newer and width == 1 and attributes["signed"]:  # -1 and 0, but a Quant's are -1 and 1
        ends = [
            found.constant(f"{node.output}.{key}", np.asarray(value, np.float32))
            for key, value in (("low", attributes["narrow"] - 1), ("high", 0))
        ]
        clipped = f"{node.output}.clipped"
        found.keep(Node("Clip", f"{node.name}.clip", (last, *ends), clipped), shape)
        last, width = clipped, 2.0
    names = [
        found.constant(f"{node.output}.{key}", np.asarray(value, np.float32))
        for key, value in (("one", 1.0), ("none", 0.0), ("bits", width))
    ]
    whole = f"{node.output}.integers"
    found.keep(Node("Quant", node.name, (last, *names), whole, attributes), shape)
    last = whole
    away = zero / step if newer else zero
    if away:
        put("Sub", away)
    put("Mul", rest[0] if newer else scale, node.output)
