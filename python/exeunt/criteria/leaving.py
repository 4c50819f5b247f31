"""Where frames leave, by any criterion: exit after exit, only those that get there.

`run` is the one place that knows how thresholds, the words that frames carry from exit to exit and
what an exit remembers of the frames before play together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from exeunt.criteria import registry
from exeunt.criteria.criterion import ALWAYS, NEVER, Criterion, Scored

IntArray = npt.NDArray[np.int64]
Offsets = Sequence[Sequence[int]]

_NO_SCORE = 1 << 62  # above every score


class Follows(Protocol):
    """What changes the threshold of one exit by what happened there before; see `exeunt.hold`."""

    def leave(self, scores: npt.NDArray[Any], limits: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Which frames leave, of the next ones there: scores (n,), the threshold of each (n,)."""


@dataclass(frozen=True)
class Left:
    """Where N frames left, of E exits, and with what: int64 (N,) each.

    `wanted`: int64 (E, N), the classes whose logits exit e had to know, 0 where a frame did not
    get there. `states`: what each exit remembers now, for the frames that come next.
    """

    exits: IntArray
    classes: IntArray
    scores: IntArray
    wanted: IntArray
    states: tuple[Any, ...] = ()

    def multiplies(
        self, macs: Sequence[int], *, per_class: Sequence[int] | None = None, classes: int = 0
    ) -> npt.NDArray[np.float64]:
        """Multiplications of each frame, float64 (N,).

        Args:
            macs: of a frame that leaves at exit i (cumulative), all classes computed.
            per_class: of them, those that exit i spends on the logit of one class, in the last
                layer of its head; a frame pays them only for the classes that are wanted. None:
                every class is paid for everywhere.
            classes: the network's, with `per_class`.
        """
        spent = np.asarray(macs, np.float64)[self.exits]
        for e, each in enumerate(per_class or ()):
            there = self.exits >= e
            spent[there] -= float(each) * (classes - self.wanted[e, there])
        return spent


class Frames:
    """N frames on their way; `judge` is one exit for those that are still inside.

    Args:
        criterion: what the exits go by.
        count: N.
        classes: logits of a frame.
        scales: what a logit of 1 stands for at each exit; 1.0 unless given.
        states: what each exit remembers of the frames before these; none: nothing.
        offsets: integers (classes,) for each exit, taken off the score of a frame by its answer;
            none: nothing is.
        follows: what changes the thresholds of each exit but the last; none: nothing does.
    """

    def __init__(
        self,
        criterion: Criterion,
        count: int,
        classes: int,
        states: Sequence[Any] = (),
        *,
        scales: Sequence[float] = (),
        offsets: Offsets = (),
        follows: Sequence[Follows] = (),
    ) -> None:
        self._follows = follows
        assert not offsets or criterion.by_class, f"{criterion.name} takes no offsets"
        self._criterion = criterion
        self._scales = scales
        self._offsets = [np.asarray(row, np.int64) for row in offsets]
        self._states = list(states)
        self._classes = classes
        self._exit = 0
        self._carried: npt.NDArray[Any] = np.zeros(0)
        if criterion.carry is not None:
            self._carried = criterion.carry.first(count, classes)

    @property
    def wanted(self) -> IntArray | int:
        """The classes that the next exit must know, of each frame inside."""
        carry = self._criterion.carry
        if carry is None or carry.wanted is None:
            return self._classes
        return carry.wanted(self._carried)

    @property
    def states(self) -> tuple[Any, ...]:
        """What each exit so far remembers."""
        return tuple(self._states)

    def judge(
        self, logits: npt.NDArray[Any], limits: npt.NDArray[Any]
    ) -> tuple[Scored, npt.NDArray[np.bool_]]:
        """The answers of the next exit to the frames inside, and which of them leave there.

        Args:
            logits: (n, classes), of the n frames inside, in order.
            limits: (n,), the score with which each leaves, above every score for never.
        """
        carry, history = self._criterion.carry, self._criterion.history
        if carry is not None:
            scored = carry.values(logits, self._carried)
        elif history is not None:
            if self._exit == len(self._states):
                self._states.append(history.first)
            scored = self._criterion.values(logits[:0])
            if len(logits):
                scored, self._states[self._exit] = history.values(logits, self._states[self._exit])
        else:
            scale = self._scales[self._exit] if len(self._scales) else 1.0
            scored = self._criterion.values(logits, scale=scale)
        if self._offsets:
            off = self._offsets[self._exit][scored.classes]
            scored = Scored(scored.classes, scored.scores - off)
        if self._exit < len(self._follows):
            leave = self._follows[self._exit].leave(scored.scores, limits)
        else:
            leave = np.asarray(scored.scores >= limits)
        if carry is not None:
            stay = ~leave
            self._carried = carry.next(
                logits[stay],
                self._carried[stay],
                Scored(scored.classes[stay], scored.scores[stay]),
                limits[stay],
            )
        self._exit += 1
        return scored, leave


