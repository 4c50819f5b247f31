"""A part's input becomes the integers on the wire, channels last, times their scale."""

from __future__ import annotations

import numpy as np
import qonnx.core.data_layout as DataLayout  # noqa: N812 - QONNX's own name for it
from onnx import TensorProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.base import Transformation

from exeunt.hls.front.passes.sum_pool_nhwc import TO_NCHW

NAME = "integers"


class IntegerInput(Transformation):
    """x real, channels first -> Mul(scale), Transpose of integers, channels last."""

    def __init__(self, datatype: str, scale: float) -> None:
        """Args: datatype: QONNX name, such as UINT4. scale: real value of the integer 1."""
        super().__init__()
        self.datatype = datatype
        self.scale = scale

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        """Put the nodes in front; (model, changed)."""
        graph = model.graph
        name = graph.input[0].name
        shape = model.get_tensor_shape(name)
        old = graph.input[0]
        graph.input.remove(old)
        graph.value_info.append(old)
        wire = [shape[0], shape[2], shape[3], shape[1]] if len(shape) == 4 else shape
        graph.input.insert(0, helper.make_tensor_value_info(NAME, TensorProto.FLOAT, wire))
        model.set_tensor_datatype(NAME, DataType[self.datatype])
        if len(shape) == 4:
            model.set_tensor_layout(NAME, DataLayout.NHWC)  # otherwise guessed to be NCHW
        source, made = NAME, []
        if len(shape) == 4:
            source = model.make_new_valueinfo_name()
            model.set_tensor_shape(source, shape)
            model.set_tensor_datatype(source, DataType[self.datatype])
            made.append(helper.make_node("Transpose", [NAME], [source], perm=TO_NCHW))
        factor = model.make_new_valueinfo_name()
        model.set_tensor_shape(factor, [])
        model.set_initializer(factor, np.asarray(self.scale, np.float32))
        made.append(helper.make_node("Mul", [source, factor], [name]))
        for index, node in enumerate(made):
            graph.node.insert(index, node)
        return model, False
