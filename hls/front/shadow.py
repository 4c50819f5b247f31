"""The integers against QONNX's own execution of the file, node by node in float32.

Both are carried along together: behind every quantizer the float execution goes on from the
integers, so that what float32 rounds in one layer does not travel to the next. A level may differ
only where the integers say that the value is at the edge between two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator
from qonnx.custom_op.general.bipolar_quant import binary_quant
from qonnx.custom_op.general.quant import quant

from exeunt.errors import CheckFailed
from exeunt.qonnx.file import Graph
from exeunt.qonnx.integers import IntegerNetwork
from exeunt.qonnx.layers import QUANTIZERS, Node
from exeunt.qonnx.quantizer import meant

Floats = npt.NDArray[np.floating]

_JUMPS = ("Round", "Floor", "Ceil", "Sign")
_EDGE = 0.05  # of a level: what float32 may be off in front of a quantizer


def check(graph: Graph, network: IntegerNetwork, tensors: Mapping[str, npt.NDArray[Any]]) -> None:
    """Compare the integers with the file, on frames.

    Args:
        graph: the file.
        network: what was made of it.
        tensors: (N, H, W, C), all its integer tensors, as `IntegerNetwork.tensors` gives them.

    Raises:
        CheckFailed: naming the first quantizer or exit that differs.
    """
    images = tensors[graph.image]
    runs = {node.name: _runner(node) for node in graph.nodes}
    for frame in range(len(images)):
        here = {name: value[frame : frame + 1] for name, value in tensors.items()}
        context: dict[str, Floats] = dict(graph.constants)
        context[graph.image] = images[frame].transpose(2, 0, 1)[None].astype(np.float32)
        for node in graph.nodes:
            result = runs[node.name]([context[name] for name in node.inputs])
            if node.operator in QUANTIZERS and node.output not in graph.constants:
                result = _levels(node, context, result, network, here)
            context[node.output] = result
        for index, e in enumerate(network.exits):
            name = e.output
            got = network.views[name](here[network.views[name].base]) / e.scale
            difference = np.abs(got - context[name] / e.scale)
            if difference.max() > _EDGE + 1e-5 * np.abs(got).max():
                raise CheckFailed(
                    f"{graph.where}: the integers of exit {index} are off by {difference.max():g} "
                    "steps from the file's logits; please report the network"
                )


def _levels(
    node: Node,
    context: Mapping[str, Floats],
    result: Floats,
    network: IntegerNetwork,
    tensors: Mapping[str, npt.NDArray[Any]],
) -> Floats:
    """The quantizer's reals according to the integers, near enough to the file's."""
    view = network.views[node.output]
    mine = view(tensors[view.base])
    scale = np.abs(context[node.inputs[1]])
    value = context[node.inputs[0]] / scale
    edges = np.abs(2 * value - np.rint(2 * value)) / 2
    wrong = np.abs(mine - result) > 0.5 * scale
    noise = _EDGE + 1e-5 * np.abs(value)
    if (wrong & ((edges > noise) | (np.abs(mine - result) > 2.5 * scale))).any():
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise CheckFailed(
            f"{network.where}: the integers of {node.label} at {where} stand for {mine[where]:g} "
            f"but the file has {result[where]:g}; please report the network"
        )
    return mine.astype(np.float32)


def _runner(node: Node) -> Callable[[list[Floats]], Floats]:
    """QONNX's execution of one node."""
    attributes = dict(node.attributes)
    if node.operator == "BipolarQuant":
        return lambda x: np.asarray(binary_quant(*x), np.float32)
    if node.operator == "Quant":
        return lambda x: np.asarray(
            quant(*x, attributes["signed"], attributes["narrow"], attributes["rounding_mode"]),
            np.float32,
        )
    if node.operator == "MaxPool":
        return lambda x: _largest(x[0], attributes)
    names = [f"i{k}" if name else "" for k, name in enumerate(node.inputs)]
    made = helper.make_node(node.operator, names, ["o"], **attributes)
    kinds = [
        helper.make_tensor_value_info(
            n, TensorProto.INT64 if n == "i1" and node.operator == "Reshape" else 1, None
        )
        for n in names
        if n
    ]
    out = onnx.ValueInfoProto(name="o")
    model = helper.make_model(
        helper.make_graph([made], "node", kinds, [out]), opset_imports=[helper.make_opsetid("", 20)]
    )
    evaluator = ReferenceEvaluator(model)

    def run(values: list[Floats]) -> Floats:
        if node.operator in _JUMPS:  # to one side or the other of what float32 made of a tie
            values = [np.asarray(meant(values[0]), np.float32), *values[1:]]
        given = {n: v for n, v in zip(names, values, strict=True) if n}
        return np.asarray(next(iter(evaluator.run(None, given))))

    return run


def _largest(x: Floats, attributes: Mapping[str, Any]) -> Floats:
    """MaxPool, which onnx 1.21's reference gets wrong where only one side is padded."""
    top, left, bottom, right = attributes["pads"]
    (height, width), (down, along) = attributes["kernel_shape"], attributes["strides"]
    edges = ((0, 0), (0, 0), (top, bottom), (left, right))
    padded = np.pad(x, edges, constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), (2, 3))
    return np.asarray(windows[:, :, ::down, ::along].max(axis=(4, 5)))
