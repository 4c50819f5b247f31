"""Codebooks of integers: the best K centroids on a line, weighted, by dynamic programming.

On a line the clusters of an optimal k-means are intervals of the sorted values (Fisher 1958; Wang &
Song, The R Journal 2011), so that dynamic programming finds the optimum. A layer's weights are
integers of a few bits: there are at most 255 different values, and a table of all intervals is
tiny. The centroid of an interval is the integer next to its weighted mean, which is the best one
on the grid because the distortion is quadratic.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from exeunt.errors import InputError

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def optimal(values: Ints, weights: Floats, centroids: int) -> Ints:
    """The at most `centroids` integers that minimise sum of weights * (value - nearest)^2.

    Args:
        values: integers, any shape.
        weights: at least 0, the same shape.
        centroids: K, at least 1.

    Returns:
        Ascending integers; fewer than K where there are fewer values or fewer serve as well.
    """
    distinct, index = np.unique(values, return_inverse=True)
    if len(distinct) <= centroids:
        return distinct.astype(np.int64)
    mass = np.bincount(index.reshape(-1), weights.reshape(-1).astype(float), len(distinct))
    # values without any weight must not make a mean of nothing
    mass = mass + 1e-12 * max(mass.sum(), 1e-300) / len(distinct)
    cost, centres = _intervals(distinct.astype(float), mass)
    count = len(distinct)
    best = cost[0].copy()  # best[j]: values 0..j in the clusters so far
    cuts = np.zeros((centroids, count), np.int64)
    for k in range(1, centroids):
        # the last cluster is i..j, what is before it has k clusters
        total = np.full((count, count), np.inf)
        total[1:] = best[:-1, None] + cost[1:]
        cuts[k] = total.argmin(axis=0)
        joined = total[cuts[k], np.arange(count)]
        cuts[k] = np.where(joined < best, cuts[k], -1)  # -1: one cluster fewer is as good
        best = np.minimum(joined, best)
    found = []
    end = count - 1
    for k in range(centroids - 1, -1, -1):
        start = int(cuts[k, end]) if k else 0
        if start < 0:
            continue
        found.append(int(centres[start, end]))
        end = start - 1
        if end < 0:
            break
    return np.unique(np.array(found, np.int64))


def _intervals(values: Floats, mass: Floats) -> tuple[Floats, Floats]:
    """Distortion and integer centroid of every interval i..j (infinite for i > j)."""
    sums = [np.concatenate([[0.0], np.cumsum(mass * values**power)]) for power in (0, 1, 2)]
    m, s, q = (x[None, 1:] - x[:-1, None] for x in sums)
    upper = np.triu(np.ones(m.shape, bool))
    with np.errstate(divide="ignore", invalid="ignore"):
        centres = np.where(upper, np.rint(s / m), 0.0)
    cost = np.where(upper, np.maximum(q - 2 * centres * s + centres**2 * m, 0.0), np.inf)
    return cost, centres


def assign(values: Ints, codebook: Ints) -> Ints:
    """Index of the nearest codebook entry, the smaller one of two as near; codebook ascending."""
    upper = np.clip(np.searchsorted(codebook, values), 0, len(codebook) - 1)
    lower = np.maximum(upper - 1, 0)
    nearer = np.abs(values - codebook[lower]) <= np.abs(codebook[upper] - values)
    return np.where(nearer, lower, upper).astype(np.int64)


def distortion(values: Ints, weights: Floats, codebook: Ints) -> float:
    """Sum of weights * (value - nearest)^2."""
    gap = values - codebook[assign(values, codebook)]
    return float((weights * gap**2).sum())


def index_bits(centroids: int) -> int:
    """Bits of an index into a codebook."""
    return max(1, int(centroids - 1).bit_length())


def check(centroids: int, *, weights: int, bits: int, layer: str) -> None:
    """Refuse a codebook that is no codebook of this layer.

    Raises:
        InputError: fewer than two centroids, or more than the layer has weights or its grid has
            integers.
    """
    if centroids < 2:
        raise InputError(
            f"a codebook must have at least 2 centroids, got {centroids}: raise centroids"
        )
    if centroids > weights:
        raise InputError(
            f"a codebook must not be larger than its layer, got {centroids} centroids for the "
            f"{weights} weights of {layer}: lower centroids"
        )
    grid = (1 << bits) - 1
    if centroids > grid:
        raise InputError(
            f"a codebook must have at most the {grid} integers of {bits}-bit weights, got "
            f"{centroids} centroids for {layer}: lower centroids or raise centroid_bits"
        )
