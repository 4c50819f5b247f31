"""The reference of a whole accelerator, prepared once and then fast: the values of `network`.

Activations stay floats that hold integers exactly, one row a frame, so that a layer is a matrix
product of BLAS and one lookup in a table of its thresholds. Where a feature map is small, the
windows of a row of outputs are never gathered: the weights are spread over a band of the frame
instead, and the product takes the frame's rows from where they lie.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from exeunt.graph import Accelerator, Chain, IntArray, Integer, Mvu, Node, Swg, Threshold, Width
from exeunt.reference.threshold import TABLE_ENTRIES, count, narrow, table

Floats: TypeAlias = "npt.NDArray[np.floating[Any]]"  # a text: as in exeunt.graph
Step = Callable[[Floats], Floats]  # (n, input elements) -> (n, output elements)

EXACT = 1 << 24  # float32 holds all integers below it, float64 those below 2**53
RUN = 400  # multiplications in the time in which a run of neighbours begins to be copied
COPY = 5  # multiplications in the time in which one element of it is copied


class _Scratch:
    """Memory for the frames of a block, kept from block to block."""

    def __init__(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
        self._room: npt.NDArray[Any] = np.zeros((0, *shape), dtype)

    def __call__(self, frames: int) -> npt.NDArray[Any]:
        if len(self._room) < frames:
            self._room = np.zeros((frames, *self._room.shape[1:]), self._room.dtype)
        return self._room[:frames]


def _extremes(weights: IntArray, dtype: Integer) -> tuple[int, int]:
    """Smallest and largest W x for integers x of `dtype`."""
    positive, negative = np.maximum(weights, 0).sum(axis=1), np.minimum(weights, 0).sum(axis=1)
    low = positive * dtype.min + negative * dtype.max
    high = positive * dtype.max + negative * dtype.min
    return int(low.min()), int(high.max())


def _type(accelerator: Accelerator) -> np.dtype[Any]:
    """The float type that holds every sum of the accelerator, in whatever order it is added."""
    bound = 0
    for node in (n for chain in accelerator.chains for n in chain.nodes):
        bound = max(bound, -node.output.dtype.min, node.output.dtype.max)
        if isinstance(node, Mvu):
            rows = np.abs(accelerator.of(node)["weights"].astype(np.int64)).sum(axis=1)
            bound = max(bound, int(rows.max()) * max(-node.input.dtype.min, node.input.dtype.max))
    assert bound < 1 << 53, "beyond the integers of a float64"
    return np.dtype(np.float32 if bound < EXACT else np.float64)


class _Matrix:
    """Y = W x of vectors that lie one behind the other."""

    def __init__(self, node: Mvu, weights: IntArray, dtype: np.dtype[Any]) -> None:
        self._weights = np.ascontiguousarray(weights.T, dtype)
        self._y = _Scratch((node.output.elements,), dtype)

    def __call__(self, x: Floats) -> Floats:
        rows, columns = self._weights.shape
        y = self._y(len(x))
        np.matmul(x.reshape(-1, rows), self._weights, out=y.reshape(-1, columns))
        return y


class _Windows:
    """Windows gathered in a buffer, then Y = W x of each."""

    def __init__(self, swg: Swg, mvu: Mvu, weights: IntArray, dtype: np.dtype[Any]) -> None:
        self._swg = swg
        h, w, channels = swg.input.shape
        top, left, bottom, right = swg.pad
        self._inner = (slice(None), slice(top, top + h), slice(left, left + w))
        self._padded = _Scratch((h + top + bottom, w + left + right, channels), dtype)
        self._gathered = _Scratch((*swg.output.shape[:2], *swg.kernel, channels), dtype)
        self._matrix = _Matrix(mvu, weights, dtype)

    def __call__(self, x: Floats) -> Floats:
        swg = self._swg
        padded = self._padded(len(x))  # its border stays 0
        padded[self._inner] = x.reshape(-1, *swg.input.shape)
        views = np.lib.stride_tricks.sliding_window_view(padded, swg.kernel, axis=(1, 2))
        views = views[:, :: swg.stride[0], :: swg.stride[1]].transpose(0, 1, 2, 4, 5, 3)
        gathered = self._gathered(len(x))
        np.copyto(gathered, views)
        return self._matrix(gathered.reshape(len(x), -1))


class _Bands:
    """Each row of outputs is one product with the rows of the frame that its windows see.

    The matrix for (rows, W, C) -> (OW, MH) has the weights wherever a window lies and 0 elsewhere.
    """

    def __init__(self, swg: Swg, mvu: Mvu, weights: IntArray, dtype: np.dtype[Any]) -> None:
        (_, w, channels), (oh, ow, _) = swg.input.shape, swg.output.shape
        (kh, kw), (sh, sw) = swg.kernel, swg.stride
        top, left = swg.pad[:2]
        kernel = weights.reshape(-1, kh, kw, channels).transpose(1, 2, 3, 0)
        self._y = _Scratch((mvu.output.elements,), dtype)
        self._parts: list[tuple[slice, slice, Floats]] = []
        matrices: dict[tuple[int, int], Floats] = {}
        size = ow * len(weights)
        for oy in range(oh):
            first, last = _seen(swg, oy)
            rows = (first - oy * sh + top, last - oy * sh + top)  # of the kernel
            if rows not in matrices:
                band = np.zeros((last - first, w, channels, ow, len(weights)), dtype)
                for ox in range(ow):
                    for kx in range(kw):
                        x = ox * sw - left + kx
                        if 0 <= x < w:
                            band[:, x, :, ox] = kernel[rows[0] : rows[1], kx]
                matrices[rows] = band.reshape(-1, size)
            taken = slice(first * w * channels, last * w * channels)
            self._parts.append((taken, slice(oy * size, (oy + 1) * size), matrices[rows]))

    def __call__(self, x: Floats) -> Floats:
        y = self._y(len(x))
        for taken, given, matrix in self._parts:
            np.matmul(x[:, taken], matrix, out=y[:, given])
        return y


def _seen(swg: Swg, oy: int) -> tuple[int, int]:
    """Rows of the frame, first and one behind the last, in the windows of a row of outputs."""
    start = oy * swg.stride[0] - swg.pad[0]
    first = min(max(start, 0), swg.input.shape[0])
    return first, max(first, min(start + swg.kernel[0], swg.input.shape[0]))


def _in_bands(swg: Swg, mvu: Mvu) -> bool:
    """Whether bands take less time than windows."""
    (_, w, channels), (oh, ow, elements) = swg.input.shape, swg.output.shape
    rows = sum(last - first for first, last in (_seen(swg, oy) for oy in range(oh)))
    outputs = mvu.output.shape[2]
    bands = rows * w * channels * ow * outputs
    copies = swg.kernel[0] * RUN + elements * COPY
    return bands <= oh * ow * (elements * outputs + copies)


class _Levels:
    """Y = bias + #{t : x >= t} by one table of all channels."""

    def __init__(
        self,
        node: Mvu | Threshold,
        thresholds: IntArray,
        span: tuple[int, int],
        dtype: np.dtype[Any],
    ) -> None:
        low, high = span
        channels, size = len(thresholds), high - low + 1
        steps = table(thresholds, low, high, node.bias, narrow(node.output.dtype))
        self._table = steps.astype(dtype).reshape(-1)
        pixels = node.output.elements // channels
        self._offset = np.tile(np.arange(channels) * size - low, pixels).astype(dtype)
        self._index = _Scratch((node.output.elements,), np.intp)
        self._y = _Scratch((node.output.elements,), dtype)

    def __call__(self, x: Floats) -> Floats:
        index, y = self._index(len(x)), self._y(len(x))
        np.add(x, self._offset, out=index, casting="unsafe")
        self._table.take(index, out=y, mode="clip")  # in range; "clip" writes straight into y
        return y


