"""Reading the QONNX file: what is accepted, and one sentence for what is not.

Accepted: one float tensor of unsigned 8-bit integers (1, C, H, W) in, one tensor of logits per
exit out (named exit0, exit1, ..., or taken in the order of the graph), and between them the
operators of `OPERATORS`. A network with a single output is accepted when one exit was asked for.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto
from qonnx.core.modelwrapper import ModelWrapper

from exeunt.errors import InputError

OPERATORS = frozenset(
    [
        "Quant",
        "Conv",
        "BatchNormalization",
        "Relu",
        "MaxPool",
        "AveragePool",
        "GlobalAveragePool",
        "ReduceMean",
        "Flatten",
        "Reshape",
        "Gemm",
        "MatMul",
        "Mul",
        "Div",
        "Add",
        "Sub",
        "Identity",
        "Transpose",
        "Unsqueeze",
        "Squeeze",
        "Constant",
        "ConstantOfShape",
        "Shape",
        "Gather",
        "Concat",
        "Cast",
        "Slice",
    ]
)
_STATIC_ONLY = frozenset(
    ["Constant", "ConstantOfShape", "Shape", "Gather", "Concat", "Cast", "Slice"]
)
MAX_EXITS = 8


def load(path: Path) -> ModelWrapper:
    """The model in `path`, its outputs in exit order.

    Raises:
        InputError: the file is missing or not ONNX, or holds no graph.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; export the network first or give another path")
    try:
        model = onnx.load(str(path))
    except (DecodeError, onnx.checker.ValidationError, OSError, ValueError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else "empty"
        raise InputError(
            f"{path}: an ONNX model was expected but it cannot be read ({first}); "
            "export it again, with its .data file beside it"
        ) from error
    if not model.graph.node or not model.graph.output:
        raise InputError(
            f"{path}: an ONNX model was expected but the file holds no graph; export it again"
        )
    names = [o.name for o in model.graph.output]
    if all(re.fullmatch(r"exit\d+", name) for name in names):
        ordered = sorted(model.graph.output, key=lambda o: int(o.name[4:]))
        outputs = [onnx.ValueInfoProto.FromString(o.SerializeToString()) for o in ordered]
        del model.graph.output[:]
        model.graph.output.extend(outputs)
    return ModelWrapper(model)


def check(model: ModelWrapper, path: Path, *, exits: int | None) -> tuple[int, int, int]:
    """Refuse what the compiler cannot take; the image's (H, W, C).

    Args:
        model: as `load` gave it.
        path: for the messages.
        exits: how many exits the configuration has, None to take what the file has.

    Raises:
        InputError: see the module's docstring.
    """
    _check_exits(model, path, exits)
    _check_operators(model, path)
    initializers = {i.name for i in model.graph.initializer}
    inputs = [i for i in model.graph.input if i.name not in initializers]
    if len(inputs) != 1:
        raise InputError(f"{path}: one input is supported but the graph has {len(inputs)}")
    tensor = inputs[0].type.tensor_type
    if tensor.elem_type != TensorProto.FLOAT:
        kind = TensorProto.DataType.Name(tensor.elem_type)
        raise InputError(
            f"{path}: the input must be a float tensor of integers from 0 to 255 but is {kind}; "
            "export it as float32"
        )
    dims = [d.dim_value for d in tensor.shape.dim]
    if len(dims) == 4 and dims[0] == 0:
        dims[0] = 1
        tensor.shape.dim[0].dim_value = 1
    if len(dims) != 4 or dims[0] != 1 or min(dims) < 1:
        raise InputError(
            f"{path}: the input must have the shape (1, C, H, W) but has {tuple(dims)}; "
            "export it with one example image"
        )
    annotated = model.get_tensor_datatype(inputs[0].name)
    if annotated.name != "FLOAT32" and not (
        annotated.is_integer() and annotated.min() >= 0 and annotated.max() <= 255
    ):
        raise InputError(
            f"{path}: the input must be integers from 0 to 255 but is annotated as "
            f"{annotated.name}; feed the network raw 8-bit images"
        )
    return dims[2], dims[3], dims[1]


def _check_exits(model: ModelWrapper, path: Path, exits: int | None) -> None:
    found = len(model.graph.output)
    if exits is not None and found != exits:
        raise InputError(
            f"{path}: {exits} exits were expected, one output each, but the graph has {found}; "
            "export one output per exit or change the configuration"
        )
    if exits is None and found == 1:
        raise InputError(
            f"{path}: one output per exit is expected but the graph has a single one; "
            "export the heads too, or describe the one exit in the configuration's stages"
        )
    if found > MAX_EXITS:
        raise InputError(f"{path}: at most {MAX_EXITS} exits are supported but it has {found}")


def _check_operators(model: ModelWrapper, path: Path) -> None:
    quantizers = 0
    for node in model.graph.node:
        quantizers += node.op_type == "Quant"
        label = f"{node.op_type} (node {node.name or node.output[0]})"
        if node.op_type not in OPERATORS:
            raise InputError(
                f"{path}: the operator {label} is not supported; "
                "see the table of operators in hls/README.md"
            )
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type == "Conv" and attributes.get("group", 1) != 1:
            raise InputError(
                f"{path}: grouped convolutions are not supported but {label} has "
                f"{attributes['group']} groups; use a dense convolution"
            )
        if node.op_type in ("Conv", "MaxPool") and set(attributes.get("dilations", [1])) != {1}:
            raise InputError(
                f"{path}: dilation is not supported but {label} has "
                f"{attributes['dilations']}; use 1"
            )
        if node.op_type in ("Conv", "MaxPool", "AveragePool") and attributes.get(
            "auto_pad", b"NOTSET"
        ) not in (b"NOTSET", b"VALID"):
            raise InputError(
                f"{path}: {label} uses auto_pad, which is not supported; give explicit pads"
            )
        if attributes.get("ceil_mode", 0):
            raise InputError(f"{path}: {label} uses ceil_mode, which is not supported; use floor")
    if not quantizers:
        raise InputError(
            f"{path}: the network has no quantizers (no Quant node); "
            "train it with Brevitas and export it with export_qonnx"
        )


def is_static(node: onnx.NodeProto) -> bool:
    """Whether an operator is only understood when constant folding removes it."""
    return node.op_type in _STATIC_ONLY


def scalar(model: ModelWrapper, name: str) -> float | None:
    """The value of a constant tensor whose elements are all equal, otherwise None."""
    value = model.get_initializer(name)
    if value is None or value.size == 0 or np.any(value != value.flat[0]):
        return None
    return float(value.flat[0])
