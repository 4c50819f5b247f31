"""Cycles that a word spends in a kernel, against when the kernel's reference gives it."""

from __future__ import annotations

import numpy as np
import pytest

from exeunt.graph import Integer, Node, Stream
from exeunt.kernels import registry
from exeunt.kernels.mvu import Mvu
from exeunt.kernels.swg import Swg
from exeunt.kernels.threshold import Threshold
from exeunt.kernels.width import Width

U4, S14 = Integer(4), Integer(14, signed=True)


def matrix(simd: int, pe: int, columns: int, levels: int = 0, signs: bool = False) -> Mvu:
    out = U4 if levels else S14
    return Mvu(
        "m", Stream((1, 1, columns), U4, simd), Stream((1, 1, pe), out, pe), accumulator=S14,
        levels=levels, weight_bits=2 if signs else 4, signs=signs,
    )  # fmt: skip


NODES: tuple[Node, ...] = (
    matrix(1, 2, 8),
    matrix(9, 2, 9),
    matrix(12, 3, 24, levels=15),
    matrix(2, 8, 18, levels=15),  # lanes take turns at the thresholds
    matrix(1, 2, 8, levels=3, signs=True),
    matrix(90, 1, 90, levels=255),
    Threshold("t", Stream((1, 1, 4), S14, 4), Stream((1, 1, 4), U4, 4), levels=15),
    Width("w", Stream((1, 1, 8), U4, 2), Stream((1, 1, 8), U4, 8)),
    Swg("s", Stream((3, 3, 2), U4, 2), Stream((1, 1, 18), U4, 18), kernel=(3, 3), parallel=True),
    Swg("s", Stream((1, 1, 2), U4, 2), Stream((1, 1, 2), U4, 2), kernel=(1, 1)),
)


@pytest.mark.parametrize("node", NODES, ids=lambda n: f"{n.kind} {n.input.lanes} {n.output.lanes}")
def test_stages_are_those_of_the_reference(node: Node):
    takes, gives = registry.times(node, np.zeros(node.input.words, np.int64))
    assert gives[0] - takes[-1] == registry.of(node).stages(node)