def run(
    criterion: Criterion | str,
    logits: Sequence[npt.NDArray[np.integer]],
    thresholds: Sequence[int | None] | npt.NDArray[np.integer] | Sequence[Sequence[int | None]],
    *,
    scales: Sequence[float] = (),
    banks: npt.NDArray[np.integer] | None = None,
    states: Sequence[Any] = (),
    offsets: Offsets = (),
    follows: Sequence[Follows] = (),
) -> Left:
    """Where each frame leaves: at the first exit whose score reaches the threshold, else the last.

    Args:
        criterion: what the exits go by, or its name.
        logits: integers (N, classes) per exit, the frames in the order in which they come.
        thresholds: one per exit, None for always, NEVER for never; the last one's is ignored and
            may be missing. With `banks` one such row per bank.
        scales: what a logit of 1 stands for at each exit; 1.0 unless given.
        banks: int (N,), the row of `thresholds` that was in force when each frame was accepted.
        states: `Left.states` of the frames before these, if there were any.
        offsets: taken off the scores by their class, see `Frames`.
        follows: what changes thresholds, see `Frames`; changed by these frames.
    """
    rule = registry.get(criterion) if isinstance(criterion, str) else criterion
    count, exits = len(logits[0]), len(logits)
    rows: list[Any] = [thresholds] if banks is None else list(thresholds)
    table = np.full((len(rows), exits), ALWAYS, np.int64)
    for i, row in enumerate(rows):
        given = list(row)[: exits - 1]
        table[i, : len(given)] = [ALWAYS if t is None else int(t) for t in given]
    table[table == NEVER] = _NO_SCORE
    table[:, exits - 1] = -_NO_SCORE
    bank = np.zeros(count, np.int64) if banks is None else np.asarray(banks, np.int64)
    found = [np.empty(count, np.int64) for _ in range(3)]
    wanted = np.zeros((exits, count), np.int64)
    frames = Frames(
        rule, count, logits[0].shape[1], states, scales=scales, offsets=offsets, follows=follows
    )
    inside = np.arange(count)
    for e, values in enumerate(logits):
        wanted[e, inside] = frames.wanted
        here = values if len(inside) == count else values[inside]
        scored, leave = frames.judge(np.asarray(here, np.int64), table[bank[inside], e])
        gone = inside[leave]
        found[0][gone] = e
        found[1][gone] = scored.classes[leave]
        found[2][gone] = scored.scores[leave]
        inside = inside[~leave]
    return Left(found[0], found[1], found[2], wanted, frames.states)


def every(
    criterion: Criterion | str,
    logits: Sequence[npt.NDArray[np.integer]],
    *,
    scales: Sequence[float] = (),
) -> tuple[Scored, ...]:
    """What each exit says of each frame when nobody leaves: `Scored` of int64 (N,) per exit.

    Where `Criterion.fixed` holds, these are the scores whatever the thresholds are.
    """
    rule = registry.get(criterion) if isinstance(criterion, str) else criterion
    count = len(logits[0])
    frames = Frames(rule, count, logits[0].shape[1], scales=scales)
    never = np.full(count, _NO_SCORE, np.int64)
    return tuple(frames.judge(np.asarray(x, np.int64), never)[0] for x in logits)
