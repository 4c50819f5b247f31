"""FINN hardware layers as layers of ours, before any folding.

One layer is one thing to fold: a matrix with the sliding window in front of it, a pool, a lone
threshold. FINN's FMPadding, ConvolutionInputGenerator and MVAU of one convolution are one layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from exeunt.errors import InputError
from exeunt.graph import ENTRY, Integer
from exeunt.hls.back.kernels import registry
from exeunt.hls.back.kernels.operators import Found, Front
from exeunt.kernels.layer import Layer, Shape
from exeunt.qonnx.integers import IntArray

MAX_BITS = 16  # of what enters a matrix: activations have 2 to 8 bits, sums of them some more


def layers(model: Any, name: str, tables: Mapping[str, IntArray]) -> tuple[Layer, ...]:
    """The layers of a specialised FINN model, each behind those that feed it.

    Args:
        model: ModelWrapper as `frontend.lower` made it.
        name: the part, for the messages.
        tables: its thresholds (rows, levels) by input; FINN's float32 may not hold them.

    Raises:
        InputError: a layer that no kernel of ours implements.
    """
    from qonnx.custom_op.registry import getCustomOp

    found: list[Layer] = []
    operators = registry.operators()
    tensor = model.graph.input[0].name
    here = {tensor: _Tensor(ENTRY, _shape(model, tensor), _integer(model, tensor))}
    for node in model.graph.node:
        taken = [here[name] for name in node.input if name in here]
        result = node.output[0]
        operator = node.op_type.removesuffix("_rtl").removesuffix("_hls")
        if operator in ("Reshape", "Flatten"):
            again = len(model.get_tensor_shape(result)) == 4  # a map again
            shape = _shape(model, result) if again else taken[0].shape
            here[result] = replace(taken[0], shape=shape)
            continue
        known = operators.get(operator)
        if known is None:
            raise InputError(
                f"{name}: no kernel implements the FINN layer {node.op_type} (node {node.name}); "
                "see the table of operators in hls/README.md"
            )
        first, pending = taken[0], tuple(n for t in taken for n in t.pending)
        other = [(t.dtype, t.front.factor) for t in taken[1:]]
        made = known.read(
            Found(
                model, node, getCustomOp(node).get_nodeattr, tables, (*pending, node.name),
                first.front, first.shape, first.dtype,
                _shape(model, result), _integer(model, result), other[0] if other else None,
            )
        )  # fmt: skip
        if isinstance(made, Front):
            here[result] = replace(first, pending=(*pending, node.name), front=made)
            continue
        behind = tuple(len(found) - t.layer for t in taken)
        here[result] = _Tensor(len(found), made.output, made.result)
        found.append(replace(made, behind=behind))
    return tuple(found)


_NOTHING = Front()


@dataclass(frozen=True)
class _Tensor:
    """A tensor of the model: the layer that gives it, and what stands between them."""

    layer: int  # ENTRY for what enters
    shape: Shape
    dtype: Integer
    pending: tuple[str, ...] = ()  # FINN nodes that belong to the next layer
    front: Front = _NOTHING


def _shape(model: Any, tensor: str) -> Shape:
    dims = [int(d) for d in model.get_tensor_shape(tensor)]
    if len(dims) == 4:
        return dims[1], dims[2], dims[3]
    return 1, 1, dims[-1]


def _integer(model: Any, tensor: str) -> Integer:
    dtype = model.get_tensor_datatype(tensor)
    return Integer(int(dtype.bitwidth()), bool(dtype.signed()))
