"""SumPool becomes FINN's GlobalAccPool (the whole map) or Im2Col and Pool with AccPool."""

from __future__ import annotations

from onnx import NodeProto, helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.base import Transformation
from qonnx.transformation.infer_datatypes import InferDataTypes
from qonnx.transformation.infer_shapes import InferShapes


class InferSumPool(Transformation):
    """Each channels-last SumPool of integers becomes FINN hardware layers."""

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        """Rewrite every SumPool; (model, changed)."""
        changed = False
        for node in list(model.graph.node):
            if node.op_type != "SumPool" or not _ready(model, node):
                continue
            index = list(model.graph.node).index(node)
            made = _layers(model, node)
            model.graph.node.remove(node)
            for offset, new in enumerate(made):
                model.graph.node.insert(index + offset, new)
            changed = True
        if changed:
            model = model.transform(InferShapes())
            model = model.transform(InferDataTypes())
        return model, False


def _ready(model: ModelWrapper, node: NodeProto) -> bool:
    dtype = model.get_tensor_datatype(node.input[0])
    return bool(dtype.is_integer()) and getCustomOp(node).get_nodeattr("data_layout") == "NHWC"


def _layers(model: ModelWrapper, node: NodeProto) -> list[NodeProto]:
    operator = getCustomOp(node)
    kernel = [int(k) for k in operator.get_nodeattr("kernel_shape")]
    stride = [int(s) for s in operator.get_nodeattr("strides")]
    pads = [int(p) for p in operator.get_nodeattr("pads")]
    n, h, w, c = model.get_tensor_shape(node.input[0])
    _, oh, ow, _ = model.get_tensor_shape(node.output[0])
    dtype = model.get_tensor_datatype(node.input[0])
    result = model.get_tensor_datatype(node.output[0])
    common = {"domain": "finn.custom_op.fpgadataflow", "backend": "fpgadataflow"}
    if (oh, ow) == (1, 1) and kernel == [h, w] and not any(pads):
        return [
            helper.make_node(
                "GlobalAccPool",
                [node.input[0]],
                [node.output[0]],
                name=f"GlobalAccPool_{node.name}",
                NumChannels=c,
                PE=1,
                inputDataType=dtype.name,
                numInputVectors=[n, h, w],
                **common,
            )
        ]
    windows = model.make_new_valueinfo_name()
    model.set_tensor_shape(windows, [n, oh, ow, kernel[0] * kernel[1] * c])
    model.set_tensor_datatype(windows, dtype)
    im2col = helper.make_node(
        "Im2Col",
        [node.input[0]],
        [windows],
        name=f"Im2Col_{node.name}",
        domain="qonnx.custom_op.general",
        stride=stride,
        kernel_size=kernel,
        pad_amount=pads,
        depthwise=1,
        input_shape=str((n, h, w, c)),
    )
    pool = helper.make_node(
        "Pool",
        [windows],
        [node.output[0]],
        name=f"Pool_{node.name}",
        InputDataType=dtype.name,
        OutputDataType=result.name,
        Channels=c,
        PE=c,  # the Python execution of Im2Col followed by Pool is only right unfolded
        KernelSize=kernel,
        Function="AccPool",
        OutImgDims=[oh, ow],
        AccumBits=result.bitwidth(),
        BatchSize=n,
        **common,
    )
    return [im2col, pool]
