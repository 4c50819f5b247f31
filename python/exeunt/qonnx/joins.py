"""Streams that meet: sums of integers whose scales differ, and channels one behind the other.

A sum of p x and q y with real scales p and q becomes s * (m x + n y) with integers m and n. They
must have the order of the reals over all pairs (x, y). Then the quantizer behind the sum is a table
of them as everywhere else, if it gives every pair the level that the reals have; that is checked
over all pairs, and with larger integers again where it fails. What takes the sum without a
quantizer needs scales that have the ratio of the integers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import TypeAlias

import numpy as np

from exeunt.errors import InputError
from exeunt.qonnx import quantizer
from exeunt.qonnx.activations import Activations, Value, standard
from exeunt.qonnx.file import Graph
from exeunt.qonnx.integers import IntArray, Join, Shape, Tensor
from exeunt.qonnx.layers import Array, Node
from exeunt.qonnx.ranges import PLAIN
from exeunt.qonnx.tables import Function, row

_Arm: TypeAlias = "tuple[Value, Array, Array]"  # integers, times a scale, plus an offset

MAX_FACTOR = 1024
MAX_PAIRS = 1 << 22
SUM_BITS = 32
_EXACT = 1e-9  # relative: two scales that are meant to have a ratio of integers
_NEAR = 1e-7  # relative: what float32 cannot tell apart


class Again(Exception):
    """The integers of a sum do not do: read the network again with the next ones."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass(frozen=True)
class _Pairs:
    """A sum p x + q y with m x + n y in its place, of all x and y in two ranges."""

    p: float
    q: float
    x: tuple[int, int]
    y: tuple[int, int]
    factors: tuple[int, int]

    def sums(self) -> tuple[Array, Array]:
        """(1, pairs): the reals in steps of the integers, and the integers, as floats."""
        x = np.arange(self.x[0], self.x[1] + 1, dtype=np.float64)[:, None]
        y = np.arange(self.y[0], self.y[1] + 1, dtype=np.float64)[None]
        m, n = self.factors
        return (
            ((self.p * x + self.q * y) / self.step).reshape(1, -1),
            (m * x + n * y).reshape(1, -1),
        )

    @property
    def step(self) -> float:
        """What the integer 1 stands for."""
        return (self.p / self.factors[0] + self.q / self.factors[1]) / 2


