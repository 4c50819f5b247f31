"""FINN hardware layers as a chain of layers of ours, before any folding.

One layer is one thing to fold: a matrix with the sliding window in front of it, a pool, a lone
threshold. FINN's FMPadding, ConvolutionInputGenerator and MVAU of one convolution are one layer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from exeunt.errors import InputError
from exeunt.graph import Integer
from exeunt.kernels.layer import Layer, Levels, Matrix, Pooling, Shape, Window
from exeunt.kernels.parts.accumulate import Function
from exeunt.qonnx.integers import IntArray

MAX_BITS = 16  # of what enters a matrix: activations have 2 to 8 bits, sums of them some more


def layers(model: Any, name: str, tables: Sequence[IntArray]) -> tuple[Layer, ...]:
    """The layers of a specialised FINN model, in stream order.

    Args:
        model: ModelWrapper as `frontend.lower` made it.
        name: the part, for the messages.
        tables: its thresholds (rows, levels) in stream order; FINN's float32 may not hold them.

    Raises:
        InputError: a layer that no kernel of ours implements.
    """
    from qonnx.custom_op.registry import getCustomOp

    found: list[Layer] = []
    rest = iter(tables)
    pending: list[str] = []  # FINN nodes that belong to the next layer
    window: Window | None = None
    pad = (0, 0, 0, 0)
    tensor = model.graph.input[0].name
    shape = _shape(model, tensor)
    dtype = _integer(model, tensor)
    end = model.graph.output[0].name
    while tensor != end:
        node = model.find_consumer(tensor)
        tensor = node.output[0]
        operator = node.op_type.removesuffix("_rtl").removesuffix("_hls")
        if operator in ("Reshape", "Flatten"):
            continue
        get = getCustomOp(node).get_nodeattr
        pending.append(node.name)
        if operator == "FMPadding":
            top, left, bottom, right = (int(p) for p in get("Padding"))
            pad = (top, left, bottom, right)
            continue
        if operator == "ConvolutionInputGenerator":
            window = Window(_pair(get("ConvKernelDim")), _pair(get("Stride")), pad)
            continue
        result, out = _integer(model, tensor), _shape(model, tensor)
        common: dict[str, Any] = {"finn": tuple(pending), "input": shape, "source": dtype}
        if operator == "MVAU":
            made: Layer = _matrix(model, node, common, window, get, rest)
        elif operator == "Thresholding":
            made = _threshold(common, get, result, next(rest))
        elif operator == "Pool":
            function: Function = "max" if get("Function") == "MaxPool" else "sum"
            made = Pooling(output=out, result=result, window=window, function=function, **common)
        elif operator == "GlobalAccPool":
            made = Pooling(output=out, result=result, function="sum", **common)
        else:
            raise InputError(
                f"{name}: no kernel implements the FINN layer {node.op_type} (node {node.name}); "
                "see the table of operators in hls/README.md"
            )
        found.append(made)
        shape, dtype = made.output, made.result
        pending, window, pad = [], None, (0, 0, 0, 0)
    return tuple(found)


def _matrix(
    model: Any,
    node: Any,
    common: dict[str, Any],
    window: Window | None,
    get: Any,
    tables: Iterator[IntArray],
) -> Matrix:
    weights = np.rint(model.get_initializer(node.input[1])).astype(np.int64).T
    source: Integer = common["source"]
    low, high = accumulator_range(weights, source)
    shape: Shape = common["input"]
    vectors = [int(v) for v in get("numInputVectors")]
    height, width = (vectors[1], vectors[2]) if len(vectors) == 3 else (1, int(np.prod(vectors)))
    # signed, two bits at least, as the kernel wants it
    thresholds, bias, accumulator = None, 0, Integer.covering(min(low, -2), max(high, 1))
    result = accumulator
    if not get("noActivation"):
        bias, result = int(get("ActVal")), _integer(model, node.output[0])
        thresholds = integer_thresholds(next(tables), weights.shape[0], low, high)
        accumulator = Integer.covering(min(low, -2), max(high, int(thresholds.max()), 1))
    if window is None and (height, width) != shape[:2]:
        shape = (height, width, weights.shape[1])
    arrays: dict[str, IntArray] = {"weights": weights}
    if thresholds is not None:
        arrays["thresholds"] = thresholds
    smallest, largest = int(weights.min()), int(weights.max())
    return Matrix(
        **{**common, "input": shape},
        output=(height, width, weights.shape[0]),
        result=result,
        window=window,
        columns=weights.shape[1],
        weight_bits=Integer.covering(min(smallest, -2), max(largest, 1)).bits,
        levels=0 if thresholds is None else thresholds.shape[1],
        bias=bias,
        accumulator=accumulator,
        arrays=arrays,
    )


def _threshold(common: dict[str, Any], get: Any, result: Integer, values: IntArray) -> Levels:
    shape: Shape = common["input"]
    channels = shape[2] if values.shape[0] == 1 else int(values.shape[0])
    if channels != shape[2]:
        shape = (1, 1, channels)  # one threshold row per element of a flattened map
    source: Integer = common["source"]
    thresholds = integer_thresholds(values, channels, source.min, source.max)
    return Levels(
        **{**common, "input": shape},
        output=shape,
        result=result,
        levels=thresholds.shape[1],
        bias=int(get("ActVal")),
        arrays={"thresholds": thresholds},
    )


def accumulator_range(weights: npt.NDArray[np.int64], source: Integer) -> tuple[int, int]:
    """Smallest and largest dot product of a row of `weights` (MH, MW) with values of `source`."""
    a, b = weights * source.min, weights * source.max
    return (
        int(np.minimum(a, b).sum(axis=1).min(initial=0)),
        int(np.maximum(a, b).sum(axis=1).max(initial=0)),
    )


def integer_thresholds(
    values: npt.NDArray[np.int64], channels: int, low: int, high: int
) -> npt.NDArray[np.int64]:
    """Thresholds for integers in low..high, for every channel.

    One at or below `low` always passes and becomes `low`, one above `high` never does and becomes
    high + 1. (rows, levels) or (1, levels), ascending -> (channels, levels), ascending.
    """
    clipped = np.clip(values, low, high + 1)
    return np.broadcast_to(clipped, (channels, clipped.shape[1])).copy()


def _pair(values: Any) -> tuple[int, int]:
    return int(values[0]), int(values[1])


def _shape(model: Any, tensor: str) -> Shape:
    dims = [int(d) for d in model.get_tensor_shape(tensor)]
    if len(dims) == 4:
        return dims[1], dims[2], dims[3]
    return 1, 1, dims[-1]


def _integer(model: Any, tensor: str) -> Integer:
    dtype = model.get_tensor_datatype(tensor)
    return Integer(int(dtype.bitwidth()), bool(dtype.signed()))
