"""Cutting the network at its exits: one part per segment and per head.

Every exit's path from the image to its logits is a chain. Two consecutive exits share a prefix;
the last tensor of the prefix feeds both the earlier exit's head and the next segment, so there
is the cut. It has to carry an activation quantizer's values (pooled or reshaped, possibly): only
then is the stream between segments made of small integers with one scale.

The last exit has no fork: its head begins behind the last quantizer that comes before the
flattening, global pooling or first linear layer (or simply behind the last quantizer).
"""

from __future__ import annotations

from dataclasses import dataclass

from onnx import TensorProto, helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.util.basic import qonnx_make_model

from exeunt.errors import InputError
from exeunt.hls.front.qonnx_file import is_static, scalar

PASSIVE = frozenset(
    [
        "MaxPool",
        "AveragePool",
        "GlobalAveragePool",
        "ReduceMean",
        "Flatten",
        "Reshape",
        "Transpose",
        "Identity",
    ]
)
_HEAD_STARTS = frozenset(
    ["Flatten", "Reshape", "Gemm", "MatMul", "GlobalAveragePool", "ReduceMean"]
)


@dataclass(frozen=True)
class Part:
    """One segment or head as a QONNX model of its own; tensor names are the whole network's."""

    name: str  # "seg0", "head0", ...
    model: ModelWrapper
    source: str  # the tensor that enters
    result: str  # the tensor that leaves


def split(model: ModelWrapper, path: str) -> list[Part]:
    """Parts in pipeline order seg0, head0, seg1, head1, ... of a tidied QONNX model.

    Args:
        model: tidied, its outputs in exit order, see also `remove_input_quantizer`.
        path: for the messages.

    Raises:
        InputError: paths that join, exits out of order, a cut that is not a quantizer's output.
    """
    paths = [_path(model, o.name, path) for o in model.graph.output]
    exits = len(paths)
    cuts = [_common(paths[i], paths[i + 1]) for i in range(exits - 1)]
    for i, cut in enumerate(cuts):
        if i and cut <= cuts[i - 1]:
            raise InputError(
                f"{path}: exit {i} must leave the backbone behind exit {i - 1} but leaves it at "
                f"or before the same tensor ({paths[i][cut]}); order the exits by depth"
            )
        _check_quantized(model, paths[i][cut], i, path)
    cuts.append(_last_cut(model, paths[-1], cuts[-1] if cuts else 0, path))
    parts = []
    for i in range(exits):
        start = cuts[i - 1] if i else 0
        backbone = paths[min(i + 1, exits - 1)]
        parts.append(_part(model, f"seg{i}", backbone[start : cuts[i] + 1]))
        parts.append(_part(model, f"head{i}", paths[i][cuts[i] :]))
    return parts


def _path(model: ModelWrapper, output: str, path: str) -> list[str]:
    tensors = [output]
    source = model.graph.input[0].name
    while tensors[-1] != source:
        node = model.find_producer(tensors[-1])
        if node is None:
            raise InputError(
                f"{path}: the output {output} does not depend on the image; connect it"
            )
        streams = [t for t in node.input if t and _depends(model, t, source)]
        if len(set(streams)) != 1:
            raise InputError(
                f"{path}: a segment must be a chain but {node.op_type} (node {node.name}) joins "
                f"{len(set(streams))} streams; residual connections are not supported yet"
            )
        if is_static(node):
            raise InputError(
                f"{path}: the operator {node.op_type} (node {node.name}) is not supported on "
                "activations; see the table of operators in hls/README.md"
            )
        tensors.append(streams[0])
    return tensors[::-1]


def _depends(model: ModelWrapper, tensor: str, source: str) -> bool:
    pending, seen = [tensor], set()
    while pending:
        name = pending.pop()
        if name == source:
            return True
        if name in seen:
            continue
        seen.add(name)
        node = model.find_producer(name)
        if node is not None:
            pending.extend(t for t in node.input if t)
    return False


def _common(a: list[str], b: list[str]) -> int:
    index = 0
    while index + 1 < min(len(a), len(b)) and a[index + 1] == b[index + 1]:
        index += 1
    return index


