"""The last scale of a part goes: what leaves are integers, channels last."""

from __future__ import annotations

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.base import Transformation
from qonnx.transformation.infer_datatypes import InferDataTypes
from qonnx.util.basic import get_by_name

from exeunt.errors import InputError
from exeunt.hls.front.passes.sum_pool_nhwc import TO_NCHW
from exeunt.hls.front.qonnx_file import scalar

_SHAPES = ("Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity")


class DropScale(Transformation):
    """Remove Mul(scale) and Transpose(0,3,1,2) at the end; `scale` is then known."""

    def __init__(self, part: str) -> None:
        """Args: part: what the messages call it, such as "head 0"."""
        super().__init__()
        self.part = part
        self.scale = 1.0

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        """Remove the tail; (model, changed).

        Raises:
            InputError: a scale per channel or a bias at the end.
        """
        graph = model.graph
        while True:
            result = graph.output[0].name
            node = model.find_producer(result)
            if node is None:
                break
            if node.op_type == "Transpose":
                if list(get_by_name(node.attribute, "perm").ints) != TO_NCHW:
                    break
            elif node.op_type == "Mul":
                value = scalar(model, node.input[1])
                if value is None or value <= 0:
                    raise InputError(
                        f"{self.part} must end in one positive scale but ends in "
                        f"{_describe(model, node.input[1])} (node {node.name}); "
                        "use one weight scale for the whole last layer"
                    )
                self.scale *= value
            elif node.op_type == "Add":
                raise InputError(
                    f"{self.part} must end on the grid of its integer logits but adds a bias "
                    f"(node {node.name}); give the last layer no bias"
                )
            else:
                break
            _remove_last(model)
        return model.transform(InferDataTypes()), False


def _describe(model: ModelWrapper, name: str) -> str:
    value = model.get_initializer(name)
    if value is None:
        return "a product of two streams"
    return f"{value.size} scales from {np.min(value):.4g} to {np.max(value):.4g}"


def _remove_last(model: ModelWrapper) -> None:
    graph = model.graph
    old = graph.output[0]
    node = model.find_producer(old.name)
    source = node.input[0]
    shape, dtype = model.get_tensor_shape(source), model.get_tensor_datatype(source)
    graph.node.remove(node)
    kept = [v for v in graph.value_info if v.name == source]
    for value in kept:
        graph.value_info.remove(value)
    old.name = source
    model.set_tensor_shape(source, shape)
    model.set_tensor_datatype(source, dtype)
