"""FINN hardware layers as a chain of layers of ours, before any folding.

One layer is one thing to fold: a matrix with the sliding window in front of it, a pool, a lone
threshold. FINN's FMPadding, ConvolutionInputGenerator and MVAU of one convolution are one layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from exeunt.errors import InputError
from exeunt.graph import Integer
from exeunt.hls.back.kernels import registry
from exeunt.hls.back.kernels.operators import Found, Front
from exeunt.kernels.layer import Layer, Shape
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
    front = Front()
    operators = registry.operators()
    tensor = model.graph.input[0].name
    shape = _shape(model, tensor)
    dtype = _integer(model, tensor)
    end = model.graph.output[0].name
    while tensor != end:
        node = model.find_consumer(tensor)
        tensor = node.output[0]
        operator = node.op_type.removesuffix("_rtl").removesuffix("_hls")
        if operator in ("Reshape", "Flatten"):
            if len(model.get_tensor_shape(tensor)) == 4:
                shape = _shape(model, tensor)  # a map again
            continue
        get = getCustomOp(node).get_nodeattr
        pending.append(node.name)
        known = operators.get(operator)
        if known is None:
            raise InputError(
                f"{name}: no kernel implements the FINN layer {node.op_type} (node {node.name}); "
                "see the table of operators in hls/README.md"
            )
        made = known.read(
            Found(
                model, node, get, rest, tuple(pending), front, shape, dtype,
                _shape(model, tensor), _integer(model, tensor),
            )
        )  # fmt: skip
        if isinstance(made, Front):
            front = made
            continue
        found.append(made)
        shape, dtype = made.output, made.result
        pending, front = [], Front()
    return tuple(found)


def _shape(model: Any, tensor: str) -> Shape:
    dims = [int(d) for d in model.get_tensor_shape(tensor)]
    if len(dims) == 4:
        return dims[1], dims[2], dims[3]
    return 1, 1, dims[-1]


def _integer(model: Any, tensor: str) -> Integer:
    dtype = model.get_tensor_datatype(tensor)
    return Integer(int(dtype.bitwidth()), bool(dtype.signed()))