def _levels(
    node: Mvu | Threshold, thresholds: IntArray, span: tuple[int, int], dtype: np.dtype[Any]
) -> Step:
    low, high = span
    if len(thresholds) * (high - low + 1) < TABLE_ENTRIES:
        return _Levels(node, thresholds, span, dtype)

    def search(x: Floats) -> Floats:
        flat = x.reshape(-1, len(thresholds)).astype(np.int64)
        y = count(flat, thresholds, bias=node.bias, output=node.output.dtype, low=low, high=high)
        return y.reshape(len(x), -1).astype(dtype)

    return search


def _other(node: Node, arrays: Mapping[str, IntArray], dtype: np.dtype[Any]) -> Step:
    """A node by its own reference."""
    values = importlib.import_module(f"exeunt.reference.{node.kind}").values

    def step(x: Floats) -> Floats:
        y: Floats = values(node, arrays, x).reshape(len(x), -1).astype(dtype, copy=False)
        return y

    return step


def _steps(accelerator: Accelerator, chain: Chain, dtype: np.dtype[Any]) -> list[Step]:
    """What a chain does, one after the other; a window generator joins the matrix behind it."""
    nodes: Sequence[Node] = [n for n in chain.nodes if not isinstance(n, Width)]
    steps: list[Step] = []
    for i, node in enumerate(nodes):
        arrays = accelerator.of(node)
        before = nodes[i - 1] if i else None
        after = nodes[i + 1] if i + 1 < len(nodes) else None
        if isinstance(node, Mvu):
            weights = arrays["weights"].astype(np.int64)
            if not isinstance(before, Swg):
                steps.append(_Matrix(node, weights, dtype))
            elif _in_bands(before, node):
                steps.append(_Bands(before, node, weights, dtype))
            else:
                steps.append(_Windows(before, node, weights, dtype))
            if node.levels:
                span = _extremes(weights, node.input.dtype)
                steps.append(_levels(node, arrays["thresholds"], span, dtype))
        elif isinstance(node, Threshold):
            span = (node.input.dtype.min, node.input.dtype.max)
            steps.append(_levels(node, arrays["thresholds"], span, dtype))
        elif not (isinstance(node, Swg) and isinstance(after, Mvu)):
            steps.append(_other(node, arrays, dtype))
    return steps


