"""Flattening works on the stream's order (H, W, C): the next matrix's rows move instead."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.base import Transformation
from qonnx.util.basic import get_by_name

from exeunt.errors import InputError
from exeunt.hls.front.passes.sum_pool_nhwc import TO_NCHW
from exeunt.hls.front.qonnx_file import scalar


class FlattenNHWC(Transformation):
    """Transpose(0,3,1,2), Flatten, MatMul(W) -> Flatten, MatMul(rows of W permuted)."""

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        """Rewrite every such pair; (model, changed)."""
        for flatten in list(model.graph.node):
            if flatten.op_type not in ("Flatten", "Reshape"):
                continue
            transpose = model.find_producer(flatten.input[0])
            if transpose is None or transpose.op_type != "Transpose":
                continue
            if list(get_by_name(transpose.attribute, "perm").ints) != TO_NCHW:
                continue
            if len(model.get_tensor_shape(flatten.output[0])) != 2:
                continue
            _n, h, w, c = model.get_tensor_shape(transpose.input[0])
            order = np.arange(c * h * w).reshape(c, h, w).transpose(1, 2, 0).ravel()
            if h * w > 1 and c > 1:
                _permute(model, flatten, order)
            flatten.input[0] = transpose.input[0]
            model.graph.node.remove(transpose)
            return model, True
        return model, False


def _permute(model: ModelWrapper, flatten: NodeProto, order: np.ndarray) -> None:
    """Reorder the rows of the next matrix and whatever is per element on the way to it."""
    node = model.find_consumer(flatten.output[0])
    while node is not None and node.op_type != "MatMul":
        parameter = model.get_initializer(node.input[1]) if len(node.input) > 1 else None
        if node.op_type == "MultiThreshold" and parameter is not None:
            if parameter.shape[0] == order.size:
                model.set_initializer(node.input[1], parameter[order])
        elif node.op_type in ("Mul", "Add") and parameter is not None:
            if scalar(model, node.input[1]) is None:
                model.set_initializer(node.input[1], parameter.reshape(1, -1)[:, order])
        else:
            break
        node = model.find_consumer(node.output[0])
    if node is None or node.op_type != "MatMul":
        what = "nothing" if node is None else f"{node.op_type} (node {node.name})"
        raise InputError(
            f"a flattened map must lead to a linear layer but leads to {what}; "
            "put a linear layer behind the flattening"
        )
    model.set_initializer(node.input[1], model.get_initializer(node.input[1])[order])
