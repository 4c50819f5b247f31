"""Corners of `ex_fifo`: depths around every change of implementation, narrow and wide words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from lib.bench import Corner, Port, stream_ports

from exeunt.graph import IntArray, Integer, Node, Stream
from exeunt.kernels.parts import fifo


@dataclass(frozen=True)
class Fifo(Node):
    """Stands for the FIFO in the bench, where it is no node of the graph."""

    kind: ClassVar[str] = "fifo"
    depth: int = 2


def values(node: Node, arrays: Mapping[str, IntArray], x: IntArray) -> IntArray:
    """The words themselves."""
    return x


def times(
    node: Fifo, offered: fifo.Cycles, ready: fifo.Cycles | None = None
) -> tuple[fifo.Cycles, fifo.Cycles]:
    """The cycles of `exeunt.kernels.parts.fifo` at the node's depth."""
    return fifo.times(node.depth, offered, ready)


def corner(depth: int, width: int) -> Corner:
    """One FIFO carrying frames of 3 x 31 words."""
    stream = Stream((3, 31, 1), Integer(width), 1)
    return Corner(
        name=f"depth{depth}_width{width}",
        module="ex_fifo",
        parameters={"WIDTH": width, "DEPTH": depth},
        ports=(
            *stream_ports(width, width),
            Port("count", int(np.ceil(np.log2(depth + 1))), output=True),
        ),
        node=Fifo(f"depth{depth}_width{width}", stream, stream, depth=depth),
        reference="fifo.corners",
    )


CORNERS = [
    corner(depth, width)
    for depth, width in (
        (1, 1), (1, 9), (2, 1), (2, 8), (3, 5), (4, 33), (5, 2), (8, 7), (16, 4), (17, 12),
        (32, 8), (33, 3), (63, 6), (64, 9), (65, 1), (66, 36), (100, 10), (128, 4),
    )
]  # fmt: skip
