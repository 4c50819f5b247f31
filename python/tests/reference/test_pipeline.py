"""The composition of cycle references: FIFOs, back-pressure, forks, depths."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest

from exeunt import samples
from exeunt.graph import Integer, Node, Stream
from exeunt.kernels.pool import Pool
from exeunt.kernels.reduce import Reduce
from exeunt.kernels.width import Width
from exeunt.reference import pipeline


def _widths(*lanes: int, words: int = 24) -> tuple[Node, ...]:
    """Width converters one behind the other: lanes[0] -> lanes[1] -> ..."""
    streams = [Stream((1, 1, words), Integer(4), n) for n in lanes]
    return tuple(Width(f"w{i}", a, b) for i, (a, b) in enumerate(pairwise(streams)))


def _steps(depths: list[int], delays: list[int], offered: list[int]) -> list[int]:
    """Cycle by cycle: a row of FIFOs, the last left every `delays` cycles; cycles of leaving."""
    queues: list[list[int]] = [[] for _ in depths]
    left: list[int] = []
    cycle, k, busy = 0, 0, 0
    while len(left) < len(offered):
        room = [len(q) < d for q, d in zip(queues, depths, strict=True)]
        moves = []
        if queues[-1] and cycle >= busy:
            moves.append((len(queues) - 1, None))
        for i in range(len(queues) - 1):
            if queues[i] and room[i + 1]:
                moves.append((i, i + 1))
        take = k < len(offered) and offered[k] <= cycle and room[0]
        for i, j in moves:
            word = queues[i].pop(0)
            if j is None:
                left.append(cycle)
                busy = cycle + delays[len(left) - 1]
            else:
                queues[j].append(word)
        if take:
            queues[0].append(k)
            k += 1
        cycle += 1
    return left


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_fifo_rule_against_a_clocked_queue(depth: int) -> None:
    random = np.random.default_rng(depth)
    offered = np.sort(random.integers(0, 40, 30))
    delays = random.integers(1, 4, 30)
    want = _steps([depth], delays.tolist(), offered.tolist())
    ready = np.concatenate([[0], np.array(want[:-1]) + delays[:-1]])
    found = pipeline.flow((), (), offered, ready=ready, entry=depth)
    np.testing.assert_array_equal(found.leaves, want)


def test_rate_is_that_of_the_slowest_kernel() -> None:
    nodes = _widths(4, 1, 4)
    assert pipeline.interval(nodes, (2, 2)) == 24
    assert pipeline.interval(nodes, (0, 0)) == 24
    assert pipeline.interval((), ()) == 0.0


def test_back_pressure_reaches_the_source() -> None:
    nodes = _widths(8, 8, 1)
    found = pipeline.flow(nodes, (2, 2), pipeline.back_to_back(3, 10))
    assert np.diff(found.enters)[-6:].tolist() == [8] * 6
    ahead = np.arange(30) - np.searchsorted(found.takes[1], found.takes[0])
    assert ahead.max() <= 2 + 3


def test_a_late_sink_delays_everything() -> None:
    nodes = _widths(1, 1)
    free = pipeline.flow(nodes, (2,), pipeline.back_to_back(24, 2))
    ready = np.full(48, 500, np.int64)
    late = pipeline.flow(nodes, (2,), pipeline.back_to_back(24, 2), ready=ready)
    assert late.leaves.tolist() == list(range(500, 548))
    assert (late.enters >= free.enters).all()


def test_fork_shows_a_word_once_both_readers_had_the_one_before() -> None:
    nodes = _widths(1, 1)
    offered = pipeline.back_to_back(24, 1)
    hold = np.zeros(24, np.int64)
    hold[5] = 40
    found = pipeline.flow((*nodes, *_widths(1, 1)), (2, 2), offered, fork=1, hold=hold)
    assert found.shows[5] < 40 < found.shows[6] == 41
    without = pipeline.flow((*nodes, *_widths(1, 1)), (2, 2), offered, fork=1)
    np.testing.assert_array_equal(found.shows[:5], without.shows[:5])


def test_depths_let_the_chain_run_at_full_rate() -> None:
    whole = samples.accelerator()
    for segment, head in zip(whole.segments, whole.heads, strict=True):
        nodes, fifos = segment.nodes + head.nodes, segment.fifos + head.fifos
        unbounded = pipeline.interval(nodes, (0,) * len(nodes))
        assert pipeline.interval(nodes, fifos) == unbounded
        assert min(fifos) >= pipeline.MIN_DEPTH
    assert pipeline.depths(()) == ()


def test_shallow_fifos_cost_rate() -> None:
    """What the depths are for: a burst that a FIFO of one word cannot hold costs rate."""
    nodes = _widths(1, 4, 1)
    assert pipeline.interval(nodes, (1, 1)) > pipeline.interval(nodes, (2, 2)) == 24


def test_no_depth_beyond_what_the_rate_needs() -> None:
    segment = samples.accelerator().segments[1]
    assert segment.fifos == (pipeline.MIN_DEPTH,) * len(segment.nodes)


def test_occupancy_counts_a_word_in_the_cycle_it_leaves() -> None:
    enters = np.array([0, 1, 2, 3])
    assert pipeline.occupancy(enters, enters + 1) == 2
    assert pipeline.occupancy(enters, np.array([10, 11, 12, 13])) == 4
    assert pipeline.occupancy(np.array([0, 5]), np.array([1, 6])) == 1


def test_latency_of_a_lone_frame() -> None:
    image = Stream((4, 4, 2), Integer(4), 1)
    pool = Pool("p", image, Stream((2, 2, 2), Integer(4), 1))
    total = Reduce("r", pool.output, Stream((1, 1, 2), Integer(6), 1), function="sum", count=4)
    first, last = pipeline.latency((pool, total), (2, 2))
    assert last == first + 1
    assert last >= 32
    assert pipeline.latency((), ()) == (1, 1)


def test_settled_rhythm_is_seen() -> None:
    one = np.array([3, 4, 9])
    even = (one + 10 * np.arange(9)[:, None]).reshape(-1)
    assert pipeline.settle(even, 3) == (1, 10)
    pairs = (one + np.repeat(21 * np.arange(6), 2)[:, None] + np.tile([0, 10], 6)[:, None]).ravel()
    assert pipeline.settle(pairs, 3) == (2, 21)
    assert pipeline.settle(np.arange(18) ** 2, 3) is None


def test_chains_keep_their_nodes() -> None:
    whole = samples.accelerator(sized=False)
    segment, head = pipeline.with_depths(whole.segments[0], whole.heads[0])
    assert dataclasses.replace(segment, fifos=()) == dataclasses.replace(
        whole.segments[0], fifos=()
    )
    assert len(head.fifos) == len(head.nodes)
