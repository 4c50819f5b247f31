"""The network in integers: what a QONNX file computes, and what calibration and hardware share.

Images are integers, weights are integers, and every quantizer is a table of integer thresholds on
the sums in front of it, so nothing is rounded anywhere and every machine gives the same logits.
Tensors are (N, H, W, C) as they go through the hardware.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from exeunt.graph import Integer
from exeunt.qonnx.tables import Function
from exeunt.window import Window

IntArray: TypeAlias = "npt.NDArray[np.int64]"  # a text: NumPy 1.21 cannot subscript it
Shape: TypeAlias = tuple[int, int, int]  # (H, W, C)

BATCH = 128
_FLOAT32 = 1 << 24  # float32 holds all integers up to here, float64 those up to 2**53
_TABLE = 1 << 22  # entries of a table of thresholds; above, they are searched


@dataclass(frozen=True)
class Tensor:
    """Integers of `shape` (H, W, C) a frame, from `low` to `high`."""

    name: str
    shape: Shape
    low: int
    high: int

    @property
    def dtype(self) -> Integer:
        """The narrowest type that holds them."""
        return Integer.covering(self.low, self.high)

    @property
    def elements(self) -> int:
        """Of one frame."""
        return self.shape[0] * self.shape[1] * self.shape[2]


@dataclass(frozen=True)
class Matrix:
    """y = W x + o: a convolution where there is a window, otherwise one product for a whole frame.

    `weights`: (O, KH, KW, C) with a window, (O, H * W * C) without; the order is the stream's.
    With `groups` of channels and filters a filter sees its own channels: (O, KH, KW, C / groups).
    `offsets`: (O,), of the logits of an exit; elsewhere they are in the thresholds.
    """

    label: str
    source: Tensor
    result: Tensor
    weights: IntArray = field(repr=False)
    window: Window | None = None
    multiplies: int = 0  # of a frame, as the file has the layer
    groups: int = 1
    offsets: IntArray | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Threshold:
    """y = bias + #{t : x >= t} with ascending `thresholds` (rows, levels).

    One row for each channel, or one for each element of the frame where `flat`.
    """

    label: str
    source: Tensor
    result: Tensor
    thresholds: IntArray = field(repr=False)
    bias: int = 0
    flat: bool = False


@dataclass(frozen=True)
class Pool:
    """Maximum or sum over windows; padding counts for nothing (max) or zero (sum)."""

    label: str
    source: Tensor
    result: Tensor
    window: Window
    function: Literal["max", "sum"] = "max"


@dataclass(frozen=True)
class Join:
    """Two streams become one.

    "sum": factors[0] * x + factors[1] * y of elements x and y; "channels": those of the first
    times factors[0], then those of the other times factors[1].
    """

    label: str
    source: Tensor
    other: Tensor
    result: Tensor
    factors: tuple[int, int]
    function: Literal["sum", "channels"]


@dataclass(frozen=True)
class Reshape:
    """The same elements in the same order, as a map of another shape; nothing in hardware."""

    label: str
    source: Tensor
    result: Tensor


Operation: TypeAlias = "Matrix | Threshold | Pool | Join | Reshape"


def sources(operation: Operation) -> tuple[Tensor, ...]:
    """The tensors that an operation takes."""
    if isinstance(operation, Join):
        return operation.source, operation.other
    return (operation.source,)


@dataclass(frozen=True)
class View:
    """How a tensor of the file is seen in integers: `function` of `base`, element by element.

    `index`, of the tensor's shape, says which element of the stream's order (H, W, C) each is.
    """

    base: str
    index: IntArray = field(repr=False)
    function: Function

    def __call__(self, integers: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """The reals of the tensor, the batch first, for integers (N, H, W, C) of its base."""
        reals = self.function(integers.astype(np.float64)).reshape(len(integers), -1)
        return reals[:, self.index.ravel()].reshape(len(integers), *self.index.shape[1:])


@dataclass(frozen=True)
class Exit:
    """One exit: its logits stand for scale * integer + offset."""

    logits: Tensor
    scale: float
    output: str  # the file's tensor
    offset: float = 0.0  # the same for all classes, so it changes no answer and no margin


@dataclass(frozen=True)
class IntegerNetwork:
    """Operations in order, from the image to the logits of every exit."""

    where: str  # the file, for messages
    image: Tensor
    operations: tuple[Operation, ...]
    exits: tuple[Exit, ...]
    cuts: frozenset[str] = frozenset()  # tensors of integers with one scale
    quantized: frozenset[str] = frozenset()  # those of them that a quantizer of the file gives
    views: Mapping[str, View] = field(default_factory=dict, repr=False)  # the file's tensors

    @property
    def makers(self) -> dict[str, Operation]:
        """The operation behind every tensor."""
        return {operation.result.name: operation for operation in self.operations}

    def behind(self, tensor: str) -> set[str]:
        """Names of all tensors that `tensor` rests on, with its own."""
        makers, found, waiting = self.makers, set[str](), [tensor]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += [s.name for s in sources(makers[name])] if name in makers else []
        return found

    def spine(self, tensor: str) -> list[str]:
        """Names of the tensors that every way from the image to `tensor` passes, in order."""
        ways: dict[str, list[str]] = {self.image.name: [self.image.name]}
        for operation in self.operations:
            first, *others = (ways[s.name] for s in sources(operation))
            for other in others:
                pairs = itertools.takewhile(lambda p: p[0] == p[1], zip(first, other, strict=False))
                first = [name for name, _ in pairs]
            ways[operation.result.name] = [*first, operation.result.name]
        return ways[tensor]

    @property
    def scales(self) -> list[float]:
        """For each exit what the integer 1 in its logits stands for."""
        return [e.scale for e in self.exits]

    def multiplies(self) -> list[int]:
        """Multiplications of a frame that leaves at exit i: all that exits 0 to i rest on."""
        makers, seen, totals = self.makers, set[str](), []
        total = 0
        for e in self.exits:
            for name in self.behind(e.logits.name):
                made = makers.get(name)
                if name not in seen and isinstance(made, Matrix):
                    total += made.multiplies
                seen.add(name)
            totals.append(total)
        return totals

    def per_class(self) -> list[int]:
        """For each exit the multiplications of one logit in the last layer of its head.

        0 where the logits are not those of a matrix, with a quantizer behind it or without.
        """
        makers, found = self.makers, []
        for e in self.exits:
            made = makers.get(e.logits.name)
            while isinstance(made, View | Threshold):
                made = makers.get(made.source.name)
            whole = made.multiplies if isinstance(made, Matrix) else 0
            found.append(whole // e.logits.elements)
        return found

    def logits(
        self,
        images: npt.NDArray[np.uint8],
        *,
        progress: Callable[[int], None] | None = None,
    ) -> list[IntArray]:
        """Integer logits of every exit, int64 (N, classes), for images uint8 (N, H, W, C)."""
        wanted = [e.logits.name for e in self.exits]
        parts: list[list[IntArray]] = [[] for _ in wanted]
        for start in range(0, len(images), BATCH):
            frames = images[start : start + BATCH]
            values = self.tensors(frames, keep=wanted)
            for found, name in zip(parts, wanted, strict=True):
                found.append(values[name].reshape(len(frames), -1).astype(np.int64))
            if progress is not None:
                progress(min(start + BATCH, len(images)))
        empty = [np.zeros((0, e.logits.elements), np.int64) for e in self.exits]
        return [np.concatenate(p) if p else e for p, e in zip(parts, empty, strict=True)]

    def tensors(
        self, images: npt.NDArray[np.uint8], *, keep: Sequence[str] | None = None
    ) -> dict[str, npt.NDArray[Any]]:
        """Integers of the tensors named in `keep` (None: all) for a batch of images.

        Images uint8 (N, H, W, C); tensors (N, H, W, C) of a float type that holds them exactly.
        """
        last = {t.name: k for k, o in enumerate(self.operations) for t in sources(o)}
        values: dict[str, npt.NDArray[Any]] = {self.image.name: images}
        for k, operation in enumerate(self.operations):
            taken = [tensor.name for tensor in sources(operation)]
            values[operation.result.name] = run(operation, *(values[name] for name in taken))
            for source in set(taken):
                if keep is not None and last[source] == k and source not in keep:
                    del values[source]
        return values


def run(operation: Operation, *taken: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The result (N, H, W, C) of one operation on its integers (N, H, W, C), exact."""
    if isinstance(operation, Join):
        return _join(operation, *taken)
    (x,) = taken
    if isinstance(operation, Matrix):
        return _matrix(operation, x)
    if isinstance(operation, Threshold):
        return _threshold(operation, x)
    if isinstance(operation, Reshape):
        return x.reshape(len(x), *operation.result.shape)
    summed = operation.function == "sum"
    y = _windows(x, operation.window, fill=0 if summed else operation.source.low)
    if summed:
        return y.sum(axis=(3, 4), dtype=_holding(operation.result))
    return np.asarray(y.max(axis=(3, 4)))


