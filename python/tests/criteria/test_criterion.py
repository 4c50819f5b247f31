"""What criteria are made of: cycles of a block that stands still while its score waits."""

from __future__ import annotations

import numpy as np

from exeunt.criteria.criterion import Logits, in_step


def by_clock(
    logits: Logits, latency: int, offered: np.ndarray, ready: np.ndarray
) -> tuple[list[int], list[int]]:
    """The same block, one cycle after the other."""
    takes: list[int] = []
    gives: list[int] = []
    inside = [0] * latency  # a 1 for each last beat, the newest first
    cycle = 0
    while len(gives) < len(ready):
        waits = inside[-1] and cycle < ready[len(gives)]
        if inside[-1] and not waits:
            gives.append(cycle)
        if not waits:
            taken = len(takes) < len(offered) and cycle >= offered[len(takes)]
            if taken:
                takes.append(cycle)
            inside = [int(taken and len(takes) % logits.beats == 0), *inside[:-1]]
        cycle += 1
    return takes, gives


def test_in_step_against_a_clock() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        beats, frames, latency = (int(rng.integers(1, n)) for n in (5, 9, 12))
        logits = Logits(2 * beats, 2, 8)
        offered = np.cumsum(rng.integers(0, 3, beats * frames))
        ready = np.cumsum(rng.integers(0, 12, frames))
        takes, gives = in_step(lambda _, after=latency: after)(logits, offered, ready)
        assert (takes.tolist(), gives.tolist()) == by_clock(logits, latency, offered, ready)


def test_in_step_without_stalls() -> None:
    logits = Logits(4, 2, 8)
    takes, gives = in_step(lambda _: 3)(logits, np.arange(6))
    assert takes.tolist() == [0, 1, 2, 3, 4, 5]
    assert gives.tolist() == [4, 6, 8]
