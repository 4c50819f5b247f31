"""A QONNX file as a network: checked, run with torch, its integer grid and cost read off."""

from __future__ import annotations

import contextlib
import io
import logging
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from onnx import numpy_helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.util.cleanup import cleanup_model
from torch import Tensor, nn

from exeunt.config.tree import MAX_EXITS
from exeunt.errors import InputError

INPUT = "images"
_SAME_GRID = ("Reshape", "Flatten", "MaxPool", "GlobalMaxPool", "Transpose", "Identity", "Relu")


class Graph:
    """An ONNX graph with one image input, several outputs, Quant nodes and constant weights."""

    def __init__(self, model: onnx.ModelProto, where: str) -> None:
        """Index `model`; `where` names it in messages."""
        self.model, self.where = model, where
        graph = model.graph
        self.constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
        for node in graph.node:
            if node.op_type == "Constant":
                self.constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
        self.nodes = [n for n in graph.node if n.op_type != "Constant"]
        self.producer = {out: n for n in self.nodes for out in n.output}
        self.inputs = [v.name for v in graph.input if v.name not in self.constants]
        self.outputs = [v.name for v in graph.output]

    def input_shape(self) -> tuple[int, ...]:
        """(N, C, H, W) of the image input, 0 where a dimension is open."""
        value = next(v for v in self.model.graph.input if v.name == self.inputs[0])
        return tuple(d.dim_value for d in value.type.tensor_type.shape.dim)


def load_graph(path: Path) -> Graph:
    """Read and check a QONNX file.

    Raises:
        InputError: missing, not ONNX, no quantizers, one output or more than eight, several
            inputs, an input that is not an image, or an operator that is not supported.
    """
    if not path.is_file():
        raise InputError(f"model.source must name a QONNX file, got no file {path}: check it")
    try:
        model = onnx.load(path)
    except Exception:  # protobuf's errors have no common base
        model = None
    if model is None or not model.graph.node:
        raise InputError(f"{path} must be an ONNX file, got something else: export it again")
    try:
        tidy = tidied(model)
    except Exception as error:  # qonnx meets shapes and operators that it does not know
        raise InputError(
            f"{path} must be a graph that qonnx can clean up, got {type(error).__name__} "
            f"({error}): export it for a fixed image size"
        ) from error
    return checked(Graph(tidy, str(path)))


