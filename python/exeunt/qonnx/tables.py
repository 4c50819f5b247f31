"""Functions of one integer, and their quantizer as thresholds that are found exactly.

What lies between a sum of integers and a quantizer (scales, biases, batch norms, ReLUs and other
elementwise operators) is a function of that one sum, rising or falling; so the integers at which
the quantizer's result changes are found by bisection, for each channel.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from exeunt.errors import InputError
from exeunt.qonnx.quantizer import NOISE, Quantizer, meant

Floats: TypeAlias = "npt.NDArray[np.float64]"  # texts: NumPy 1.21 cannot subscript them
IntArray: TypeAlias = "npt.NDArray[np.int64]"

MAX_LEVELS = 255  # thresholds of a kernel


@dataclass(frozen=True)
class Step:
    """One step of a function: kind "affine" is a * x + b; see `KINDS` for the others.

    Parameters are (), (C,) or (H, W, C) in the coordinates of the integers that the function is
    of: one for all, one per channel, or one per element.
    """

    kind: str
    a: Floats
    b: Floats
    other: Function | None = None  # of the same integer, for a kind that joins two


@dataclass(frozen=True)
class Function:
    """Steps from an integer to a real; no steps: the integer itself."""

    steps: tuple[Step, ...] = ()

    def joined(self, kind: str, other: Function) -> Function:
        """With another function of the integer: the sum "add", or another kind that joins two."""
        zero = np.zeros(())
        return replace(self, steps=(*self.steps, Step(kind, zero, zero, other)))

    @property
    def monotone(self) -> bool:
        """Whether it is known to rise, or to fall, everywhere."""
        return all(s.other is None and s.kind not in BENT for s in self.steps)

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

    @property
    def step(self) -> float:
        """What it makes of the integer 1 before anything else, where that is a scale; or 1."""
        first = self.steps[0]
        found = abs(float(first.a.max())) if first.kind == "affine" else 1.0
        others = (s.other.step for s in self.steps if s.other is not None and s.other.steps)
        return found or next((step for step in others if step), 0.0)

    def __call__(self, n: Floats) -> Floats:
        """Values at n, against which the parameters must broadcast."""
        x = n
        for step in self.steps:
            x = KINDS[step.kind](x, step.a, step.b if step.other is None else step.other(n))
        return x

    def rows(self, shape: tuple[int, ...]) -> Function:
        """The function with a row for each of () , (C,) or (H, W, C): for n of (rows, any)."""

        def rows(s: Step) -> Step:
            other = None if s.other is None else s.other.rows(shape)
            return Step(s.kind, row(s.a, shape), row(s.b, shape), other)

        return Function(tuple(map(rows, self.steps)))

    def reshaped(self, shape: tuple[int, ...], other: tuple[int, ...]) -> Function:
        """The function of the same integers in another shape (H, W, C)."""

        def moved(value: Floats) -> Floats:
            if not value.ndim:
                return value
            return _compact(np.broadcast_to(value, shape).reshape(other))

        def of(s: Step) -> Step:
            second = None if s.other is None else s.other.reshaped(shape, other)
            return Step(s.kind, moved(s.a), moved(s.b), second)

        return Function(tuple(map(of, self.steps)))

    def row(self, index: int) -> Function:
        """Of a function with rows the one of that index, for n of (1, any)."""

        def one(value: Floats) -> Floats:
            return value if value.ndim < 2 or len(value) == 1 else value[index : index + 1]

        def of(s: Step) -> Step:
            return Step(s.kind, one(s.a), one(s.b), None if s.other is None else s.other.row(index))

        return Function(tuple(map(of, self.steps)))

    @property
    def ndim(self) -> int:
        """0, 1 or 3: one function for all, per channel, or per element."""
        own = (max(s.a.ndim, s.b.ndim) for s in self.steps)
        others = (s.other.ndim for s in self.steps if s.other is not None)
        return max((*own, *others), default=0)


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


def _erf(x: Floats) -> Floats:
    return np.asarray(np.frompyfunc(math.erf, 1, 1)(x), np.float64)


def _inner(x: Floats) -> Floats:
    return np.minimum(x, 0.0)


def _positive(x: Floats) -> Floats:
    """The value, zero where float32 could not tell it from that; nan of negative ones."""
    return np.asarray(np.where(x < -NOISE, np.nan, np.maximum(x, 0.0)), np.float64)


def _apart(x: Floats, b: Floats) -> Floats:
    """X - b, zero where float32 could not tell the two apart."""
    found = x - b
    noise = NOISE * np.maximum(np.abs(x), np.abs(b))
    return np.asarray(np.where(np.abs(found) <= noise, 0.0, found), np.float64)


def _shrunk(x: Floats, a: Floats, b: Floats) -> Floats:
    """ONNX's Shrink: nothing from -a to a, elsewhere nearer to zero by b."""
    return np.where(_apart(np.abs(x), a) > 0, x - np.sign(x) * b, 0.0)


