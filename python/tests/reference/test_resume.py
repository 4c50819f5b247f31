"""Kernels that remember: frames given one by one move as frames given at once, for every kind."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest

from exeunt.graph import Integer, Node, Stream
from exeunt.kernels import registry
from exeunt.kernels.add import Add
from exeunt.kernels.concat import Concat
from exeunt.kernels.duplicate import Duplicate
from exeunt.kernels.mvu import Mvu
from exeunt.kernels.pool import Pool
from exeunt.kernels.reduce import Reduce
from exeunt.kernels.swg import Swg
from exeunt.kernels.threshold import Threshold
from exeunt.kernels.width import Width
from exeunt.reference import pipeline

FRAMES = 4
DTYPE = Integer(4)
ACCUMULATOR = Integer(16, True)


def _mvu(simd: int, columns: int, pe: int, rows: int, vectors: int, **fields: object) -> Mvu:
    return Mvu(
        "mvu", Stream((vectors, 1, simd * columns), DTYPE, simd),
        Stream((vectors, 1, pe * rows), ACCUMULATOR, pe), **fields,
    )  # type: ignore[arg-type]  # fmt: skip


def _swg(
    shape: tuple[int, int, int], kernel: tuple[int, int], stride: tuple[int, int],
    pad: tuple[int, int, int, int], *, parallel: bool = False, backend: str = "exeunt",
) -> Swg:  # fmt: skip
    h, w, c = shape
    oh = (h + pad[0] + pad[2] - kernel[0]) // stride[0] + 1
    ow = (w + pad[1] + pad[3] - kernel[1]) // stride[1] + 1
    elements = c * kernel[0] * kernel[1]
    out = Stream((oh, ow, elements), DTYPE, elements if parallel else 1)
    return Swg("swg", Stream(shape, DTYPE, c if parallel else 1), out, kernel=kernel, stride=stride,
               pad=pad, parallel=parallel, backend=backend)  # fmt: skip


def _nodes() -> Iterator[Node]:
    for backend in ("exeunt", "finn"):
        yield _mvu(3, 4, 2, 3, 3, backend=backend)
        yield _mvu(10, 5, 1, 2, 1, backend=backend)  # six operand registers, one vector a frame
        yield _mvu(2, 1, 2, 4, 5, backend=backend)
        yield _mvu(2, 3, 4, 1, 2, backend=backend)
        yield _mvu(1, 1, 1, 1, 1, backend=backend)
        for a, b in ((6, 2), (2, 6), (3, 3)):
            yield Width("width", Stream((1, 1, 12), DTYPE, a), Stream((1, 1, 12), DTYPE, b),
                        backend=backend)  # fmt: skip
        stream = Stream((2, 1, 4), DTYPE, 2)
        for levels in (1, 15):
            yield Threshold("threshold", stream, stream, levels=levels, backend=backend)
        yield _swg((5, 4, 2), (3, 3), (1, 1), (1, 1, 1, 1), backend=backend)
        yield _swg((3, 3, 1), (3, 2), (2, 1), (0, 0, 0, 0), backend=backend)
    yield from _joining()
    yield _mvu(3, 4, 2, 3, 3, levels=3)
    yield _mvu(3, 2, 2, 1, 3, levels=200)
    yield _swg((5, 4, 2), (3, 3), (1, 1), (1, 1, 1, 1), parallel=True)
    yield _swg((3, 1, 2), (3, 3), (1, 1), (1, 1, 1, 1), parallel=True)
    yield _swg((4, 3, 1), (2, 3), (1, 1), (1, 2, 0, 2), parallel=True)
    yield _swg((3, 3, 1), (5, 5), (1, 1), (2, 2, 2, 2))  # a ring of more than a frame
    for function in ("max", "sum"):
        yield Pool("pool", Stream((5, 4, 2), DTYPE, 1), Stream((2, 2, 2), DTYPE, 1),
                   function=function)  # type: ignore[arg-type]  # fmt: skip
        yield Reduce("reduce", Stream((3, 1, 4), DTYPE, 2), Stream((1, 1, 4), DTYPE, 2),
                     function=function, count=3)  # type: ignore[arg-type]  # fmt: skip


def _joining() -> Iterator[Node]:
    """Kernels with several streams."""
    stream, total = Stream((2, 3, 4), DTYPE, 2), Stream((2, 3, 4), ACCUMULATOR, 2)
    yield Duplicate("duplicate", stream, stream)
    yield Add("add", stream, total, other=stream, factors=(2, -3))
    for words in (1, 3):
        other = Stream((2, 3, 2 * words), DTYPE, 2)
        both = Stream((2, 3, 4 + 2 * words), DTYPE, 2)
        yield Concat("concat", stream, both, other=other)


def _cycles(kind: str, count: int, words: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """First cycles of words: all at once, a pause here and there, or a long one between frames."""
    pauses = {
        "at once": np.zeros(count, np.int64),
        "some": (rng.random(count) < 0.3) * rng.integers(1, 5, count),
        "long": (rng.random(count) < 0.1) * rng.integers(1, 40, count),
        "apart": np.where(np.arange(count) % words, 0, rng.integers(0, 60, count)),
    }[kind]
    return np.cumsum(pauses).astype(np.int64)


@pytest.mark.parametrize("node", list(_nodes()), ids=lambda n: f"{n.backend}-{n.kind}")
def test_frames_one_by_one_are_frames_at_once(node: Node) -> None:
    rng = np.random.default_rng(node.input.words * 100 + node.output.words)
    for idle in ("at once", "some", "apart"):
        for stall in ("never", "some", "long"):
            offered = [_cycles(idle, FRAMES * s.words, s.words, rng) for s in node.inputs]
            ready = [
                None if stall == "never" else _cycles(stall, FRAMES * s.words, s.words, rng)
                for s in node.outputs
            ]
            whole = registry.transfers(node, None, offered, ready)
            past, found = None, []
            for n in range(FRAMES):
                words = [o.reshape(FRAMES, -1)[n] for o in offered]
                if past is not None:  # as a chain gives it: behind the frame before, and forgetful
                    words = [
                        np.maximum(w, takes[-1] + 1 + np.arange(len(w)))
                        for w, takes in zip(words, found[-1][0], strict=True)
                    ]
                    past = np.maximum(past, min(w[0] for w in words) - pipeline.SETTLED)
                accepts = [None if r is None else r.reshape(FRAMES, -1)[n] for r in ready]
                takes, gives, past = registry.transfers(node, past, words, accepts)
                found.append((takes, gives))
            for side in (0, 1):
                for port, want in enumerate(whole[side]):
                    got = np.concatenate([frame[side][port] for frame in found])
                    np.testing.assert_array_equal(got, want, f"{node}: {idle}, {stall}")
