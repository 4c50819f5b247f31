"""One operator on activations after the other in the plain form: attributes, shapes, refusals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from exeunt.errors import InputError
from exeunt.qonnx import shapes
from exeunt.qonnx.shapes import Pair, Quad, Shape

Array = npt.NDArray[Any]

QUANTIZERS = ("Quant", "BipolarQuant")
_TABLE = "see the table of operators in hls/README.md"


@dataclass(frozen=True)
class Node:
    """One operator with one result; `inputs` are names of tensors and constants."""

    operator: str
    name: str
    inputs: tuple[str, ...]
    output: str
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """What messages call it."""
        return f"{self.operator} (node {self.name})"


@dataclass
class Tensors:
    """What is known of a graph while it is read: constants, tensors on the way, nodes kept."""

    constants: dict[str, Array] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)  # of one image's tensors
    nodes: list[Node] = field(default_factory=list)
    quantized: dict[str, Node] = field(default_factory=dict)  # quantizers of constants, by result
    same: dict[str, str] = field(default_factory=dict)  # tensors that are another one
    pads: dict[str, tuple[str, Quad]] = field(default_factory=dict)  # padded: of what, how much
    softmax: dict[str, Node] = field(default_factory=dict)

    def keep(self, node: Node, shape: Shape) -> None:
        """A node of the plain form, whose result has `shape`."""
        self.nodes.append(node)
        self.shapes[node.output] = shape

    def constant(self, name: str, value: Array) -> str:
        """A constant of that name."""
        self.constants[name] = value
        return name

    def nothing(self, node: Node) -> None:
        """A node that changes nothing."""
        self.same[node.output] = node.inputs[0]
        self.shapes[node.output] = self.shapes[node.inputs[0]]


def add(found: Tensors, node: Node) -> None:
    """Put an operator on activations into the plain form.

    Args:
        found: what was read so far; grows.
        node: its inputs are known.

    Raises:
        InputError: the operator cannot be used so.
    """
    first = node.inputs[0]
    if first in found.pads:
        node = _padded(found, node)
    elif any(i in found.pads for i in node.inputs):
        raise InputError(f"{node.label} must not take a padded tensor but does; pad in the layer")
    if first in found.constants and node.operator not in ("Add", "Mul", "Sub", *_WEIGHTED):
        raise InputError(
            f"{node.label} must work on activations but has a constant there; {_TABLE}"
        )
    LAYERS[node.operator](found, node, found.shapes.get(node.inputs[0], ()))


def _nothing(found: Tensors, node: Node, shape: Shape) -> None:
    del shape
    if node.operator == "Cast" and int(node.attributes.get("to", 1)) not in (1, 10, 11, 16):
        raise InputError(
            f"{node.label} must cast activations to a float type but does not; leave it out"
        )
    found.nothing(node)


def _softmax(found: Tensors, node: Node, shape: Shape) -> None:
    del shape
    found.softmax[node.output] = node


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
        raise InputError(f"{node.label} must have a constant exponent but computes it; {_TABLE}")
    found.keep(replace(node, attributes=attributes), _broadcast(found, node))


_DEFAULTS: Mapping[str, Mapping[str, Any]] = {  # of attributes that ONNX lets away
    "LeakyRelu": {"alpha": 0.01},
    "Elu": {"alpha": 1.0},
    "Celu": {"alpha": 1.0},
    "Selu": {"alpha": 1.67326319217681884765625, "gamma": 1.05070102214813232421875},
    "HardSigmoid": {"alpha": 0.2, "beta": 0.5},
    "Gelu": {"approximate": b"none"},
}


def _trunc(found: Tensors, node: Node, shape: Shape) -> None:
    """QONNX's Trunc: integers of a scale, divided by a power of two and rounded once more."""
    given = [np.asarray(found.constants[i], np.float64) for i in node.inputs[1:]]
    if len(given) not in (4, 5) or any(v.size != 1 for v in given):
        raise InputError(
            f"{node.label} must have one scale, zero point and bit width but has others; use "
            "per-tensor scaling"
        )
    scale, zero, bits, *rest = (float(v.reshape(())) for v in given)
    last = node.inputs[0]

    def put(operator: str, value: float | None, result: str = "") -> None:
        nonlocal last
        result = result or f"{node.output}.{len(found.nodes)}"
        inputs = (last,) if value is None else (
            last, found.constant(f"{result}.by", np.asarray(value, np.float32)))  # fmt: skip
        made = Node(operator, f"{node.name}.{len(found.nodes)}", inputs, result)
        found.keep(made, shape)
        last = result

    put("Div", scale)
    if zero:
        put("Add", zero)
    put("Round", None)
    newer = len(rest) == 2  # it says what it gives: the scale, and the bits
    step = 2.0 ** round(np.log2(rest[0] / scale)) if newer else 2.0 ** (bits - rest[0])
    put("Div", step)
    mode = node.attributes.get("rounding_mode", b"FLOOR")
    attributes = quantizer_attributes(replace(node, attributes={"rounding_mode": mode}))
    if newer:
        attributes |= {k: int(node.attributes.get(k, d)) for k, d in (("signed", 1), ("narrow", 0))}
    width = rest[1] if newer else rest[0] + 1  # a sign for whatever comes
    names = [
        found.constant(f"{node.output}.{key}", np.asarray(value, np.float32))
        for key, value in (("one", 1.0), ("none", 0.0), ("bits", width))
    ]
    whole = f"{node.output}.integers"
    found.keep(Node("Quant", node.name, (last, *names), whole, attributes), shape)
    last = whole
    away = zero / step if newer else zero
    if away:
        put("Sub", away)
    put("Mul", rest[0] if newer else scale, node.output)


