"""From the compiled graph to the steps of an explanation, last layer first.

The gradient of a forward tensor is a sum of terms, each a stream of gradients that went through at
most one matrix. At a quantizer the terms are added up and swept into the next stream. Max pools
behind a quantizer become routes of that stream, sum pools are read with divided addresses, windows
and the matrix behind them become one convolution.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import numpy as np

from exeunt.errors import InputError
from exeunt.explain.backward import scatter
from exeunt.explain.program import (
    CAM,
    DECONVNET,
    EDGES,
    GUIDED,
    IMAGE,
    LEVELS,
    PRODUCT,
    START,
    Features,
    Mask,
    Program,
    Route,
    Scatter,
    Shape,
    Sweep,
    checked_mask,
    checked_method,
)
from exeunt.explain.slopes import line, rectified
from exeunt.graph import Accelerator, Dataflow, IntArray, Node
from exeunt.kernels import registry
from exeunt.kernels.parts.back import (
    Channels,
    Part,
    Product,
    Same,
    Steps,
    Tiles,
    Vectors,
    Windows,
)


@dataclass(frozen=True)
class _Sum:
    """The gradient of a forward tensor: terms added up in `sums`, read with `spread` and `routes`.

    `shape` is the tensor's, `pending` the number of vectors of a maximum whose windows come next.
    """

    shape: Shape
    sums: Shape
    terms: tuple[Scatter, ...]
    spread: tuple[int, int] = (1, 1)
    routes: tuple[Route, ...] = ()
    pending: int = 0

    @property
    def plain(self) -> bool:
        """Whether it is nothing but the terms."""
        return self.spread == (1, 1) and not self.routes and not self.pending

    @property
    def swept(self) -> Shape:
        """The shape in which it is swept: what the routes start from."""
        if not self.routes:
            return self.shape
        first = self.routes[0]
        extent = [(k - 1) * d + 1 for k, d in zip(first.kernel, first.dilation, strict=True)]
        pads = (first.pad[0] + first.pad[2], first.pad[1] + first.pad[3])
        rows, columns = (
            (size + pad - inner) // step + 1
            for size, pad, inner, step in zip(
                first.shape[:2], pads, extent, first.stride, strict=True
            )
        )
        return rows, columns, first.shape[2]


def path(accelerator: Accelerator, exit_index: int) -> Dataflow:
    """Segments up to an exit, and its head, as one."""
    chains = [*accelerator.segments[: exit_index + 1], accelerator.heads[exit_index]]
    return functools.reduce(Dataflow.then, chains)


def program(
    accelerator: Accelerator, exit_index: int, method: str, *, mask: str = EDGES
) -> Program:
    """The steps that explain an answer of one exit.

    Args:
        accelerator: the compiled graph, with its arrays.
        exit_index: of the exit.
        method: one of METHODS.
        mask: "edges": a gradient passes where the quantizer's line is neither below its beginning
            nor above its end, which takes two more thresholds a channel; "levels": where the level
            is neither the lowest nor the highest, which takes nothing and is coarser.

    Raises:
        InputError: no such exit, method or mask, or a layer that the method cannot go back through.
    """
    checked_method(method)
    checked_mask(mask)
    count = len(accelerator.heads)
    if not 0 <= exit_index < count:
        raise InputError(
            f"the exit of a map must be in 0..{count - 1}, got {exit_index}: the network has "
            f"{count} exits"
        )
    return _Walk(accelerator, exit_index, method, mask).program()


class _Walk:
    """One walk from the logits back to the image."""

    def __init__(self, accelerator: Accelerator, exit_index: int, method: str, mask: str) -> None:
        self._exit, self._method, self._mask = exit_index, method, mask
        self._chain = path(accelerator, exit_index)
        self._parts = [self._back(accelerator, node) for node in self._chain.nodes]
        self._shapes = {IMAGE: self._chain.input.shape}
        self._shapes |= {i: stream.shape for i, stream in enumerate(self._chain.streams)}
        self._image = accelerator.image_shape
        self._classes = self._chain.output.elements
        self._sweeps: list[Sweep] = []
        # the node at which the walk is, the tensor that it takes and the one that it gives
        self._name, self._number, self._output = "", IMAGE, IMAGE

    def _back(self, accelerator: Accelerator, node: Node) -> tuple[tuple[Part, ...], ...]:
        back = registry.of(node).back
        if back is None:
            raise InputError(
                f"{node.name} must be of a kind that explanations go back through, got "
                f"{node.kind}: use another layer there"
            )
        return back(node, accelerator.of(node))

    def program(self) -> Program:
        """The whole list."""
        chain = self._chain
        waiting: dict[int, list[_Sum]] = {}
        last = len(chain.streams) - 1
        logits = self._shapes[last]
        start = Scatter(START, "", 0, self._classes)
        waiting[last] = [_Sum(logits, logits, (start,))]
        order = list(zip(chain.nodes, chain.reads, chain.first_streams, self._parts, strict=True))
        for node, reads, first, parts in reversed(order):
            self._name = node.name
            given = [g for k in range(len(node.outputs)) for g in waiting.pop(first + k, [])]
            if not given:
                continue
            found = self._merged(given)
            for number, stream, inside in zip(reads, node.inputs, parts, strict=True):
                gradient, self._number, self._output = found, number, first
                for part in reversed(inside):
                    if isinstance(part, Steps) and self._method == CAM:
                        return self._cam(gradient, first, node)
                    gradient = self._through(gradient, part, node)
                gradient = self._shaped(gradient, stream.shape)
                waiting.setdefault(number, []).append(self._shaped(gradient, self._shapes[number]))
        if self._method == CAM:
            raise InputError(
                f"grad-cam must find activations between image and exit {self._exit}, got none: "
                "choose another method"
            )
        self._name = "image"
        final = self._merged(waiting[IMAGE])
        if final.routes or (final.shape != self._image and not final.plain):
            final = self._stream(final)
        self._sweep(replace(final, shape=self._image), pixels=self._method == PRODUCT)
        return Program(
            self._exit, self._method, self._classes, chain.nodes, chain.reads, tuple(self._sweeps)
        )

    def _cam(self, gradient: _Sum, number: int, node: Node) -> Program:
        """Of the first quantizer on the way, whose gradients depend on nothing but the class."""
        constant = np.zeros((self._classes, gradient.sums[2]), np.int64)
        every = np.eye(self._classes, dtype=np.int64).reshape(-1, 1, 1, self._classes)
        for term in gradient.terms:
            if term.stream != START:
                raise InputError(
                    f"grad-cam must find a head that is linear in its pooled features, got more "
                    f"than one layer behind {node.name} at exit {self._exit}: choose another method"
                )
            bare = replace(term, routes=())  # where a pool sends it does not change the sum
            constant += scatter(every, bare, gradient.sums).sum(axis=(1, 2)).astype(np.int64)
        area = gradient.spread[0] * gradient.spread[1]
        features = Features(node.name, number, node.output.shape, constant * area)
        chain = self._chain
        return Program(self._exit, CAM, self._classes, chain.nodes, chain.reads, features=features)

    # ------------------------------------------------------------------ parts

    def _through(self, found: _Sum, part: Part, node: Node) -> _Sum:
        if isinstance(part, Same):
            return self._times(found, part.factor)
        if isinstance(part, Channels):
            return self._channels(found, part)
        if isinstance(part, Product):
            return self._product(found, part, node)
        if isinstance(part, Windows):
            return self._windows(found, part)
        if isinstance(part, Tiles):
            return self._tiles(found, part, node)
        if isinstance(part, Vectors):
            return self._vectors(found, part, node)
        return self._steps(found, part, node)

    def _times(self, found: _Sum, factor: int) -> _Sum:
        terms = tuple(replace(t, factor=t.factor * factor) for t in found.terms)
        return replace(found, terms=terms)

    def _channels(self, found: _Sum, part: Channels) -> _Sum:
        if found.routes or any(t.routes for t in found.terms):
            found = self._stream(found)
        terms = []
        here = slice(part.first, part.first + part.count)
        for term in found.terms:
            if term.weights is None:
                terms.append(replace(term, first=term.first + part.first, rows=part.count))
            else:
                weights = term.weights[..., here]
                terms.append(replace(term, weights=weights, groups=_groups(term, weights)))
        inner = (*found.sums[:2], part.count)
        cut = replace(found, shape=(*found.shape[:2], part.count), sums=inner, terms=tuple(terms))
        return self._times(cut, part.factor)

    def _product(self, found: _Sum, part: Product, node: Node) -> _Sum:
        if not found.plain or any(t.weights is not None for t in found.terms):
            found = self._stream(found)
        height, width, rows = node.output.shape
        assert found.shape == (height, width, rows), f"{node.name}: {found.shape}"
        weights = part.weights.reshape(rows, 1, 1, -1)
        terms = tuple(
            replace(t, node=node.name, weights=weights, groups=part.groups) for t in found.terms
        )
        shape = (height, width, weights.shape[3])
        return _Sum(shape, shape, terms)

    def _windows(self, found: _Sum, part: Windows) -> _Sum:
        height, width, channels = self._shapes[self._number]
        shape = (height, width, channels)
        if found.pending:
            pool = Route(self._number, shape, part.kernel, part.stride, part.pad, part.dilation)
            return self._routed(replace(found, pending=0), pool)
        kh, kw = part.kernel
        terms = []
        for term in found.terms:
            if term.weights is None or not found.plain:
                raise InputError(
                    f"{self._name} must stand in front of a matrix or a pool to be explained, got "
                    "something else behind it: use another layer there"
                )
            blocks = term.weights.reshape(term.rows, part.blocks, kh, kw, -1)
            weights = blocks.transpose(0, 2, 3, 1, 4).reshape(term.rows, kh, kw, channels)
            placed = replace(term, stride=part.stride, pad=part.pad[:2], dilation=part.dilation)
            terms.append(replace(placed, weights=weights, kernel=part.kernel))
        return _Sum(shape, shape, tuple(terms))

    def _tiles(self, found: _Sum, part: Tiles, node: Node) -> _Sum:
        shape = node.input.shape
        if part.function == "max":
            pool = Route(self._number, shape, part.kernel, part.kernel, (0, 0, 0, 0))
            return self._routed(found, pool)
        if found.routes:
            found = self._stream(found)
        spread = (found.spread[0] * part.kernel[0], found.spread[1] * part.kernel[1])
        return replace(found, shape=shape, spread=spread)

    def _vectors(self, found: _Sum, part: Vectors, node: Node) -> _Sum:
        height, width, depth = node.input.shape
        channels = node.output.shape[2]
        if depth == channels and node.output.shape[:2] == (1, 1):  # the whole map
            return self._tiles(found, Tiles(part.function, (height, width)), node)
        if part.function == "max":
            return replace(self._shaped(found, node.output.shape), pending=part.count)
        ones = np.tile(np.eye(channels, dtype=np.int64), part.count)
        if not found.plain or any(t.weights is not None for t in found.terms):
            found = self._stream(found)
        terms = tuple(
            replace(t, node=node.name, weights=ones.reshape(channels, 1, 1, -1), groups=channels)
            for t in found.terms
        )
        return _Sum(node.input.shape, node.input.shape, terms)

    def _routed(self, found: _Sum, pool: Route) -> _Sum:
        """Through a max pool: whoever takes the stream looks up the way."""
        if found.plain and all(t.weights is None for t in found.terms):
            terms = tuple(replace(t, routes=(*t.routes, pool)) for t in found.terms)
            return _Sum(pool.shape, pool.shape, terms)
        return replace(found, shape=pool.shape, routes=(*found.routes, pool))

    def _steps(self, found: _Sum, part: Steps, node: Node) -> _Sum:
        it = line(part, node.name)
        relu = rectified(part)
        masked = not (relu and self._method == DECONVNET)
        mask = Mask(self._output, part.probe, it.edges)
        if self._mask == LEVELS:
            mask = Mask(self._output, low=part.bias, high=part.bias + part.thresholds.shape[1])
        positive = relu and self._method in (GUIDED, DECONVNET)
        if positive and any(r.overlapping for r in found.routes):
            found = self._stream(found)  # what meets in an input is added up before its sign counts
        return self._sweep(found, slope=it.slope, mask=mask if masked else None, positive=positive)

    # ------------------------------------------------------------------ streams

    def _sweep(
        self,
        found: _Sum,
        *,
        slope: np.ndarray | None = None,
        mask: Mask | None = None,
        positive: bool = False,
        pixels: bool = False,
    ) -> _Sum:
        """The next stream, as a sum of one term."""
        assert not found.pending, f"{self._name}: a maximum without windows"
        swept = found.swept
        sweep = Sweep(
            name=self._name, sums=found.sums, shape=swept, scatters=found.terms, slope=slope,
            mask=mask, positive=positive, pixels=pixels, spread=found.spread, routes=found.routes,
        )  # fmt: skip
        self._sweeps.append(sweep)
        term = Scatter(len(self._sweeps), "", 0, found.shape[2], routes=found.routes)
        return _Sum(found.shape, found.shape, (term,))

    def _stream(self, found: _Sum) -> _Sum:
        """The same as a stream of its own: nothing masks it."""
        return self._sweep(found)

    def _merged(self, found: list[_Sum]) -> _Sum:
        """The sum of several."""
        if len(found) == 1:
            return found[0]
        plain = [one if one.plain else self._stream(one) for one in found]
        terms = tuple(term for one in plain for term in one.terms)
        return replace(plain[0], terms=terms)

    def _shaped(self, found: _Sum, shape: Shape) -> _Sum:
        """The same elements in the same order as another shape."""
        if found.shape == shape or found.pending:
            return found
        linear = all(t.weights is not None and t.kernel == (1, 1) for t in found.terms)
        if linear and found.plain and found.sums[:2] == (1, 1):
            terms = tuple(
                replace(t, weights=_of(t).reshape(t.rows, *shape), kernel=shape[:2])
                for t in found.terms
            )
            return _Sum(shape, shape, terms)
        if not found.plain:
            found = self._stream(found)
        return self._sweep(replace(found, shape=shape))


def _of(term: Scatter) -> IntArray:
    assert term.weights is not None
    return term.weights


def _groups(term: Scatter, weights: IntArray) -> int:
    """Groups of some of the channels of a term's weights: a part of them has no equal groups."""
    assert term.weights is not None
    return term.groups if weights.shape[3] == term.weights.shape[3] else 1
