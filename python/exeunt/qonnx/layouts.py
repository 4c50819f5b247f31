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


def channels_first(node: Node, rank: int) -> list[Node]:
    """The nodes of a channels-last Conv, MaxPool or BatchNormalization.

    Args:
        node: its stream is (1, H, W, C) or (1, L, C), and so are the weights of a Conv: (O, KH, KW,
            I) or (O, K, I).
        rank: dimensions of its stream.
    """
    first, last = f"{node.output}.first", f"{node.output}.maps"
    nodes = [
        Node("Transpose", f"{node.name}.first", node.inputs[:1], first, to_first(rank)),
        Node("Transpose", f"{node.name}.last", (last,), node.output, to_last(rank)),
    ]
    inputs = (first, *node.inputs[1:])
    if node.operator == "Conv" and len(inputs) > 1:
        weights = f"{node.output}.weights"
        name = f"{node.name}.weights"
        nodes.insert(0, Node("Transpose", name, inputs[1:2], weights, to_first(rank)))
        inputs = (first, weights, *inputs[2:])
    return [*nodes[:-1], replace(node, inputs=inputs, output=last), nodes[-1]]
