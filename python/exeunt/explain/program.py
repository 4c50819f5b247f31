"""What the engine does for one exit and one method: a list of steps, last layer first.

There are two kinds of step. A *scatter* takes every non-zero gradient of a stream and adds it,
times the weights that it went through, to a map of sums. A *sweep* goes over such a map once, and
makes of it the next stream: masked, times the slope of the quantizer, rounded to few bits, pruned.

A stream is (H, W, C) signed integers of few bits, most of them 0. In front of a max pool it has the
shape of the pool's output, and each value belongs to the input that was the largest: whoever takes
it looks up where that is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from exeunt.errors import InputError
from exeunt.graph import IntArray, Node
from exeunt.runtime.maps import METHODS as METHODS

Shape = tuple[int, int, int]

SALIENCY, PRODUCT, GUIDED, DECONVNET, CAM = METHODS
EDGES, LEVELS = MASKS = ("edges", "levels")
MIN_BITS, MAX_BITS = 4, 16
START = 0  # the stream that holds 1 at the class that is explained
IMAGE = -1  # the forward stream that is the image


@dataclass(frozen=True)
class Route:
    """A max pool: where in its window the largest input is, the first of several.

    `tensor` is the forward stream that the pool takes, `shape` its shape.
    """

    tensor: int
    shape: Shape
    kernel: tuple[int, int]
    stride: tuple[int, int]
    pad: tuple[int, int, int, int]  # top, left, bottom, right
    dilation: tuple[int, int] = (1, 1)

    @property
    def overlapping(self) -> bool:
        """Whether an input may be the largest of several windows."""
        return any(
            (k - 1) * d + 1 > s
            for k, d, s in zip(self.kernel, self.dilation, self.stride, strict=True)
        )


@dataclass(frozen=True)
class Scatter:
    """Each g[oy][ox][co] != 0 adds g * factor * W[co][ky][kx][ci] to sums[y][x][ci].

    y = oy * SH - top + ky * DH, x likewise; what lies outside is dropped. The gradients are those
    of channels `first` to `first + rows - 1` of a stream, at the places where `routes` send them.
    Without weights it adds g * factor to sums[oy][ox][co - first].

    Attributes:
        stream: whose gradients are taken.
        node: whose weights these are; "" without.
        first: channel.
        rows: channels.
        factor: integer.
        weights: integers (rows, KH, KW, C), None without.
        kernel: (KH, KW).
        stride: (SH, SW).
        pad: top, left.
        dilation: (DH, DW).
        groups: equal parts of the rows, each with C / groups channels of its own.
        routes: the max pools that the gradients go back through first, in that order.
    """

    stream: int
    node: str
    first: int
    rows: int
    factor: int = 1
    weights: IntArray | None = field(default=None, repr=False, compare=False)
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    pad: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    routes: tuple[Route, ...] = ()


@dataclass(frozen=True)
class Mask:
    """Where a quantizer lets a gradient pass: levels above `low` and below `high` of a probe.

    Attributes:
        tensor: the forward stream that the quantizer gives; the mask has its shape.
        probe: the quantizer's node with other thresholds; None: the levels that it gives itself.
        edges: int64 (C, 2), thresholds of the probe.
        low: the highest level that does not pass.
        high: the lowest level above it that does not pass.
    """

    tensor: int
    probe: Node | None = field(default=None, repr=False, compare=False)
    edges: npt.NDArray[np.int64] | None = field(default=None, repr=False, compare=False)
    low: int = 0
    high: int = 2


@dataclass(frozen=True)
class Sweep:
    """Sums of `scatters`, then a stream of them.

    With a = sums[y // SY][x // SX][c] the value is
    v = sign(a) * min(floor((|a| * m[c] + 2**(shift - 1)) / 2**shift), 2**(bits - 1) - 1), times the
    pixel before it is shifted where `pixels`; 0 where the mask is 0 or |v| < prune. With `positive`
    a negative v is 0.

    Attributes:
        name: of the node whose quantizer it goes through, or of the place.
        sums: shape of the map of sums.
        shape: of the stream.
        scatters: what is added up.
        slope: float64 (C,) of the quantizer, None where there is none (m = 1).
        mask: where it passes; None: everywhere.
        positive: only what is positive passes.
        pixels: times the image.
        spread: (SY, SX), the windows of a sum pool that gave the sums.
        routes: the max pools behind the quantizer: the mask is that of the largest input.
    """

    name: str
    sums: Shape
    shape: Shape
    scatters: tuple[Scatter, ...]
    slope: npt.NDArray[np.float64] | None = field(default=None, repr=False, compare=False)
    mask: Mask | None = None
    positive: bool = False
    pixels: bool = False
    spread: tuple[int, int] = (1, 1)
    routes: tuple[Route, ...] = ()


@dataclass(frozen=True)
class Features:
    """Grad-CAM of a linear head: cam[y][x] = max(0, sum over c of weights[class][c] * F[y][x][c]).

    weights[k][c] is the sum over all places of the gradient of logit k, a constant.

    Attributes:
        name: of the node that gives the features F.
        tensor: forward stream of F.
        shape: of F.
        weights: integers (classes, C).
    """

    name: str
    tensor: int
    shape: Shape
    weights: IntArray = field(repr=False, compare=False)


@dataclass(frozen=True)
class Program:
    """The steps for one exit and one method.

    Attributes:
        exit: index.
        method: one of METHODS.
        classes: of the exit.
        nodes: the forward nodes in order, segment by segment and the head.
        reads: for each node the numbers of the forward streams that it takes.
        sweeps: stream i + 1 is what sweep i gives; stream 0 is 1 at the class and 0 elsewhere. The
            last one is the map. Empty for Grad-CAM.
        features: of Grad-CAM.
    """

    exit: int
    method: str
    classes: int
    nodes: tuple[Node, ...] = field(repr=False)
    reads: tuple[tuple[int, ...], ...] = field(repr=False)
    sweeps: tuple[Sweep, ...] = ()
    features: Features | None = None

    @property
    def shape(self) -> Shape:
        """(H, W, C) of the map."""
        if self.features is not None:
            return (*self.features.shape[:2], 1)
        return self.sweeps[-1].shape

    def stream_shape(self, stream: int) -> Shape:
        """(H, W, C) of a stream of gradients."""
        return (1, 1, self.classes) if stream == START else self.sweeps[stream - 1].shape

    @property
    def routes(self) -> tuple[Route, ...]:
        """Every max pool that it goes back through, once."""
        found = [r for s in self.sweeps for r in s.routes]
        found += [r for s in self.sweeps for t in s.scatters for r in t.routes]
        return tuple({route.tensor: route for route in found}.values())

    @property
    def masks(self) -> dict[int, Mask]:
        """Every mask by its forward stream."""
        return {s.mask.tensor: s.mask for s in self.sweeps if s.mask is not None}

    @property
    def tensors(self) -> frozenset[int]:
        """Forward streams that a map needs, beside masks: inputs of max pools, features."""
        found = {r.tensor for r in self.routes}
        if self.features is not None:
            found.add(self.features.tensor)
        return frozenset(found)


def checked_method(method: str) -> str:
    """The method, if it is one.

    Raises:
        InputError: it is not.
    """
    if method not in METHODS:
        raise InputError(
            f"the method of a map must be one of {', '.join(METHODS)}, got {method!r}: choose one "
            "of them"
        )
    return method


def checked_mask(mask: str) -> str:
    """How masks are made, if there is such a way.

    Raises:
        InputError: there is not.
    """
    if mask not in MASKS:
        raise InputError(
            f"masks must be one of {', '.join(MASKS)}, got {mask!r}: edges are those of the line "
            "that a quantizer rounds"
        )
    return mask


def checked_bits(bits: int) -> int:
    """The bits of a gradient, if they can be.

    Raises:
        InputError: they cannot.
    """
    if not MIN_BITS <= bits <= MAX_BITS:
        raise InputError(
            f"gradients must have {MIN_BITS} to {MAX_BITS} bits, got {bits}: choose such a width"
        )
    return bits


def checked_classes(classes: Any, count: int, known: int) -> npt.NDArray[np.int64]:
    """Classes int64 (N,), if they are those of N frames.

    Raises:
        InputError: they are not, or one does not exist.
    """
    found = np.asarray(classes)
    if found.dtype.kind not in "ui" or found.shape not in ((), (count,)):
        raise InputError(
            f"classes must be one integer for each of {count} frames, got {found.dtype} of shape "
            f"{found.shape}: give the class that each map explains"
        )
    whole = np.broadcast_to(found, count).astype(np.int64)
    wrong = whole[(whole < 0) | (whole >= known)]
    if len(wrong):
        raise InputError(
            f"the class of a map must be in 0..{known - 1}, got {wrong[0]}: choose one that the "
            "network knows"
        )
    return whole
