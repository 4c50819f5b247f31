"""The reference of a whole accelerator, prepared once and then fast: the values of `network`.

Activations stay floats that hold integers exactly, one row a frame, so that a layer is a matrix
product of BLAS and one lookup in a table of its thresholds. What a kind can do quicker than by its
`values` is its `exeunt.kernels.kind.Fast`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from exeunt.graph import ENTRY, Accelerator, Dataflow, IntArray, Node
from exeunt.kernels import registry
from exeunt.kernels.kind import Product
from exeunt.kernels.parts.fast import Floats, Step

_Joining: TypeAlias = Callable[[Sequence["Floats"]], "Floats"]

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


def _by_values(node: Node, arrays: Mapping[str, IntArray], dtype: np.dtype[Any]) -> _Joining:
    """A node by its own reference."""
    shapes = [stream.shape for stream in node.inputs]

    def step(taken: Sequence[Floats]) -> Floats:
        frames: list[Any] = [x.reshape(-1, *shape) for x, shape in zip(taken, shapes, strict=True)]
        (y,) = registry.computed(node, arrays, frames)
        return y.reshape(len(y), -1).astype(dtype, copy=False)

    return step


def _alone(step: Step) -> _Joining:
    """A step that takes one tensor as one that may take several."""
    return lambda taken: step(taken[0])


class _Program:
    """What a segment or head does, one after the other, over tensors by the number of the stream.

    A matrix may take over the node in front of it; a node that passes all on has nothing to do.
    """

    def __init__(self, accelerator: Accelerator, chain: Dataflow, dtype: np.dtype[Any]) -> None:
        self._steps: list[tuple[tuple[int, ...], int, _Joining]] = []
        same = {ENTRY: ENTRY}  # streams that carry the tensor of another one
        working: list[tuple[Node, tuple[int, ...], int]] = []
        for node, sources, first in zip(chain.nodes, chain.reads, chain.first_streams, strict=True):
            taken = tuple(same[source] for source in sources)
            passes = registry.of(node).fast.passes
            same |= {n: taken[0] if passes else n for n in range(first, first + len(node.outputs))}
            if not passes:
                working.append((node, taken, first))
        uses = Counter(source for _, taken, _ in working for source in taken)
        writers = {first: (node, taken) for node, taken, first in working}
        for node, taken, first in working:
            arrays, way = accelerator.of(node), registry.of(node).fast
            if way.steps is None:
                self._steps.append((taken, first, _by_values(node, arrays, dtype)))
                continue
            product: Product | None = None
            front = writers.get(taken[0])
            if way.takes_product(node) and front is not None and uses[taken[0]] == 1:
                made = registry.of(front[0]).fast.product
                if made is not None:
                    product = partial(made, front[0])
                    self._steps = [step for step in self._steps if step[1] != taken[0]]
                    taken = front[1]
            for step in way.steps(node, arrays, dtype, product):
                self._steps.append((taken, first, _alone(step)))
                taken = (first,)
        self._result = same[len(chain.streams) - 1]

    def __call__(self, x: Floats) -> Floats:
        """(N, elements) to (N, elements), until the next call."""
        found = {ENTRY: x}
        for taken, number, step in self._steps:
            found[number] = step([found[source] for source in taken])
        return found[self._result]


class Prepared:
    """An accelerator with its matrices and tables laid out for the processor.

    It keeps memory from call to call: one thread at a time.
    """

    def __init__(self, accelerator: Accelerator) -> None:
        self._dtype = _type(accelerator)
        self._classes = [head.output.elements for head in accelerator.heads]
        self._segments = [_Program(accelerator, c, self._dtype) for c in accelerator.segments]
        self._heads = [_Program(accelerator, c, self._dtype) for c in accelerator.heads]
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
        x = self._segments[index](x)
        return x, self._heads[index](x)

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
