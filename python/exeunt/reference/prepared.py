"""The reference of a whole accelerator, prepared once and then fast: the values of `network`.

Activations stay floats that hold integers exactly, one row a frame, so that a layer is a matrix
product of BLAS and one lookup in a table of its thresholds. What a kind can do quicker than by its
`values` is its `exeunt.kernels.kind.Fast`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from exeunt.graph import Accelerator, Chain, IntArray, Node
from exeunt.kernels import registry
from exeunt.kernels.parts.fast import Floats, Step

EXACT = 1 << 24  # float32 holds all integers below it, float64 those below 2**53


def _type(accelerator: Accelerator) -> np.dtype[Any]:
    """The float type that holds every sum of the accelerator, in whatever order it is added."""
    bound = 0
    for node in (n for chain in accelerator.chains for n in chain.nodes):
        bound = max(bound, -node.output.dtype.min, node.output.dtype.max)
        inside = registry.of(node).fast.bound
        if inside is not None:
            bound = max(bound, inside(node, accelerator.of(node)))
    assert bound < 1 << 53, "beyond the integers of a float64"
    return np.dtype(np.float32 if bound < EXACT else np.float64)


def _by_values(node: Node, arrays: Mapping[str, IntArray], dtype: np.dtype[Any]) -> Step:
    """A node by its own reference."""
    values = registry.of(node).values

    def step(x: Floats) -> Floats:
        y: Floats = values(node, arrays, x).reshape(len(x), -1).astype(dtype, copy=False)
        return y

    return step


def _steps(accelerator: Accelerator, chain: Chain, dtype: np.dtype[Any]) -> list[Step]:
    """What a chain does, one after the other; a matrix may take over the node in front of it."""
    nodes = [n for n in chain.nodes if not registry.of(n).fast.passes]
    ways = [registry.of(n).fast for n in nodes]
    taken_over = [
        way.product is not None and behind.takes_product for way, behind in pairwise(ways)
    ]
    steps: list[Step] = []
    for i, (node, way) in enumerate(zip(nodes, ways, strict=True)):
        if i < len(taken_over) and taken_over[i]:
            continue
        arrays = accelerator.of(node)
        if way.steps is None:
            steps.append(_by_values(node, arrays, dtype))
            continue
        product = ways[i - 1].product if i and taken_over[i - 1] else None
        front = None if product is None else partial(product, nodes[i - 1])
        steps += way.steps(node, arrays, dtype, front)
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
