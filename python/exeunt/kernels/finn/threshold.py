"""Cycles of FINN's thresholding; exact, also under stalls."""

from __future__ import annotations

import numpy as np

from exeunt.kernels.parts.fifo import Cycles, spaced
from exeunt.kernels.registry import register_resume
from exeunt.kernels.threshold import Threshold

LONG_AGO = -(1 << 40)


def stages(node: Threshold) -> int:
    """Stages of FINN's search pipeline: clog2(levels + 1)."""
    return int(node.levels).bit_length()


def _transfers(
    node: Threshold, past: Cycles | None, offered: Cycles, ready: Cycles | None
) -> tuple[Cycles | list[int], ...]:
    # The pipeline runs freely; a word more enters while fewer than `room` are inside. The past:
    # when the last word entered, and when the last `room` left.
    latency = stages(node) + 2
    room = stages(node) + 3
    before = [LONG_AGO] * (room + 1) if past is None else past.tolist()
    if max(before) < offered[0]:
        takes = spaced(offered)
        if ready is None or (takes + latency >= ready).all():
            gives = takes + latency
            left = np.concatenate([np.array(before[1:], np.int64), gives])
            return takes, gives, np.append(takes[-1:], left[-room:])
    last, *given = before
    taken: list[int] = []
    give = given[-1]
    accepts = [LONG_AGO] * len(offered) if ready is None else ready.tolist()
    for k, (offer, accept) in enumerate(zip(offered.tolist(), accepts, strict=True)):
        last = max(offer, last + 1, given[k] + 1)
        give = max(last + latency, give + 1, accept)
        taken.append(last)
        given.append(give)
    return taken, given[room:], [last, *given[-room:]]


def resume(
    node: Threshold, past: Cycles | None, offered: Cycles, ready: Cycles | None = None
) -> tuple[Cycles, Cycles, Cycles]:
    """Transfer cycles of further frames, see `exeunt.kernels.kind.Kind.resume`."""
    offers = np.asarray(offered).astype(np.int64)
    accepts = None if ready is None else np.asarray(ready).astype(np.int64)
    takes, gives, after = _transfers(node, past, offers, accepts)
    return np.asarray(takes, np.int64), np.asarray(gives, np.int64), np.asarray(after, np.int64)


register_resume("threshold", "finn", resume)
