"""A part of the integer network as a FINN model: channels last, integers from end to end.

FINN's streamlining has nothing to do on it: scales, biases and batch norms are in the thresholds
already. What follows are FINN's layers: windows and pools are written as such, matrices and
thresholds are left to FINN's own inference.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import qonnx.core.data_layout as DataLayout  # noqa: N812 - QONNX's own name for it
from onnx import NodeProto, TensorProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.util.basic import qonnx_make_model

from exeunt.graph import Integer
from exeunt.hls.back.kernels.operators import groups_of
from exeunt.qonnx.exits import Part
from exeunt.qonnx.integers import IntArray, Join, Matrix, Pool, Reshape, Tensor, Threshold
from exeunt.qonnx.meaning import spread
from exeunt.window import Window

FINN = "finn.custom_op.fpgadataflow"
QONNX = "qonnx.custom_op.general"


def model(part: Part) -> ModelWrapper:
    """The part's operations as QONNX and FINN nodes, tensors with shapes and types."""
    return _Graph(part).model


def table(index: int) -> str:
    """Name of the input with the thresholds of the part's operation `index`."""
    return f"thresholds{index}"


def finn_type(dtype: Integer) -> str:
    """FINN's name of an integer type."""
    if dtype.bits == 1 and not dtype.signed:
        return "BINARY"
    return f"{'INT' if dtype.signed else 'UINT'}{dtype.bits}"