def tidied(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph cleaned up by qonnx, its input named "images", its outputs exit0 upwards."""
    with quiet():
        wrapper = cleanup_model(ModelWrapper(model))
    graph = wrapper.graph
    constants = {t.name for t in graph.initializer}
    inputs = [v.name for v in graph.input if v.name not in constants]
    if len(inputs) == 1 and inputs[0] != INPUT:
        wrapper.rename_tensor(inputs[0], INPUT)
    for index, name in enumerate([v.name for v in graph.output]):
        if name != f"exit{index}":
            wrapper.rename_tensor(name, f"exit{index}")
    out = wrapper.model
    del out.metadata_props[:]
    out.doc_string = out.graph.doc_string = ""
    for item in (*graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        del item.metadata_props[:]  # the exporter notes source files there
        item.doc_string = ""
    return out


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the exporter's chatter and its known deprecation warnings to itself."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def checked(graph: Graph) -> Graph:
    """The graph itself when it can be used; see `load_graph` for what is refused."""
    where = graph.where
    if not any(n.op_type == "Quant" for n in graph.nodes):
        raise InputError(
            f"{where} must have Quant nodes (QONNX), got an ONNX graph without quantizers: export "
            "it with brevitas.export.export_qonnx"
        )
    if not 2 <= len(graph.outputs) <= MAX_EXITS:
        raise InputError(
            f"{where} must have 2 to {MAX_EXITS} outputs, one for each exit, got "
            f"{len(graph.outputs)}: export the logits of every exit"
        )
    if len(graph.inputs) != 1:
        raise InputError(
            f"{where} must have one input, the images, got {len(graph.inputs)}: export it again"
        )
    if len(graph.input_shape()) != 4:
        raise InputError(
            f"{where} must take images of shape (N, C, H, W), got {graph.input_shape()}: export "
            "it with image inputs"
        )
    for node in graph.nodes:
        if node.op_type not in _OPERATORS:
            raise InputError(
                f"{where} must be made of {', '.join(sorted(_OPERATORS))}, got {node.op_type} "
                f"({node.name or node.output[0]}): replace it"
            )
        if node.op_type == "Quant" and node.input[0] == graph.inputs[0]:
            raise InputError(
                f"{where} must take integers 0..255, got a quantizer ({node.name}) on its input: "
                "remove it and fold its scale into the first layer"
            )
    return graph


class GraphNetwork(nn.Module):
    """Runs a graph with torch; `forward` gives the logits of every output in order."""

    def __init__(self, graph: Graph) -> None:
        """Take over the constants as buffers."""
        super().__init__()
        self.graph = graph
        self._names = {name: f"constant{k}" for k, name in enumerate(graph.constants)}
        for name, key in self._names.items():
            self.register_buffer(key, torch.from_numpy(np.array(graph.constants[name])))

    def values(self, images: Tensor) -> dict[str, Tensor]:
        """Every tensor of the graph for float (N, C, H, W) integers 0..255."""
        values: dict[str, Tensor] = {n: getattr(self, k) for n, k in self._names.items()}
        values[self.graph.inputs[0]] = images
        for node in self.graph.nodes:
            arguments = [values[name] for name in node.input if name]
            values[node.output[0]] = _OPERATORS[node.op_type](arguments, _attributes(node))
        return values

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Logits float (N, classes) of every exit for float (N, C, H, W) integers 0..255."""
        values = self.values(images)
        return tuple(values[name] for name in self.graph.outputs)


def logit_scales(graph: Graph) -> list[float]:
    """For each exit the value of one integer step of its logits.

    Raises:
        InputError: the logits of an exit do not lie on one grid of integers.
    """
    scales = []
    for index, name in enumerate(graph.outputs):
        scale = _scale(graph, name)
        if scale is None:
            raise InputError(
                f"exit {index} of {graph.where} must end in a bias-free layer whose weights and "
                "inputs each have one scalar scale, got logits off any grid: use one scale for "
                "all its weights and no bias"
            )
        scales.append(scale)
    return scales


def cumulative_macs(graph: Graph, images: Tensor) -> list[int]:
    """Multiplications of a frame that leaves at exit i: everything that feeds exits 0..i.

    `images` float (N, C, H, W) is any batch of the right shape.
    """
    values = GraphNetwork(graph).values(images)
    done: set[int] = set()
    totals: list[int] = []
    total = 0
    for name in graph.outputs:
        waiting = [name]
        while waiting:
            node = graph.producer.get(waiting.pop())
            if node is None or id(node) in done:
                continue
            done.add(id(node))
            waiting += node.input
            if node.op_type in ("Conv", "MatMul", "Gemm"):
                outputs = values[node.output[0]].shape[1:]
                weights = values[node.input[1]].shape
                first = node.op_type == "Conv" or bool(_attributes(node).get("transB"))
                depth = math.prod(weights) // weights[0 if first else -1]  # inputs of one output
                total += math.prod(outputs) * depth
        totals.append(total)
    return totals


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def _scale(graph: Graph, name: str) -> float | None:
    """The scalar grid on which a tensor lies; None when it lies on none."""
    if name in graph.inputs:
        return 1.0
    node = graph.producer.get(name)
    if node is None:
        return None
    if node.op_type == "Quant":
        scale = graph.constants.get(node.input[1])
        offset = graph.constants.get(node.input[2])
        whole = scale is not None and scale.size == 1 and offset is not None and not offset.any()
        return float(scale.item()) if whole and scale is not None else None
    if node.op_type in _SAME_GRID:
        return _scale(graph, node.input[0])
    if node.op_type in ("Gemm", "MatMul", "Conv"):
        if len(node.input) > 2 and node.input[2]:
            bias = graph.constants.get(node.input[2])
            if bias is None or bias.any():
                return None
        left, right = _scale(graph, node.input[0]), _scale(graph, node.input[1])
        return left * right if left is not None and right is not None else None
    if node.op_type == "Mul":
        for value, factor in (node.input, tuple(node.input)[::-1]):
            constant = graph.constants.get(factor)
            if constant is not None and constant.size == 1:
                of_value = _scale(graph, value)
                return None if of_value is None else of_value * float(constant.item())
    return None


# Operators ------------------------------------------------------------------------------------

Arguments = Sequence[Tensor]
Attributes = Mapping[str, Any]


def _quant(x: Arguments, a: Attributes) -> Tensor:
    """Scale * (clip(round(x / scale + zero), low, high) - zero), QONNX's Quant."""
    value, scale, zero, bits = x
    signed, narrow = a.get("signed", 1), a.get("narrow", 0)
    high = 2.0 ** (bits - 1) - 1 if signed else 2.0**bits - 1 - narrow
    low = -(2.0 ** (bits - 1)) + narrow if signed else torch.zeros_like(bits)
    integers = torch.round(value / scale + zero)
    return (torch.minimum(torch.maximum(integers, low), high) - zero) * scale


def _padding(x: Tensor, a: Attributes, fill: float) -> Tensor:
    top, left, bottom, right = a.get("pads") or (0, 0, 0, 0)
    if not (top or left or bottom or right):
        return x
    return F.pad(x, (left, right, top, bottom), value=fill)


def _conv(x: Arguments, a: Attributes) -> Tensor:
    value = _padding(x[0], a, 0.0)
    return F.conv2d(
        value,
        x[1],
        x[2] if len(x) > 2 else None,
        stride=tuple(a.get("strides") or (1, 1)),
        dilation=tuple(a.get("dilations") or (1, 1)),
        groups=a.get("group", 1),
    )


def _max_pool(x: Arguments, a: Attributes) -> Tensor:
    value = _padding(x[0], a, float("-inf"))
    return F.max_pool2d(value, tuple(a["kernel_shape"]), tuple(a.get("strides") or (1, 1)))


def _average_pool(x: Arguments, a: Attributes) -> Tensor:
    value = _padding(x[0], a, 0.0)
    return F.avg_pool2d(value, tuple(a["kernel_shape"]), tuple(a.get("strides") or (1, 1)))


def _batch_norm(x: Arguments, a: Attributes) -> Tensor:
    value, weight, bias, mean, variance = x
    return F.batch_norm(value, mean, variance, weight, bias, eps=a.get("epsilon", 1e-5))


def _gemm(x: Arguments, a: Attributes) -> Tensor:
    left = x[0].T if a.get("transA") else x[0]
    right = x[1].T if a.get("transB") else x[1]
    out = a.get("alpha", 1.0) * (left @ right)
    return out + a.get("beta", 1.0) * x[2] if len(x) > 2 else out


def _reshape(x: Arguments, a: Attributes) -> Tensor:
    value, shape = x[0], [int(s) for s in x[1]]
    batch = value.shape[0] if shape[0] in (0, 1) else shape[0]  # an exported 1 stands for any N
    sides = [value.shape[k] if s == 0 else s for k, s in enumerate(shape)]
    return value.reshape(batch, *sides[1:])


_OPERATORS: dict[str, Callable[[Arguments, Attributes], Tensor]] = {
    "Add": lambda x, a: x[0] + x[1],
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "Conv": _conv,
    "Div": lambda x, a: x[0] / x[1],
    "Flatten": lambda x, a: x[0].flatten(1),
    "Gemm": _gemm,
    "GlobalAveragePool": lambda x, a: x[0].mean((2, 3), keepdim=True),
    "GlobalMaxPool": lambda x, a: x[0].amax((2, 3), keepdim=True),
    "Identity": lambda x, a: x[0],
    "MatMul": lambda x, a: x[0] @ x[1],
    "MaxPool": _max_pool,
    "Mul": lambda x, a: x[0] * x[1],
    "Quant": _quant,
    "Relu": lambda x, a: x[0].relu(),
    "Reshape": _reshape,
    "Sub": lambda x, a: x[0] - x[1],
    "Transpose": lambda x, a: x[0].permute(*a["perm"]),
}