class Joins(Activations):
    """Reads what takes several streams.

    Args:
        graph: the network.
        choices: for each sum how many of the integers that could stand for its scales to pass over.
    """

    def __init__(self, graph: Graph, choices: Mapping[str, int]) -> None:
        super().__init__(graph)
        self.choices = choices
        self._pairs: dict[str, _Pairs] = {}

    def joined(self, node: Node, shape: tuple[int, ...]) -> Value:
        """The value of a node that takes more than one stream.

        Args:
            node: of any operator.
            shape: of its result, as the file has it.

        Raises:
            InputError: not a sum, difference or concatenation, or one that integers cannot be.
        """
        if node.operator == "Concat":
            return self._concatenated(node, shape)
        same = self._combined(node)
        if same is not None:
            return same
        if node.operator not in ("Add", "Sub"):
            raise InputError(
                f"{node.label} joins {len(node.inputs)} streams but only Add, Sub and Concat may; "
                "join them with one of these"
            )
        a, b = (self._arm(node, name) for name in node.inputs)
        sign = -1.0 if node.operator == "Sub" else 1.0
        return self._sum(node, a, b, sign)

    def _arm(self, node: Node, name: str) -> _Arm:
        """One of the streams: integers times one scale, plus an offset."""
        value = self.pooled(node, self.values[name])
        self.exactly(value)
        if value.function.affine is None:
            value = self.tabled(node, value)
        affine = value.function.affine
        assert affine is not None
        a, b = affine
        if a.ndim:
            raise InputError(
                f"{node.label} must join integers with one scale but {self.scaling(value)} gives "
                f"{a.size} scales from {a.min():.4g} to {a.max():.4g}; put a quantizer with one "
                "scale in front of it"
            )
        if not float(a):
            raise InputError(f"{node.label} joins zeros alone; train the network again")
        return value, a, b

    def _sum(self, node: Node, a: _Arm, b: _Arm, sign: float) -> Value:
        (first, scale, shift), (second, step, other) = a, b
        p, q, other = float(scale), sign * float(step), sign * other
        if first.shape != second.shape and np.array_equal(first.index, second.index):
            second = self.reshaped(node, second, first.shape)
        if first.shape != second.shape or not np.array_equal(first.index, second.index):
            raise InputError(
                f"{node.label} must add two maps of one shape and order but gets {first.shape} "
                f"from {self.origin(first)} and {second.shape} from {self.origin(second)}, or "
                "rearranged ones; bring both to one shape in front of it"
            )
        x, y = (self.made.tensors[self.made.signed(node, v.base, PLAIN)] for v in (first, second))
        name = f"{node.output}.sum"
        ranges = ((x.low, x.high), (y.low, y.high))
        wanted = self.choices.get(name, 0)
        possible = factors(p, q, *ranges)
        if wanted >= len(possible):
            raise InputError(
                f"{node.label} must add integers whose scales have a ratio of small integers but "
                f"they are {abs(p):.6g} behind {self.origin(first)} and {abs(q):.6g} behind "
                f"{self.origin(second)}, over {x.high - x.low + 1} and {y.high - y.low + 1} "
                "values; give both the same quantizer, shared or with one scale"
            )
        m, n = possible[wanted]
        ends = [m * v + n * w for v in ranges[0] for w in ranges[1]]
        if max(max(ends), -min(ends)) >= 1 << (SUM_BITS - 1):
            raise InputError(
                f"sums must fit into {SUM_BITS} bits but those of {node.label} reach from "
                f"{min(ends)} to {max(ends)}; use fewer bits in front of it"
            )
        result = Tensor(name, x.shape, min(ends), max(ends))
        self.made.add(Join(node.label, x, y, result, (m, n), "sum"))
        pairs = _Pairs(p, q, *ranges, (m, n))
        if ratio_of(p, q) is None:
            self._pairs[name] = pairs
        elif not (shift.any() or other.any()):
            self.cuts.add(name)
        function = Function().then("affine", pairs.step, shift + other)
        return Value(name, first.shape, first.index, function, by=node.label)

    def quantize(self, node: Node) -> Value:
        """The integers of a quantizer; behind a sum they are compared with the reals."""
        value = self.values[node.inputs[0]]
        pairs = self._pairs.get(value.base)
        made = super().quantize(node)
        if pairs is not None and not self._agree(node, value, pairs):
            raise Again(value.base)
        return made

    def _agree(self, node: Node, value: Value, pairs: _Pairs) -> bool:
        """Whether a quantizer gives the integers of all pairs the levels of the reals."""
        parameters = [self.graph.constants[i] for i in node.inputs[1:]]
        found = quantizer.parse(node.operator, node.attributes, [*parameters], node.label)
        scale = self._lift(node, value, found.scale)
        zero = np.asarray(found.zero, np.float64).reshape(-1)[:1].reshape(())
        shape: tuple[int, ...] = self.made.tensors[value.base].shape
        ndim = max(value.function.ndim, scale.ndim)
        shape = shape if ndim == 3 else shape[2:] if ndim else ()
        function, step = value.function.rows(shape), row(np.asarray(scale, np.float64), shape)
        levels = [found.levels(function(n), scale=step, zero=zero) for n in pairs.sums()]
        return bool((levels[0] == levels[1]).all())

    def reshaped(self, node: Node, value: Value, shape: Shape) -> Value:
        """The value in another shape; a sum in it is the reals', since no quantizer compares it."""
        self.exactly(value)
        return super().reshaped(node, value, shape)

    def exactly(self, value: Value) -> None:
        """Larger integers for a sum that is taken without a quantizer, where they are not exact.

        Raises:
            Again: read the network again, with the next integers.
        """
        pairs = self._pairs.get(value.base)
        if pairs is not None and abs(
            pairs.p * pairs.factors[1] / pairs.q / pairs.factors[0] - 1
        ) > (_NEAR):
            raise Again(value.base)

    def _concatenated(self, node: Node, shape: tuple[int, ...]) -> Value:
        axis = int(node.attributes.get("axis", 1)) % len(shape)
        constant = [name for name in node.inputs if name not in self.values]
        if constant:
            raise InputError(
                f"{node.label} must concatenate channels of activations but has a constant, "
                f"{constant[0]}; concatenate activations alone"
            )
        arms = [self._arm(node, name) for name in node.inputs]
        first = arms[0][0]
        right = [k for k in range(1, first.index.ndim) if _channels(first, k)]
        if right and axis not in right:
            raise InputError(
                f"{node.label} must concatenate channels of activations but has the axis {axis} of "
                f"{shape}; concatenate along axis {right[0]}"
            )
        value = arms[0]
        for k, arm in enumerate(arms[1:]):
            name = node.output if k + 2 == len(arms) else f"{node.output}.{k}"
            value = self._beside(node, name, value, arm, axis)
        whole, scale, offset = value
        return replace(whole, function=Function().then("affine", scale, offset))

    def _beside(self, node: Node, name: str, a: _Arm, b: _Arm, axis: int) -> _Arm:
        """Two arms as one along an axis of the file, with one scale or one for each channel."""
        (first, p, shift), (second, q, other) = a, b
        maps = all(_channels(v, axis) for v in (first, second))
        sides = [np.moveaxis(v.index, axis, 1).shape[2:] for v in (first, second) if maps]
        if maps and sides[0] == sides[1] and first.shape[:2] != second.shape[:2]:
            second = self.reshaped(node, second, (*first.shape[:2], second.shape[2]))
        x, y = (self.made.tensors[self.made.signed(node, v.base, PLAIN)] for v in (first, second))
        ratio = None if np.ndim(p) or np.ndim(q) else ratio_of(float(p), float(q))
        m, n = ratio or (1, 1)
        ends = [m * x.low, m * x.high, n * y.low, n * y.high]
        out: Shape
        if maps and first.shape[:2] == second.shape[:2]:
            out = (*first.shape[:2], first.shape[2] + second.shape[2])
            index = np.moveaxis(standard(out).reshape(1, out[2], *sides[0]), 1, axis)
        elif first.index.ndim == second.index.ndim == 2:  # flattened maps, one behind the other
            out = (1, 1, x.elements + y.elements)
            index = np.concatenate([first.index, second.index + x.elements], axis=1)
            x, y = (replace(t, shape=(1, 1, t.elements)) for t in (x, y))
        else:
            raise InputError(
                f"{node.label} must concatenate maps of one height and width, in their own order, "
                f"but gets {first.shape} and {second.shape} (H, W, C); leave out what rearranges"
            )
        result = Tensor(f"{name}.both", out, min(ends), max(ends))
        self.made.add(Join(node.label, x, y, result, (m, n), "channels"))
        offset = _spread(shift, x.shape, other, y.shape)
        if ratio is not None and not offset.any():
            self.cuts.add(result.name)
        scale = p / m if ratio else _spread(p / m, x.shape, q / n, y.shape)
        return Value(result.name, out, index, by=node.label), np.asarray(scale), offset