class _Graph:
    def __init__(self, part: Part) -> None:
        graph = helper.make_graph([], part.name, [], [])
        self.model = ModelWrapper(qonnx_make_model(graph, opset_imports=_OPSETS))
        self.flat: set[str] = set()  # tensors (1, n) instead of (1, H, W, C)
        self.names = {part.source.name: "in0"}
        self.shapes = {o.result.name: o.result.shape for o in part.operations}
        self.shapes[part.source.name] = part.source.shape
        self._port(self.model.graph.input, part.source, "in0")
        for index, operation in enumerate(part.operations):
            last = index + 1 == len(part.operations)
            self.names[operation.result.name] = "out0" if last else f"tensor{index}"
            if isinstance(operation, Matrix):
                self._matrix(operation, index)
            elif isinstance(operation, Threshold):
                self._threshold(operation, index)
            elif isinstance(operation, Join):
                self._join(operation, index)
            elif isinstance(operation, Reshape):
                self._reshape(operation, index)
            else:
                self._pool(operation, index)
        result = part.operations[-1].result if part.operations else part.source
        self._port(self.model.graph.output, result, self.names[result.name])

    def _port(self, ports: Any, tensor: Tensor, name: str) -> None:
        """An input or output of the graph."""
        shape = self._shape(tensor, name)
        for value in [v for v in self.model.graph.value_info if v.name == name]:
            self.model.graph.value_info.remove(value)
        ports.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        self._type(tensor, name)

    def _shape(self, tensor: Tensor, name: str) -> list[int]:
        return [1, tensor.elements] if name in self.flat else [1, *tensor.shape]

    def _type(self, tensor: Tensor, name: str) -> None:
        self.model.set_tensor_datatype(name, DataType[finn_type(tensor.dtype)])
        layout = DataLayout.NC if name in self.flat else DataLayout.NHWC
        self.model.set_tensor_layout(name, layout)

    def _add(self, node: NodeProto, tensor: Tensor) -> str:
        """Append a node that gives `tensor`; the name of its result."""
        name: str = node.output[0]
        self.model.graph.node.append(node)
        self.model.set_tensor_shape(name, self._shape(tensor, name))
        self._type(tensor, name)
        return name

    def _constant(self, name: str, value: IntArray) -> str:
        self.model.set_initializer(name, value.astype(np.float32))
        dtype = Integer.covering(min(int(value.min()), -1), max(int(value.max()), 0))
        self.model.set_tensor_datatype(name, DataType[finn_type(dtype)])
        return name

    def _flatten(self, tensor: Tensor, index: int | str) -> str:
        """The tensor as (1, n)."""
        name = self.names[tensor.name]
        if name in self.flat:
            return name
        result = f"flat{index}"
        self.flat.add(result)
        return self._add(helper.make_node("Flatten", [name], [result], axis=1), tensor)

    def _map(self, tensor: Tensor, index: int | str, *, pixel: bool = False) -> str:
        """The tensor as (1, H, W, C), where it is one pixel only if `pixel`."""
        name = self.names[tensor.name]
        if name in self.flat and (pixel or tensor.shape[:2] != (1, 1)):
            shape, result = f"shape{index}", f"map{index}"
            self.model.set_initializer(shape, np.array([1, *tensor.shape], np.int64))
            name = self._add(helper.make_node("Reshape", [name, shape], [result]), tensor)
            self.names[tensor.name] = name
        return name

    def _reshape(self, made: Reshape, index: int) -> None:
        result, shape = self.names[made.result.name], f"reshape{index}"
        self.model.set_initializer(shape, np.array([1, *made.result.shape], np.int64))
        source = self.names[made.source.name]
        self._add(helper.make_node("Reshape", [source, shape], [result]), made.result)

    def _matrix(self, made: Matrix, index: int) -> None:
        result = self.names[made.result.name]
        rows = len(made.weights)
        source = self.names[made.source.name]
        if made.window is not None:
            source = self._map(made.source, index)
        if made.window is None or source in self.flat:
            source = self._flatten(made.source, index)
            self.flat.add(result)
        elif not made.window.nothing:
            alone = rows == made.groups == made.source.shape[2] > 1
            source = self._windows(made.source, made.window, made.result, index, depthwise=alone)
        wide = np.moveaxis(spread(np.moveaxis(made.weights, -1, 1), made.groups), 1, -1)
        weights = self._constant(f"weights{index}", wide.reshape(rows, -1).T)
        if made.groups > 1 and source not in self.flat:
            if rows == made.groups == made.source.shape[2]:
                kernel = {"kernel_shape": list(made.weights.shape[1:3])}
                self.model.set_tensor_sparsity(weights, {"dw": kernel})
            else:
                self.model.set_metadata_prop(groups_of(weights), str(made.groups))
        name = f"{index}"
        self._add(helper.make_node("MatMul", [source, weights], [result], name=name), made.result)

    def _threshold(self, made: Threshold, index: int) -> None:
        result = self.names[made.result.name]
        source = self._flatten(made.source, index) if made.flat else self._map(made.source, index)
        if source in self.flat:
            self.flat.add(result)
        thresholds = self._constant(table(index), made.thresholds)
        node = helper.make_node(
            "MultiThreshold",
            [source, thresholds],
            [result],
            name=f"{index}",
            domain=QONNX,
            out_dtype=finn_type(made.result.dtype),
            out_bias=float(made.bias),
            out_scale=1.0,
            data_layout="NC" if source in self.flat else "NHWC",
        )
        self._add(node, made.result)

    def _windows(
        self, source: Tensor, window: Window, result: Tensor, index: int, *, depthwise: bool
    ) -> str:
        """FMPadding if need be, and ConvolutionInputGenerator; the tensor of windows."""
        name, (h, w, c) = self._map(source, index, pixel=True), source.shape
        common = {"domain": FINN, "backend": "fpgadataflow", "inputDataType": None}
        common["inputDataType"] = finn_type(source.dtype)
        top, left, bottom, right = window.pad
        if any(window.pad):
            padded = Tensor("", (h + top + bottom, w + left + right, c), source.low, source.high)
            node = helper.make_node(
                "FMPadding",
                [name],
                [f"padded{index}"],
                name=f"FMPadding_{index}",
                ImgDim=[h, w],
                Padding=list(window.pad),
                NumChannels=c,
                SIMD=c,
                **common,
            )
            name, (h, w, c) = self._add(node, padded), padded.shape
        size = window.kernel[0] * window.kernel[1] * c
        windows = Tensor("", (*result.shape[:2], size), source.low, source.high)
        node = helper.make_node(
            "ConvolutionInputGenerator",
            [name],
            [f"windows{index}"],
            name=f"ConvolutionInputGenerator_{index}",
            ConvKernelDim=list(window.kernel),
            IFMChannels=c,
            IFMDim=[h, w],
            OFMDim=list(result.shape[:2]),
            SIMD=c,
            Stride=list(window.stride),
            Dilation=list(window.dilation),
            outputDataType=finn_type(source.dtype),
            depthwise=int(depthwise),
            is1D=int(1 in (h, w)),
            **common,
        )
        return self._add(node, windows)

    def _join(self, made: Join, index: int) -> None:
        """FINN's sum or concatenation, behind a multiplication of each arm that has a factor."""
        result, names = self.names[made.result.name], []
        taken = (made.source, made.other)
        flat = any(tensor.shape != self.shapes[tensor.name] for tensor in taken)
        flat = flat or any(self.names[t.name] in self.flat and t.shape[:2] == (1, 1) for t in taken)
        for arm, (tensor, factor) in enumerate(zip(taken, made.factors, strict=True)):
            label = f"{index}_{arm}"
            name = self._flatten(tensor, label) if flat else self._map(tensor, label)
            names.append(self._scaled(name, tensor, factor, label))
        if all(name in self.flat for name in names):
            self.flat.add(result)
        first, second = (self._shape(t, n) for t, n in zip(taken, names, strict=True))
        types = [self.model.get_tensor_datatype(name).name for name in names]
        common: dict[str, Any] = {"domain": FINN, "backend": "fpgadataflow"}
        if made.function == "sum":
            # of two types of one width FINN's sum has room for both only if the signed one is last
            order = sorted((0, 1), key=lambda k: self.model.get_tensor_datatype(names[k]).signed())
            names, types = [names[k] for k in order], [types[k] for k in order]
            node = helper.make_node(
                "ElementwiseAdd", names, [result], name=f"ElementwiseAdd_{index}",
                lhs_dtype=types[0], rhs_dtype=types[1], out_dtype=finn_type(made.result.dtype),
                lhs_shape=first, rhs_shape=second, out_shape=first, **common,
            )  # fmt: skip
        else:
            node = helper.make_node(
                "StreamingConcat", names, [result], name=f"StreamingConcat_{index}",
                SIMD=1, ChannelsPerStream=[first[-1], second[-1]], inputDataTypes=types,
                numInputVectors=first[:-1], **common,
            )  # fmt: skip
        self._add(node, made.result)

    def _scaled(self, name: str, tensor: Tensor, factor: int, label: str) -> str:
        """The tensor times an integer."""
        if factor == 1:
            return name
        ends = (factor * tensor.low, factor * tensor.high)
        scaled = Tensor(tensor.name, tensor.shape, min(ends), max(ends))
        result, shape = f"scaled{label}", self._shape(tensor, name)
        if name in self.flat:
            self.flat.add(result)
        constant = self._constant(f"factor{label}", np.full([1] * len(shape), factor))
        node = helper.make_node(
            "ElementwiseMul", [name, constant], [result], name=f"ElementwiseMul_{label}",
            domain=FINN, backend="fpgadataflow", rhs_style="const",
            lhs_dtype=finn_type(tensor.dtype),
            rhs_dtype=self.model.get_tensor_datatype(constant).name,
            out_dtype=finn_type(scaled.dtype),
            lhs_shape=shape, rhs_shape=[1] * len(shape), out_shape=shape,
        )  # fmt: skip
        return self._add(node, scaled)

    def _pool(self, made: Pool, index: int) -> None:
        result, c = self.names[made.result.name], made.source.shape[2]
        source, function = self._map(made.source, index), "MaxPool"
        common = {"domain": FINN, "backend": "fpgadataflow"}
        dtype, out = finn_type(made.source.dtype), made.result.shape
        whole = out[:2] == (1, 1) and made.window.kernel == made.source.shape[:2]
        if made.function == "sum" and whole and not any(made.window.pad):
            node = helper.make_node(
                "GlobalAccPool",
                [source],
                [result],
                name=f"GlobalAccPool_{index}",
                NumChannels=c,
                PE=1,
                inputDataType=dtype,
                numInputVectors=[1, *made.source.shape[:2]],
                **common,
            )
            self._add(node, made.result)
            return
        more: dict[str, Any] = {"AccumBits": 0, "Size": 0}
        if made.function == "sum":
            function, more = "AccPool", {"AccumBits": made.result.dtype.bits}
        source = self._windows(made.source, made.window, made.result, index, depthwise=True)
        node = helper.make_node(
            "Pool",
            [source],
            [result],
            name=f"Pool_{index}",
            InputDataType=dtype,
            OutputDataType=finn_type(made.result.dtype),
            Channels=c,
            PE=c,  # the Python execution of windows followed by Pool is only right unfolded
            KernelSize=list(made.window.kernel),
            Function=function,
            OutImgDims=list(out[:2]),
            BatchSize=1,
            cpp_interface="hls_vector",
            **more,
            **common,
        )
        self._add(node, made.result)


_OPSETS = [helper.make_opsetid("", 17), helper.make_opsetid(QONNX, 1)]
