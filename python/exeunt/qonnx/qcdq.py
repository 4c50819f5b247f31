"""QuantizeLinear, Clip and DequantizeLinear as the one Quant that they are together."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from exeunt.errors import InputError
from exeunt.qonnx.layers import Array, Node, Tensors
from exeunt.qonnx.plain import axis_of
from exeunt.qonnx.quantizer import limits

OPERATORS = ("QuantizeLinear", "DequantizeLinear")
_AGAIN = "export it again, or as QONNX"


@dataclass(frozen=True)
class Coded:
    """Integers low to high of the tensor `source`, by `node`, a QuantizeLinear."""

    source: str
    node: Node
    low: int
    high: int


class Codes:
    """The integers between QuantizeLinear and DequantizeLinear, by their names."""

    def __init__(self, found: Tensors) -> None:
        self.found = found
        self.coded: dict[str, Coded] = {}

    def quant(self, node: Node) -> Node | None:
        """The Quant that is complete with `node`; None when there is more to come.

        Args:
            node: QuantizeLinear, DequantizeLinear, or a Clip of what the former gives.

        Raises:
            InputError: scales or limits that no Quant has.
        """
        if node.operator == "QuantizeLinear":
            dtype = self._zero(node).dtype
            if dtype.kind not in "iu":
                raise InputError(
                    f"{node.label} must have a zero point of integers, whose type is that of its "
                    f"result, but has one of {dtype.name}; {_AGAIN}"
                )
            limit = np.iinfo(dtype)
            self.coded[node.output] = Coded(node.inputs[0], node, int(limit.min), int(limit.max))
            return None
        given = self.coded.get(node.inputs[0])
        if node.operator == "Clip":
            assert given is not None
            low, high = (
                self._limit(node, name) if name else limit
                for name, limit in zip(
                    (*node.inputs[1:], "", "")[:2], (given.low, given.high), strict=True
                )
            )
            self.coded[node.output] = replace(
                given, low=max(low, given.low), high=min(high, given.high)
            )
            return None
        if given is None:
            return self._of_integers(node)
        first = given.node
        same = all(
            np.array_equal(a, b)
            for a, b in (
                (self._scale(first), self._scale(node)),
                (self._zero(first), self._zero(node)),
            )
        )
        if not same:
            raise InputError(
                f"{node.label} must have the scale and zero point of {first.label} but has others; "
                f"{_AGAIN}"
            )
        return self._made(node, given.source, given.low, given.high)

    def _of_integers(self, node: Node) -> Node:
        """A DequantizeLinear of constants, such as weights."""
        integers = self.found.constants.get(node.inputs[0])
        if integers is None or integers.dtype.kind not in "iu":
            raise InputError(
                f"{node.label} must take what a QuantizeLinear gives, or integer constants, but "
                f"does not; {_AGAIN}"
            )
        limit = np.iinfo(integers.dtype)
        shape = integers.shape
        scale, zero = (self._column(v, node, shape) for v in (self._scale(node), self._zero(node)))
        values = (integers.astype(np.float64) - zero) * scale
        name = self.found.constant(f"{node.output}.values", values.astype(np.float32))
        return self._made(node, name, int(limit.min), int(limit.max))

    def _made(self, node: Node, source: str, low: int, high: int) -> Node:
        width, signed, narrow = _width(low, high, node.label)
        known = self.found.shapes if source in self.found.shapes else self.found.constants
        shape = known[source] if source in self.found.shapes else self.found.constants[source].shape
        parameters = [
            self._column(v, node, tuple(shape)) for v in (self._scale(node), self._zero(node))
        ]
        names = [
            self.found.constant(f"{node.output}.{key}", np.asarray(value, np.float32))
            for key, value in zip(("s", "z", "b"), (*parameters, float(width)), strict=True)
        ]
        attributes = {"signed": int(signed), "narrow": int(narrow), "rounding_mode": "ROUND"}
        return Node("Quant", node.name, (source, *names), node.output, attributes)

    def _limit(self, node: Node, name: str) -> int:
        value = self.found.constants.get(name, np.zeros(0))
        if value.size != 1 or value.dtype.kind not in "iu":
            raise InputError(
                f"{node.label} must have one constant integer for each limit but does not; {_AGAIN}"
            )
        return int(value.reshape(()))

    def _scale(self, node: Node) -> Array:
        return self._constant(node, node.inputs[1])

    def _zero(self, node: Node) -> Array:
        if len(node.inputs) > 2 and node.inputs[2]:
            return self._constant(node, node.inputs[2])
        known = self.found.constants.get(node.inputs[0])
        integers = known is not None and known.dtype.kind in "iu"
        return np.zeros((), known.dtype if known is not None and integers else np.uint8)

    def _constant(self, node: Node, name: str) -> Array:
        if name not in self.found.constants:
            raise InputError(
                f"{node.label} must have a constant scale and zero point but computes one; {_AGAIN}"
            )
        return self.found.constants[name]

    def _column(self, value: Array, node: Node, shape: tuple[int, ...]) -> Array:
        """A scale or zero point, one or one for each entry of an axis, against the tensor."""
        value = np.asarray(value, np.float64)
        if value.size == 1:
            return value.reshape(())
        axis = axis_of(node, int(node.attributes.get("axis", 1)), len(shape))
        if value.shape != (shape[axis],):
            raise InputError(
                f"{node.label} must have one scale or one for each of {shape[axis]} channels but "
                f"has {value.size}; {_AGAIN}"
            )
        return value.reshape([-1 if k == axis else 1 for k in range(len(shape))])


def _width(low: int, high: int, label: str) -> tuple[int, bool, bool]:
    """Bits, signed, narrow of the integers from low to high."""
    signed = low < 0
    bits = max(high.bit_length(), (-low - 1).bit_length() if signed else 0) + signed
    for narrow in (False, True):
        if (low, high) == limits(bits, signed=signed, narrow=narrow):
            return bits, signed, narrow
    raise InputError(
        f"{label} must have the integers of whole bits but has those from {low} to {high}; clip to "
        "a power of two"
    )