def _join(join: Join, x: npt.NDArray[Any], y: npt.NDArray[Any]) -> npt.NDArray[Any]:
    dtype = _holding(join.result)
    shapes = (join.source.shape, join.other.shape)
    x, y = (
        part.reshape(-1, *shape).astype(dtype) * dtype(factor)
        for part, shape, factor in zip((x, y), shapes, join.factors, strict=True)
    )
    return x + y if join.function == "sum" else np.concatenate([x, y], axis=3)


def _holding(tensor: Tensor, bound: int = 0) -> type[np.floating[Any]]:
    """A float type that holds the tensor's integers and sums up to `bound`."""
    largest = max(bound, -tensor.low, tensor.high)
    return np.float32 if largest <= _FLOAT32 else np.float64


def _windows(x: npt.NDArray[Any], window: Window, *, fill: int = 0) -> npt.NDArray[Any]:
    """(N, OH, OW, KH, KW, C), a view where nothing is padded."""
    top, left, bottom, right = window.pad
    if any(window.pad):
        pads = ((0, 0), (top, bottom), (left, right), (0, 0))
        x = np.pad(x, pads, constant_values=fill)
    view = np.lib.stride_tricks.sliding_window_view(x, window.extent, axis=(1, 2))
    view = view[:, :: window.stride[0], :: window.stride[1]].transpose(0, 1, 2, 4, 5, 3)
    return view[:, :, :, :: window.dilation[0], :: window.dilation[1]]


