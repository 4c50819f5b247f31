"""AveragePool, GlobalAveragePool and spatial ReduceMean become SumPool and a scale."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto, TensorProto, helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.base import Transformation
from qonnx.transformation.infer_shapes import InferShapes

from exeunt.errors import InputError
from exeunt.hls.front.passes import sum_pool


class AverageToSum(Transformation):
    """y = mean over a window -> y = SumPool(x) * 1 / (KH * KW)."""

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        """Rewrite every average; (model, changed)."""
        changed = False
        for node in list(model.graph.node):
            if node.op_type in ("AveragePool", "GlobalAveragePool", "ReduceMean"):
                _rewrite(model, node)
                changed = True
        if changed:
            model = model.transform(InferShapes())
        return model, False


def _rewrite(model: ModelWrapper, node: NodeProto) -> None:
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    shape = model.get_tensor_shape(node.input[0])
    if len(shape) != 4:
        raise InputError(
            f"{node.op_type} (node {node.name}) must work on a (1, C, H, W) map but got "
            f"{tuple(shape)}; pool before flattening"
        )
    kernel, stride, pads = [shape[2], shape[3]], [1, 1], [0, 0, 0, 0]
    if node.op_type == "AveragePool":
        kernel = list(attributes["kernel_shape"])
        stride = list(attributes.get("strides", [1, 1]))
        pads = list(attributes.get("pads", pads))
        if any(pads) and not attributes.get("count_include_pad", 0):
            raise InputError(
                f"AveragePool (node {node.name}) must count its padding (count_include_pad=1) "
                f"but has pads {pads} and leaves it out; pad with count_include_pad or not at all"
            )
    elif node.op_type == "ReduceMean":
        axes = attributes.get("axes")
        if axes is None and len(node.input) > 1:
            axes = model.get_initializer(node.input[1])
        if axes is None or sorted(int(a) % 4 for a in np.asarray(axes).ravel()) != [2, 3]:
            raise InputError(
                f"ReduceMean (node {node.name}) must average over height and width but reduces "
                f"the axes {axes}; use a global average pool"
            )
    total, result = model.make_new_valueinfo_name(), node.output[0]
    index = list(model.graph.node).index(node)
    new = [sum_pool.make_node(node.input[0], total, kernel=kernel, stride=stride, pads=pads)]
    new[0].name = f"SumPool_{node.name}"
    out = [shape[0], shape[1]] + [
        (shape[2 + i] + pads[i] + pads[2 + i] - kernel[i]) // stride[i] + 1 for i in range(2)
    ]
    model.set_tensor_shape(total, out)
    flat = len(model.get_tensor_shape(result)) == 2
    scaled = model.make_new_valueinfo_name() if flat else result
    factor = model.make_new_valueinfo_name()
    model.set_tensor_shape(factor, [], TensorProto.FLOAT)
    model.set_initializer(factor, np.asarray(1.0 / (kernel[0] * kernel[1]), np.float32))
    new.append(helper.make_node("Mul", [total, factor], [scaled]))
    if flat:
        model.set_tensor_shape(scaled, out)
        new.append(helper.make_node("Flatten", [scaled], [result], axis=1))
    model.graph.node.remove(node)
    for offset, made in enumerate(new):
        model.graph.node.insert(index + offset, made)