def _concat(found: Tensors, node: Node, shape: Shape) -> None:
    """Channels one behind the other; what may be joined is for `exeunt.qonnx.joins` to say."""
    axis = int(node.attributes.get("axis", 1)) % max(1, len(shape))
    sizes = [found.shapes.get(i) or found.constants[i].shape for i in node.inputs]
    if axis == 0 or len({(*s[:axis], *s[axis + 1 :]) for s in sizes}) != 1:
        raise InputError(
            f"{node.label} must concatenate tensors that differ in their channels alone but gets "
            f"{', '.join(str(tuple(s)) for s in sizes)} along axis {axis}; concatenate along axis 1"
        )
    total = sum(s[axis] for s in sizes)
    found.keep(replace(node, attributes={"axis": axis}), (*shape[:axis], total, *shape[axis + 1 :]))


def _quantizer(found: Tensors, node: Node, shape: Shape) -> None:
    found.keep(replace(node, attributes=quantizer_attributes(node)), shape)


def quantizer_attributes(node: Node) -> dict[str, Any]:
    """A quantizer's attributes with their defaults, under QONNX's names."""
    if node.operator == "BipolarQuant":
        return {}
    mode = node.attributes.get("rounding_mode", b"ROUND")
    mode = (mode.decode() if isinstance(mode, bytes) else str(mode)).upper()
    return {
        "signed": int(node.attributes.get("signed", 1)),
        "narrow": int(node.attributes.get("narrow", 0)),
        "rounding_mode": {"ROUND_TO_ZERO": "DOWN"}.get(mode, mode),
    }


def _clip(found: Tensors, node: Node, shape: Shape) -> None:
    limits = []
    for k, (key, default) in enumerate((("min", -np.inf), ("max", np.inf)), start=1):
        name = node.inputs[k] if len(node.inputs) > k else ""
        if name and name not in found.constants:
            raise InputError(f"{node.label} must have constant limits but computes one; {_TABLE}")
        value = found.constants[name] if name else node.attributes.get(key, default)
        limits.append(found.constant(f"{node.output}.{key}", np.asarray(value, np.float32)))
    found.keep(Node("Clip", node.name, (node.inputs[0], *limits), node.output), shape)


