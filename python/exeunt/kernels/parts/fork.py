"""Reference of `ex_fork`: every word appears once on each branch, in the cycle it can."""

from __future__ import annotations

import numpy as np

from exeunt.kernels.parts.fifo import Cycles


def times(
    offered: Cycles, ready0: Cycles | None = None, ready1: Cycles | None = None
) -> tuple[Cycles, Cycles, Cycles]:
    """Transfer cycles of an eager fork; exact, also under stalls.

    Word k is on offer from max(offered[k], takes[k-1] + 1) on, each branch takes it in the first
    cycle from there in which it accepts, and takes[k] is the later of the two.

    Args:
        offered: int64 (n,), first cycle in which word k can be valid.
        ready0: int64 (n,), first cycle in which branch 0 accepts word k; None: always.
        ready1: the same for branch 1.

    Returns:
        takes, gives0, gives1: int64 (n,).
    """
    offered = np.asarray(offered, np.int64)
    ready0 = offered if ready0 is None else np.asarray(ready0, np.int64)
    ready1 = offered if ready1 is None else np.asarray(ready1, np.int64)
    index = np.arange(offered.size, dtype=np.int64)
    latest = np.maximum(np.maximum(ready0, ready1), offered)
    takes = np.maximum.accumulate(latest - index) + index
    present = np.maximum(offered, np.concatenate([[-1], takes[:-1]]) + 1)
    return takes, np.maximum(present, ready0), np.maximum(present, ready1)
