"""The operator between an average pool and hardware: the sum over each window, in integers.

FINN has no average pool without a truncation behind it. An average is a sum times 1 / (KH * KW),
and the factor is a scale like any other: streamlining moves it into the next thresholds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import NodeProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.base import CustomOp

DOMAIN = "exeunt.hls.front.passes.sum_pool"


class SumPool(CustomOp):
    """y[oh, ow, c] = sum over the window of x, zero padding; layout NCHW or NHWC."""

    def get_nodeattr_types(self) -> dict[str, Any]:
        """Attribute names, kinds and defaults, as QONNX wants them."""
        return {
            "kernel_shape": ("ints", True, []),
            "strides": ("ints", True, []),
            "pads": ("ints", False, [0, 0, 0, 0]),
            "data_layout": ("s", False, "NCHW", {"NCHW", "NHWC"}),
        }

    def output_shape(self, shape: list[int]) -> list[int]:
        """Shape of the output for an input of `shape`, both in this node's layout."""
        top, left, bottom, right = self.get_nodeattr("pads")
        (kh, kw), (sh, sw) = self.get_nodeattr("kernel_shape"), self.get_nodeattr("strides")
        nhwc = self.get_nodeattr("data_layout") == "NHWC"
        n, h, w, c = shape if nhwc else [shape[i] for i in (0, 2, 3, 1)]
        oh, ow = (h + top + bottom - kh) // sh + 1, (w + left + right - kw) // sw + 1
        return [n, oh, ow, c] if nhwc else [n, c, oh, ow]

    def make_shape_compatible_op(self, model: ModelWrapper) -> NodeProto:
        """A standard node with the same shapes, for ONNX shape inference."""
        shape = model.get_tensor_shape(self.onnx_node.input[0])
        return super().make_const_shape_op(self.output_shape(shape))

    def infer_node_datatype(self, model: ModelWrapper) -> None:
        """Annotate the output: wide enough for a window of extremes; float stays float."""
        node = self.onnx_node
        dtype = model.get_tensor_datatype(node.input[0])
        if dtype.is_integer():
            window = int(np.prod(self.get_nodeattr("kernel_shape")))
            dtype = DataType.get_smallest_possible(
                window * (dtype.min() if dtype.signed() else dtype.max())
            )
        else:
            dtype = DataType["FLOAT32"]
        model.set_tensor_datatype(node.output[0], dtype)

    def execute_node(self, context: dict[str, Any], graph: Any) -> None:
        """Compute the output in NumPy."""
        node = self.onnx_node
        x = context[node.input[0]]
        nhwc = self.get_nodeattr("data_layout") == "NHWC"
        if not nhwc:
            x = x.transpose(0, 2, 3, 1)
        top, left, bottom, right = self.get_nodeattr("pads")
        (kh, kw), (sh, sw) = self.get_nodeattr("kernel_shape"), self.get_nodeattr("strides")
        x = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(x, (kh, kw), axis=(1, 2))
        y = windows[:, ::sh, ::sw].sum(axis=(4, 5))
        y = y if nhwc else y.transpose(0, 3, 1, 2)
        context[node.output[0]] = y.astype(np.float32)

    def verify_node(self) -> list[str]:
        """Nothing that the attribute kinds do not say already."""
        return []


custom_op = {"SumPool": SumPool}


def make_node(
    source: str,
    result: str,
    *,
    kernel: list[int],
    stride: list[int],
    pads: list[int],
    layout: str = "NCHW",
) -> NodeProto:
    """A SumPool node from tensor `source` to tensor `result`."""
    return helper.make_node(
        "SumPool",
        [source],
        [result],
        domain=DOMAIN,
        kernel_shape=kernel,
        strides=stride,
        pads=pads,
        data_layout=layout,
    )
