"""A matrix times windows, prepared: where a feature map is small, no window is ever gathered.

The weights are spread over a band of the frame instead, and the product takes the frame's rows from
where they lie.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from exeunt.graph import IntArray
from exeunt.kernels.parts.fast import Floats, Scratch, Step
from exeunt.kernels.swg.node import Swg

GATHERED = 1 << 18  # elements of windows at a time: they stay in the cache
RUN = 400  # multiplications in the time in which a run of neighbours begins to be copied
COPY = 5  # multiplications in the time in which one element of it is copied


def product(node: Swg, weights: IntArray, dtype: np.dtype[Any]) -> Step:
    """W x of every window x, from the frame that the windows are of; see `Fast.product`."""
    way = Bands if in_bands(node, len(weights)) else Windows
    return way(node, weights, dtype)


class Windows:
    """Windows gathered in a buffer, then Y = W x of each."""

    def __init__(self, swg: Swg, weights: IntArray, dtype: np.dtype[Any]) -> None:
        self._swg = swg
        (h, w, channels), (oh, ow, _) = swg.input.shape, swg.output.shape
        top, left, bottom, right = swg.pad
        self._inner = (slice(None), slice(top, top + h), slice(left, left + w))
        self._padded = Scratch((h + top + bottom, w + left + right, channels), dtype)
        self._gathered = Scratch((oh, ow, *swg.kernel, channels), dtype)
        self._block = max(1, GATHERED // swg.output.elements)
        self._rows, self._weights = len(weights), np.ascontiguousarray(weights.T, dtype)
        self._y = Scratch((oh * ow * len(weights),), dtype)

    def __call__(self, x: Floats) -> Floats:
        """(n, elements of the frame) -> (n, OH * OW * rows)."""
        swg = self._swg
        padded = self._padded(len(x))  # its border stays 0
        padded[self._inner] = x.reshape(-1, *swg.input.shape)
        views = np.lib.stride_tricks.sliding_window_view(padded, swg.extent, axis=(1, 2))
        views = views[:, :: swg.stride[0], :: swg.stride[1]].transpose(0, 1, 2, 4, 5, 3)
        views = views[:, :, :, :: swg.dilation[0], :: swg.dilation[1]]
        y = self._y(len(x))
        for start in range(0, len(x), self._block):
            part = views[start : start + self._block]
            gathered = self._gathered(len(part))
            np.copyto(gathered, part)
            vectors = gathered.reshape(-1, len(self._weights))
            np.matmul(
                vectors, self._weights, out=y[start : start + len(part)].reshape(-1, self._rows)
            )
        return y


class Bands:
    """Each row of outputs is one product with the rows of the frame that its windows see.

    The matrix for (rows, W, C) -> (OW, MH) has the weights wherever a window lies and 0 elsewhere.
    """

    def __init__(self, swg: Swg, weights: IntArray, dtype: np.dtype[Any]) -> None:
        (_, w, channels), (oh, ow, _) = swg.input.shape, swg.output.shape
        (kh, kw), (sh, sw) = swg.kernel, swg.stride
        top, left = swg.pad[:2]
        kernel = weights.reshape(-1, kh, kw, channels).transpose(1, 2, 3, 0)
        self._y = Scratch((oh * ow * len(weights),), dtype)
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
        """(n, elements of the frame) -> (n, OH * OW * rows)."""
        y = self._y(len(x))
        for taken, given, matrix in self._parts:
            np.matmul(x[:, taken], matrix, out=y[:, given])
        return y


def _seen(swg: Swg, oy: int) -> tuple[int, int]:
    """Rows of the frame, first and one behind the last, in the windows of a row of outputs."""
    start = oy * swg.stride[0] - swg.pad[0]
    first = min(max(start, 0), swg.input.shape[0])
    return first, max(first, min(start + swg.kernel[0], swg.input.shape[0]))


def in_bands(swg: Swg, outputs: int) -> bool:
    """Whether bands take less time than windows for a matrix of `outputs` rows."""
    if swg.dilation != (1, 1):
        return False
    (_, w, channels), (oh, ow, elements) = swg.input.shape, swg.output.shape
    rows = sum(last - first for first, last in (_seen(swg, oy) for oy in range(oh)))
    bands = rows * w * channels * ow * outputs
    copies = swg.kernel[0] * RUN + elements * COPY
    return bands <= oh * ow * (elements * outputs + copies)
