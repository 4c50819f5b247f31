"""Width converter: values and cycles by hand; the cycles against a small simulation."""

import numpy as np
import pytest

from exeunt.graph import Integer, Stream
from exeunt.hls.back.kernels import registry as backends
from exeunt.hls.back.kernels import width as kernel
from exeunt.kernels import registry, width
from exeunt.kernels.parts import accumulate
from exeunt.kernels.width import Width


def node(lanes_in: int, lanes_out: int) -> Width:
    shape = (1, 3, max(lanes_in, lanes_out))
    return Width("width", Stream(shape, Integer(4), lanes_in), Stream(shape, Integer(4), lanes_out))


def test_values_are_the_elements() -> None:
    x = np.arange(24).reshape(2, 12)
    assert np.array_equal(width.values(node(1, 4), {}, x).reshape(2, 12), x)


def test_up_gives_one_cycle_after_the_last_part() -> None:
    takes, gives = registry.times(node(2, 6), np.array([0, 0, 5, 5, 5, 20]))
    assert takes.tolist() == [0, 1, 5, 6, 7, 20]
    assert gives.tolist() == [6, 21]


def test_down_is_full_rate_on_the_narrow_side() -> None:
    takes, gives = registry.times(node(6, 2), np.zeros(3, np.int64))
    assert takes.tolist() == [0, 3, 6]
    assert gives.tolist() == list(range(1, 10))


def test_down_with_a_late_sink() -> None:
    takes, gives = registry.times(node(4, 2), np.array([0, 0]), np.array([0, 9, 0, 30]))
    assert takes.tolist() == [0, 9]
    assert gives.tolist() == [1, 9, 10, 30]


@pytest.mark.parametrize("seed", range(6))
def test_accumulate_against_a_simulation(seed: int) -> None:
    rng = np.random.default_rng(seed)
    offered = np.cumsum(rng.integers(0, 3, 50))
    completing = np.flatnonzero(rng.random(50) < 0.4)
    ready = np.cumsum(rng.integers(0, 9, completing.size))
    takes: list[int] = []
    gives: list[int] = []
    ends, waiting, cycle = set(completing.tolist()), False, 0
    while len(gives) < completing.size or len(takes) < 50:
        give = waiting and bool(ready[len(gives)] <= cycle)
        last = len(takes) in ends
        take = (
            len(takes) < 50 and offered[len(takes)] <= cycle and (not last or not waiting or give)
        )
        if give:
            gives.append(cycle)
            waiting = False
        if take:
            takes.append(cycle)
            waiting = waiting or last
        cycle += 1
    got = accumulate.resume(None, offered, completing, ready)[:2]
    assert got[0].tolist() == takes
    assert got[1].tolist() == gives


def test_kernel_parameters() -> None:
    w = node(2, 6)
    assert kernel.module(w) == "ex_width"
    assert kernel.parameters(w) == {"IN_WIDTH": 8, "OUT_WIDTH": 24}
    assert backends.of(w).memories(w, {}) == {}
