"""Cycles of FINN's thresholding; exact, also under stalls."""

from __future__ import annotations

import numpy as np

from exeunt.kernels.parts.fifo import Cycles, spaced
from exeunt.kernels.registry import register_times
from exeunt.kernels.threshold import Threshold

LONG_AGO = -(1 << 30)


def stages(node: Threshold) -> int:
    """Stages of FINN's search pipeline: clog2(levels + 1)."""
    return int(node.levels).bit_length()


def _transfers(
    node: Threshold, offered: Cycles, ready: Cycles | None
) -> tuple[Cycles | list[int], Cycles | list[int]]:
    # The pipeline runs freely; a word more enters while fewer than `room` are inside.
    latency = stages(node) + 2
    room = stages(node) + 3
    takes = spaced(offered)
    if ready is None or (takes + latency >= ready).all():
        return takes, takes + latency
    taken: list[int] = []
    given: list[int] = []
    last = give = LONG_AGO
    for k, (offer, accept) in enumerate(zip(offered.tolist(), ready.tolist(), strict=True)):
        last = max(offer, last + 1, given[k - room] + 1 if k >= room else LONG_AGO)
        give = max(last + latency, give + 1, accept)
        taken.append(last)
        given.append(give)
    return taken, given


def times(node: Threshold, offered: Cycles, ready: Cycles | None = None) -> tuple[Cycles, Cycles]:
    """Transfer cycles of whole frames, see `exeunt.kernels.kind.Kind.times`."""
    offers = np.asarray(offered).astype(np.int64)
    accepts = None if ready is None else np.asarray(ready).astype(np.int64)
    takes, gives = _transfers(node, offers, accepts)
    return np.asarray(takes, np.int64), np.asarray(gives, np.int64)


register_times("threshold", "finn", times)
