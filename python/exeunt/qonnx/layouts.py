"""QONNX's channels-last operators as ordinary ones between two transpositions."""

from __future__ import annotations

from dataclasses import replace

from exeunt.qonnx.plain import Node

DOMAIN = "qonnx.custom_op.channels_last"


def channels_first(node: Node) -> list[Node]:
    """The nodes of a channels-last Conv, MaxPool or BatchNormalization (1, H, W, C)."""
    first, last = f"{node.output}.first", f"{node.output}.maps"
    to_first, to_last = {"perm": [0, 3, 1, 2]}, {"perm": [0, 2, 3, 1]}
    return [
        Node("Transpose", f"{node.name}.first", node.inputs[:1], first, to_first),
        replace(node, inputs=(first, *node.inputs[1:]), output=last),
        Node("Transpose", f"{node.name}.last", (last,), node.output, to_last),
    ]
