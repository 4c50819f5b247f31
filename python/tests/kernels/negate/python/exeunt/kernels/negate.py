"""The sign turned, `ex_negate`: y = -x."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from exeunt.graph import IntArray, Node
from exeunt.kernels.kind import Arrays, Kind
from exeunt.kernels.parts import levels
from exeunt.kernels.parts.fifo import Cycles
from exeunt.kernels.parts.size import Size
from exeunt.kernels.registry import register


@dataclass(frozen=True)
class Negate(Node):
    """The sign turned: y = offset - x of each element."""

    kind: ClassVar[str] = "negate"
    offset: int = 0


def values(node: Negate, arrays: Arrays, x: IntArray) -> IntArray:
    """Y = offset - x, int64 (N, *node.output.shape)."""
    return (node.offset - np.asarray(x).astype(np.int64)).reshape(-1, *node.output.shape)


def resume(
    node: Negate, past: Cycles | None, offered: Cycles, ready: Cycles | None = None
) -> tuple[Cycles, Cycles, Cycles]:
    """One register: a word a cycle, given one cycle after it was taken."""
    return levels.registers(1, past, offered, ready)


def size(node: Negate, dsp: bool) -> Size:
    """A subtractor for each lane."""
    return Size(node.output.width)


register(Kind(node=Negate, values=values, resume=resume, size=size))
