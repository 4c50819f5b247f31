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
