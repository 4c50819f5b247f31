"""Floats that hold integers exactly, and the matrix product of them: for `reference.prepared`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from exeunt.graph import IntArray

Floats: TypeAlias = "npt.NDArray[np.floating[Any]]"  # a text: as in exeunt.graph
Step: TypeAlias = Callable[["Floats"], "Floats"]  # (n, input elements) -> (n, output elements)


class Scratch:
    """Memory for the frames of a block, kept from block to block."""

    def __init__(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
        self._room: npt.NDArray[Any] = np.zeros((0, *shape), dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a frame."""
        return self._room.shape[1:]

    def __call__(self, frames: int) -> npt.NDArray[Any]:
        """Room for so many frames, (frames, *shape); what was there is still there."""
        if len(self._room) < frames:
            self._room = np.zeros((frames, *self._room.shape[1:]), self._room.dtype)
        return self._room[:frames]


class Matrix:
    """Y = W x of vectors that lie one behind the other.

    Args:
        weights: integers (rows, columns).
        elements: of the output of a frame.
        dtype: a float type that holds every sum.
    """

    def __init__(self, weights: IntArray, elements: int, dtype: np.dtype[Any]) -> None:
        self._weights = np.ascontiguousarray(weights.T, dtype)
        self._y = Scratch((elements,), dtype)

    def __call__(self, x: Floats) -> Floats:
        """(n, vectors * columns) -> (n, vectors * rows)."""
        rows, columns = self._weights.shape
        y = self._y(len(x))
        np.matmul(x.reshape(-1, rows), self._weights, out=y.reshape(-1, columns))
        return y


class Paired:
    """A linear step for two frames at once: those of the second half of a block count 2**shift.

    What comes of the two is told apart because the first is less than half of 2**shift.
    """

    def __init__(self, linear: Step, shift: int) -> None:
        self._linear, self._factor = linear, float(1 << shift)
        self._rooms: tuple[Scratch, Scratch] | None = None

    def __call__(self, x: Floats) -> Floats:
        """(n, elements in) -> (n, elements out)."""
        ahead = (len(x) + 1) // 2
        behind = len(x) - ahead
        if not behind:
            return self._linear(x)
        if self._rooms is None:
            self._rooms = Scratch(x.shape[1:], x.dtype), Scratch((0,), x.dtype)
        both = self._rooms[0](ahead)
        np.multiply(x[ahead:], self._factor, out=both[:behind])
        both[behind:] = 0
        both += x[:ahead]
        sums = self._linear(both)
        if self._rooms[1].shape != sums.shape[1:]:
            self._rooms = self._rooms[0], Scratch(sums.shape[1:], x.dtype)
        y = self._rooms[1](len(x))
        second, first = y[ahead:], y[:ahead]
        np.multiply(sums[:behind], 1 / self._factor, out=second)
        np.rint(second, out=second)
        np.multiply(second, -self._factor, out=first[:behind])
        first[behind:] = 0
        first += sums
        return y


def paired(linear: Step, dtype: np.dtype[Any], *, most: int, bound: int) -> Step:
    """The step for two frames at once, where the float type has room for the sums of both.

    Args:
        linear: gives sums of products.
        dtype: float type that it computes in.
        most: largest magnitude of a sum.
        bound: no sum of some of the products is larger, in whatever order they are added.
    """
    shift = int(2 * most).bit_length()
    return Paired(linear, shift) if bound * ((1 << shift) + 1) < exact(dtype) else linear


def exact(dtype: np.dtype[Any]) -> int:
    """A float type holds all integers up to this: 2**24 of float32, 2**53 of float64."""
    return 1 << (np.finfo(dtype).nmant + 1)
