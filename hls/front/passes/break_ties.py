"""Where a quantizer can meet exact ties, they are broken upwards, as thresholds do.

QONNX rounds half to even; a threshold passes from its value on, which is half up. Behind a batch
norm no integer sum hits the middle between two levels, so both agree. They may not where a
quantizer follows another one directly (an average pool that is quantized again) or where all
scales are powers of two. There a small fraction of a step is added in front of the quantizer, in
the network that goes to hardware and in the one that it is compared with.
"""

from __future__ import annotations

import math

import numpy as np
from onnx import NodeProto, helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.base import Transformation
from qonnx.transformation.infer_shapes import InferShapes

from exeunt.hls.front.qonnx_file import scalar

_MATRICES = frozenset(["Conv", "Gemm", "MatMul"])


class BreakTies(Transformation):
    """Quant(x) -> Quant(x + step * 2**(bits - 22)) where ties are possible."""

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        """Rewrite such quantizers of activations; (model, changed)."""
        changed = False
        for node in list(model.graph.node):
            if node.op_type == "Quant" and _ties(model, node):
                target = node
                before = model.find_producer(node.input[0])
                if before is not None and before.op_type == "Relu":
                    target = before  # a quantized ReLU is converted as one
                _nudge(model, target, node)
                changed = True
        if changed:
            model = model.transform(InferShapes())
        return model, False


def _ties(model: ModelWrapper, node: NodeProto) -> bool:
    """Whether the integers in front of a quantizer can lie exactly between two of its levels."""
    scale = scalar(model, node.input[1])
    bits = scalar(model, node.input[3])
    if scale is None or bits is None or scale <= 0:
        return False
    dyadic = math.frexp(scale)[0] == 0.5
    before = model.find_producer(node.input[0])
    while before is not None and before.op_type != "Quant":
        if before.op_type == "BatchNormalization":
            return False
        if before.op_type in _MATRICES and not dyadic:
            return False
        before = model.find_producer(before.input[0])
    return before is not None  # the image's own quantizer has been removed


def _nudge(model: ModelWrapper, target: NodeProto, quantizer: NodeProto) -> None:
    scale, bits = scalar(model, quantizer.input[1]), scalar(model, quantizer.input[3])
    assert scale is not None
    assert bits is not None
    amount = model.make_new_valueinfo_name()
    model.set_tensor_shape(amount, [])
    model.set_initializer(amount, np.asarray(scale * 2.0 ** (bits - 22), np.float32))
    result = model.make_new_valueinfo_name()
    model.set_tensor_shape(result, model.get_tensor_shape(target.input[0]))
    add = helper.make_node("Add", [target.input[0], amount], [result], name=f"Tie_{target.name}")
    model.graph.node.insert(list(model.graph.node).index(target), add)
    target.input[0] = result
