"""A constant matrix in logic, around `ex_logic`: y = W x of a vector a cycle, by additions."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from exeunt.graph import IntArray, Integer, Node, Stream
from exeunt.kernels import registry
from exeunt.kernels.kind import Arrays, Effort, Fast, Kind, Product
from exeunt.kernels.layer import Fold, Levels, Matrix, Windows
from exeunt.kernels.logic import sums
from exeunt.kernels.lowering import Lowering
from exeunt.kernels.parts import back as backwards
from exeunt.kernels.parts import fast, levels
from exeunt.kernels.parts.fifo import Cycles
from exeunt.kernels.parts.levels import narrow
from exeunt.kernels.parts.size import Size

LEVELS = 2  # additions between two registers
CONTROL = 2  # LUT of ex_logic for a register


def stage_of(depth: int) -> int:
    """Registers in front of a signal, for the additions on the longest way to it."""
    return max(0, depth - 1) // LEVELS


def graph_of(weights: IntArray, dtype: Integer) -> sums.Graph:
    """The additions of a matrix (MH, MW) for inputs of a type."""
    table = np.asarray(weights, np.int64)
    return _graph(table.tobytes(), table.shape, dtype)


@lru_cache(maxsize=64)
def _graph(table: bytes, shape: tuple[int, int], dtype: Integer) -> sums.Graph:
    return sums.graph(np.frombuffer(table, np.int64).reshape(shape), dtype)


@dataclass(frozen=True)
class Logic(Node):
    """y = W x of each of the H*W vectors: a word of input each, a word of output each.

    Array: `weights`, integers (MH, MW).

    Attributes:
        stages: registers on the way.
        luts: of all additions.
    """

    kind: ClassVar[str] = "logic"
    stages: int = 1
    luts: int = 0


def values(node: Logic, arrays: Arrays, x: IntArray) -> IntArray:
    """Y = W x of each vector.

    Args:
        node: the kernel.
        arrays: `weights`, integers (MH, MW).
        x: integers (N, H, W, MW) within `node.input.dtype`.

    Returns:
        (N, H, W, MH) in the smallest NumPy type for `node.output.dtype`.
    """
    weights = np.asarray(arrays["weights"], np.float64)
    flat = np.asarray(x).reshape(-1, weights.shape[1]).astype(np.float64)
    y = flat @ weights.T
    return y.astype(narrow(node.output.dtype)).reshape(-1, *node.output.shape)


def resume(
    node: Logic, past: Cycles | None, offered: Cycles, ready: Cycles | None = None
) -> tuple[Cycles, Cycles, Cycles]:
    """Transfer cycles of `ex_logic`: registers that close up on stall; exact.

    Args:
        node: the kernel.
        past: what an earlier call returned as its past; None: the kernel is empty.
        offered: int64 (n,), first cycle in which input word k can be valid; whole frames.
        ready: int64 (n,), first cycle in which output word k is accepted; None: always.

    Returns:
        takes int64 (n,), gives int64 (n,), and the past for the frames that follow.
    """
    return levels.registers(node.stages, past, offered, ready)


def steps(
    node: Logic, arrays: Arrays, dtype: np.dtype[Any], product: Product | None
) -> list[fast.Step]:
    """One product; see `Fast.steps`."""
    weights = np.asarray(arrays["weights"], np.int64)
    return [fast.Matrix(weights, node.output.elements, dtype)]


def bound(node: Logic, arrays: Arrays) -> int:
    """No sum of products is larger, in whatever order they are added; see `Fast.bound`."""
    rows = np.abs(np.asarray(arrays["weights"], np.int64)).sum(axis=1)
    return int(rows.max()) * max(-node.input.dtype.min, node.input.dtype.max)


def size(node: Logic, dsp: bool) -> Size:
    """Additions, and the control of the registers; see `Kind.size`."""
    return Size(lut=node.luts + CONTROL * node.stages)


def effort(node: Logic) -> Effort:
    """A vector a cycle; see `Kind.effort`."""
    vectors = node.output.shape[0] * node.output.shape[1]
    weights = node.input.lanes * node.output.lanes
    return Effort(period=vectors, multiplies=weights * vectors, multipliers=weights)


def back(node: Logic, arrays: Arrays) -> tuple[tuple[backwards.Part, ...], ...]:
    """The product; see `Kind.back`."""
    return ((backwards.Product(np.asarray(arrays["weights"], np.int64), 1),),)


def foldings(layer: Matrix) -> Iterator[Fold]:
    """Those of a matrix that take and give whole vectors; see `Kind.foldings`."""
    if layer.groups > 1 or "offsets" in layer.arrays:
        return
    for fold in registry.foldings(layer):
        if (fold.simd, fold.pe) == (layer.columns, layer.rows) and not fold.multiplier:
            yield dataclasses.replace(fold, multiplier="constant")


def lower(lowering: Lowering, layer: Matrix, fold: Fold) -> None:
    """The window of a convolution, the additions, and thresholds behind them."""
    shape = (*layer.output[:2], layer.columns)
    finn = layer.finn[-1:]
    if layer.window is not None:
        front = Windows(
            layer.input, layer.source, shape, layer.source, window=layer.window,
            finn=layer.finn[:-1], blocks=1,
        )  # fmt: skip
        lanes = shape[2] if fold.parallel else fold.window
        lowering.lower(front, Fold(fold.window, lanes, parallel=fold.parallel))
        lowering.adapt(shape, fold.simd, finn)
    weights = np.asarray(layer.arrays["weights"], np.int64)
    made = graph_of(weights, layer.source)
    lowering.add(
        Logic(
            lowering.label(Logic.kind),
            Stream(shape, layer.source, fold.simd),
            Stream(layer.output, layer.accumulator, fold.pe),
            finn=finn,
            stages=stage_of(made.depth) + 1,
            luts=made.luts,
        ),
        {"weights": layer.arrays["weights"]},
    )
    if layer.levels:
        behind = Levels(
            layer.output, layer.accumulator, layer.output, layer.result, levels=layer.levels,
            bias=layer.bias, finn=finn, arrays={"thresholds": layer.arrays["thresholds"]},
        )  # fmt: skip
        lowering.lower(behind, Fold(fold.pe, fold.pe))


def stages(node: Logic) -> int:
    """Registers on the way."""
    return node.stages


registry.register(
    Kind(
        node=Logic,
        values=values,
        resume=resume,
        size=size,
        effort=effort,
        stages=stages,
        layer=Matrix,
        styles=("constant",),
        foldings=foldings,
        lower=lower,
        fast=Fast(steps=steps, bound=bound),
        back=back,
    )
)
