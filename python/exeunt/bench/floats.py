"""The network as a plain float ONNX graph, in pieces that end at the exits, for onnxruntime.

QONNX's `Quant` nodes do not run in onnxruntime. Quantized weights become constants with the values
they stand for. A quantizer of activations becomes either the operators that it means (divide,
round, clip, multiply: the answers stay those of the integers) or its limits alone (a clip: what is
left when a network is dequantised; faster, and not quite the same network).

Needs onnx; the values never pass through anything but NumPy here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from exeunt.errors import InputError
from exeunt.qonnx import file, quantizer

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

# Rounding modes as operators one behind the other; Sign is of what came in, Add and Sub add a half.
_ROUNDING = {
    "ROUND": ("Round",),
    "HALF_EVEN": ("Round",),
    "FLOOR": ("Floor",),
    "CEIL": ("Ceil",),
    "DOWN": ("Abs", "Floor", "Sign"),
    "UP": ("Abs", "Ceil", "Sign"),
    "HALF_UP": ("Abs", "Add", "Floor", "Sign"),
    "HALF_DOWN": ("Abs", "Sub", "Ceil", "Sign"),
}


@dataclass(frozen=True)
class Piece:
    """What lies between two exits: `model` gives `outputs` = (logits, then what goes on)."""

    model: bytes
    input: str
    outputs: tuple[str, ...]


def plain(model: ModelProto, quantizers: str) -> ModelProto:
    """The QONNX model with plain ONNX operators alone, for any number of images at once.

    Raises:
        InputError: an operator that is neither plain nor a quantizer with constant parameters.
    """
    import onnx
    from onnx import helper, numpy_helper

    graph = model.graph
    values: dict[str, npt.NDArray[Any]] = {
        i.name: numpy_helper.to_array(i) for i in graph.initializer
    }
    nodes: list[NodeProto] = []
    for node in graph.node:
        if node.op_type in ("Quant", "BipolarQuant"):
            nodes += _quantizer(node, values, quantizers)
        elif node.domain:
            raise InputError(
                f"operator {node.op_type} of {node.name or 'the model'} must be plain ONNX or "
                "a quantizer to run in onnxruntime, got another: the NumPy reference runs it"
            )
        elif node.op_type == "Reshape" and node.input[1] in values:
            shape = values[node.input[1]].astype(np.int64).reshape(-1)
            name = f"{node.output[0]}_shape"
            if len(shape) >= 2 and shape[0] in (0, 1, -1):
                shape = np.array([-1, *_rest(node, shape)], np.int64)
            values[name] = shape
            nodes.append(helper.make_node("Reshape", [node.input[0], name], list(node.output)))
        else:
            nodes.append(node)
    used = {name for node in nodes for name in node.input}
    constants = [
        numpy_helper.from_array(np.ascontiguousarray(v), k) for k, v in values.items() if k in used
    ]
    inputs = [i for i in graph.input if i.name not in values]
    free = [_any_batch(value) for value in inputs]
    made = helper.make_graph(
        nodes, graph.name or "network", free, [_any_batch(o) for o in graph.output], constants
    )
    opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 17)
    made_model = helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)])
    made_model.ir_version = min(model.ir_version, 10)
    onnx.checker.check_model(made_model)
    return made_model


def _rest(node: NodeProto, shape: npt.NDArray[np.int64]) -> list[int]:
    """The shape behind the batch, which must be known once the batch is free."""
    rest = [int(v) for v in shape[1:]]
    if any(v <= 0 for v in rest):
        raise InputError(
            f"operator Reshape of {node.name} must say its shape behind the batch, got {rest}: "
            "the NumPy reference runs it"
        )
    return rest


def _any_batch(value: Any) -> Any:
    """The same input or output for any number of images."""
    from onnx import TensorProto, helper

    shape = [d.dim_value for d in value.type.tensor_type.shape.dim][1:]
    return helper.make_tensor_value_info(value.name, TensorProto.FLOAT, ["images", *shape])


def _quantizer(
    node: NodeProto, values: dict[str, npt.NDArray[Any]], quantizers: str
) -> list[NodeProto]:
    """A constant in `values` for a quantizer of weights; plain operators for one of activations."""
    import onnx
    from onnx import helper

    name, source = node.output[0], node.input[0]
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    parameters = [values.get(k) for k in node.input[1:]]
    found = quantizer.parse(node.op_type, attributes, parameters, f"quantizer {node.name}")
    scale, zero = np.asarray(found.scale, np.float32), np.asarray(found.zero, np.float32)
    if source in values:
        values[name] = np.asarray(found.constants(values[source]) * scale, np.float32)
        return []

    def constant(suffix: str, value: Any) -> str:
        values[f"{name}_{suffix}"] = np.asarray(value, np.float32)
        return f"{name}_{suffix}"

    def step(operator: str, result: str, *inputs: str) -> NodeProto:
        return helper.make_node(operator, list(inputs), [result], name=result)

    ends = np.sort([scale * (found.low - zero), scale * (found.high - zero)], axis=0)
    if quantizers == "dropped" and not found.bipolar:
        low, high = (constant(k, v) for k, v in zip(("low", "high"), ends, strict=True))
        if ends[0].ndim == 0:
            return [step("Clip", name, source, low, high)]
        top = step("Min", f"{name}_top", source, high)
        return [top, step("Max", name, f"{name}_top", low)]
    steps = [step("Div", f"{name}_ratio", source, constant("scale", scale))]
    inner = f"{name}_ratio"
    if zero.any():
        steps.append(step("Add", f"{name}_moved", inner, constant("zero", zero)))
        inner = f"{name}_moved"
    if found.bipolar:
        steps.append(step("GreaterOrEqual", f"{name}_above", inner, constant("none", 0.0)))
        inner = f"{name}_level"
        choice = (constant("one", 1.0), constant("other", -1.0))
        steps.append(step("Where", inner, f"{name}_above", *choice))
    else:
        limits = [constant("low", found.low), constant("high", found.high)]
        steps.append(step("Clip", f"{name}_limited", inner, *limits))
        inner = f"{name}_limited"
        for operator in _ROUNDING[found.rounding]:
            result = f"{name}_{operator.lower()}"
            if operator == "Sign":
                steps.append(step("Sign", result, f"{name}_limited"))
                steps.append(step("Mul", f"{name}_level", inner, result))
                result = f"{name}_level"
            elif operator in ("Add", "Sub"):
                steps.append(step(operator, result, inner, constant("half", 0.5)))
            else:
                steps.append(step(operator, result, inner))
            inner = result
    if zero.any():
        steps.append(step("Sub", f"{name}_back", inner, f"{name}_zero"))
        inner = f"{name}_back"
    steps.append(step("Mul", name, inner, f"{name}_scale"))
    return steps


def _makers(graph: GraphProto) -> dict[str, int]:
    return {name: i for i, node in enumerate(graph.node) for name in node.output}


def _needs(graph: GraphProto, output: str, stop: str = "") -> set[int]:
    """Nodes that `output` is made of, not looking past the tensor `stop`."""
    makers, found, todo = _makers(graph), set(), [output]
    while todo:
        name = todo.pop()
        i = makers.get(name)
        if name == stop or i is None or i in found:
            continue
        found.add(i)
        todo += list(graph.node[i].input)
    return found


def pieces(model: ModelProto) -> tuple[Piece, ...]:
    """The plain model cut behind every exit, so that an image that leaves costs nothing more.

    Raises:
        InputError: more than one tensor, or none, goes on behind an exit.
    """
    graph = model.graph
    outputs = [o.name for o in graph.output]
    source, found = graph.input[0].name, []
    for i, output in enumerate(outputs):
        here = _needs(graph, output, source)
        goes_on = ""
        if i + 1 < len(outputs):
            later = _needs(graph, outputs[i + 1], source) - here
            made = {name for k in here for name in graph.node[k].output}
            crossing = {name for k in later for name in graph.node[k].input if name in made}
            if len(crossing) != 1:
                raise InputError(
                    f"the model must go on behind exit {i} with one tensor, got {len(crossing)}: "
                    "the NumPy reference runs it"
                )
            (goes_on,) = crossing
        results = (output, *([goes_on] if goes_on else []))
        found.append(_piece(model, sorted(here), source, results))
        source = goes_on
    return tuple(found)


def _piece(model: ModelProto, nodes: list[int], source: str, results: tuple[str, ...]) -> Piece:
    from onnx import TensorProto, helper

    graph = model.graph
    kept = [graph.node[i] for i in nodes]
    used = {name for node in kept for name in node.input}
    constants = [i for i in graph.initializer if i.name in used]
    known = {v.name: v for v in (*graph.input, *graph.output)}

    def value(name: str) -> Any:
        return known.get(name) or helper.make_tensor_value_info(name, TensorProto.FLOAT, None)

    made = helper.make_graph(kept, "piece", [value(source)], [value(r) for r in results], constants)
    part = helper.make_model(made, opset_imports=list(model.opset_import))
    part.ir_version = model.ir_version
    return Piece(part.SerializeToString(deterministic=True), source, results)


def read(path: Path, quantizers: str) -> tuple[Piece, ...]:
    """The pieces of a QONNX file.

    Raises:
        InputError: it has operators that onnxruntime does not know, or no one cut at an exit.
    """
    return pieces(plain(file.to_model(file.load(path)), quantizers))
