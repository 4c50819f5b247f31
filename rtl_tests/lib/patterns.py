"""When a source offers and a sink accepts: idle and stall patterns, one bool a cycle."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

LENGTH = 4096


def always() -> Iterator[bool]:
    """Never idle, never stalled."""
    return itertools.repeat(True)


def bernoulli(probability: float, seed: int) -> Iterator[bool]:
    """Go in each cycle with `probability`, independently."""
    source = random.Random(seed)
    while True:
        yield source.random() < probability


def bursts(longest: int, seed: int) -> Iterator[bool]:
    """Runs of go and of pause, each 1 to `longest` cycles."""
    source = random.Random(seed)
    go = bool(seed & 1)
    while True:
        yield from itertools.repeat(go, source.randint(1, longest))
        go = not go


def masks(patterns: list[Iterator[bool]], length: int = LENGTH) -> list[int]:
    """The first `length` cycles of one pattern per corner as integers, bit i for corner i."""
    table = [list(itertools.islice(p, length)) for p in patterns]
    return [sum(1 << i for i, go in enumerate(cycle) if go) for cycle in zip(*table, strict=True)]


def gaps(count: int, probability: float, longest: int, seed: int) -> npt.NDArray[np.int64]:
    """Non-decreasing cycles, one per word: with `probability` a pause of up to `longest`."""
    rng = np.random.default_rng(seed)
    pause = rng.integers(1, longest + 1, count) * (rng.random(count) < probability)
    return np.cumsum(pause + 1).astype(np.int64) - 1
