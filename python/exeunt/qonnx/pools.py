"""Pools in the plain form: windows with explicit pads, means as sums over the whole window."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from exeunt.errors import InputError
from exeunt.qonnx import shapes
from exeunt.qonnx.plain import Node, Tensors, axes_of, to_shape, transpose
from exeunt.qonnx.shapes import Pair, Quad, Shape


def max_pool(found: Tensors, node: Node, shape: Shape) -> None:
    """A MaxPool with explicit pads."""
    _pool(found, "MaxPool", node, shapes.window(node.attributes, shape, None, node.label))


def average_pool(found: Tensors, node: Node, shape: Shape) -> None:
    """A sum over the whole window, then what makes it the mean of the pixels that count."""
    kernel, strides, pads = shapes.window(node.attributes, shape, None, node.label)
    counted = (0, 0, 0, 0)
    if node.attributes.get("count_include_pad", 0):
        counted = shapes.window({**node.attributes, "ceil_mode": 0}, shape, None, node.label)[2]
    counts = shapes.counts(shape, (kernel, strides, pads), counted)
    if not counts.all():
        raise InputError(
            f"{node.label} must have a pixel of the map in each window but has none in some; "
            "pad less"
        )
    size = kernel[0] * kernel[1]
    if (counts == size).all():
        _pool(found, "AveragePool", node, (kernel, strides, pads))
        return
    whole = f"{node.output}.whole"
    _pool(found, "AveragePool", replace(node, output=whole), (kernel, strides, pads))
    factor = found.constant(f"{node.output}.factor", np.asarray(size / counts, np.float32))
    mean = Node("Mul", f"{node.name}.factor", (whole, factor), node.output)
    found.keep(mean, found.shapes[whole])


def global_max_pool(found: Tensors, node: Node, shape: Shape) -> None:
    """The maximum of a whole map."""
    _whole(found, "MaxPool", node, shape)


def global_average_pool(found: Tensors, node: Node, shape: Shape) -> None:
    """The mean of a whole map."""
    _whole(found, "AveragePool", node, shape)


def _whole(found: Tensors, operator: str, node: Node, shape: Shape) -> None:
    attributes = {"kernel_shape": shape[2:], "strides": shape[2:]}
    _pool(found, operator, node, shapes.window(attributes, shape, None, node.label))


def _pool(found: Tensors, operator: str, node: Node, window: tuple[Pair, Pair, Quad]) -> None:
    kernel, strides, pads = window
    shape = found.shapes[node.inputs[0]]
    attributes: dict[str, Any] = {
        "kernel_shape": list(kernel),
        "strides": list(strides),
        "pads": list(pads),
    }
    if operator == "AveragePool":
        attributes["count_include_pad"] = 1
    made = Node(operator, node.name, node.inputs[:1], node.output, attributes)
    found.keep(made, (*shape[:2], *shapes.out(shape, kernel, strides, pads)))


def reduce_mean(found: Tensors, node: Node, shape: Shape) -> None:
    """A mean over height and width, whichever layout the map has."""
    axes = axes_of(found, node, len(shape))
    keep = node.attributes.get("keepdims", 1)
    if len(shape) == 3 and axes == [2]:
        row = Node("Reshape", f"{node.name}.row", node.inputs[:1], f"{node.output}.row")
        to_shape(found, row, (1, shape[1], 1, shape[2]))
        pooled = f"{node.output}.mean"
        _whole(
            found,
            "AveragePool",
            replace(node, inputs=(row.output,), output=pooled),
            found.shapes[row.output],
        )
        result: Shape = (1, shape[1], 1) if keep else (1, shape[1])
        to_shape(found, Node("Reshape", f"{node.name}.back", (pooled,), node.output), result)
        return
    if len(shape) == 4 and axes is not None and sorted(axes) == [1, 2]:  # channels last
        first = Node(
            "Transpose",
            f"{node.name}.first",
            node.inputs[:1],
            f"{node.output}.first",
            {"perm": [0, 3, 1, 2]},
        )
        transpose(found, first, shape)
        pooled = f"{node.output}.mean"
        _whole(
            found,
            "AveragePool",
            replace(node, inputs=(first.output,), output=pooled),
            found.shapes[first.output],
        )
        result = (1, 1, 1, shape[3]) if keep else (1, shape[3])
        to_shape(found, Node("Reshape", f"{node.name}.back", (pooled,), node.output), result)
        return
    if len(shape) != 4 or axes is None or sorted(axes) != [2, 3]:
        raise InputError(
            f"{node.label} must average a (1, C, H, W) map over height and width but reduces the "
            f"axes {axes} of {shape}; use a global average pool"
        )
    if keep:
        _whole(found, "AveragePool", node, shape)
        return
    pooled = f"{node.output}.map"
    _whole(found, "AveragePool", replace(node, output=pooled), shape)
    to_shape(found, Node("Reshape", f"{node.name}.flat", (pooled,), node.output), shape[:2])
