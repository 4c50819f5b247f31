"""A channels-last to channels-first transpose in front of a SumPool moves behind it."""

from __future__ import annotations

from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.base import Transformation
from qonnx.util.basic import get_by_name

TO_NCHW = [0, 3, 1, 2]
TO_NHWC = [0, 2, 3, 1]


class SumPoolNHWC(Transformation):
    """Transpose(0,3,1,2), SumPool -> SumPool(NHWC), Transpose(0,3,1,2)."""

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        """Swap each such pair; (model, changed)."""
        changed = False
        for pool in list(model.graph.node):
            if pool.op_type != "SumPool":
                continue
            transpose = model.find_producer(pool.input[0])
            if transpose is None or transpose.op_type != "Transpose":
                continue
            if list(get_by_name(transpose.attribute, "perm").ints) != TO_NCHW:
                continue
            operator = getCustomOp(pool)
            operator.set_nodeattr("data_layout", "NHWC")
            source, between, result = transpose.input[0], pool.input[0], pool.output[0]
            dtype = model.get_tensor_datatype(result)
            shape = operator.output_shape(model.get_tensor_shape(source))
            pool.input[0], pool.output[0] = source, between
            transpose.input[0], transpose.output[0] = between, result
            model.set_tensor_shape(between, shape)
            model.set_tensor_datatype(between, dtype)
            model.graph.node.remove(transpose)
            model.graph.node.insert(list(model.graph.node).index(pool) + 1, transpose)
            changed = True
        return model, changed
