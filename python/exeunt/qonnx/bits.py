"""Bipolar activations as single bits: x = 2 b - 1, so that W x = 2 W b - r with r the sums of rows.

A quantizer that gives -1 and 1 needs one threshold and its stream one bit, products become
selections, and r goes into the thresholds behind the matrix, or into the constants of the logits.
Where a zero may stand beside -1 and 1 (padding), or something else than a matrix takes them, they
stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from exeunt.qonnx.integers import (
    Exit,
    IntArray,
    IntegerNetwork,
    Matrix,
    Operation,
    Pool,
    Reshape,
    Tensor,
    Threshold,
    View,
    sources,
)
from exeunt.qonnx.ranges import padded, summed
from exeunt.qonnx.tables import Function


@dataclass(frozen=True)
class _Group:
    """Tensors of one bipolar quantizer, pooled or not, and the matrices that take them."""

    tensors: tuple[str, ...]
    matrices: tuple[Matrix, ...]


def packed(network: IntegerNetwork) -> IntegerNetwork:
    """The network with bipolar activations as bits where that is exact."""
    for operation in network.operations:
        group = _group(network, operation)
        if group is not None:
            network = _as_bits(network, group)
    return network


def _takers(network: IntegerNetwork, tensor: str) -> list[Operation]:
    """The operations that take a tensor."""
    return [o for o in network.operations if any(t.name == tensor for t in sources(o))]


def _group(network: IntegerNetwork, operation: Operation) -> _Group | None:
    """What must change with a bipolar quantizer; None where it cannot, or is none."""
    if not isinstance(operation, Threshold) or operation.flat:
        return None
    t = operation.thresholds
    if operation.bias != -1 or t.shape[1] != 2 or (t[:, 0] != t[:, 1]).any():
        return None
    logits = {e.logits.name for e in network.exits}
    tensors, matrices = [operation.result.name], list[Matrix]()
    for name in tensors:
        if name in logits:
            return None
        for taker in _takers(network, name):
            if isinstance(taker, Reshape) or (
                isinstance(taker, Pool) and taker.function == "max" and not any(taker.window.pad)
            ):
                tensors.append(taker.result.name)
            elif isinstance(taker, Matrix) and not padded(taker):
                behind = _takers(network, taker.result.name)
                if not all(isinstance(o, Threshold) and not o.flat for o in behind):
                    return None
                if behind and taker.result.name in logits:
                    return None
                matrices.append(taker)
            else:
                return None
    return _Group(tuple(tensors), tuple(matrices)) if matrices else None


def _as_bits(network: IntegerNetwork, group: _Group) -> IntegerNetwork:
    made: dict[str, Operation] = {o.result.name: o for o in network.operations}
    views: dict[str, Function] = {}  # what the integers were, of what they are now
    exits = list(network.exits)
    for name in group.tensors:
        operation = made[name]
        bits = Tensor(name, operation.result.shape, 0, 1)
        if isinstance(operation, Threshold):
            thresholds = operation.thresholds[:, :1]
            made[name] = replace(operation, result=bits, thresholds=thresholds, bias=0)
        else:
            made[name] = replace(operation, source=made[operation.source.name].result, result=bits)
        views[name] = Function().then("affine", 2.0, -1.0)
    for matrix in group.matrices:
        name = matrix.result.name
        source = made[matrix.source.name].result
        rows = matrix.weights.reshape(len(matrix.weights), -1).sum(axis=1)
        ends = [i for i, e in enumerate(exits) if e.logits.name == name]
        offsets = np.zeros(len(rows), np.int64) if matrix.offsets is None else matrix.offsets
        if ends:  # y = 2 (W b + o) + rest, where the rest is the same for all
            constants = offsets - rows
            rest = int(constants[0] % 2)
            whole = (constants % 2 == rest).all()
            if whole:
                weights, constants = matrix.weights, (constants - rest) // 2
                views[name] = Function().then("affine", 2.0, float(rest))
            else:
                weights = 2 * matrix.weights
            made[name] = _with(matrix, source, weights, constants)
            for i in ends:
                exits[i] = replace(exits[i], logits=made[name].result)
                if whole:
                    exits[i] = _halved(exits[i], rest)
            continue
        made[name] = replace(matrix, source=source, result=_range(matrix, source, matrix.weights))
        views[name] = Function().then("affine", 2.0, -rows.astype(np.float64))
        for behind in _takers(network, name):
            assert isinstance(behind, Threshold)
            thresholds = -((-(behind.thresholds + rows[:, None])) // 2)
            made[behind.result.name] = replace(
                made[behind.result.name], source=made[name].result, thresholds=thresholds
            )
    return replace(
        network,
        operations=tuple(made[o.result.name] for o in network.operations),
        exits=tuple(exits),
        views=_composed(network, views),
    )


def _range(matrix: Matrix, source: Tensor, weights: IntArray) -> Tensor:
    return summed(matrix.result.name, matrix.result.shape, weights, source, padding=False)


def _with(matrix: Matrix, source: Tensor, weights: IntArray, offsets: IntArray) -> Matrix:
    """The matrix of logits with other weights and constants."""
    plain = _range(matrix, source, weights)
    low, high = plain.low + int(offsets.min()), plain.high + int(offsets.max())
    result = replace(plain, low=low, high=high)
    found = offsets if offsets.any() else None
    return replace(matrix, source=source, result=result, weights=weights, offsets=found)


def _halved(e: Exit, rest: int) -> Exit:
    """The exit whose integers were 2 n + rest."""
    return replace(e, scale=2 * e.scale, offset=e.offset + rest * e.scale)


def _behind(first: Function, function: Function) -> Function:
    """The function of what `first` gives."""
    found = first
    for step in function.steps:
        if step.other is not None:
            found = found.joined(step.kind, _behind(first, step.other))
        else:
            found = found.then(step.kind, step.a, step.b)
    return found


def _composed(network: IntegerNetwork, changed: Mapping[str, Function]) -> dict[str, View]:
    found = {}
    for name, view in network.views.items():
        before = changed.get(view.base)
        if before is not None:
            view = replace(view, function=_behind(before, view.function))
        found[name] = view
    return found
