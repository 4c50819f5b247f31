"""Functions of one integer, and their quantizer as thresholds that are found exactly.

What lies between a sum of integers and a quantizer (scales, biases, batch norms, ReLUs and other
elementwise operators) is a function of that one sum, rising or falling; so the integers at which
the quantizer's result changes are found by bisection, for each channel.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from exeunt.qonnx.quantizer import Quantizer

Floats: TypeAlias = "npt.NDArray[np.float64]"  # texts: NumPy 1.21 cannot subscript them
IntArray: TypeAlias = "npt.NDArray[np.int64]"


@dataclass(frozen=True)
class Step:
    """One step of a function: kind "affine" is a * x + b; see `_apply` for the others.

    Parameters are (), (C,) or (H, W, C) in the coordinates of the integers that the function is
    of: one for all, one per channel, or one per element.
    """

    kind: str
    a: Floats
    b: Floats


@dataclass(frozen=True)
class Function:
    """Steps from an integer to a real; no steps: the integer itself."""

    steps: tuple[Step, ...] = ()

    def then(self, kind: str, a: Any = 0.0, b: Any = 0.0) -> Function:
        """The function with one step more; two affine ones in a row become one."""
        step = Step(kind, _compact(a), _compact(b))
        last = self.steps[-1] if self.steps else None
        if kind == "affine" and last is not None and last.kind == "affine":
            step = Step(kind, _compact(step.a * last.a), _compact(step.a * last.b + step.b))
            return replace(self, steps=(*self.steps[:-1], step))
        return replace(self, steps=(*self.steps, step))

    @property
    def affine(self) -> tuple[Floats, Floats] | None:
        """(a, b) of a function that is a * n + b, otherwise None."""
        if not self.steps:
            return np.ones(()), np.zeros(())
        if len(self.steps) == 1 and self.steps[0].kind == "affine":
            return self.steps[0].a, self.steps[0].b
        return None

    def __call__(self, n: Floats) -> Floats:
        """Values at n, against which the parameters must broadcast."""
        for step in self.steps:
            n = _apply(step.kind, n, step.a, step.b)
        return n

    def rows(self, shape: tuple[int, ...]) -> Function:
        """The function with a row for each of () , (C,) or (H, W, C): for n of (rows, any)."""
        steps = (Step(s.kind, row(s.a, shape), row(s.b, shape)) for s in self.steps)
        return Function(tuple(steps))

    @property
    def ndim(self) -> int:
        """0, 1 or 3: one function for all, per channel, or per element."""
        return max((max(s.a.ndim, s.b.ndim) for s in self.steps), default=0)


def row(value: Floats, shape: tuple[int, ...]) -> Floats:
    """A parameter (), (C,) or (H, W, C) as () or (rows, 1)."""
    return value if not value.ndim else np.broadcast_to(value, shape).reshape(-1, 1)


def _compact(value: Any) -> Floats:
    """A parameter with no more dimensions than it needs."""
    value = np.asarray(value, np.float64)
    if value.ndim == 3 and (value == value[:1, :1]).all():
        value = value[0, 0]
    if value.ndim == 1 and (value == value[0]).all():
        value = value[0].reshape(())
    return value


def _apply(kind: str, x: Floats, a: Floats, b: Floats) -> Floats:
    if kind == "affine":
        return a * x + b
    if kind == "clip":
        return np.clip(x, a, b)
    if kind == "leaky":  # slope a below zero
        return np.where(x < 0, a * x, x)
    if kind == "sigmoid":
        return 0.5 * (1.0 + np.tanh(0.5 * x))
    assert kind == "tanh", kind
    return np.tanh(x)


@dataclass(frozen=True)
class Table:
    """Thresholds (rows, levels), int64: y = bias + #{t : sign * n >= t} with a sign per row."""

    thresholds: IntArray
    signs: IntArray  # (rows,), -1 where the function falls
    bias: int


def quantized(
    function: Function, quantizer: Quantizer, low: IntArray, high: IntArray, shape: tuple[int, ...]
) -> Table:
    """The quantizer of a function of integers, as thresholds.

    What they give is the quantizer's integer less its zero point, and the negative of that where
    the scale is negative, so that it always rises with the real value.

    Args:
        function: rising or falling, row by row.
        quantizer: scale and zero point in the coordinates of the integers, as in `Step`.
        low: int64 (rows,), the smallest integer that there is.
        high: int64 (rows,), the largest.
        shape: () for one function, (C,) or (H, W, C): what a row is.
    """
    count = int(np.prod(shape, dtype=np.int64))
    function = function.rows(shape)
    zero = float(quantizer.zero.reshape(-1)[0])
    scale = row(np.asarray(quantizer.scale, np.float64), shape)
    mirrored = bool((scale < 0).any())

    def level(n: IntArray) -> npt.NDArray[Any]:
        real = function(n.astype(np.float64))
        found = quantizer.levels(real, scale=scale, zero=np.asarray(zero))
        return -found if mirrored else found

    low, high = np.broadcast_to(low, (count,)), np.broadcast_to(high, (count,))
    ends = level(np.stack([low, high], axis=1))
    signs = np.where(ends[:, 1] < ends[:, 0], -1, 1)[:, None]
    first = np.where(signs < 0, -high[:, None], low[:, None])
    last = np.where(signs < 0, -low[:, None], high[:, None])
    bias = int(zero - quantizer.high if mirrored else quantizer.low - zero)
    levels = quantizer.high - quantizer.low
    wanted = bias + 1 + np.arange(levels)
    below, above = np.repeat(first, levels, axis=1), np.repeat(last + 1, levels, axis=1)
    while (below < above).any():
        middle = (below + above) // 2
        passed = (middle > last) | (level(signs * np.minimum(middle, last)) >= wanted)
        below, above = np.where(passed, below, middle + 1), np.where(passed, middle, above)
    return Table(above, signs[:, 0].astype(np.int64), bias)
