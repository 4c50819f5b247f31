"""Activations between matrices: functions of integers, and the quantizers that end them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from exeunt.errors import InputError
from exeunt.qonnx import bends, quantizer, tables
from exeunt.qonnx.file import Graph
from exeunt.qonnx.integers import IntArray, Matrix, Pool, Reshape, Shape, Tensor, Threshold
from exeunt.qonnx.layers import Array, Node
from exeunt.qonnx.ranges import PLAIN, Operations
from exeunt.qonnx.tables import Function
from exeunt.window import Window

MAX_BITS = 8  # of activations: a kernel has at most 255 thresholds
_SMALL = 1 << 12  # values of integers on which a function is tried value by value
_SATURATED = 192  # of 256 values of a pixel


_NONE = Function()
# Of x and y: the kind of a step, and whether it is the negation of that.
_COMPARING = {
    "Greater": ("above", False),
    "LessOrEqual": ("above", True),
    "GreaterOrEqual": ("reaches", False),
    "Less": ("reaches", True),
}
CONDITIONAL = frozenset((*_COMPARING, "Where", "And", "Or"))


@dataclass(frozen=True)
class Value:
    """A tensor of activations: `function` of the integers of `base`, max-pooled by `pools`.

    `index`, of the tensor's shape, says which element of the stream's order (H, W, C) each is.
    """

    base: str
    shape: Shape  # (H, W, C) behind the pools
    index: IntArray
    function: Function = _NONE
    by: str = ""  # the last operator in it, for messages
    scaled: str = ""  # the last one that gave channels scales of their own
    pools: tuple[tuple[Node, Window], ...] = ()


def standard(shape: Shape) -> IntArray:
    """The index of a (1, C, H, W) tensor in the stream's order."""
    h, w, c = shape
    return np.arange(h * w * c).reshape(h, w, c).transpose(2, 0, 1)[None]


