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
    made = replace(node, operator=operator, inputs=node.inputs[:1], attributes=attributes)
    made = replace(made, written=node.written or node.operator)
    found.keep(made, (*shape[:2], *shapes.out(shape, kernel, strides, pads)))


_OF = {"ReduceMax": "MaxPool", "ReduceMean": "AveragePool", "ReduceSum": "AveragePool"}


def reduced(found: Tensors, node: Node, shape: Shape) -> None:
    """A maximum, mean or sum over height, width or both, whichever layout the map has."""
    axes = axes_of(found, node, len(shape))
    if axes is None and node.attributes.get("noop_with_empty_axes", 0):
        found.nothing(node)
        return
    order = next((o for o in _LAYOUTS.get(len(shape), ()) if {*(axes or ())} <= {*o[2:]}), None)
    if not axes or order is None:
        raise InputError(
            f"{node.label} must reduce height, width or both of a (1, C, H, W) map but reduces the "
            f"axes {axes} of {shape}; use a global pool"
        )
    last, name = node.inputs[0], node.output

    def put(operator: str, key: str, size: Shape | None = None) -> None:
        """Another node, which rearranges."""
        nonlocal last
        made = Node(operator, f"{node.name}.{key}", (last,), f"{name}.{key}")
        if size is None:
            transpose(found, replace(made, attributes={"perm": list(order)}), found.shapes[last])
        else:
            to_shape(found, made, size)
        last = found.same.get(made.output, made.output)

    if list(order) != sorted(order):
        put("Transpose", "first")
    channels, sides = shape[order[1]], [shape[k] for k in order[2:]]
    if len(sides) == 1:
        put("Reshape", "row", (1, channels, 1, *sides))
    kernel = [shape[k] if k in axes else 1 for k in order[2:]]
    kernel = [1] * (2 - len(kernel)) + kernel
    pooled = replace(node, inputs=(last,), output=f"{name}.{len(axes)}")
    whole = {"kernel_shape": kernel, "strides": kernel}
    map_shape = found.shapes[last]
    window = shapes.window(whole, map_shape, None, node.label)
    _pool(found, _OF[node.operator], pooled, window)
    last = pooled.output
    if node.operator == "ReduceSum":
        count = found.constant(f"{name}.count", np.asarray(np.prod(kernel), np.float32))
        summed = Node("Mul", f"{node.name}.sum", (last, count), f"{name}.sum")
        found.keep(summed, found.shapes[last])
        last = summed.output
    if len(sides) == 1:
        put("Reshape", "back", (1, channels, found.shapes[last][3]))
    if list(order) != sorted(order):  # as it was
        back = [order.index(k) for k in range(len(order))]
        made = Node("Transpose", f"{node.name}.last", (last,), f"{name}.last", {"perm": back})
        transpose(found, made, found.shapes[last])
        last = made.output
    keep = node.attributes.get("keepdims", 1)
    result = tuple(1 if k in axes else s for k, s in enumerate(shape) if keep or k not in axes)
    to_shape(found, Node("Reshape", f"{node.name}.flat", (last,), name), result)


# The dimensions of a tensor as batch, channels, and the sides of its map: channels first, or last.
_LAYOUTS = {4: ((0, 1, 2, 3), (0, 3, 1, 2)), 3: ((0, 1, 2), (0, 2, 1))}