def _channels(value: Value, axis: int) -> bool:
    """Whether an axis of a map's tensor is its channels, and the others are its sides in order."""
    if value.index.ndim < 3:
        return False
    return np.array_equal(np.moveaxis(value.index, axis, 1).ravel(), standard(value.shape).ravel())


def _spread(a: Array, shape: Shape, b: Array, other: Shape) -> Array:
    """Parameters of two tensors as one of their concatenation, with few dimensions."""
    parts = [np.broadcast_to(np.asarray(v, np.float64), s) for v, s in ((a, shape), (b, other))]
    found = np.concatenate(parts, axis=2)
    if (found == found[0, 0, 0]).all():
        return found[0, 0, 0].reshape(())
    return found[0, 0] if (found == found[:1, :1]).all() else found


def ratio_of(p: float, q: float) -> tuple[int, int] | None:
    """The smallest integers whose ratio is that of two scales, the first positive; None: none."""
    ratio = Fraction(p) / Fraction(q)
    near = ratio.limit_denominator(MAX_FACTOR)
    m, n = near.numerator, near.denominator
    if not m or max(abs(m), n) > MAX_FACTOR or abs(near / ratio - 1) > _EXACT:
        return None
    return (m, n) if p > 0 else (-m, -n)


@lru_cache(maxsize=1024)
def factors(
    p: float, q: float, x: tuple[int, int], y: tuple[int, int]
) -> tuple[tuple[int, int], ...]:
    """Integers (m, n) so that m a + n b has the order of p a + q b over all pairs, smallest first.

    Two that have the ratio of the scales are the only ones. The last ones tell all sums apart that
    the reals do, or nearly.

    Args:
        p: scale of a.
        q: scale of b.
        x: smallest and largest a.
        y: smallest and largest b.
    """
    known = ratio_of(p, q)
    if known is not None:
        return (_rising(p, known),)
    if (x[1] - x[0] + 1) * (y[1] - y[0] + 1) > MAX_PAIRS:
        return ()
    a = np.arange(x[0], x[1] + 1, dtype=np.int64)[:, None]
    b = np.arange(y[0], y[1] + 1, dtype=np.int64)[None]
    order = np.argsort((p * a + q * b).ravel(), kind="stable")
    ratio = Fraction(p) / Fraction(q)
    found: list[tuple[int, int]] = []
    most = 1
    while most <= MAX_FACTOR:
        near = ratio.limit_denominator(most)
        m, n = near.numerator, near.denominator
        if max(abs(m), n) > MAX_FACTOR:
            break
        pair = _rising(p, (m, n))
        if m and pair not in found:
            integers: IntArray = (pair[0] * a + pair[1] * b).ravel()[order]
            if (np.diff(integers) >= 0).all():
                found.append(pair)
        most += max(1, most // 16)
    return tuple(found)


def _rising(p: float, found: tuple[int, int]) -> tuple[int, int]:
    """The factors with the sign that makes the integer rise with the real."""
    m, n = found
    return (m, n) if (m > 0) == (p > 0) else (-m, -n)