# Each of x with the parameters a and b; for a kind that joins two, b is the other one's value.
KINDS: Mapping[str, Callable[[Floats, Floats, Floats], Floats]] = {
    "affine": lambda x, a, b: a * x + b,
    "clip": lambda x, a, b: np.clip(x, a, b),
    "leaky": lambda x, a, b: np.where(x < 0, a * x, x),  # slope a below zero
    "sigmoid": lambda x, a, b: 0.5 * (1.0 + np.tanh(0.5 * x)),
    "tanh": lambda x, a, b: np.tanh(x),
    "softplus": lambda x, a, b: np.logaddexp(0.0, x),
    "elu": lambda x, a, b: np.where(x < 0, a * np.expm1(_inner(x)), x),
    "selu": lambda x, a, b: b * np.where(x < 0, a * np.expm1(_inner(x)), x),
    "celu": lambda x, a, b: np.where(x < 0, a * np.expm1(_inner(x) / a), x),
    "softsign": lambda x, a, b: x / (1.0 + np.abs(x)),
    "exp": lambda x, a, b: np.exp(np.minimum(x, 700.0)),
    "sqrt": lambda x, a, b: np.sqrt(_positive(x)),
    "log": lambda x, a, b: np.log(np.maximum(_positive(x), 1e-300)),
    "erf": lambda x, a, b: _erf(x),
    "round": lambda x, a, b: np.rint(meant(x)),
    "floor": lambda x, a, b: np.floor(meant(x)),
    "ceil": lambda x, a, b: np.ceil(meant(x)),
    "sign": lambda x, a, b: np.sign(meant(x)),
    "add": lambda x, a, b: x + b,
    "sub": lambda x, a, b: x - b,
    "mul": lambda x, a, b: x * b,
    "max": lambda x, a, b: np.maximum(x, b),
    "min": lambda x, a, b: np.minimum(x, b),
    "above": lambda x, a, b: np.where(_apart(x, b) > 0, 1.0, 0.0),
    "reaches": lambda x, a, b: np.where(_apart(x, b) >= 0, 1.0, 0.0),
    "kept": lambda x, a, b: np.where(b > 0, x, 0.0),  # where the other one is true
    "beyond": lambda x, a, b: np.where(_apart(x, a) > 0, x, 0.0),
    "shrink": _shrunk,
    "abs": lambda x, a, b: np.abs(x),
    "power": lambda x, a, b: np.where((x == 0) & (a < 0), np.nan, x**a),
    "hardswish": lambda x, a, b: x * np.clip(x / 6.0 + 0.5, 0.0, 1.0),
    "mish": lambda x, a, b: x * np.tanh(np.logaddexp(0.0, x)),
    "gelu": lambda x, a, b: 0.5 * x * (1.0 + _erf(x / math.sqrt(2.0))),
    "gelu tanh": lambda x, a, b: (
        0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))
    ),
}
BENT = frozenset(
    ("abs", "power", "shrink", "beyond", "hardswish", "mish", "gelu", "gelu tanh")
)  # they turn


@dataclass(frozen=True)
class Table:
    """Thresholds (rows, levels), int64: y = bias + #{t : sign * n >= t} with a sign per row."""

    thresholds: IntArray
    signs: IntArray  # (rows,), -1 where the function falls
    bias: int


def numbers(function: Function, n: Floats, label: str) -> Floats:
    """Values of a function, which must be numbers or infinite.

    Args:
        function: of which integers.
        n: these integers.
        label: what takes the values, for messages.

    Raises:
        InputError: the function has no value at one of them.
    """
    with np.errstate(all="ignore"):
        real = function(n)
    if np.isnan(real).any():
        where = float(np.broadcast_to(n, real.shape)[np.isnan(real)][0])
        raise InputError(
            f"{label} must take numbers but what is in front of it has no value, as the root or "
            "logarithm of a negative number and the inverse of zero have none, where the integers "
            f"in it are {where:g}; clip or quantize in front of that operator"
        )
    return real


def quantized(
    function: Function,
    quantizer: Quantizer,
    low: IntArray,
    high: IntArray,
    shape: tuple[int, ...],
    *,
    label: str = "a quantizer",
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
        label: what messages call the quantizer.

    Raises:
        InputError: more levels in reach than a kernel has.
    """
    count = int(np.prod(shape, dtype=np.int64))
    function = function.rows(shape)
    zero = float(quantizer.zero.reshape(-1)[0])
    scale = row(np.asarray(quantizer.scale, np.float64), shape)
    mirrored = bool((scale < 0).any())

    def level(n: IntArray) -> npt.NDArray[Any]:
        real = numbers(function, n.astype(np.float64), label)
        found = quantizer.levels(real, scale=scale, zero=np.asarray(zero))
        return -found if mirrored else found

    low, high = np.broadcast_to(low, (count,)), np.broadcast_to(high, (count,))
    ends = level(np.stack([low, high], axis=1))
    signs = np.where(ends[:, 1] < ends[:, 0], -1, 1)[:, None]
    first = np.where(signs < 0, -high[:, None], low[:, None])
    last = np.where(signs < 0, -low[:, None], high[:, None])
    bias, top = (int(v) for v in (ends.min(), ends.max()))  # what can come out
    levels = max(1, top - bias)
    if levels > MAX_LEVELS:
        raise InputError(
            f"{label} must give at most {MAX_LEVELS + 1} different integers but gives "
            f"{levels + 1}; use 8 bits or fewer"
        )
    wanted = bias + 1 + np.arange(levels)
    below, above = np.repeat(first, levels, axis=1), np.repeat(last + 1, levels, axis=1)
    while (below < above).any():
        middle = (below + above) // 2
        passed = (middle > last) | (level(signs * np.minimum(middle, last)) >= wanted)
        below, above = np.where(passed, below, middle + 1), np.where(passed, middle, above)
    return Table(above, signs[:, 0].astype(np.int64), bias)
