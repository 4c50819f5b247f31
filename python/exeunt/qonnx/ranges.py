"""The operations of a network in integers while it grows: ranges of sums, channels negated.

A function that falls with its sum has thresholds that a rising count cannot have, so the sum is
negated instead: the rows of the matrix that it comes from where nothing else takes them (then in a
type that also holds the negative of its smallest weight), otherwise by a matrix of its own.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from exeunt.qonnx.integers import IntArray, Matrix, Operation, Pool, Shape, Tensor, sources
from exeunt.qonnx.layers import Node
from exeunt.window import Window

PLAIN = np.ones(1, np.int64)  # no channel negated


class Operations:
    """Tensors and what makes them, in the order in which they were added."""

    def __init__(self, image: Tensor) -> None:
        self.tensors = {image.name: image}
        self.found: dict[str, Operation] = {}
        self.signs: dict[str, IntArray] = {}  # of the rows of matrices that were negated
        self.used: set[str] = set()  # tensors that an operation takes as they are

    def range(self, base: str, shape: tuple[int, ...]) -> tuple[IntArray, IntArray]:
        """The smallest and largest integer of each row of a tensor, before any negation."""
        tensor, made = self.tensors[base], self.found.get(base)
        low, high = np.full(1, tensor.low), np.full(1, tensor.high)
        if isinstance(made, Matrix) and shape:
            w = made.weights.reshape(len(made.weights), -1)
            low, high = sums(w, made.source.low, made.source.high, padding=padded(made))
            low, high = (np.broadcast_to(v, shape).reshape(-1) for v in (low, high))
        known = self.signs.get(base)
        if known is not None:
            known = np.broadcast_to(known, shape).reshape(-1) if shape else known[:1]
            low, high = np.where(known < 0, -high, low), np.where(known < 0, -low, high)
        return low, high

    def signed(self, node: Node, base: str, signs: IntArray) -> str:
        """A tensor like `base` before any negation, with negated channels where `signs` are -1."""
        made, known = self.found.get(base), self.signs.get(base)
        relative = signs if known is None else signs * known
        if (relative > 0).all():
            self.used.add(base)
            return base
        relative = np.broadcast_to(relative, self.tensors[base].shape[2:])
        if isinstance(made, Matrix) and known is None and base not in self.used:
            self._negate(made, relative)
            return base
        return self._diagonal(node, base, relative)

    def _negate(self, made: Matrix, signs: IntArray) -> None:
        """Negate rows of a matrix whose result nothing takes yet."""
        name = made.result.name
        weights = made.weights * signs.reshape((-1,) + (1,) * (made.weights.ndim - 1))
        result = summed(name, made.result.shape, weights, made.source, padding=padded(made))
        self.found[name] = replace(made, weights=weights, result=result)
        self.tensors[name] = result
        self.signs[name] = signs
        self.used.add(name)

    def _diagonal(self, node: Node, base: str, signs: IntArray) -> str:
        """Negate channels with a matrix of their own."""
        source = self.tensors[base]
        weights = np.diag(signs)[:, None, None, :]
        window = Window((1, 1), (1, 1), (0, 0, 0, 0))
        name = f"{node.output}.negated"
        result = summed(name, source.shape, weights, source, padding=False)
        self.add(Matrix(node.label, source, result, weights, window))
        return name

    def offset(self, base: str, offsets: IntArray) -> str | None:
        """The tensor with a constant added in each channel; None where no matrix gives it."""
        made = self.found.get(base)
        if not isinstance(made, Matrix):
            return None
        name = f"{base}.offset"
        w = made.weights.reshape(len(made.weights), -1)
        low, high = sums(w, made.source.low, made.source.high, padding=padded(made))
        low, high = low + offsets, high + offsets
        result = Tensor(name, made.result.shape, int(low.min()), int(high.max()))
        self.add(replace(made, result=result, offsets=offsets))
        return name

    def two_signs(self, base: str) -> Tensor:
        """The tensor, in a type that also holds a negative number: a logit is signed."""
        tensor, made = self.tensors[base], self.found.get(base)
        if tensor.low < 0:
            return tensor
        wider = replace(tensor, low=-1)
        read = any(t.name == base for o in self.found.values() for t in sources(o))
        offsets = isinstance(made, Matrix) and made.offsets is not None  # which the end adds
        if (isinstance(made, Pool) or offsets) and not read:
            assert made is not None
            self.add(replace(made, result=wider))
        else:
            single = Window((1, 1), (1, 1), (0, 0, 0, 0))
            wider = replace(wider, name=f"{base}.logits")
            self.add(Pool(f"the logits {base}", tensor, wider, single))
        return wider

    def add(self, operation: Operation) -> None:
        """Append an operation, whose sources are then taken as they are."""
        self.found[operation.result.name] = operation
        self.tensors[operation.result.name] = operation.result
        self.used |= {tensor.name for tensor in sources(operation)}


def sums(weights: IntArray, low: int, high: int, *, padding: bool) -> tuple[IntArray, IntArray]:
    """Smallest and largest sum of each row of weights (O, n) times integers from low to high."""
    if padding:
        low, high = min(low, 0), max(high, 0)
    positive, negative = np.maximum(weights, 0).sum(axis=1), np.minimum(weights, 0).sum(axis=1)
    return positive * low + negative * high, positive * high + negative * low


def padded(made: Matrix) -> bool:
    """Whether zeros count among what a matrix takes."""
    return made.window is not None and any(made.window.pad)


def summed(name: str, shape: Shape, weights: IntArray, source: Tensor, *, padding: bool) -> Tensor:
    """The result of weights (O, ...) on `source`, with the range of its sums."""
    low, high = sums(weights.reshape(len(weights), -1), source.low, source.high, padding=padding)
    return Tensor(name, shape, int(low.min()), int(high.max()))