class Prepared:
    """An accelerator with its matrices and tables laid out for the processor.

    It keeps memory from call to call: one thread at a time.
    """

    def __init__(self, accelerator: Accelerator) -> None:
        self._dtype = _type(accelerator)
        self._classes = [head.output.elements for head in accelerator.heads]
        self._segments = [_steps(accelerator, c, self._dtype) for c in accelerator.segments]
        self._heads = [_steps(accelerator, c, self._dtype) for c in accelerator.heads]
        self._elements = accelerator.segments[0].input.elements

    def stage(self, index: int, x: Floats) -> tuple[Floats, Floats]:
        """Segment and head `index` alone, for who stops computing where a frame leaves.

        Args:
            index: of the exit.
            x: (N, elements) integers as floats: the images, or what the stage before gave.

        Returns:
            What goes on to the next stage (N, elements), and the logits (N, classes); both only
            until the next call.
        """
        x = x.reshape(len(x), -1).astype(self._dtype, copy=False)
        for step in self._segments[index]:
            x = step(x)
        y = x
        for step in self._heads[index]:
            y = step(y)
        return x, y

    def logits(
        self,
        images: npt.NDArray[np.uint8],
        *,
        batch: int,
        progress: Callable[[int], None] | None = None,
    ) -> tuple[npt.NDArray[np.int64], ...]:
        """Integer logits of every exit for every image.

        Args:
            images: uint8 (N, H, W, C), any layout with the input stream's number of elements.
            batch: frames at a time.
            progress: called with the number of frames done so far.

        Returns:
            for each exit int64 (N, classes).
        """
        found = tuple(np.empty((len(images), c), np.int64) for c in self._classes)
        for start in range(0, len(images), batch):
            part = slice(start, min(start + batch, len(images)))
            x: Floats = images[part].reshape(-1, self._elements).astype(self._dtype)
            for index, out in enumerate(found):
                x, out[part] = self.stage(index, x)
            if progress is not None:
                progress(part.stop)
        return found
