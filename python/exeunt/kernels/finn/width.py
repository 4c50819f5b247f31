"""Cycles of FINN's width converter; exact, also under stalls."""

from __future__ import annotations

import numpy as np

from exeunt.kernels.parts.fifo import Cycles
from exeunt.kernels.registry import register_times
from exeunt.kernels.width import Width

LONG_AGO = -(1 << 30)


def _transfers(node: Width, offered: Cycles, ready: Cycles | None) -> tuple[list[int], list[int]]:
    # A shift buffer of one input and one output word: a word enters while at most an output
    # word's worth is stored, and one leaves while at least that much is.
    unit = min(node.input.width, node.output.width)
    into, out = node.input.width // unit, node.output.width // unit
    count = len(offered) * into // out
    accepts = [LONG_AGO] * count if ready is None else ready.tolist()
    taken: list[int] = []
    given: list[int] = []
    last = give = LONG_AGO
    for k, offer in enumerate(offered.tolist()):
        before = -(-k * into // out) - 2
        last = max(offer, last + 1, given[before] + 1 if before >= 0 else LONG_AGO)
        taken.append(last)
        for m in range(len(given), (k + 1) * into // out):
            give = max(taken[-(-(m + 1) * out // into) - 1] + 1, give + 1, accepts[m])
            given.append(give)
    return taken, given


def times(node: Width, offered: Cycles, ready: Cycles | None = None) -> tuple[Cycles, Cycles]:
    """Transfer cycles of whole frames, see `exeunt.kernels.kind.Kind.times`."""
    offers = np.asarray(offered).astype(np.int64)
    accepts = None if ready is None else np.asarray(ready).astype(np.int64)
    takes, gives = _transfers(node, offers, accepts)
    return np.asarray(takes, np.int64), np.asarray(gives, np.int64)


register_times("width", "finn", times)