def _norm(found: Tensors, node: Node, shape: Shape) -> None:
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
            f"{node.label} must multiply activations by constant weights but does not; {_TABLE}"
        )
    weights = found.quantized.get(node.inputs[1])
    if weights is None:
        raise InputError(
            f"the weights of {node.label} must come from a quantizer but are plain numbers; "
            "use a layer of brevitas.nn"
        )
    if len(node.inputs) > 2 and node.inputs[2] and node.inputs[2] not in found.constants:
        raise InputError(f"{node.label} must have a constant bias but computes it; {_TABLE}")
    size = found.constants[node.inputs[1]].shape
    made = _conv(node, shape, size) if node.operator == "Conv" else _linear(node, shape, size)
    if weights not in found.nodes:
        weights = replace(weights, attributes=quantizer_attributes(weights))
        found.nodes.append(weights)
        found.quantized[node.inputs[1]] = weights
    found.keep(*made)


def _conv(node: Node, shape: Shape, size: Shape) -> tuple[Node, Shape]:
    groups = int(node.attributes.get("group", 1))
    if groups != 1:
        raise InputError(
            f"grouped convolutions are not supported but {node.label} has {groups} groups; "
            "use a dense convolution"
        )
    kernel, strides, pads = shapes.window(node.attributes, shape, size[2:], node.label)
    if tuple(size[1:]) != (shape[1], *kernel):
        raise InputError(
            f"{node.label} must have weights for {shape[1]} channels and a kernel of "
            f"{list(kernel)} but has {list(size)}; export it again"
        )
    attributes = {
        "kernel_shape": list(kernel),
        "strides": list(strides),
        "pads": list(pads),
        "dilations": [1, 1],
        "group": 1,
    }
    result = (1, size[0], *shapes.out(shape, kernel, strides, pads))
    return replace(node, attributes=attributes), result


def _padded(found: Tensors, node: Node) -> Node:
    """A convolution of a padded tensor pads itself."""
    source, more = found.pads[node.inputs[0]]
    if node.operator != "Conv":
        raise InputError(
            f"padding must be part of a convolution but {node.label} takes a padded tensor; "
            "give the layer itself the padding"
        )
    shape = found.shapes[source]
    wider = (*shape[:2], shape[2] + more[0] + more[2], shape[3] + more[1] + more[3])
    kernel = found.constants[node.inputs[1]].shape[2:] if node.inputs[1] in found.constants else ()
    _, strides, pads = shapes.window(node.attributes, wider, kernel, node.label)
    total = [a + b for a, b in zip(pads, more, strict=True)]
    kept = {k: v for k, v in node.attributes.items() if k not in ("auto_pad", "pads")}
    attributes = {**kept, "strides": strides, "pads": total}
    return replace(node, inputs=(source, *node.inputs[1:]), attributes=attributes)


def _pad(found: Tensors, node: Node, shape: Shape) -> None:
    mode = node.attributes.get("mode", b"constant")
    mode = mode.decode() if isinstance(mode, bytes) else str(mode)
    inputs = [found.constants.get(i) if i else None for i in (*node.inputs, "", "", "")[:4]]
    amounts = node.attributes.get("pads") if inputs[1] is None else inputs[1]
    value = node.attributes.get("value", 0.0) if inputs[2] is None else inputs[2].reshape(-1)[0]
    pads = [int(p) for p in np.asarray(amounts).reshape(-1)] if amounts is not None else []
    if inputs[3] is not None:
        axes, half = [int(a) % len(shape) for a in inputs[3].reshape(-1)], len(pads) // 2
        full = [0] * 2 * len(shape)
        for k, axis in enumerate(axes):
            full[axis], full[len(shape) + axis] = pads[k], pads[half + k]
        pads = full
    spatial = len(shape) == 4 and len(pads) == 8 and not any(pads[k] for k in (0, 1, 4, 5))
    if mode != "constant" or value != 0 or not spatial or min(pads) < 0:
        raise InputError(
            f"{node.label} must pad height and width with zeros but has the mode {mode}, the "
            f"value {float(value):g} and the pads {pads}; use zero padding"
        )
    if any(pads):
        found.pads[node.output] = (node.inputs[0], (pads[2], pads[3], pads[6], pads[7]))
    else:
        found.nothing(node)


