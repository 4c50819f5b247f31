"""The input of a file: which tensor the image is, and what its dimensions mean."""

from __future__ import annotations

from typing import Any

import numpy as np

from exeunt.errors import InputError
from exeunt.qonnx import layouts, preprocess
from exeunt.qonnx.plain import Node, Tensors, to_shape, transpose
from exeunt.qonnx.preprocess import Preprocess

MapShape = tuple[int, int, int]  # (H, W, C)
MAX_PIXELS = 1 << 24


def put(
    found: Tensors, graph: Any, *, preprocessing: Preprocess | None, shape: MapShape | None
) -> str:
    """The name of the image, (1, C, H, W) integers; what the file takes is made of it.

    Args:
        found: knows the file's constants; grows.
        graph: of the ONNX model.
        preprocessing: as for `file.load`.
        shape: as for `file.load`.

    Raises:
        InputError: several inputs, or one that is no image.
    """
    name, dims = _input(found, graph)
    plain, last = f"{name}.image", False
    if len(dims) == 4:
        last = _channels_last(graph, name, dims, shape)
        size = (dims[0], dims[3], *dims[1:3]) if last else dims
    elif shape is not None and int(np.prod(shape)) == int(np.prod(dims)):
        size = (1, shape[2], *shape[:2])
        last = len(dims) == 3 and _row_last(graph, name, dims, shape)
    else:  # a row of pixels
        size = (1, dims[1] if len(dims) == 3 else 1, 1, dims[-1])
    if size == dims and not last:
        plain = name
    found.shapes[plain] = size
    pixels = plain if preprocessing is None else preprocess.put(found, plain, preprocessing)
    if last:
        between = name if len(dims) == 4 else f"{name}.map"
        made = Node("Transpose", f"{name}.last", (plain,), between, {"perm": [0, 2, 3, 1]})
        transpose(found, made, size)
        if between != name:
            to_shape(found, Node("Reshape", f"{name}.flat", (between,), name), dims)
    elif plain != name:
        to_shape(found, Node("Reshape", f"{name}.flat", (plain,), name), dims)
    return pixels


def _input(found: Tensors, graph: Any) -> tuple[str, tuple[int, ...]]:
    """Name and dimensions of the one input; any number of images is one."""
    from onnx import TensorProto

    inputs = [i for i in graph.input if i.name not in found.constants]
    if len(inputs) != 1:
        raise InputError(
            f"one input is supported, the image, but the graph has {len(inputs)}; "
            "export the network alone"
        )
    tensor = inputs[0].type.tensor_type
    if tensor.elem_type != TensorProto.FLOAT:
        kind = TensorProto.DataType.Name(tensor.elem_type)
        raise InputError(
            f"the input must be a float tensor of integers from 0 to 255 but is {kind}; "
            "export it as float32"
        )
    dims = [d.dim_value for d in tensor.shape.dim]
    if len(dims) in (2, 3, 4) and dims[0] == 0:
        dims[0] = 1  # any number of images
    if len(dims) not in (2, 3, 4) or dims[0] != 1 or min(dims) < 1:
        raise InputError(
            f"the input must have the shape (1, C, H, W) but has {tuple(dims)}; "
            "export it with one example image"
        )
    if int(np.prod(dims)) > MAX_PIXELS:
        raise InputError(
            f"an image must have at most {MAX_PIXELS} numbers but the input {tuple(dims)} has "
            f"{int(np.prod(dims))}; take smaller images"
        )
    _check_annotation(graph, inputs[0].name)
    return inputs[0].name, tuple(dims)


def _check_annotation(graph: Any, name: str) -> None:
    """QONNX may note a data type on the image."""
    good = ("FLOAT32", "BINARY", *(f"UINT{bits}" for bits in range(1, 9)))
    for note in graph.quantization_annotation:
        for entry in note.quant_parameter_tensor_names if note.tensor_name == name else ():
            if entry.key == "finn_datatype" and entry.value not in good:
                raise InputError(
                    "the input must be integers from 0 to 255 but is annotated as "
                    f"{entry.value}; feed the network raw 8-bit images"
                )


def _channels_last(graph: Any, name: str, dims: tuple[int, ...], shape: MapShape | None) -> bool:
    """Whether the input is (1, H, W, C): it is so transposed at once, or can be nothing else."""
    if shape is not None and dims[1:] != (shape[2], *shape[:2]):
        return dims[1:] == shape
    return _read_last(graph, name, [0, 3, 1, 2])


def _row_last(graph: Any, name: str, dims: tuple[int, ...], shape: MapShape) -> bool:
    """Whether an input of three dimensions is (1, L, C), for images of that shape."""
    pixels, channels = shape[0] * shape[1], shape[2]
    if channels == 1 or dims[1:] != (pixels, channels):
        return False
    return pixels != channels or _read_last(graph, name, [0, 2, 1])


def _read_last(graph: Any, name: str, wanted: list[int]) -> bool:
    """Whether all that read the image take it channels last, or transpose it by `wanted`."""
    readers = [node for node in graph.node if name in node.input]
    for node in readers:
        perm = [list(a.ints) for a in node.attribute if a.name == "perm"]
        if node.domain != layouts.DOMAIN and perm != [wanted]:
            return False
    return bool(readers)
