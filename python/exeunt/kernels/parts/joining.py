"""What kinds share that make one stream of two, each times an integer factor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from exeunt.graph import IntArray, Node, Stream
from exeunt.kernels.layer import Fold, Joining, divisors
from exeunt.kernels.lowering import Lowering


@dataclass(frozen=True)
class Joined(Node):
    """Elements of `input` count factors[0] times, those of `other` factors[1] times."""

    other: Stream = field(kw_only=True)
    factors: tuple[int, int] = field(default=(1, 1), kw_only=True)

    @property
    def inputs(self) -> tuple[Stream, ...]:
        """Both streams."""
        return (self.input, self.other)

    def scaled(self, x: tuple[IntArray, IntArray]) -> list[IntArray]:
        """Both tensors (N, *shape) times their factors.

        Args:
            x: two tensors of integers (N, ...), or of floats that hold integers.
        """
        found = []
        for part, stream, factor in zip(x, self.inputs, self.factors, strict=True):
            part = np.asarray(part).reshape(-1, *stream.shape)
            if not np.issubdtype(part.dtype, np.floating):
                part = part.astype(np.int64)
            found.append(part * factor)
        return found


def foldings(layer: Joining, channels: int) -> Iterator[Fold]:
    """The same lanes in and out, which divide `channels`; see `Kind.foldings`."""
    height, width, depth = layer.output
    for lanes in divisors(channels):
        yield Fold(lanes, lanes, period=height * width * (depth // lanes), area=lanes)


def lower(node: type[Joined]) -> Callable[[Lowering, Joining, Fold], None]:
    """`Kind.lower` of a kind whose layers become one node."""

    def appended(lowering: Lowering, layer: Joining, fold: Fold) -> None:
        lowering.add(
            node(
                lowering.label(node.kind),
                Stream(layer.input, layer.source, fold.simd),
                Stream(layer.output, layer.result, fold.pe),
                finn=layer.finn,
                other=Stream(layer.other, layer.other_source, fold.simd),
                factors=layer.factors,
            )
        )

    return appended
