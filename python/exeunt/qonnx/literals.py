"""Constants of a file: read from it, and computed from others by ONNX's own reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from exeunt.errors import InputError
from exeunt.qonnx.plain import Array, Node, Tensors

if TYPE_CHECKING:
    from onnx import TensorProto


def evaluate(found: Tensors, node: Node, inputs: tuple[str, ...]) -> Array:
    """What a node gives for constants.

    Args:
        found: has them, and the file's version of ONNX.
        node: its operator and attributes.
        inputs: names of what it takes.

    Raises:
        InputError: it cannot be computed.
    """
    import onnx
    from onnx import helper
    from onnx.reference import ReferenceEvaluator

    names = [f"i{k}" if name else "" for k, name in enumerate(inputs)]
    given = zip(names, inputs, strict=True)
    values: dict[str, Any] = {n: found.constants[i] for n, i in given if n}
    made = helper.make_node(node.operator, names, ["o"])
    for key, value in node.attributes.items():
        made.attribute.append(helper.make_attribute(key, value))
    kinds = [
        helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape)
        for n, v in values.items()
    ]
    graph = helper.make_graph([made], "constant", kinds, [onnx.ValueInfoProto(name="o")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", found.opset)])
    try:
        return np.asarray(next(iter(ReferenceEvaluator(model).run(None, values))))
    except Exception as error:  # a constant that makes no sense may raise anything
        raise InputError(
            f"{node.label} must give a constant but cannot ({first_line(error)}); export it again"
        ) from error


def of_node(node: Node) -> Array:
    """What a Constant holds.

    Raises:
        InputError: no numbers.
    """
    for key, value in node.attributes.items():
        if key == "value":
            return numbers(value, node.label)
        if key in ("value_float", "value_floats"):
            return np.asarray(value, np.float32)
        if key in ("value_int", "value_ints"):
            return np.asarray(value, np.int64)
    raise InputError(f"{node.label} must hold numbers but does not; export it again")


def numbers(tensor: TensorProto, label: str) -> Array:
    """What a file's tensor holds; `label` is its name in messages.

    Raises:
        InputError: it is damaged, or holds no real numbers.
    """
    from onnx import numpy_helper

    try:
        found = np.array(numpy_helper.to_array(tensor))
    except Exception as error:  # a damaged one may raise anything
        raise InputError(
            f"{label} must hold the numbers of its shape but cannot be read ({first_line(error)}); "
            "export it again"
        ) from error
    if found.dtype.kind in "OSUc":
        raise InputError(f"{label} must hold real numbers but holds others; export it again")
    return found


def first_line(error: Exception) -> str:
    """What an error of a library says, in a line without its full stop."""
    text = str(error).strip()
    return text.splitlines()[0].rstrip(".") if text else type(error).__name__