def _linear(node: Node, shape: Shape, size: Shape) -> tuple[Node, Shape]:
    attributes: dict[str, Any] = {}
    if node.operator == "Gemm":
        if node.attributes.get("transA", 0):
            raise InputError(f"{node.label} must not transpose its input but does; flatten before")
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


# Pools ------------------------------------------------------------------------------------------


def _max_pool(found: Tensors, node: Node, shape: Shape) -> None:
    _pool(found, "MaxPool", node, shapes.window(node.attributes, shape, None, node.label))


def _average_pool(found: Tensors, node: Node, shape: Shape) -> None:
    """A sum over the whole window, then what makes it the mean of the pixels that count."""
    kernel, strides, pads = shapes.window(node.attributes, shape, None, node.label)
    counted = (0, 0, 0, 0)
    if node.attributes.get("count_include_pad", 0):
        counted = shapes.window({**node.attributes, "ceil_mode": 0}, shape, None, node.label)[2]
    counts = shapes.counts(shape, (kernel, strides, pads), counted)
    if not counts.all():
        raise InputError(
            f"{node.label} must have a pixel of the map in each window but has none in some; "
            "pad less"
        )
    size = kernel[0] * kernel[1]
    if (counts == size).all():
        _pool(found, "AveragePool", node, (kernel, strides, pads))
        return
    whole = f"{node.output}.whole"
    _pool(found, "AveragePool", replace(node, output=whole), (kernel, strides, pads))
    factor = found.constant(f"{node.output}.factor", np.asarray(size / counts, np.float32))
    mean = Node("Mul", f"{node.name}.factor", (whole, factor), node.output)
    found.keep(mean, found.shapes[whole])


def _global_max_pool(found: Tensors, node: Node, shape: Shape) -> None:
    _whole(found, "MaxPool", node, shape)


def _global_average_pool(found: Tensors, node: Node, shape: Shape) -> None:
    _whole(found, "AveragePool", node, shape)


def _whole(found: Tensors, operator: str, node: Node, shape: Shape) -> None:
    attributes = {"kernel_shape": shape[2:], "strides": shape[2:]}
    _pool(found, operator, node, shapes.window(attributes, shape, None, node.label))


def _pool(found: Tensors, operator: str, node: Node, window: tuple[Pair, Pair, Quad]) -> None:
    kernel, strides, pads = window
    shape = found.shapes[node.inputs[0]]
    attributes: dict[str, Any] = {
        "kernel_shape": list(kernel),
        "strides": list(strides),
        "pads": list(pads),
    }
    if operator == "AveragePool":
        attributes["count_include_pad"] = 1
    made = Node(operator, node.name, node.inputs[:1], node.output, attributes)
    found.keep(made, (*shape[:2], *shapes.out(shape, kernel, strides, pads)))


def _axes(found: Tensors, node: Node, rank: int) -> list[int] | None:
    """The axes of a node, from its attribute or its second input."""
    axes = node.attributes.get("axes")
    if axes is None and len(node.inputs) > 1 and node.inputs[1]:
        axes = found.constants.get(node.inputs[1])
    return None if axes is None else [int(a) % rank for a in np.asarray(axes).reshape(-1)]


def _reduce_mean(found: Tensors, node: Node, shape: Shape) -> None:
    axes = _axes(found, node, len(shape))
    if len(shape) != 4 or axes is None or sorted(axes) != [2, 3]:
        raise InputError(
            f"{node.label} must average a (1, C, H, W) map over height and width but reduces the "
            f"axes {axes} of {shape}; use a global average pool"
        )
    if node.attributes.get("keepdims", 1):
        _whole(found, "AveragePool", node, shape)
        return
    pooled = f"{node.output}.map"
    _whole(found, "AveragePool", replace(node, output=pooled), shape)
    _to_shape(found, Node("Reshape", f"{node.name}.flat", (pooled,), node.output), shape[:2])