class Activations:
    """What is known while a graph is read: the value of every tensor, the operations so far."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        _, c, h, w = graph.shapes[graph.image]
        self.image = Tensor(graph.image, (h, w, c), 0, 255)
        self.made = Operations(self.image)
        self.values = {graph.image: Value(graph.image, (h, w, c), standard((h, w, c)))}
        self.weights: dict[str, Node] = {}
        self.cuts = {graph.image}  # tensors of integers with one scale
        self.quantized: set[str] = set()  # those that a quantizer gives

    def constant(self, name: str) -> Array:
        """A constant in float64."""
        return np.asarray(self.graph.constants[name], np.float64)

    def elementwise(self, node: Node) -> Value:
        """What an operator makes of its stream, element by element."""
        streams = [i for i in node.inputs if i in self.values]
        value = self.values[streams[0]]
        if node.operator in ("Add", "Sub", "Mul", "Div"):
            first = node.inputs[0] == streams[0]
            other = self.constant(node.inputs[1] if first else node.inputs[0])
            a, b = np.ones(()), np.zeros(())
            if node.operator == "Add":
                b = other
            elif node.operator == "Sub":
                a, b = (a, -other) if first else (-a, other)
            elif node.operator == "Mul":
                a = other
            elif not first or not other.all():
                raise InputError(
                    f"{node.label} must divide activations by constants other than zero but does "
                    "not; multiply instead"
                )
            else:
                a = 1.0 / other
            return self._then(node, value, "affine", a, b)
        if node.operator == "BatchNormalization":
            gamma, beta, mean, variance = (self.constant(i) for i in node.inputs[1:5])
            with np.errstate(all="ignore"):
                scale = gamma / np.sqrt(variance + node.attributes["epsilon"])
            if not (np.isfinite(scale).all() and np.isfinite(beta - mean * scale).all()):
                raise InputError(
                    f"{node.label} must have finite parameters but has not; train the network again"
                )
            column = (1, -1) + (1,) * (value.index.ndim - 2)
            a, b = scale.reshape(column), (beta - mean * scale).reshape(column)
            return self._then(node, value, "affine", a, b)
        if node.operator in ("Max", "Min"):
            other = self.constant(node.inputs[node.inputs[0] == streams[0]])
            return self._then(node, value, node.operator.lower(), 0.0, other)
        if node.operator in _COMPARING or node.operator in ("Where", "And", "Or", "Not"):
            return self._conditional(node)
        if node.operator == "Shrink":
            limit, bias = (np.asarray(node.attributes[k]) for k in ("lambd", "bias"))
            return self._then(node, value, "shrink", limit, bias)
        if node.operator == "ThresholdedRelu":
            return self._then(node, value, "beyond", np.asarray(node.attributes["alpha"]))
        if node.operator == "Clip":
            low, high = (self.constant(i) for i in node.inputs[1:3])
            return self._then(node, value, "clip", low, high)
        if node.operator == "Relu":
            return self._then(node, value, "clip", 0.0, np.inf)
        if node.operator in ("LeakyRelu", "PRelu"):
            slope = np.asarray(node.attributes["alpha"]) if node.operator == "LeakyRelu" else (
                self.constant(node.inputs[1]))  # fmt: skip
            if (slope < 0).any():
                raise InputError(
                    f"{node.label} must rise everywhere but has the negative slope "
                    f"{slope.min():g}; use a ReLU"
                )
            return self._then(node, value, "leaky", slope)
        if node.operator == "HardSigmoid":
            slope, shift = (np.asarray(node.attributes[k]) for k in ("alpha", "beta"))
            value = self._then(node, value, "affine", slope, shift)
            return self._then(node, value, "clip", 0.0, 1.0)
        if node.operator == "Neg":
            return self._then(node, value, "affine", -1.0)
        if node.operator == "Pow":
            return self._then(node, value, "power", self.constant(node.inputs[1]))
        kind = node.operator.lower()
        if node.attributes.get("approximate", b"none") in (b"tanh", "tanh"):
            kind = "gelu tanh"
        return self._then(
            node, value, kind, node.attributes.get("alpha", 0.0), node.attributes.get("gamma", 0.0)
        )

    def _conditional(self, node: Node) -> Value:
        """A comparison, what is made of conditions, or a choice; of functions of one tensor."""
        streams = [self.values[i] for i in node.inputs if i in self.values]
        like = self.pooled(node, streams[0]) if len(streams) > 1 else streams[0]

        def function(name: str) -> Function:
            if name in self.values:
                return self.pooled(node, self.values[name]).function
            return Function().then("affine", 0.0, self._lift(node, like, self.constant(name)))

        if node.operator == "Not":
            return self._then(node, like, "affine", -1.0, 1.0)
        if node.operator in _COMPARING:
            kind, negated = _COMPARING[node.operator]
            if len(streams) == 1:  # with a constant
                first = node.inputs[0] in self.values
                other = self.constant(node.inputs[1 if first else 0])
                if not first:  # c > x is x < c
                    kind, negated = ("above", "reaches")[kind == "above"], not negated
                like = self._then(node, like, kind, 0.0, other)
            else:
                joined = function(node.inputs[0]).joined(kind, function(node.inputs[1]))
                like = replace(like, function=joined, by=node.label)
            return self._then(node, like, "affine", -1.0, 1.0) if negated else like
        like = self.pooled(node, like)
        if node.operator == "Where":
            condition, chosen, others = map(function, node.inputs)
            others = others.joined("kept", condition.then("affine", -1.0, 1.0))
            found = chosen.joined("kept", condition).joined("add", others)
        else:
            kind = {"And": "min", "Or": "max"}[node.operator]
            found = function(node.inputs[0]).joined(kind, function(node.inputs[1]))
        return replace(like, function=found, by=node.label)

    def _combined(self, node: Node) -> Value | None:
        """Functions of the same integers in one, as in x * sigmoid(x); None of others."""
        kind = node.operator.lower()
        if node.operator not in CONDITIONAL and kind not in ("add", "sub", "mul", "max", "min"):
            return None
        values = [self.values[name] for name in node.inputs if name in self.values]
        if any(v.pools != values[0].pools for v in values):
            values = [self.pooled(node, v) for v in values]
        first = values[0]
        for other in values[1:]:
            same = first.base == other.base and first.pools == other.pools
            if same and not np.array_equal(first.index, other.index):
                if first.function.affine is not None and other.function.affine is not None:
                    return None  # a sum of streams
                raise InputError(
                    f"{node.label} must combine functions of one tensor in one order but one of "
                    "them was rearranged; leave the Reshape or Transpose between them out"
                )
            if not same:
                return None
        if node.operator in CONDITIONAL:
            return self._conditional(node)
        first, second = (self.pooled(node, v) for v in values)
        return replace(first, function=first.function.joined(kind, second.function), by=node.label)

    def _then(self, node: Node, value: Value, kind: str, a: Any = 0.0, b: Any = 0.0) -> Value:
        a, b = self._lift(node, value, a), self._lift(node, value, b)
        falls = bool(kind == "affine" and (a <= 0).any())
        if value.pools and (falls or kind in tables.BENT):
            value = self.pooled(node, value)
        several = kind == "affine" and a.ndim > 0
        scaled = node.label if several else value.scaled
        function = value.function.then(kind, a, b)
        return replace(value, function=function, by=node.label, scaled=scaled)

    def _lift(self, node: Node, value: Value, parameter: Any) -> Array:
        """A parameter in the coordinates of the integers: (), (C,) or (H, W, C)."""
        parameter = np.asarray(parameter, np.float64)
        if parameter.size == 1:
            return parameter.reshape(())
        flat = np.empty(value.index.size)
        flat[value.index.ravel()] = np.broadcast_to(parameter, value.index.shape).ravel()
        found = flat.reshape(value.shape)
        if (found == found[:1, :1]).all():
            return found[0, 0]
        if value.pools:
            raise InputError(
                f"{node.label} has other parameters from pixel to pixel behind a pool, which is "
                "not supported; quantize in front of the pool"
            )
        return found

    def quantize(self, node: Node) -> Value:
        """The integers of a quantizer, as thresholds on those in front of it."""
        parameters = [self.graph.constants[i] for i in node.inputs[1:]]
        found = quantizer.parse(node.operator, node.attributes, [*parameters], node.label)
        if found.zero.size > 1 and (found.zero != found.zero.reshape(-1)[0]).any():
            raise InputError(
                f"{node.label} must have one zero point but has one per channel; use the same"
            )
        value = self.values[node.inputs[0]]
        scale = self._lift(node, value, found.scale)
        if scale.ndim and (scale < 0).any() and (scale > 0).any():
            raise InputError(
                f"{node.label} must have scales of one sign but they reach from {scale.min():.4g} "
                f"to {scale.max():.4g}; use positive ones"
            )
        parsed = replace(found, scale=scale, zero=found.zero.reshape(-1)[:1].reshape(()))
        if self._changes_nothing(value, parsed):
            return self._levels(value, scale)
        function = value.function
        flat = max(function.ndim, scale.ndim) == 3
        shape: tuple[int, ...] = self.made.tensors[value.base].shape
        shape = shape if flat else shape[2:]
        low, high = self.made.range(value.base, shape)
        name = f"{node.output}.levels" if value.pools else node.output
        if not function.monotone:
            every = bends.values(function, parsed, low, high, shape, label=node.label)
            if every is not None:
                bends.difference(self.made, node, value.base, every, low, name=name)
                return self._quantized(node, value, name, scale)
        table = tables.quantized(function, parsed, low, high, shape, label=node.label)
        made = self.made.found.get(value.base)
        if value.base == self.image.name or (
            isinstance(made, Reshape) and made.source.name == self.image.name
        ):
            self._check_image(node, table)
        signs = table.signs
        if flat and (signs < 0).any():
            rows = signs.reshape(shape)
            if (rows != rows[:1, :1]).any():
                raise InputError(
                    f"{node.label} quantizes a function that rises at some pixels and falls at "
                    "others of a channel, which is not supported; quantize in front of it"
                )
            signs = rows[0, 0]
        base = self.made.signed(
            node, value.base, signs if not flat or (signs < 0).any() else signs[:1]
        )
        source = self.made.tensors[base]
        result = Tensor(name, source.shape, table.bias, table.bias + table.thresholds.shape[1])
        self.made.add(
            Threshold(node.label, source, result, table.thresholds, table.bias, flat=flat)
        )
        return self._quantized(node, value, name, scale)

    def _quantized(self, node: Node, value: Value, base: str, scale: Array) -> Value:
        """The value of a quantizer whose integers, before any pool, are those of `base`."""
        value = Value(base, value.shape, value.index, pools=value.pools)
        if value.pools:
            value = self.pooled(node, value, name=node.output)
        return self._levels(value, scale)

    def _levels(self, value: Value, scale: Array) -> Value:
        """The real values of a quantizer's integers."""
        if not scale.ndim:
            self.cuts.add(value.base)
            self.quantized.add(value.base)
        return replace(value, function=Function().then("affine", np.abs(scale)))

    def reshaped(self, node: Node, value: Value, shape: Shape) -> Value:
        """The value as one of a map of another shape, whose stream is the same.

        Args:
            node: that takes it so.
            value: of as many elements.
            shape: (H, W, C).
        """
        value = self.pooled(node, value)
        base = self.made.signed(node, value.base, PLAIN)
        source = self.made.tensors[base]
        name = f"{base}.{shape[0]}x{shape[1]}x{shape[2]}"
        if name not in self.made.found:
            result = replace(source, name=name, shape=shape)
            self.made.add(Reshape(node.label, source, result))
        for known in (self.cuts, self.quantized):
            if base in known:
                known.add(name)
        function = value.function.reshaped(source.shape, shape)
        return replace(value, base=name, shape=shape, function=function)

    def _changes_nothing(self, value: Value, found: quantizer.Quantizer) -> bool:
        """Whether the quantizer gives each integer back that comes in."""
        tensor = self.made.tensors[value.base]
        affine = value.function.affine
        made = isinstance(self.made.found.get(value.base), Matrix)
        if made or value.pools or affine is None or found.scale.ndim or affine[0].ndim:
            return False
        if affine[1].any() or tensor.high - tensor.low > _SMALL or (found.scale < 0).any():
            return False
        n = np.arange(tensor.low, tensor.high + 1, dtype=np.float64)
        levels = found.levels(
            value.function(n), scale=np.asarray(found.scale), zero=np.asarray(found.zero)
        )
        return bool((levels == n).all())

    def _check_image(self, node: Node, table: tables.Table) -> None:
        """A quantizer that gives most pixels its smallest or largest integer is meant otherwise."""
        if (table.signs < 0).any():
            return
        t = np.clip(table.thresholds, 0, 256)
        most = int(max(t[:, :1].max(), 256 - t[:, -1:].min()))
        if most > _SATURATED:
            raise InputError(
                f"{node.label} quantizes the image, integers from 0 to 255, but gives {most} of "
                "these 256 values one and the same result; say in model.preprocess what is done to "
                "an image before the network"
            )

    def pooled(self, node: Node, value: Value, *, name: str = "") -> Value:
        """The same value with its max pools done on the integers."""
        if not value.pools:
            return value
        value, signs = self._rising(node, value)
        cut = value.base in self.cuts or name != ""
        base = self.made.signed(node, value.base, signs)
        for k, (pool, window) in enumerate(value.pools):
            low = self.made.tensors[base].low
            raised = any(window.pad) and low < 0
            if raised:  # padding is zeros, which must not exceed a value
                base = self._moved(pool, base, f"{pool.output}.upward", 0)
            source = self.made.tensors[base]
            h, w, c = source.shape
            size = [(s + window.pad[i] + window.pad[2 + i] - window.kernel[i])
                    // window.stride[i] + 1 for i, s in enumerate((h, w))]  # fmt: skip
            last = k + 1 == len(value.pools)
            base = name if last and name else f"{pool.output}.max"
            inner = f"{base}.raised" if raised else base
            result = Tensor(inner, (size[0], size[1], c), source.low, source.high)
            self.made.add(Pool(pool.label, source, result, window))
            if raised:
                self._moved(pool, inner, base, low)
        if cut and value.function.affine is not None:
            self.cuts.add(base)
        return replace(value, base=base, pools=())

    def _rising(self, node: Node, value: Value) -> tuple[Value, IntArray]:
        """A value behind a max pool as a function that rises, of its integers times these signs."""
        steps = value.function.steps
        factors = [np.where(s.a < 0, -1, 1) for s in steps if s.kind == "affine"]
        if not value.function.monotone or any(f.ndim == 3 and (f < 0).any() for f in factors):
            raise InputError(
                f"{value.pools[0][0].label} takes the maximum of values that rise and fall with "
                f"the sums in front of it and {node.label} needs it before a quantizer; quantize "
                "in front of the pool"
            )
        signs = np.ones(1, np.int64)
        for factor in factors:
            signs = signs * (factor if factor.ndim == 1 else factor.reshape(-1)[:1])
        if (signs > 0).all():
            return value, PLAIN
        function = Function().then("affine", signs if len(signs) > 1 else signs[0])
        for s in steps:
            function = function.then(s.kind, s.a, s.b)
        return replace(value, function=function), signs

    def _moved(self, node: Node, base: str, name: str, low: int) -> str:
        """The integers of `base` moved so that the smallest is `low`, as the tensor `name`."""
        source = self.made.tensors[base]
        levels = source.high - source.low
        if levels >= 1 << MAX_BITS:
            raise InputError(
                f"{node.label} pads values from {source.low} to {source.high} but a padded max "
                f"pool of negative values takes at most {MAX_BITS} bits; quantize in front of it"
            )
        thresholds = source.low + 1 + np.arange(levels)[None]
        result = Tensor(name, source.shape, low, low + levels)
        self.made.add(Threshold(node.label, source, result, thresholds, low))
        return name

    def tabled(self, node: Node, value: Value, *, exit: int | None = None) -> Value:
        """A function of few integers whose values are integers times a scale, as thresholds.

        Args:
            node: that takes it, or gives it as the logits of `exit`.
            value: not integers with one scale.
            exit: an exit that takes it.

        Raises:
            InputError: other values.
        """
        tensor, function = self.made.tensors[value.base], value.function
        scale = function.step
        if tensor.high - tensor.low <= _SMALL and function.ndim < 2 and scale:
            shape = tensor.shape[2:] if function.ndim else ()
            n = np.arange(tensor.low, tensor.high + 1, dtype=np.float64)[None]
            y = tables.numbers(function.rows(shape), n, node.label) / scale
            low, high = float(np.rint(y).min()), float(np.rint(y).max())
            if np.abs(y - np.rint(y)).max() < 1e-6 and high - low < 1 << MAX_BITS:
                zero, name = np.zeros((), np.float32), f"{node.output}.integers"
                found = quantizer.Quantizer(np.asarray(scale), zero, int(low), int(high))
                function = Function().then("affine", scale)
                if not value.function.monotone:
                    ends = self.made.range(value.base, shape)
                    every = bends.values(value.function, found, *ends, shape, label=node.label)
                    if every is not None:
                        bends.difference(self.made, node, value.base, every, ends[0], name=name)
                        return replace(value, base=name, function=function)
                table = tables.quantized(
                    value.function, found, *self.made.range(value.base, shape), shape
                )
                base = self.made.signed(node, value.base, table.signs)
                source = self.made.tensors[base]
                result = Tensor(name, source.shape, int(low), int(high))
                label = f"the operator in front of {node.label}"
                self.made.add(Threshold(label, source, result, table.thresholds, table.bias))
                return replace(value, base=name, function=function)
        if exit is not None:
            raise InputError(
                f"exit {exit} must give logits that are integers with a scale but "
                f"{value.by or self.origin(value)} gives real numbers; leave it out, since exits "
                "decide on what is in front of it, or put a quantizer behind it"
            )
        raise InputError(
            f"{node.label} must take quantized activations but {value.by or self.origin(value)} in "
            "front of it gives real numbers; put a quantizer between them"
        )

    def scaling(self, value: Value) -> str:
        """What messages call the operator or layer whose scales differ from channel to channel."""
        return value.scaled or self.origin(value)

    def origin(self, value: Value) -> str:
        """What messages call the layer that a value comes from."""
        made = self.made.found.get(value.base)
        return made.label if made is not None else "the image"