def _matrix(matrix: Matrix, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    weights = matrix.weights.reshape(len(matrix.weights), -1)
    bound = int(np.abs(weights).sum(axis=1).max()) * max(-matrix.source.low, matrix.source.high)
    dtype = _holding(matrix.result, bound)
    x = x.astype(dtype, copy=False)
    if matrix.window is not None:
        x = _windows(x, matrix.window)
    if matrix.groups == 1:
        y = x.reshape(-1, weights.shape[1]) @ weights.T.astype(dtype)
    else:
        y = _grouped(matrix, x, weights.astype(dtype))
    if matrix.offsets is not None:
        y = y + matrix.offsets  # in float64
    return y.reshape(-1, *matrix.result.shape)


def _grouped(matrix: Matrix, x: npt.NDArray[Any], weights: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(pixels, O): filters (O, n) of windows (N, OH, OW, KH, KW, C), each of its own channels."""
    taps, groups = x.shape[3] * x.shape[4], matrix.groups
    parts = x.reshape(-1, taps, groups, x.shape[5] // groups).transpose(2, 0, 1, 3)
    y = np.matmul(
        parts.reshape(groups, parts.shape[1], -1),
        weights.reshape(groups, -1, weights.shape[1]).transpose(0, 2, 1),
    )
    return y.transpose(1, 0, 2).reshape(-1, len(weights))


def _threshold(node: Threshold, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    rows, _ = node.thresholds.shape
    flat = x.reshape(-1, rows)
    low, span = node.source.low, node.source.high - node.source.low + 1
    if rows * span <= _TABLE:
        first = np.clip(node.thresholds - low, 0, span)  # x - low from which a threshold counts
        steps = np.zeros((rows, span + 1), np.float32)
        np.add.at(steps, (np.arange(rows)[:, None], first), 1)
        table = (np.cumsum(steps[:, :span], axis=1) + np.float32(node.bias)).reshape(-1)
        y = table.take(flat.astype(np.int32) + (np.arange(rows, dtype=np.int32) * span - low))
    else:
        y = np.empty(flat.shape, np.float32)
        for row in range(rows):
            y[:, row] = np.searchsorted(node.thresholds[row], flat[:, row], side="right")
        y += np.float32(node.bias)
    return y.reshape(-1, *node.result.shape)
