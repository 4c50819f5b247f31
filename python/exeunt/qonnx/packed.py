"""A QONNX file with its quantized weights stored as integers, a fraction of its size.

A quantizer's constant becomes a Cast of integers of 4 or 8 bits and a Mul with its scales. The
quantizer stays behind it, so every reader sees the same network. QONNX's own execution does not
know integers of 4 bits; the file that `exeunt export` leaves in a run folder is a plain one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from exeunt.qonnx import quantizer
from exeunt.qonnx.plain import QUANTIZERS

if TYPE_CHECKING:
    from onnx import ModelProto, TensorProto

_OPSET, _FORM = 21, 10  # the first with integers of 4 bits


def packed(model: ModelProto) -> ModelProto:
    """The same network in a smaller file; `model` as `exeunt.qonnx.file.to_model` makes it."""
    from onnx import TensorProto, helper, numpy_helper

    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    nodes, changed = [], {}
    for node in model.graph.node:
        name = node.input[0]
        if node.op_type in QUANTIZERS and name in constants:
            given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
            found = quantizer.parse(
                node.op_type, given, [constants[i] for i in node.input[1:]], node.name
            )
            integers = found.constants(constants[name])
            inside = integers.min() >= -8 and integers.max() <= 7
            kind = TensorProto.INT4 if inside else TensorProto.INT8
            if np.abs(integers).max(initial=0) <= 127 and name not in changed:
                changed[name] = _stored(f"{name}.integers", integers, kind)
                nodes += [
                    helper.make_node(
                        "Cast",
                        [f"{name}.integers"],
                        [f"{name}.cast"],
                        name=f"{name}.cast",
                        to=TensorProto.FLOAT,
                    ),
                    helper.make_node("Mul", [f"{name}.cast", node.input[1]], [name], name=name),
                ]
        nodes.append(node)
    made = type(model)()
    made.CopyFrom(model)
    del made.graph.node[:], made.graph.initializer[:]
    made.graph.node.extend(nodes)
    made.graph.initializer.extend(changed.get(t.name, t) for t in model.graph.initializer)
    made.ir_version = _FORM
    for opset in made.opset_import:
        if opset.domain == "":
            opset.version = _OPSET
    return made


def _stored(name: str, integers: npt.NDArray[Any], kind: int) -> TensorProto:
    """Integers as raw bytes; those of 4 bits in pairs, the first in the low half."""
    from onnx import TensorProto, helper

    content = integers.astype(np.int8).ravel()
    if kind == TensorProto.INT4:
        content = np.append(content, np.zeros(len(content) % 2, np.int8)) & 15
        content = content[::2] | content[1::2] << 4
    return helper.make_tensor(name, kind, integers.shape, content.tobytes(), raw=True)
