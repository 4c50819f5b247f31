"""The layers of a config with the integers of its trained network, without asking FINN."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from exeunt.graph import Integer
from exeunt.kernels.layer import Layer
from exeunt.kernels.layer import Matrix as MatrixLayer
from exeunt.kernels.parts.weights import accumulator_range
from exeunt.qonnx.exits import Part
from exeunt.qonnx.integers import Matrix, Threshold


def weighted(layers: Sequence[Layer], part: Part) -> tuple[Layer, ...]:
    """The layers of a segment or head with weights, thresholds and accumulators as compiled.

    Args:
        layers: those of the config, see `exeunt.cost.layers.chains`.
        part: the same segment or head of the trained network.

    Returns:
        The layers with the integers; as they are where the part has other matrices.
    """
    matrices = [o for o in part.operations if isinstance(o, Matrix)]
    behind = {o.source.name: o for o in part.operations if isinstance(o, Threshold)}
    found = list(layers)
    for place, layer in enumerate(layers):
        if not isinstance(layer, MatrixLayer):
            continue
        for i, matrix in enumerate(matrices):  # two ways into a sum may stand in another order
            known = _known(layer, matrix, behind.get(matrix.result.name))
            if known is not None:
                found[place] = known
                del matrices[i]
                break
        else:
            return tuple(layers)
    return tuple(layers) if matrices else tuple(found)


def _known(layer: MatrixLayer, matrix: Matrix, levels: Threshold | None) -> MatrixLayer | None:
    """The layer with its integers; None: they are those of another one."""
    weights = matrix.weights.reshape(len(matrix.weights), -1)
    if weights.shape != (layer.rows, layer.columns) or matrix.groups != layer.groups:
        return None
    low, high = accumulator_range(weights, layer.source)
    if levels is not None:
        if not layer.levels or levels.flat:
            return None
        rows = np.broadcast_to(levels.thresholds, (layer.rows, levels.thresholds.shape[1]))
        return dataclasses.replace(
            layer, arrays={"weights": weights, "thresholds": rows}, levels=rows.shape[1],
            bias=levels.bias, accumulator=Integer.covering(low, high),
        )  # fmt: skip
    if layer.levels:
        return None
    arrays = {"weights": weights}
    if matrix.offsets is not None:
        arrays["offsets"] = matrix.offsets
        low = min(low, low + int(matrix.offsets.min()), -2)
        high = max(high, high + int(matrix.offsets.max()), 1)
    total = Integer.covering(low, high)
    return dataclasses.replace(layer, arrays=arrays, accumulator=total, result=total)
