"""`ex_fifo` against its reference, and against a queue simulated cycle by cycle."""

from collections import deque

import numpy as np
import pytest
from fifo.corners import CORNERS
from lib.bench import check_stream_block

from exeunt.kernels.parts.fifo import occupancy, times


@pytest.mark.sim
def test_fifo() -> None:
    check_stream_block("fifo", CORNERS)


@pytest.mark.parametrize("depth", [1, 2, 3, 7, 40])
def test_times_against_a_queue(depth: int) -> None:
    rng = np.random.default_rng(depth)
    for lazy in (0.0, 0.3, 0.8):
        offered = np.cumsum(rng.integers(0, 3, 60))
        ready = np.cumsum((rng.random(60) < lazy) * rng.integers(1, 9, 60))
        takes: list[int] = []
        gives: list[int] = []
        stored: deque[int] = deque()
        cycle, deepest = 0, 0
        while len(gives) < 60:
            room, has = len(stored) < depth, bool(stored)
            if len(takes) < 60 and room and offered[len(takes)] <= cycle:
                stored.append(len(takes))
                takes.append(cycle)
            deepest = max(deepest, len(stored))
            if has and ready[len(gives)] <= cycle:
                stored.popleft()
                gives.append(cycle)
            cycle += 1
        got_takes, got_gives = times(depth, offered, ready)
        assert got_takes.tolist() == takes
        assert got_gives.tolist() == gives
        assert occupancy(got_takes, got_gives) == deepest <= depth + 1
