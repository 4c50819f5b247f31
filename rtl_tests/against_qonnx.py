"""The integers of a file against QONNX's own execution of all of it, as it stands on disk.

The compiler compares its own form of the file node by node; this catches what that form changed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import onnx

from exeunt.config.preprocess import Preprocess
from exeunt.hls.front import finn_env
from exeunt.qonnx.integers import IntegerNetwork, Threshold

NEAR = 0.02  # of a step of the logits, whose neighbours are 1 away
TIE = 2.0**-20  # of the largest value in front of a quantizer: how far float32 may be off a tie

Floats = npt.NDArray[np.floating[Any]]


class File(Protocol):
    """A file, and what a config says of it."""

    path: Path
    preprocess: Preprocess | None
    last: bool


def executed(case: File, images: npt.NDArray[np.uint8]) -> list[dict[str, Floats]]:
    """All tensors of the file, image by image (N, H, W, C): by ONNX Runtime and QONNX."""
    model = onnx.load(str(case.path))
    graph = model.graph
    taken = graph.input[0]
    shape = [1, *(d.dim_value for d in taken.type.tensor_type.shape.dim[1:])]
    constants = {c.name: onnx.numpy_helper.to_array(c) for c in graph.initializer}
    with finn_env.quiet():
        runs = [(node, _runner(node, model)) for node in graph.node]
        found = []
        for image in images:
            x = image.astype(np.float32)
            if case.preprocess is not None:
                mean = np.asarray(case.preprocess.mean or 0, np.float32)
                std = np.asarray(case.preprocess.std or 1, np.float32)
                x = (x * np.float32(case.preprocess.scale) - mean) / std
            x = (x if case.last else x.transpose(2, 0, 1)).reshape(shape)
            context = {**constants, taken.name: x}
            for node, run in runs:
                context[node.output[0]] = run(context)
            found.append(context)
    return found


def _runner(node: onnx.NodeProto, model: onnx.ModelProto) -> Callable[[dict[str, Floats]], Floats]:
    """One node by ONNX Runtime, or as QONNX does it. Shapes in the file are not looked at:

    ONNX infers another one than its runtime gives where a pool's `ceil_mode` meets padding.
    """
    version = next(o.version for o in model.opset_import if o.domain == node.domain)
    if node.domain and not node.domain.endswith("channels_last"):
        from qonnx.custom_op.registry import getCustomOp

        made = getCustomOp(node, onnx_opset_version=version)

        def custom(context: dict[str, Floats]) -> Floats:
            made.execute_node(context, model.graph)
            return context[node.output[0]]

        return custom
    from onnxruntime import InferenceSession, SessionOptions

    plain = onnx.NodeProto()
    plain.CopyFrom(node)
    plain.domain, last = "", bool(node.domain)
    names = [i for i in node.input if i]
    options, sessions = SessionOptions(), []
    options.log_severity_level = 3
    options.intra_op_num_threads = options.inter_op_num_threads = 1

    def run(context: dict[str, Floats]) -> Floats:
        given = {i: np.asarray(context[i]) for i in names}
        if last:  # and the weights of a convolution, too
            for i in names[: 2 if node.op_type == "Conv" else 1]:
                given[i] = np.moveaxis(given[i], -1, 1)
        if not sessions:
            kinds = [
                onnx.helper.make_tensor_value_info(
                    i, onnx.helper.np_dtype_to_tensor_dtype(v.dtype), v.shape
                )
                for i, v in given.items()
            ]
            out = onnx.ValueInfoProto(name=node.output[0])
            graph = onnx.helper.make_graph([plain], "node", kinds, [out])
            one = onnx.helper.make_model(
                graph, opset_imports=[onnx.helper.make_opsetid("", version)], ir_version=10
            )
            one = onnx.shape_inference.infer_shapes(one)
            one.graph.output[0].type.tensor_type.ClearField("shape")
            sessions.append(InferenceSession(one.SerializeToString(), options))
        (result,) = sessions[0].run(None, given)
        return np.moveaxis(result, 1, -1) if last else np.asarray(result)

    return run


def compare(case: File, network: IntegerNetwork, images: npt.NDArray[np.uint8]) -> tuple[str, int]:
    """What differs, in words, "" if nothing; and in how many images float32 rounded otherwise.

    Where the logits of an image differ, the levels of the first quantizer that differ must be one
    apart, and the file's own values there must lie between two levels but for float32's noise.
    """
    tensors = network.tensors(images)
    rounded = 0
    for index, context in enumerate(executed(case, images)):
        here = {name: value[index : index + 1] for name, value in tensors.items()}
        said = _differs(network, here, context, [e.output for e in network.exits])
        if not said:
            continue
        inner = [n for n in network.views if n in context and _is_levels(network, n)]
        where = next((w for w in inner if _differs(network, here, context, [w])), "")
        made = onnx.load(str(case.path), load_external_data=False).graph.node if where else ()
        if not where or not _rounding(network, here, context, where, made):
            return f"image {index}: {said}, first {where or 'nowhere else'}", rounded
        rounded += 1
    return "", rounded


def _is_levels(network: IntegerNetwork, name: str) -> bool:
    return isinstance(network.makers.get(network.views[name].base), Threshold)


def _pair(network: IntegerNetwork, here: Any, context: Any, name: str) -> tuple[Floats, Floats]:
    """Both values of a tensor, in steps of its integers."""
    view = network.views[name]
    scales = [e.scale for e in network.exits if e.output == name]
    affine = view.function.affine
    scale = scales[0] if scales else float(np.max(np.abs(affine[0]))) if affine else 1.0
    mine = np.asarray(view(here[view.base]), np.float64)
    return mine.ravel() / scale, np.asarray(context[name], np.float64).ravel() / scale


def _differs(network: IntegerNetwork, here: Any, context: Any, names: list[str]) -> str:
    for name in names:
        mine, theirs = _pair(network, here, context, name)
        off = np.abs(mine - theirs)
        if (off > NEAR + 1e-5 * np.abs(mine)).any():
            return f"{name} is off by {off.max():.3g} steps in {int((off > NEAR).sum())} places"
    return ""


def _rounding(network: IntegerNetwork, here: Any, context: Any, name: str, nodes: Any) -> bool:
    """Whether the levels of a quantizer differ only where float32 could not know better."""
    mine, theirs = _pair(network, here, context, name)
    off = np.abs(mine - theirs)
    value = _in_levels(context, name, {node.output[0]: node for node in nodes})
    finite = value[np.isfinite(value)]
    ties = np.abs(value - np.rint(2 * value) / 2)
    noise = TIE * max(1.0, float(np.abs(finite).max(initial=0)))
    wrong = off > NEAR
    ends = (np.abs(np.abs(mine) - 1) <= NEAR) & (np.abs(np.abs(theirs) - 1) <= NEAR)
    apart = np.abs(off - np.where(ends & (off > 1.5), 2.0, 1.0))  # two from -1 to 1
    return bool((ties[wrong] <= noise).all() and (apart[wrong] <= NEAR).all())


def _in_levels(context: Any, name: str, makers: dict[str, onnx.NodeProto]) -> Floats:
    """What a quantizer rounds, as the file's execution has it, in levels."""
    node = makers[name]
    while node.op_type in ("DequantizeLinear", "Clip") and node.input[0] in makers:
        node = makers[node.input[0]]
    scale = np.asarray(context[node.input[1]], np.float64)
    zero = np.zeros(())
    if len(node.input) > 2 and node.input[2]:
        zero = np.asarray(context[node.input[2]], np.float64)
    x = np.asarray(context[node.input[0]], np.float64)
    if scale.ndim == 1 and scale.size > 1:  # of channels, in a QuantizeLinear
        scale, zero = (v.reshape(-1, *(1 for _ in x.shape[2:])) if v.size > 1 else v
                       for v in (scale, zero))  # fmt: skip
    return np.asarray(np.broadcast_to(x / scale + zero, x.shape).ravel())
