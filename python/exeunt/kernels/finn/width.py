"""Cycles of FINN's width converter; exact, also under stalls."""

from __future__ import annotations

import numpy as np

from exeunt.kernels.parts.fifo import Cycles
from exeunt.kernels.registry import register_resume
from exeunt.kernels.width import Width

LONG_AGO = -(1 << 40)


def _transfers(
    node: Width, past: Cycles | None, offered: Cycles, ready: Cycles | None
) -> tuple[list[int], ...]:
    # A shift buffer of one input and one output word: a word enters while at most an output
    # word's worth is stored, and one leaves while at least that much is. The past: when the last
    # word entered, and when the last two left.
    unit = min(node.input.width, node.output.width)
    into, out = node.input.width // unit, node.output.width // unit
    count = len(offered) * into // out
    accepts = [LONG_AGO] * count if ready is None else ready.tolist()
    last, *given = [LONG_AGO] * 3 if past is None else past.tolist()
    taken: list[int] = []
    give = given[-1]
    for k, offer in enumerate(offered.tolist()):
        last = max(offer, last + 1, given[-(-k * into // out)] + 1)
        taken.append(last)
        for m in range(len(given) - 2, (k + 1) * into // out):
            give = max(taken[-(-(m + 1) * out // into) - 1] + 1, give + 1, accepts[m])
            given.append(give)
    return taken, given[2:], [last, *given[-2:]]


def resume(
    node: Width, past: Cycles | None, offered: Cycles, ready: Cycles | None = None
) -> tuple[Cycles, Cycles, Cycles]:
    """Transfer cycles of further frames, see `exeunt.kernels.kind.Kind.resume`."""
    offers = np.asarray(offered).astype(np.int64)
    accepts = None if ready is None else np.asarray(ready).astype(np.int64)
    takes, gives, after = _transfers(node, past, offers, accepts)
    return np.asarray(takes, np.int64), np.asarray(gives, np.int64), np.asarray(after, np.int64)


register_resume("width", "finn", resume)
