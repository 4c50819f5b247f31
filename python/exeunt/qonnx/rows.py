"""Layers in one dimension, (1, C, L), as layers on a row (1, C, 1, L)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from exeunt.errors import InputError
from exeunt.qonnx.plain import Node, Tensors, to_shape
from exeunt.qonnx.shapes import Shape


def rowed(add: Callable[[Tensors, Node, Shape], None]) -> Callable[[Tensors, Node, Shape], None]:
    """The layer on (1, C, L) as one on the row (1, C, 1, L)."""

    def put(found: Tensors, node: Node, shape: Shape) -> None:
        if len(shape) != 3:
            add(found, node, shape)
            return
        row = f"{node.output}.row"
        to_shape(
            found,
            Node("Reshape", f"{node.name}.row", node.inputs[:1], row),
            (1, shape[1], 1, shape[2]),
        )
        attributes = row_attributes(node.attributes, node.label)
        weights = [_row_weights(found, name) for name in node.inputs[1:2]]
        inputs = (found.same.get(row, row), *weights, *node.inputs[2:])
        result = f"{node.output}.long"
        add(
            found,
            replace(node, inputs=inputs, output=result, attributes=attributes),
            found.shapes[row],
        )
        size = found.shapes[result]
        back = Node("Reshape", f"{node.name}.back", (result,), node.output)
        to_shape(found, back, (size[0], size[1], size[3]))

    return put


def row_attributes(attributes: Mapping[str, Any], label: str) -> dict[str, Any]:
    """Attributes of a window in one dimension as of one on a row.

    Raises:
        InputError: they are for another number of dimensions.
    """
    found = dict(attributes)
    for key, count in (("kernel_shape", 1), ("strides", 1), ("dilations", 1), ("pads", 2)):
        if key in found and len(found[key]) != count:
            raise InputError(
                f"{label} must have {key} in one dimension, as what it takes, but has "
                f"{list(found[key])}; export it again"
            )
    for key in ("kernel_shape", "strides", "dilations"):
        if key in found:
            found[key] = [1, *found[key]]
    if "pads" in found:
        first, last = found["pads"]
        found["pads"] = [0, first, 0, last]
    return found


def _row_weights(found: Tensors, name: str) -> str:
    """Weights (O, I, K) as (O, I, 1, K), with their quantizer."""
    weights, row = found.constants.get(name), f"{name}.row"
    if weights is None or weights.ndim != 3:
        return name
    shape = (*weights.shape[:2], 1, weights.shape[2])
    found.constant(row, weights.reshape(shape))
    quantized = found.quantized.get(name)
    if quantized is not None:
        names = list(quantized.inputs)
        for k in range(min(3, len(names))):
            value = found.constants[names[k]]
            if k == 0 or value.size > 1:
                whole = np.broadcast_to(value, weights.shape).reshape(shape)
                names[k] = found.constant(f"{row}.{k}", whole)
        found.quantized[row] = replace(quantized, inputs=tuple(names), output=row)
    return row
