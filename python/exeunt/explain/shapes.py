"""What the engine would take for a network of which nothing but shapes and densities is known.

This is a model: engines share the gradients of a layer evenly, memories never wait, and every step
takes what `engine.walk` takes without its few cycles of beginning and end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from exeunt.errors import InputError
from exeunt.explain.design import SCATTER, SWEEP, WALK


@dataclass(frozen=True)
class Layer:
    """A convolution, as its gradients go back through it.

    Attributes:
        outputs: elements of its output whose gradients may be there; behind a max pool those of the
            pool.
        density: share of them that are not 0.
        kernel: (KH, KW).
        inputs: (H, W, C) of its input.
        passing: share of the input's gradients that its mask lets through.
        sums: whether its sums are added to those of the layer before in the list, as in a residual
            block.
    """

    outputs: int
    density: float
    kernel: tuple[int, int]
    inputs: tuple[int, int, int]
    passing: float
    sums: bool = False


@dataclass(frozen=True)
class Cost:
    """Of one map, in cycles."""

    scatters: int
    sweeps: int
    clears: int
    loads: int
    dense: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.scatters + self.sweeps + self.clears + self.loads


def cost(layers: Sequence[Layer], *, pe: int, engines: int = 1) -> Cost:
    """Of a map through these layers, last layer first.

    Args:
        layers: see `Layer`.
        pe: sums in a cycle of an engine.
        engines: side by side.

    Raises:
        InputError: no lanes or no engines.
    """
    if pe < 1 or engines < 1:
        raise InputError(
            f"a model of engines must have 1 lane and 1 engine or more, got pe {pe} and "
            f"{engines} engines: choose 64 and 16"
        )
    scatters = sweeps = clears = loads = dense = 0
    for layer in layers:
        kh, kw = layer.kernel
        values = math.prod(layer.inputs)
        beats = kh * math.ceil(kw * layer.inputs[2] / pe)
        scatters += math.ceil(layer.outputs * layer.density * beats / engines)
        dense += math.ceil(layer.outputs * beats / engines)
        loads += len(SCATTER) + len(WALK)
        if layer.sums:
            continue
        clears += math.ceil(values / (pe * engines))
        sweeps += math.ceil(values * layer.passing / engines)
        dense += math.ceil(values / (pe * engines)) + math.ceil(values / engines)
        loads += len(SWEEP) + len(WALK)
    return Cost(scatters, sweeps, clears, loads, dense + loads)