# Shapes -----------------------------------------------------------------------------------------


def _to_shape(found: Tensors, node: Node, shape: Shape) -> None:
    if shape == found.shapes[node.inputs[0]]:
        found.nothing(node)
        return
    if not shape or shape[0] != 1:
        raise InputError(
            f"{node.label} must keep the batch of one image in front but gives {shape}; "
            "flatten to (1, -1)"
        )
    wanted = found.constant(f"{node.output}.shape", np.array(shape, np.int64))
    found.keep(Node("Reshape", node.name, (node.inputs[0], wanted), node.output), shape)


def _reshape(found: Tensors, node: Node, shape: Shape) -> None:
    wanted = found.constants.get(node.inputs[1]) if len(node.inputs) > 1 else None
    if wanted is None:
        raise InputError(f"{node.label} must reshape to a constant shape but computes it; {_TABLE}")
    zero = bool(node.attributes.get("allowzero", 0))
    result = shapes.reshaped(shape, wanted.reshape(-1).tolist(), node.label, allow_zero=zero)
    _to_shape(found, node, result)


def _flatten(found: Tensors, node: Node, shape: Shape) -> None:
    axis = int(node.attributes.get("axis", 1))
    axis = axis + len(shape) if axis < 0 else axis
    _to_shape(found, node, (int(np.prod(shape[:axis])), int(np.prod(shape[axis:]))))


def _squeeze(found: Tensors, node: Node, shape: Shape) -> None:
    axes = _axes(found, node, len(shape))
    if axes is None:
        axes = [i for i, size in enumerate(shape) if size == 1 and i]
    _to_shape(found, node, tuple(size for i, size in enumerate(shape) if i not in axes))


def _unsqueeze(found: Tensors, node: Node, shape: Shape) -> None:
    count = len(_axes(found, node, 1) or [])
    axes = _axes(found, node, len(shape) + count) or []
    rest = iter(shape)
    _to_shape(found, node, tuple(1 if i in axes else next(rest) for i in range(len(shape) + count)))


def _transpose(found: Tensors, node: Node, shape: Shape) -> None:
    perm = [int(p) for p in node.attributes.get("perm") or reversed(range(len(shape)))]
    if perm[0] != 0:
        raise InputError(
            f"{node.label} must keep the batch in front but has the order {perm}; leave it out"
        )
    found.keep(replace(node, attributes={"perm": perm}), tuple(shape[p] for p in perm))


LAYERS: Mapping[str, Callable[[Tensors, Node, Shape], None]] = {
    **{name: _elementwise for name in ("Add", "Sub", "Mul", "Div", "Relu", "LeakyRelu")},
    **{name: _elementwise for name in ("PRelu", "Sigmoid", "Tanh", "Softplus", "Elu", "Selu")},
    **{name: _elementwise for name in ("Celu", "HardSigmoid", "Softsign", "Exp", "Sqrt", "Log")},
    **{name: _elementwise for name in ("Erf", "Round", "Floor", "Ceil", "Sign", "Neg", "Abs")},
    **{name: _elementwise for name in ("Pow", "HardSwish", "Mish", "Gelu")},
    "Trunc": _trunc,
    **{name: _nothing for name in ("Identity", "Dropout", "Cast")},
    **{name: _softmax for name in ("Softmax", "LogSoftmax")},
    **{name: _quantizer for name in QUANTIZERS},
    **{name: _weighted for name in _WEIGHTED},
    "AveragePool": _average_pool,
    "BatchNormalization": _norm,
    "Clip": _clip,
    "Concat": _concat,
    "Flatten": _flatten,
    "GlobalAveragePool": _global_average_pool,
    "GlobalMaxPool": _global_max_pool,
    "MaxPool": _max_pool,
    "Pad": _pad,
    "ReduceMean": _reduce_mean,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
