"""A scalar scale in front of a SumPool moves behind it, so that the pool sums integers."""

from __future__ import annotations

from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.base import Transformation
from qonnx.transformation.infer_datatypes import InferDataTypes

from exeunt.hls.front.qonnx_file import scalar


class ScalePastSum(Transformation):
    """SumPool(s * x) = s * SumPool(x)."""

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        """Swap each such pair; (model, changed)."""
        changed = False
        for pool in list(model.graph.node):
            if pool.op_type != "SumPool":
                continue
            mul = model.find_producer(pool.input[0])
            if mul is None or mul.op_type != "Mul" or scalar(model, mul.input[1]) is None:
                continue
            source, between, result = mul.input[0], mul.output[0], pool.output[0]
            shape = model.get_tensor_shape(result)
            pool.input[0], pool.output[0] = source, between
            mul.input[0], mul.output[0] = between, result
            model.set_tensor_shape(between, shape)
            for tensor in (between, result):
                model.set_tensor_datatype(tensor, DataType["FLOAT32"])
            model.graph.node.remove(mul)
            model.graph.node.insert(list(model.graph.node).index(pool) + 1, mul)
            changed = True
        if changed:
            model = model.transform(InferDataTypes())
        return model, changed
