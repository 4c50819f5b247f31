"""The output queue of FINN's matrix-vector unit under back-pressure, in two builds.

`lost` expects the faults of the unmodified unit, `kept` that nothing is lost.
"""

from __future__ import annotations

import os
from itertools import islice
from typing import Any

import cocotb
from lib.patterns import bernoulli, masks
from lib.stream_block import Bench, Track, bench_data

QUIET = 400  # cycles without stalls, enough for a frame


def open_bench(dut: Any) -> Bench:
    """The bench of this simulation."""
    corners, options = bench_data()
    return Bench(dut, corners, options)


def late_stalls(count: int, probability: float, seed: int) -> list[int]:
    """No stall for QUIET cycles, then random ones, in every corner."""
    stalls = masks([bernoulli(probability, seed + i) for i in range(count)])
    return [(1 << count) - 1] * QUIET + stalls[QUIET:]


def right(track: Track, frame: int) -> bool:
    """Whether every word of a frame arrived and was right."""
    words = track.node.output.words
    span = slice(frame * words, (frame + 1) * words)
    return list(islice(track.words, span.start, span.stop)) == track.expected[span]


@cocotb.test(skip=os.environ.get("QUEUE") != "lost")
async def lost(dut: Any) -> None:
    """Unmodified: right without stalls; the first frame right, then wrong words or none."""
    bench = open_bench(dut)
    await bench.run()
    bench.check_values("unstalled")
    stuck = ""
    try:
        await bench.run(stall=late_stalls(bench.count, 0.2, 5))
    except AssertionError as error:
        stuck = str(error)
    assert not stuck or "stuck at cycle" in stuck, stuck
    for t in bench.tracks:
        columns = t.node.input.shape[2] // t.node.input.lanes
        frames = range(len(t.expected) // t.node.output.words)
        good = [right(t, frame) for frame in frames]
        assert good[0], f"{bench.where(t.outputs[0])}: the first frame is wrong"
        if columns > 1:
            assert all(good), (
                f"{bench.where(t.outputs[0])}: a frame is wrong with {columns} column folds"
            )
        else:
            assert not all(good), (
                f"{bench.where(t.outputs[0])}: no frame is wrong, the fault is gone"
            )
    assert stuck, "no corner got stuck, the fault has changed"


@cocotb.test(skip=os.environ.get("QUEUE") != "kept")
async def kept(dut: Any) -> None:
    """As built: nothing lost at any density of stalls."""
    bench = open_bench(dut)
    for probability in (0.05, 0.3, 0.5, 0.8, 0.95):
        await bench.run(stall=late_stalls(bench.count, probability, 5))
        bench.check_values(f"stalled, accepting with probability {probability}")
