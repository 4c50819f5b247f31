"""FINN's matrix-vector unit: foldings with PE and SIMD above 1, signs, widths; its queue."""

import numpy as np
import pytest
from lib.bench import BUILD, run_bench
from lib.finn import check_finn_block, finn_corner, finn_sources

from exeunt.graph import Integer, Stream
from exeunt.hls.back.kernels.finn import mvu
from exeunt.kernels.mvu import Mvu

pytestmark = pytest.mark.sim

CASES = [  # vectors, MW, MH, SIMD, PE, input, weight bits
    ((3, 3), 9, 4, 9, 2, Integer(8), 4),
    ((3, 3), 9, 4, 9, 4, Integer(4), 4),
    ((2, 3), 16, 8, 4, 2, Integer(4), 4),
    ((2, 3), 18, 6, 3, 3, Integer(4, True), 3),
    ((1, 4), 8, 8, 1, 1, Integer(2), 2),
    ((3, 2), 12, 4, 12, 1, Integer(4), 4),
    ((2, 4), 6, 5, 2, 5, Integer(3, True), 5),
    ((3, 3), 8, 4, 8, 4, Integer(5), 6),
    ((1, 5), 10, 6, 5, 3, Integer(8, True), 8),
    ((4, 2), 5, 3, 1, 3, Integer(6), 2),
    ((2, 3), 7, 2, 7, 1, Integer(8), 8),
]


def corner(name, vectors, mw, mh, simd, pe, dtype, weight_bits, seed=0):
    rng = np.random.default_rng(seed)
    half = 1 << (weight_bits - 1)
    weights = rng.integers(-half, half, (mh, mw))
    weights[0], weights[-1, ::2] = -half, half - 1  # the largest sums of either sign
    extremes = np.stack([weights * dtype.min, weights * dtype.max])
    low = int(np.minimum(extremes.min(axis=0), 0).sum(axis=1).min())
    high = int(np.maximum(extremes.max(axis=0), 0).sum(axis=1).max())
    accumulator = Integer.covering(low, high)
    node = Mvu(name, Stream((*vectors, mw), dtype, simd), Stream((*vectors, mh), accumulator, pe),
               weight_bits=weight_bits, accumulator=accumulator)  # fmt: skip
    return finn_corner(node, {"weights": weights})


def test_finn_matrix_vector_unit_matches_the_references():
    check_finn_block("finn_mvu", [corner(f"m{i}", *case, seed=i) for i, case in enumerate(CASES)])


QUEUE_CASES = [  # one column fold (MW = SIMD), the last with two
    ((8, 8), 9, 4, 9, 1, Integer(8), 4),
    ((8, 8), 9, 4, 9, 4, Integer(4), 4),
    ((8, 8), 4, 4, 4, 2, Integer(4), 4),
    ((8, 8), 18, 4, 9, 2, Integer(4), 4),
]


def run_queue(block, expected, build_args=()):
    corners = [corner(f"q{i}", *case, seed=i) for i, case in enumerate(QUEUE_CASES)]
    sources = finn_sources(corners, BUILD / f"{block}_sources")
    options = {"frames": 8, "stalled_slack": 0, "leads": False, "seed": 3}
    run_bench(block, corners, "finn_mvu.queue_cocotb", streams=True, sources=sources,
              data=options, build_args=build_args, env={"QUEUE": expected})  # fmt: skip


def test_unmodified_finn_unit_loses_results_in_silence_under_back_pressure(monkeypatch):
    unmodified = [(path, [e for e in edits if e is not mvu.QUEUE]) for path, edits in mvu.COPIES]
    monkeypatch.setattr(mvu, "COPIES", unmodified)
    run_queue("finn_mvu_unmodified", "lost", ["--no-assert"])


def test_enlarged_queue_keeps_every_result_under_back_pressure():
    run_queue("finn_mvu_queue", "kept")
