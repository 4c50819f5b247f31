"""Nodes with weights, and weights that are shared through a codebook."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from exeunt.errors import CheckFailed
from exeunt.graph import IntArray, Integer, Node


@dataclass(frozen=True)
class Weighted(Node):
    """A node with the array `weights` (rows, columns), signed, `weight_bits` wide.

    With `signs` every weight is -1, 0 or 1; of a single bit it is -1 or 1.
    With a `codebook` the weights are shared: `indices`, uint8 (rows, columns), into it, and where
    `signs`, int8 (rows,), are there, times the row's sign.
    """

    weight_bits: int = 4
    signs: bool = field(default=False, kw_only=True)
    codebook: tuple[int, ...] = ()

    @property
    def index_bits(self) -> int:
        """Bits of an index into the codebook, 0 without one."""
        return max(1, (len(self.codebook) - 1).bit_length()) if self.codebook else 0

    def completed(self, arrays: Mapping[str, IntArray]) -> dict[str, IntArray]:
        """The arrays with the `weights` that the codebook stands for.

        Raises:
            CheckFailed: indices that do not give the weights that are stored as well.
        """
        found = dict(arrays)
        if not self.codebook:
            return found
        weights = from_codebook(self, found)
        if "weights" in found and not np.array_equal(weights, found["weights"]):
            wrong = tuple(int(i) for i in np.argwhere(weights != found["weights"])[0])
            raise CheckFailed(
                f"the codebook of {self.name} must give its weights, got "
                f"{int(weights[wrong])} for {int(found['weights'][wrong])} at {wrong}: compile "
                "again"
            )
        return {**found, "weights": weights}


def from_codebook(node: Weighted, arrays: Mapping[str, IntArray]) -> IntArray:
    """The weights (rows, columns), int64, that a node's codebook and `indices` stand for."""
    weights = np.asarray(node.codebook, np.int64)[arrays["indices"]]
    if "signs" in arrays:
        weights = weights * arrays["signs"].astype(np.int64)[:, None]
    return weights


def smallest(weights: IntArray, source: Integer) -> npt.NDArray[np.int64]:
    """Of each row of `weights` (MH, MW) the smallest dot product with values of `source`: (MH,)."""
    found = np.minimum(weights * source.min, weights * source.max).sum(axis=1)
    return np.asarray(found, np.int64)


def accumulator_range(weights: IntArray, source: Integer) -> tuple[int, int]:
    """Smallest and largest dot product of a row of `weights` (MH, MW) with values of `source`."""
    a, b = weights * source.min, weights * source.max
    return (
        int(smallest(weights, source).min(initial=0)),
        int(np.maximum(a, b).sum(axis=1).max(initial=0)),
    )
