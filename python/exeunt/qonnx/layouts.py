"""QONNX's channels-last operators as ordinary ones between transpositions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from exeunt.qonnx.plain import Node

DOMAIN = "qonnx.custom_op.channels_last"


def to_first(rank: int) -> Mapping[str, Any]:
    """Attributes of the Transpose that puts the last dimension of a tensor behind its first."""
    return {"perm": [0, rank - 1, *range(1, rank - 1)]}


def to_last(rank: int) -> Mapping[str, Any]:
    """Attributes of the Transpose that puts the second dimension of a tensor last."""
    return {"perm": [0, *range(2, rank), 1]}


def pointwise(node: Node, rank: int) -> list[Node]:
    """The nodes of a MatMul along the last dimension of (1, H, W, C) or (1, L, C): a convolution.

    Args:
        node: weights (C, O) on the right.
        rank: dimensions of its stream.
    """
    across, weights = f"{node.output}.across", f"{node.output}.weights"
    shape, ones = f"{node.output}.axes", [1] * (rank - 2)
    return [
        Node("Transpose", f"{node.name}.across", node.inputs[1:2], across, {"perm": [1, 0]}),
        Node("Constant", f"{node.name}.axes", (), shape, {"value_ints": [0, 0, *ones]}),
        Node("Reshape", f"{node.name}.weights", (across, shape), weights),
        *channels_first(replace(node, operator="Conv", inputs=(node.inputs[0],)), rank, weights),
    ]


def channels_first(node: Node, rank: int, weights: str = "") -> list[Node]:
    """The nodes of a channels-last Conv, MaxPool or BatchNormalization.

    Args:
        node: its stream is (1, H, W, C) or (1, L, C), and so are the weights of a Conv: (O, KH, KW,
            I) or (O, K, I).
        rank: dimensions of its stream.
        weights: of a Conv, channels first; its own are channels last.
    """
    first, last = f"{node.output}.first", f"{node.output}.maps"
    nodes = [
        Node("Transpose", f"{node.name}.first", node.inputs[:1], first, to_first(rank)),
        Node("Transpose", f"{node.name}.last", (last,), node.output, to_last(rank)),
    ]
    inputs = (first, *node.inputs[1:])
    if weights:
        inputs = (first, weights)
    elif node.operator == "Conv" and len(inputs) > 1:
        weights = f"{node.output}.weights"
        name = f"{node.name}.weights"
        nodes.insert(0, Node("Transpose", name, inputs[1:2], weights, to_first(rank)))
        inputs = (first, weights, *inputs[2:])
    return [*nodes[:-1], replace(node, inputs=inputs, output=last), nodes[-1]]
