"""Kernels that need the weights, as further ways to build a layer whose weights are known.

A constant matrix as additions, a schedule over the weights that are not zero, a codebook. Looking
at one takes time, so each is looked at only where it may pay.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from exeunt.kernels.layer import Fold, Layer, Matrix, Style
from exeunt.kernels.registry import foldings

STYLES: tuple[Style, ...] = ("constant", "scheduled", "codebook")
ADDED = 256  # weights besides 0 of a matrix up to which its additions are worth finding
ZEROS = 0.25  # of the weights, from which on a schedule may be cheaper than visiting all of them


def ways(layer: Layer) -> list[Fold]:
    """The foldings of those kernels that are worth a look; none where weights are not known."""
    if not isinstance(layer, Matrix) or "weights" not in layer.arrays or layer.signs:
        return []
    weights = np.asarray(layer.arrays["weights"])
    zeros = float((weights == 0).mean())
    numbers = len(np.unique(np.abs(weights[weights != 0])))
    found: list[Fold] = []
    if np.count_nonzero(weights) <= ADDED:
        found += foldings(layer, "constant")
    if zeros >= ZEROS:
        found += _leaner(foldings(layer, "scheduled"))
    if numbers <= 1 << max(0, layer.weight_bits - 2):  # indices are shorter than weights
        found += _leaner(foldings(layer, "codebook"))
    return found


def _leaner(folds: Iterable[Fold]) -> list[Fold]:
    """Those of which no other one with the same streams is as quick with fewer multipliers."""
    groups: dict[tuple[int, int, bool, int], list[Fold]] = {}
    for fold in folds:
        key = fold.lanes_in, fold.pe, fold.parallel, fold.banks
        groups.setdefault(key, []).append(fold)
    found = []
    for group in groups.values():
        least = None
        for fold in sorted(group, key=lambda f: (f.period, f.multipliers, f.area)):
            if least is None or fold.multipliers < least:
                least = fold.multipliers
                found.append(fold)
    return found