def _check_quantized(model: ModelWrapper, tensor: str, index: int, path: str) -> None:
    node = model.find_producer(tensor)
    while node is not None and node.op_type in PASSIVE:
        node = model.find_producer(node.input[0])
    if node is None or node.op_type != "Quant":
        what = "the image" if node is None else f"{node.op_type} (node {node.name})"
        raise InputError(
            f"{path}: exit {index} must leave the backbone at the output of an activation "
            f"quantizer but leaves it behind {what}; quantize the tensor {tensor} first"
        )
    if scalar(model, node.input[1]) is None:
        raise InputError(
            f"{path}: exit {index} leaves the backbone at a quantizer with one scale per channel "
            f"(node {node.name}) but a cut needs one scale; use per-tensor scaling there"
        )


def _last_cut(model: ModelWrapper, tensors: list[str], start: int, path: str) -> int:
    best, flattened = None, False
    for index in range(start + 1, len(tensors)):
        node = model.find_producer(tensors[index])
        flattened = flattened or node.op_type in _HEAD_STARTS
        if node.op_type == "Quant" and index < len(tensors) - 1 and (best is None or not flattened):
            best = index
    if best is None:
        raise InputError(
            f"{path}: the last exit needs a quantized layer of its own before its head but has "
            "none behind the exit before it; add a layer or drop the exit"
        )
    return best


def remove_input_quantizer(model: ModelWrapper, path: str) -> None:
    """Take away a quantizer on the image that does nothing to integers from 0 to 255.

    Raises:
        InputError: the image is shifted, or its quantizer changes such integers.
    """
    name, factor = model.graph.input[0].name, 1.0
    while True:
        consumers = model.find_consumers(name)
        if len(consumers) != 1:
            return
        node = consumers[0]
        value = scalar(model, node.input[1]) if len(node.input) > 1 else None
        if node.op_type in ("Sub", "Add"):
            raise InputError(
                f"{path}: the image must be used as integers from 0 to 255 but {node.op_type} "
                f"(node {node.name}) shifts it; train without mean subtraction"
            )
        if node.op_type in ("Mul", "Div") and value:
            factor = factor * value if node.op_type == "Mul" else factor / value
        elif node.op_type == "Quant":
            attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
            bits, zero = scalar(model, node.input[3]), scalar(model, node.input[2])
            if (
                value is None
                or abs(factor / value - 1) > 1e-6
                or zero != 0
                or attributes.get("signed", 1)
                or bits is None
                or bits < 8
            ):
                raise InputError(
                    f"{path}: the image must be integers from 0 to 255 but its quantizer "
                    f"(node {node.name}) has the scale {value} in units of {factor:g}; "
                    "feed the network raw 8-bit images"
                )
            for consumer in model.find_consumers(node.output[0]):
                for index, tensor in enumerate(consumer.input):
                    if tensor == node.output[0]:
                        consumer.input[index] = node.input[0]
            model.graph.node.remove(node)
            return
        else:
            return
        name = node.output[0]


def _part(model: ModelWrapper, name: str, tensors: list[str]) -> Part:
    """The chain from tensors[0] to tensors[-1], with the constants it needs."""
    pending = [model.find_producer(t) for t in tensors[1:]]
    wanted = {node.output[0] for node in pending}
    while pending:
        for tensor in pending.pop().input:
            producer = model.find_producer(tensor) if tensor not in tensors else None
            if producer is not None and producer.output[0] not in wanted:
                wanted.add(producer.output[0])
                pending.append(producer)
    nodes = [n for n in model.graph.node if n.output[0] in wanted]
    used = {t for n in nodes for t in (*n.input, *n.output)}
    ends = [
        helper.make_tensor_value_info(t, TensorProto.FLOAT, model.get_tensor_shape(t))
        for t in (tensors[0], tensors[-1])
    ]
    graph = helper.make_graph(
        nodes,
        name,
        [ends[0]],
        [ends[1]],
        initializer=[i for i in model.graph.initializer if i.name in used],
        value_info=[
            v
            for v in model.graph.value_info
            if v.name in used and v.name not in (tensors[0], tensors[-1])
        ],
    )
    part = qonnx_make_model(graph, opset_imports=list(model.model.opset_import))
    return Part(name, ModelWrapper(part), tensors[0], tensors[-1])
