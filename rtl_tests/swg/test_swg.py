"""`ex_swg` and `ex_swg_parallel` against their reference; the size of the ring by its purpose."""

from itertools import product

import numpy as np
import pytest
from lib.bench import check_stream_block
from swg.corners import CORNERS, full_grid

from exeunt.kernels import registry
from exeunt.kernels.swg import Swg

PARTS = 6


@pytest.mark.sim
def test_swg() -> None:
    check_stream_block("swg", CORNERS)


@pytest.mark.sim
@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_swg_full_grid(part: int) -> None:
    check_stream_block(f"swg_grid_{part}", full_grid(part, PARTS), seed=2 + part)


def gives_of_an_endless_ring(node: Swg, frames: int) -> list[int]:
    """When the words leave if input never waits, from the definition of a window alone.

    One word a cycle, each two cycles after it came; in place of a word outside of the frame, the
    oldest word within this window or a later one.
    """
    (h, w, channels), (oh, ow, _) = node.input.shape, node.output.shape
    (kh, kw), (sh, sw), (top, left, _, _) = node.kernel, node.stride, node.pad
    folds = channels // node.input.lanes
    windows: list[list[int | None]] = []
    reach: list[list[int]] = []  # the words of the map that lie within each window
    for oy in range(oh):
        for ox in range(ow):
            windows.append([])
            ys = range(max(0, oy * sh - top), min(h, oy * sh - top + node.extent[0]))
            xs = range(max(0, ox * sw - left), min(w, ox * sw - left + node.extent[1]))
            reach.append([(y * w + x) * folds for y, x in product(ys, xs)])
            for block, ky, kx in product(range(node.blocks), range(kh), range(kw)):
                y = oy * sh - top + ky * node.dilation[0]
                x = ox * sw - left + kx * node.dilation[1]
                inside = 0 <= y < h and 0 <= x < w
                for fold in range(folds // node.blocks * block, folds // node.blocks * (block + 1)):
                    windows[-1].append((y * w + x) * folds + fold if inside else None)
    oldest, waits = h * w * folds, []
    for words, within in zip(reversed(windows), reversed(reach), strict=True):
        oldest = min([oldest, *within])
        waits.append([oldest if k is None else k for k in words])
    gives: list[int] = []
    for frame in range(frames):
        for words in reversed(waits):
            for k in words:
                arrives = frame * node.input.words + k
                gives.append(max(gives[-1] + 1 if gives else 0, arrives + 2))
    return gives


def test_the_ring_never_limits() -> None:
    """The reference, with the ring of the RTL, gives when an endless ring would."""
    nodes = [c.node for c in (*CORNERS, *full_grid(0, 1)) if isinstance(c.node, Swg)]
    serial = [n for n in nodes if not n.parallel]
    assert len(serial) > 300
    for node in serial:
        _, gives = registry.times(node, np.zeros(3 * node.input.words, np.int64), None)
        wanted = gives_of_an_endless_ring(node, 3)
        late = [k for k, (got, want) in enumerate(zip(gives, wanted, strict=True)) if got != want]
        assert not late, (
            f"{node.name}: word {late[0]} leaves in cycle {gives[late[0]]}, with an endless ring "
            f"in cycle {wanted[late[0]]}"
        )
