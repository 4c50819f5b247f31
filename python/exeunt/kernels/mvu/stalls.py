"""Cycles of `ex_mvu` where something waits: every rule for all steps at once.

Words that come late and results that are taken late only ever delay others. So all words are
taken, all steps started and all results given in rounds, each with what the round before knew of
the others, until a round changes nothing: then every rule holds. Two or three are usual.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from exeunt.kernels.parts.fifo import LONG_AGO, Cycles, spaced
from exeunt.kernels.parts.turns import Search


@dataclass(frozen=True)
class Unit:
    """What decides the cycles of a matrix-vector unit.

    Attributes:
        nf: output words of a vector.
        sf: input words of a vector.
        before: registers in front of the accumulator.
        search: what output words go through behind it.
    """

    nf: int
    sf: int
    before: int
    search: Search

    @property
    def room(self) -> int:
        """Input words that there is room for."""
        return 2 if self.nf == 1 else 2 * self.sf


def solve(
    unit: Unit, past: Cycles, offered: Cycles, ready: Cycles | None
) -> tuple[Cycles, Cycles, Cycles]:
    """Transfer cycles behind a past, see `exeunt.kernels.mvu.resume`.

    Args:
        unit: what decides them.
        past: last word taken, last step started, when the last result left its accumulator; when
            each input word was read for the last time; when the last steps went into the
            accumulator; the state of the search.
        offered: int64 (n,), whole vectors.
        ready: int64 (n / sf * nf,), or None.

    Returns:
        takes int64 (n,), gives int64 (n / sf * nf,), and the past for what follows.
    """
    nf, sf, before, room = unit.nf, unit.sf, unit.before, unit.room
    (taken, started, left), read, entered, found = np.split(past, (3, 3 + room, 3 + room + before))
    words, count = len(offered), len(offered) // sf * nf
    free = np.concatenate([read, np.full(words, LONG_AGO)])  # of the room of each word
    enters = np.concatenate([entered, np.full(count * sf, LONG_AGO)])  # of each step
    begins = np.full(count + 1, LONG_AGO)  # before which no result is begun
    begins[0] = left
    while True:
        takes = np.maximum(offered, free[:words] + 1)
        takes[0] = max(takes[0], taken + 1)
        takes = spaced(takes)
        steps = enters[: count * sf].copy()  # a step starts when its registers close up
        first = steps.reshape(-1, nf, sf)[:, 0]
        np.maximum(first, takes.reshape(-1, sf) + 1, out=first)
        steps[0] = max(steps[0], started + 1)
        steps = spaced(steps)
        adds = steps + before
        adds[0] = max(adds[0], entered[-1] + 1)
        np.maximum(adds[::sf], begins[:-1], out=adds[::sf])
        adds = spaced(adds)
        leaves, gives, state = unit.search.solve(found, left, adds[sf - 1 :: sf] + 1, ready)
        enters[before:], begins[1:] = adds, leaves
        free[room:] = steps.reshape(-1, nf, sf)[:, -1].reshape(-1)
        if (
            (takes > free[:words]).all()
            and (steps >= enters[: count * sf]).all()
            and (adds[::sf] >= begins[:-1]).all()
        ):
            after = (takes[-1:], steps[-1:], leaves[-1:], free[-room:], enters[-before:], state)
            return takes, gives, np.concatenate(after)
