"""What a frame leaves behind in the memories beside the segments, as words."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from exeunt.explain import context as contexts
from exeunt.explain.context import Context
from exeunt.explain.program import IMAGE, Program, Route, Shape, Sweep
from exeunt.explain.store import GROUP, words
from exeunt.graph import IntArray


@dataclass(frozen=True)
class Place:
    """A forward stream by who gives it: output `output` of node `node`; "" gives the images.

    Programs of two exits may have one number for different streams.
    """

    node: str
    output: int = 0


def place_of(program: Program, tensor: int) -> Place:
    """Where a forward stream of a program is."""
    if tensor == IMAGE:
        return Place("")
    for node in program.nodes:
        if tensor < len(node.outputs):
            return Place(node.name, tensor)
        tensor -= len(node.outputs)
    raise AssertionError(f"no stream {tensor} behind the last node")


@dataclass(frozen=True)
class Tap:
    """What is kept of a frame in one place: a word of up to 16 lanes for each position and group.

    Attributes:
        kind: "mask", "way", "pixels" or "features".
        tensor: the forward stream that it belongs to, as the program that needs it numbers them.
        place: of that stream in the network, see `Place`.
        shape: (H, W, C) of what is kept.
        bits: of a lane.
        routes: of a mask, the max pools in front of which it is taken at the largest input.
        program: one of those that need it.
        sweep: of a mask, the one that needs it.
    """

    kind: str
    tensor: int = field(compare=False)
    place: Place
    shape: Shape
    bits: int
    routes: tuple[Route, ...] = ()
    program: Program | None = field(default=None, repr=False, compare=False)
    sweep: Sweep | None = field(default=None, repr=False, compare=False)

    @property
    def lanes(self) -> int:
        """Of a word."""
        return min(GROUP, self.shape[2])

    @property
    def groups(self) -> int:
        """Words of a position."""
        return -(-self.shape[2] // GROUP)

    @property
    def words(self) -> int:
        """Of a frame."""
        return self.shape[0] * self.shape[1] * self.groups

    def values(self, found: Context) -> IntArray:
        """What it keeps of N frames, integers (N, H, W, C)."""
        if self.kind == "pixels":
            return found.images.reshape(len(found), *self.shape)
        if self.kind == "features":
            return found.streams[self.tensor]
        if self.kind == "way":
            return found.ways[self.tensor]
        whole = found.masks[self.tensor]
        return contexts.gathered(self.routes, found.ways, whole).astype(np.int64)

    def packed(self, found: Context) -> npt.NDArray[np.uint64]:
        """The words of N frames, uint64 (N, words)."""
        lanes = words(self.values(found)).astype(np.uint64)
        places = np.arange(self.lanes, dtype=np.uint64) * np.uint64(self.bits)
        return np.bitwise_or.reduce(lanes << places, axis=2)
