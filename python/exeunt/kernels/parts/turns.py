"""Thresholds behind a matrix-vector unit, whose lanes may take turns (ex_search): cycles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from exeunt.kernels.parts.fifo import LONG_AGO, Cycles, spaced
from exeunt.kernels.parts.levels import registers, stages


@dataclass(frozen=True)
class Search:
    """What output words go through behind the accumulators.

    Attributes:
        stages: registers of the search; 0: there are no thresholds.
        turns: in which the lanes of a word are searched; 1: all at once.
    """

    stages: int
    turns: int = 1

    @classmethod
    def of(cls, thresholds: int, *, lanes: int, searching: int) -> Search:
        """That of a unit with `lanes` lanes out, of which `searching` search at a time."""
        if not thresholds:
            return cls(0)
        return cls(stages(thresholds) + 1, lanes // searching)

    @property
    def latency(self) -> int:
        """Cycles behind an accumulator, without a stall."""
        return self.stages + (self.turns + 1 if self.turns > 1 else 0)

    @property
    def length(self) -> int:
        """Cycles that its state has: see `Passing`."""
        return self.stages + 2 if self.turns > 1 else max(self.stages, 1)

    def after(self, left: Cycles, gives: Cycles) -> Cycles:
        """The state behind words that left without a stall.

        Args:
            left: the state before.
            gives: cycles in which the words left.
        """
        if self.turns == 1:
            return np.concatenate([left, gives])[-len(left) :]
        found = (gives[-self.stages :, None] - np.arange(self.turns, 0, -1)).reshape(-1)
        found = np.concatenate([left[:-2], found])[-self.stages :]
        return np.append(found, [gives[-1] - self.stages - 1, gives[-1]])

    def solve(
        self, state: Cycles, left: np.int64, comes: Cycles, ready: Cycles | None
    ) -> tuple[Cycles, Cycles, Cycles]:
        """Cycles of words that come one behind the other, as `Passing` tells them one by one.

        Args:
            state: the state before.
            left: when the word before these left its accumulator.
            comes: int64 (n,), first cycle in which each may leave its own.
            ready: int64 (n,), first cycle in which each is taken; None: always.

        Returns:
            when each leaves its accumulator, when for good, and the state behind them.
        """
        if self.turns > 1:
            return self._solve_turns(state, left, comes, ready)
        if self.stages:
            past = np.append(state, left)
            leaves, gives, past = registers(self.stages, past, comes, ready)
            return leaves, gives, past[:-1]
        earliest = comes.copy() if ready is None else np.maximum(comes, ready)
        earliest[0] = max(earliest[0], left + 1)
        leaves = spaced(earliest)
        return leaves, leaves, leaves[-1:]

    def _solve_turns(
        self, state: Cycles, left: np.int64, comes: Cycles, ready: Cycles | None
    ) -> tuple[Cycles, Cycles, Cycles]:
        depth, turns, words = self.stages, self.turns, len(comes)
        turned, given = state[depth:]
        comes = comes.copy()
        comes[0] = max(comes[0], left + 1, turned + 1)
        # of two turns one a cycle at most, and a cycle more from word to word
        apart = (np.arange(words)[:, None] * (turns + 1) + np.arange(turns)).reshape(-1)
        index = np.arange(words * turns)
        exits = np.concatenate([state[:depth], np.full(words * turns, LONG_AGO)])
        gives = np.append(given, np.full(words, LONG_AGO))
        if ready is not None:
            gives[1:] = ready
        while True:  # each rule for all words at once, until all hold
            begun = exits[: len(index)].copy()
            np.maximum(begun[::turns], comes + 1, out=begun[::turns])
            begun = np.maximum.accumulate(begun - apart) + apart
            gone = begun + depth
            gone[0] = max(gone[0], state[depth - 1] + 1)
            np.maximum(gone[turns - 1 :: turns], gives[:-1], out=gone[turns - 1 :: turns])
            gone = np.maximum.accumulate(gone - index) + index
            exits[depth:] = gone
            np.maximum(gives[1:], gone[turns - 1 :: turns] + 1, out=gives[1:])
            if (begun >= exits[: len(index)]).all() and (
                gone[turns - 1 :: turns] >= gives[:-1]
            ).all():
                break
        ends = begun[turns - 1 :: turns]
        leaves = comes
        leaves[1:] = np.maximum(leaves[1:], ends[:-1] + 1)
        return leaves, gives[1:], np.concatenate([exits[-depth:], ends[-1:], gives[-1:]])


class Passing:
    """Words on their way through a search, one after the other, with stalls."""

    def __init__(self, search: Search, left: list[int]) -> None:
        """Go on behind other words.

        Args:
            search: what they go through.
            left: cycles in which the last words left; with turns: in which the last turns left
                the search, in which the last turn began, and in which the last word left.
        """
        self._stages, self._turns = search.stages, search.turns
        self._exits = left
        self._turned = self._given = 0
        if search.turns > 1:
            *self._exits, self._turned, self._given = left

    def word(self, leave: int, accept: int) -> tuple[int, int]:
        """When a word leaves the accumulators, and when it leaves for good.

        Args:
            leave: the first cycle in which it may leave the accumulators.
            accept: the first cycle in which the next kernel takes it.
        """
        exits, depth = self._exits, self._stages
        if self._turns > 1:
            leave = turn = max(leave, self._turned + 1)
            for k in range(self._turns):
                turn = max(turn + 1, exits[-depth])
                last = self._given if k == self._turns - 1 else 0
                exits.append(max(turn + depth, exits[-1] + 1, last))
            self._turned, self._given = turn, max(exits[-1] + 1, accept)
            return leave, self._given
        if depth:
            leave = max(leave, exits[-depth])
            given = max(leave + depth, exits[-1] + 1, accept)
        else:
            leave = given = max(leave, accept)
        exits.append(given)
        return leave, given

    def state(self) -> list[int]:
        """What `__init__` takes to go on."""
        if self._turns > 1:
            return [*self._exits[-self._stages :], self._turned, self._given]
        return self._exits[-max(self._stages, 1) :]
