"""One operator on activations after the other in the plain form: attributes, shapes, refusals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from exeunt.errors import InputError
from exeunt.qonnx import shapes
from exeunt.qonnx.plain import (
    QUANTIZERS,
    TABLE,
    Array,
    Node,
    Tensors,
    axes_of,
    axis_of,
    given_axes,
    quantizer_attributes,
    to_shape,
    transpose,
)
from exeunt.qonnx.pools import (
    average_pool,
    global_average_pool,
    global_max_pool,
    max_pool,
    reduced,
)
from exeunt.qonnx.rows import row_attributes, rowed
from exeunt.qonnx.shapes import Shape
from exeunt.qonnx.truncation import trunc
from exeunt.window import extent

__all__ = ["CONDITIONS", "LAYERS", "QUANTIZERS", "Array", "Node", "Tensors", "add"]


def add(found: Tensors, node: Node) -> None:
    """Put an operator on activations into the plain form.

    Args:
        found: what was read so far; grows.
        node: its inputs are known.

    Raises:
        InputError: the operator cannot be used so.
    """
    first = node.inputs[0]
    if first in found.pads and node.operator in ("Identity", "Dropout", "Cast"):
        found.pads[node.output] = found.pads[first]
        return
    if first in found.pads:
        node = _padded(found, node)
    elif any(i in found.pads for i in node.inputs):
        raise InputError(f"{node.label} must not take a padded tensor but does; pad in the layer")
    if first in found.constants and node.operator not in (*_EITHER, *_WEIGHTED):
        raise InputError(f"{node.label} must work on activations but has a constant there; {TABLE}")
    _check_truths(found, node)
    LAYERS[node.operator](found, node, found.shapes.get(node.inputs[0], ()))


_LOGICAL = ("And", "Or", "Not")
_COMPARING = ("Greater", "GreaterOrEqual", "Less", "LessOrEqual")

CONDITIONS = (*_LOGICAL, *_COMPARING)  # operators that give true or false


def _check_truths(found: Tensors, node: Node) -> None:
    """Refuse conditions where numbers are needed, and numbers where conditions are."""
    logical = node.operator in _LOGICAL
    for k, name in enumerate(node.inputs):
        if not name or node.operator in ("Identity", "Cast"):
            continue
        wanted = logical or (node.operator == "Where" and k == 0)
        given = found.constants.get(name)
        true = name in found.truths or (given is not None and given.dtype.kind == "b")
        if true != wanted and (name in found.shapes or wanted):
            must, has = ("a condition", "numbers") if wanted else ("numbers", "a condition")
            raise InputError(f"{node.label} must take {must} but takes {has}, {name}; {TABLE}")
    if node.operator in CONDITIONS:
        found.truths.add(node.output)


def _nothing(found: Tensors, node: Node, shape: Shape) -> None:
    del shape
    if node.operator == "Dropout" and any(
        found.constants.get(i, np.zeros(1)).any() for i in node.inputs[2:]
    ):
        raise InputError(
            f"{node.label} must let everything pass but has training_mode set; export the network "
            "in evaluation mode"
        )
    if node.operator == "Cast" and int(node.attributes.get("to", 1)) not in (1, 11):
        raise InputError(
            f"{node.label} must cast activations to float32 or float64, since others round them, "
            "but does not; leave it out, or put a quantizer there"
        )
    if node.operator == "Cast" and found.same.get(node.inputs[0], node.inputs[0]) in found.truths:
        shape = found.shapes[node.inputs[0]]
        ones = [found.constant(f"{node.output}.{n}", np.array(n, np.float32)) for n in (1, 0)]
        found.keep(Node("Where", node.name, (node.inputs[0], *ones), node.output), shape)
        return
    found.nothing(node)


def _softmax(found: Tensors, node: Node, shape: Shape) -> None:
    del shape
    found.softmax[node.output] = node


def check_softmax(found: Tensors, node: Node, shape: Shape) -> None:
    """Refuse a Softmax that is not over all logits of an image.

    Args:
        found: knows the file's version of ONNX.
        node: the Softmax.
        shape: of the logits.

    Raises:
        InputError: it works along another axis than that of the classes.
    """
    newer = found.opset >= _SOFTMAX_OF_ONE_AXIS
    given = int(node.attributes.get("axis", -1 if newer else 1))
    axis = axis_of(node, given, len(shape))
    over = shape[axis] if newer else int(np.prod(shape[axis:]))
    if over != int(np.prod(shape)):
        raise InputError(
            f"{node.label} must work on all logits of an image but works along the axis {given} of "
            f"{shape}; take the axis of the classes"
        )


_SOFTMAX_OF_ONE_AXIS = 13  # the opset; before it all axes from the given one on counted


# Operators that may take their stream as any of their inputs.
_EITHER = ("Add", "Mul", "Sub", "Max", "Min", "Where", "And", "Or", *_COMPARING)

# Elementwise ------------------------------------------------------------------------------------


def _broadcast(found: Tensors, node: Node) -> Shape:
    """The shape behind an elementwise node, which must be that of its stream."""
    shape = next(found.shapes[i] for i in node.inputs if i in found.shapes)
    sizes = [
        found.shapes[i] if i in found.shapes else found.constants[i].shape for i in node.inputs if i
    ]
    try:
        same = np.broadcast_shapes(*sizes) == shape
    except ValueError:
        same = False
    if not same:
        raise InputError(
            f"{node.label} must keep the shape {shape} of its input but combines "
            f"{', '.join(str(tuple(s)) for s in sizes)}; export the network for one image"
        )
    return shape


def _elementwise(found: Tensors, node: Node, shape: Shape) -> None:
    del shape
    attributes = {
        key: node.attributes.get(key, default)
        for key, default in _DEFAULTS.get(node.operator, {}).items()
    }
    if node.operator == "Pow" and node.inputs[1] not in found.constants:
        raise InputError(f"{node.label} must have a constant exponent but computes it; {TABLE}")
    found.keep(replace(node, attributes=attributes), _broadcast(found, node))


_DEFAULTS: Mapping[str, Mapping[str, Any]] = {  # of attributes that ONNX lets away
    "LeakyRelu": {"alpha": 0.01},
    "Elu": {"alpha": 1.0},
    "Celu": {"alpha": 1.0},
    "Selu": {"alpha": 1.67326319217681884765625, "gamma": 1.05070102214813232421875},
    "HardSigmoid": {"alpha": 0.2, "beta": 0.5},
    "Gelu": {"approximate": b"none"},
    "ThresholdedRelu": {"alpha": 1.0},
    "Shrink": {"lambd": 0.5, "bias": 0.0},
}


def _concat(found: Tensors, node: Node, shape: Shape) -> None:
    """Channels one behind the other; what may be joined is for `exeunt.qonnx.joins` to say."""
    sizes = [found.shapes.get(i) or found.constants[i].shape for i in node.inputs]
    shape = sizes[0]
    axis = axis_of(node, int(node.attributes.get("axis", 1)), len(shape))
    if axis == 0 or len({(*s[:axis], *s[axis + 1 :]) for s in sizes}) != 1:
        raise InputError(
            f"{node.label} must concatenate tensors that differ in their channels alone but gets "
            f"{', '.join(str(tuple(s)) for s in sizes)} along axis {axis}; concatenate along axis 1"
        )
    total = sum(s[axis] for s in sizes)
    found.keep(replace(node, attributes={"axis": axis}), (*shape[:axis], total, *shape[axis + 1 :]))


def _quantizer(found: Tensors, node: Node, shape: Shape) -> None:
    check_parameters(found, node, shape)
    found.keep(replace(node, attributes=quantizer_attributes(node)), shape)


def check_parameters(found: Tensors, node: Node, shape: Shape) -> None:
    """Refuse a quantizer whose parameters do not fit what it quantizes.

    Args:
        found: has its parameters.
        node: the quantizer.
        shape: of what it takes.

    Raises:
        InputError: naming the shapes.
    """
    for name in node.inputs[1:]:
        size = found.constants[name].shape
        if len(size) > len(shape) or any(
            a not in (1, b) for a, b in zip(size[::-1], shape[::-1], strict=False)
        ):
            raise InputError(
                f"{node.label} must have one scale and zero point, or one for each channel, of a "
                f"tensor {shape} but has them of the shape {size}; export it again"
            )


def _clip(found: Tensors, node: Node, shape: Shape) -> None:
    limits = []
    for k, (key, default) in enumerate((("min", -np.inf), ("max", np.inf)), start=1):
        name = node.inputs[k] if len(node.inputs) > k else ""
        if name and name not in found.constants:
            raise InputError(f"{node.label} must have constant limits but computes one; {TABLE}")
        value = found.constants[name] if name else node.attributes.get(key, default)
        if np.size(value) != 1:
            raise InputError(
                f"{node.label} must have one number for each limit but has {np.size(value)} for "
                f"{key}; export it again"
            )
        value = np.reshape(value, ())
        limits.append(found.constant(f"{node.output}.{key}", np.asarray(value, np.float32)))
    found.keep(Node("Clip", node.name, (node.inputs[0], *limits), node.output), shape)


def _norm(found: Tensors, node: Node, shape: Shape) -> None:
    if node.attributes.get("training_mode", 0):
        raise InputError(
            f"{node.label} must use stored statistics but has training_mode set; export the "
            "network in evaluation mode"
        )
    values = [found.constants.get(i) for i in node.inputs[1:5]]
    if len(values) != 4 or any(v is None or v.shape != (shape[1],) for v in values):
        raise InputError(
            f"{node.label} must have four constant parameters for each of {shape[1]} channels but "
            "has others; export the network in evaluation mode"
        )
    epsilon = float(node.attributes.get("epsilon", 1e-5))
    found.keep(replace(node, attributes={"epsilon": epsilon}), shape)


# Layers with weights ----------------------------------------------------------------------------

_WEIGHTED = ("Conv", "Gemm", "MatMul")


def _weighted(found: Tensors, node: Node, shape: Shape) -> None:
    if (
        len(node.inputs) < 2
        or node.inputs[0] not in found.shapes
        or (node.inputs[1] not in found.constants)
    ):
        raise InputError(
            f"{node.label} must multiply activations by constant weights but does not; {TABLE}"
        )
    weights = found.quantized.get(node.inputs[1])
    if weights is None:
        raise InputError(
            f"the weights of {node.label} must come from a quantizer but are plain numbers; "
            "use a layer of brevitas.nn"
        )
    if len(node.inputs) > 2 and node.inputs[2] and node.inputs[2] not in found.constants:
        raise InputError(f"{node.label} must have a constant bias but computes it; {TABLE}")
    size = found.constants[node.inputs[1]].shape
    if 0 in size:
        raise InputError(
            f"{node.label} must have weights but has none of the shape {tuple(size)}; export the "
            "network again"
        )
    made = _conv(node, shape, size) if node.operator == "Conv" else _linear(node, shape, size)
    if len(node.inputs) > 2 and node.inputs[2]:
        _check_bias(node, found.constants[node.inputs[2]].shape, made[1])
    if weights not in found.nodes:
        weights = replace(weights, attributes=quantizer_attributes(weights))
        found.nodes.append(weights)
        found.quantized[node.inputs[1]] = weights
    found.keep(*made)


def _check_bias(node: Node, size: Shape, result: Shape) -> None:
    """Refuse a bias that is not one number for each channel, or for a Gemm one for all."""
    count = result[1]
    fits = [(count,)] if node.operator == "Conv" else [(count,), (1, count), (1,), (1, 1), ()]
    if size not in fits:
        raise InputError(
            f"{node.label} must have a bias for each of its {count} results but has one of the "
            f"shape {size}; export it again"
        )


def _conv(node: Node, shape: Shape, size: Shape) -> tuple[Node, Shape]:
    groups = int(node.attributes.get("group", 1))
    kernel, strides, pads = shapes.window(
        node.attributes, shape, size[2:], node.label, dilated=True
    )
    if groups < 1 or shape[1] % groups or size[0] % groups:
        raise InputError(
            f"{node.label} must have groups that divide its {shape[1]} channels and {size[0]} "
            f"filters but has {groups}; choose a divisor of both"
        )
    if tuple(size[1:]) != (shape[1] // groups, *kernel):
        raise InputError(
            f"{node.label} must have weights for {shape[1] // groups} channels and a kernel of "
            f"{list(kernel)} but has {list(size)}; export it again"
        )
    apart = shapes.dilations(node.attributes, kernel)
    attributes = {
        "kernel_shape": list(kernel),
        "strides": list(strides),
        "pads": list(pads),
        "dilations": list(apart),
        "group": groups,
    }
    result = (1, size[0], *shapes.out(shape, extent(kernel, apart), strides, pads))
    return replace(node, attributes=attributes), result


def _padded(found: Tensors, node: Node) -> Node:
    """A convolution of a padded tensor pads itself."""
    source, more = found.pads[node.inputs[0]]
    if node.operator != "Conv":
        raise InputError(
            f"padding must be part of a convolution but {node.label} takes a padded tensor; "
            "give the layer itself the padding"
        )
    shape, given = found.shapes[source], node.attributes
    kernel = found.constants[node.inputs[1]].shape[2:] if node.inputs[1] in found.constants else ()
    long = len(shape) == 3  # one dimension, (1, C, L)
    if long:
        shape, given, kernel = (
            (*shape[:2], 1, shape[2]),
            row_attributes(given, node.label),
            (1, *kernel),
        )
    wider = (*shape[:2], shape[2] + more[0] + more[2], shape[3] + more[1] + more[3])
    _, strides, pads = shapes.window(given, wider, kernel, node.label, dilated=True)
    total = [a + b for a, b in zip(pads, more, strict=True)]
    kept = {k: v for k, v in node.attributes.items() if k not in ("auto_pad", "pads")}
    attributes = {**kept, "strides": strides[long:], "pads": total[1::2] if long else total}
    return replace(node, inputs=(source, *node.inputs[1:]), attributes=attributes)


def _pad(found: Tensors, node: Node, shape: Shape) -> None:
    mode = node.attributes.get("mode", b"constant")
    mode = mode.decode() if isinstance(mode, bytes) else str(mode)
    inputs = [found.constants.get(i) if i else None for i in (*node.inputs, "", "", "")[:4]]
    amounts = node.attributes.get("pads") if inputs[1] is None else inputs[1]
    value = float(node.attributes.get("value", 0.0)) if inputs[2] is None else _single(inputs[2])
    whole = amounts is not None and np.asarray(amounts).dtype.kind in "iu"
    pads = [int(p) for p in np.asarray(amounts).reshape(-1)] if whole else []
    if inputs[3] is not None:
        axes = [axis_of(node, int(a), len(shape)) for a in inputs[3].reshape(-1)]
        full, half = [0] * 2 * len(shape), len(axes)
        for k, axis in enumerate(axes if len(pads) == 2 * half else ()):
            full[axis], full[len(shape) + axis] = pads[k], pads[half + k]
        pads = full if len(pads) == 2 * half else pads
    if len(shape) == 3 and len(pads) == 6:  # a row
        pads = [*pads[:2], 0, pads[2], *pads[3:5], 0, pads[5]]
    spatial = len(shape) > 2 and len(pads) == 8 and not any(pads[k] for k in (0, 1, 4, 5))
    if mode != "constant" or value != 0 or not spatial or min(pads) < 0:
        raise InputError(
            f"{node.label} must pad height and width with zeros but has the mode {mode}, the "
            f"value {value:g} and the pads {pads}; use zero padding"
        )
    if any(pads):
        found.pads[node.output] = (node.inputs[0], (pads[2], pads[3], pads[6], pads[7]))
    else:
        found.nothing(node)


def _single(value: Array) -> float:
    """The one number of a constant; nan of a constant that has several or none."""
    return float(value.reshape(())) if value.size == 1 else float("nan")


def _linear(node: Node, shape: Shape, size: Shape) -> tuple[Node, Shape]:
    attributes: dict[str, Any] = {}
    if node.operator == "Gemm":
        if node.attributes.get("transA", 0):
            raise InputError(f"{node.label} must not transpose its input but does; flatten before")
        for key in ("alpha", "beta"):
            value = float(node.attributes.get(key, 1.0))
            if not np.isfinite(value) or (key == "alpha" and not value):
                kind = "a number other than zero" if key == "alpha" else "a number"
                raise InputError(
                    f"{node.label} must have {kind} for {key} but has {value:g}; leave it out"
                )
        attributes = {
            "alpha": float(node.attributes.get("alpha", 1.0)),
            "beta": float(node.attributes.get("beta", 1.0)),
            "transA": 0,
            "transB": int(node.attributes.get("transB", 0)),
        }
    rows, columns = size if len(size) == 2 else (0, 0)
    if attributes.get("transB"):
        rows, columns = columns, rows
    if rows != shape[-1] or int(np.prod(shape)) != shape[-1]:
        raise InputError(
            f"{node.label} must take one vector with as many features as its weights have inputs "
            f"but gets {shape} for weights of {tuple(size)}; flatten in front of it"
        )
    return replace(node, attributes=attributes), (*shape[:-1], columns)


# Shapes -----------------------------------------------------------------------------------------


def _reshape(found: Tensors, node: Node, shape: Shape) -> None:
    wanted = found.constants.get(node.inputs[1]) if len(node.inputs) > 1 else None
    if wanted is None or wanted.dtype.kind not in "iu":
        raise InputError(
            f"{node.label} must reshape to a shape of constant integers but does not; {TABLE}"
        )
    zero = bool(node.attributes.get("allowzero", 0))
    result = shapes.reshaped(shape, wanted.reshape(-1).tolist(), node.label, allow_zero=zero)
    to_shape(found, node, result)


def _flatten(found: Tensors, node: Node, shape: Shape) -> None:
    given = int(node.attributes.get("axis", 1))
    axis = given + len(shape) if given < 0 else given
    if not 0 <= axis <= len(shape):
        raise InputError(
            f"{node.label} must flatten along an axis of {shape} but has {given}; export it again"
        )
    to_shape(found, node, (int(np.prod(shape[:axis])), int(np.prod(shape[axis:]))))


def _squeeze(found: Tensors, node: Node, shape: Shape) -> None:
    axes = axes_of(found, node, len(shape))
    if axes is None:
        axes = [i for i, size in enumerate(shape) if size == 1 and i]
    if any(shape[i] != 1 for i in axes):
        raise InputError(
            f"{node.label} must take away axes of one element but takes away {axes} of {shape}; "
            "export it again"
        )
    to_shape(found, node, tuple(size for i, size in enumerate(shape) if i not in axes))


def _unsqueeze(found: Tensors, node: Node, shape: Shape) -> None:
    count = len(given_axes(found, node) or [])
    axes = axes_of(found, node, len(shape) + count) or []
    rest = iter(shape)
    to_shape(found, node, tuple(1 if i in axes else next(rest) for i in range(len(shape) + count)))


LAYERS: Mapping[str, Callable[[Tensors, Node, Shape], None]] = {
    **{name: _elementwise for name in ("Add", "Sub", "Mul", "Div", "Relu", "LeakyRelu")},
    **{name: _elementwise for name in ("PRelu", "Sigmoid", "Tanh", "Softplus", "Elu", "Selu")},
    **{name: _elementwise for name in ("Celu", "HardSigmoid", "Softsign", "Exp", "Sqrt", "Log")},
    **{name: _elementwise for name in ("Erf", "Round", "Floor", "Ceil", "Sign", "Neg", "Abs")},
    **{name: _elementwise for name in ("Pow", "HardSwish", "Mish", "Gelu", "Shrink")},
    **{name: _elementwise for name in ("ThresholdedRelu", "Max", "Min", "Where", "And", "Or")},
    **{name: _elementwise for name in ("Not", *_COMPARING)},
    "Trunc": trunc,
    **{name: _nothing for name in ("Identity", "Dropout", "Cast")},
    **{name: _softmax for name in ("Softmax", "LogSoftmax")},
    **{name: _quantizer for name in QUANTIZERS},
    **{name: _weighted for name in _WEIGHTED},
    "Conv": rowed(_weighted),
    "AveragePool": rowed(average_pool),
    "BatchNormalization": _norm,
    "Clip": _clip,
    "Concat": _concat,
    "Flatten": _flatten,
    "GlobalAveragePool": rowed(global_average_pool),
    "GlobalMaxPool": rowed(global_max_pool),
    "MaxPool": rowed(max_pool),
    "Pad": _pad,
    **{name: reduced for name in ("ReduceMax", "ReduceMean", "ReduceSum")},
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Transpose": transpose,
    "Unsqueeze": _unsqueeze,
}
