"""The early-terminate controller: exact results from integer logits, and cycles of its blocks.

Values: `decide`, `results`. Cycles: `decide_times`, `buffer_times`, `merge_times`, one per block,
exact with and without stalls; `exeunt.reference.system` composes the whole core. What a score is,
and the cycles of the block that computes it, says the criterion (`exeunt.criteria`).
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from exeunt import criteria
from exeunt.graph import IntArray
from exeunt.reference.looks import Looks, Made
from exeunt.reference.looks import decide as decided

Cycles = npt.NDArray[np.int64]

RESULT = np.dtype(
    [
        ("id", "<u4"),
        ("score", "<i4"),
        ("latency", "<u4"),
        ("class", "<u2"),
        ("exit", "u1"),
        ("flags", "u1"),
    ]
)
"""A result as it leaves the core: 16 bytes, `id` first."""

FLAG_BAD = 1
FLAG_BANK = 2


@dataclass(frozen=True)
class Decisions:
    """Where N frames leave and with what: int64 (N,) each; how often they were looked at again."""

    exits: IntArray
    classes: IntArray
    scores: IntArray
    looks: Made | None = None


def decide(
    logits: Sequence[IntArray],
    thresholds: Sequence[int | None] | IntArray | Sequence[Sequence[int | None]],
    *,
    criterion: str = criteria.DEFAULT,
    scales: Sequence[float] = (),
    banks: IntArray | None = None,
    offsets: Sequence[Sequence[int]] = (),
    looks: Looks | None = None,
    follows: Sequence[criteria.Follows] = (),
) -> Decisions:
    """The exit that each frame takes: the first with score >= threshold, at the latest the last.

    Args:
        logits: one integer array (N, classes) per exit.
        thresholds: one per exit (`registers.NEVER`, `registers.ALWAYS`; the last one's is ignored
            and may be missing); with `banks` one such row per bank.
        criterion: what the exits go by.
        scales: what a logit of 1 stands for at each exit; 1.0 unless given.
        banks: int (N,), the row of `thresholds` that was in force when each frame was accepted.
        offsets: per exit, of each class: taken off the scores; none: nothing is.
        looks: further looks at frames that would stay at exit 0; None: there are none.
        follows: what changes thresholds, see `exeunt.criteria.run`; not with looks.
    """
    left = criteria.run(
        criterion, logits, thresholds, scales=scales, banks=banks, offsets=offsets, follows=follows
    )
    if looks is None:
        return Decisions(left.exits, left.classes, left.scores)
    made, gone, classes, scores = decided(
        looks, left.exits, criterion=criterion, scales=scales, offsets=offsets
    )
    return Decisions(
        np.where(gone, 0, left.exits), np.where(gone, classes, left.classes),
        np.where(gone, scores, left.scores), made,
    )  # fmt: skip


def results(
    decisions: Decisions,
    *,
    first_id: int = 0,
    bad: npt.NDArray[np.bool_] | None = None,
    banks: IntArray | None = None,
) -> npt.NDArray[np.void]:
    """Results in input order, latency 0: a `RESULT` array (N,)."""
    count = len(decisions.exits)
    table = np.zeros(count, RESULT)
    table["id"] = (np.arange(count, dtype=np.int64) + first_id) & 0xFFFFFFFF
    table["score"] = decisions.scores
    table["class"] = decisions.classes
    table["exit"] = decisions.exits
    flags = np.zeros(count, np.int64)
    if bad is not None:
        flags |= np.where(bad, FLAG_BAD, 0)
    if banks is not None:
        flags |= np.where(np.asarray(banks) == 1, FLAG_BANK, 0)
    table["flags"] = flags
    return table


def raw_beats(logits: IntArray) -> list[int]:
    """The 128-bit beats of raw mode: 4 logits of 32 bits each, the last of a frame zero padded."""
    beats = []
    for frame in np.asarray(logits).tolist():
        for k in range(0, len(frame), 4):
            words = enumerate(frame[k : k + 4])
            beats.append(sum((v & 0xFFFFFFFF) << (32 * i) for i, v in words))
    return beats


def decide_times(
    offered: Cycles,
    *,
    meta: Cycles | None = None,
    ready: Cycles | None = None,
) -> tuple[Cycles, Cycles]:
    """Cycles of ex_decide: when it takes scores and when its tokens are taken.

    Args:
        offered: int64 (N,), first cycle in which the score of each frame can be valid.
        meta: int64 (N,), first cycle in which each frame's metadata is valid; None: in time.
        ready: int64 (N,), first cycle in which each token is accepted; None: at once.

    Returns:
        takes int64 (N,), gives int64 (N,).
    """
    takes, gives = np.empty(len(offered), np.int64), np.empty(len(offered), np.int64)
    take = give = -(1 << 40)
    for n, first in enumerate(offered.tolist()):
        take = takes[n] = max(first, take + 1, give, first if meta is None else int(meta[n]))
        give = gives[n] = max(take + 1, take if ready is None else int(ready[n]))
    return takes, gives


def buffer_times(
    frame: int,
    depth: int,
    offered: Cycles,
    verdicts: Cycles,
    keep: npt.NDArray[np.bool_],
    *,
    ready: Cycles | None = None,
) -> tuple[Cycles, Cycles, Cycles]:
    """Cycles of ex_frame_buffer: when it takes words, takes verdicts and gives kept words.

    Args:
        frame: words a frame.
        depth: words of memory, whole frames.
        offered: int64 (N * frame,), first cycle in which each word can be valid.
        verdicts: int64 (N,), first cycle in which each frame's verdict can be valid.
        keep: bool (N,).
        ready: int64 (K * frame,), first cycle in which each kept word is accepted; None: at once.

    Returns:
        takes int64 (N * frame,), decided int64 (N,), gives int64 (K * frame,).
    """
    takes = np.empty(len(offered), np.int64)
    decided = np.empty(len(keep), np.int64)
    gives: list[int] = []
    places = Places(depth // frame)
    put = get = given = verdict = -(1 << 40)
    for n, kept in enumerate(keep):
        words = range(n * frame, (n + 1) * frame)
        begins = max(int(offered[words[0]]), put + 1, places.free)
        early = max(int(verdicts[n]), verdict + 1, put + 1)
        place = kept or early >= places.free
        if place:
            verdict = max(int(verdicts[n]), verdict + 1, begins + 1)
        else:  # dropped before it came; its words need no place
            verdict = early
            begins = max(int(offered[words[0]]), verdict + 1)
        decided[n] = verdict
        for k in words:
            put = takes[k] = max(int(offered[k]), put + 1, begins)
            if kept:
                get = max(verdict + 1, put + 1, get + 1, given)
                given = max(get + 1, get if ready is None else int(ready[len(gives)]))
                gives.append(given)
        if place:
            places.take(get if kept else verdict)
    return takes, decided, np.array(gives, np.int64)


class Places:
    """When a frame buffer has a free place: of frames in order, those that leave it in any order.

    `free` is the first cycle in which the next frame can begin.
    """

    def __init__(self, count: int) -> None:
        self._left = [-(1 << 40)] * count  # when the frames that use the places leave, ascending
        self.free = self._left[0] + 1

    def take(self, leaves: int) -> None:
        """The next frame takes a place, and leaves it in cycle `leaves`."""
        del self._left[0]
        bisect.insort(self._left, leaves)
        self.free = self._left[0] + 1


@dataclass(frozen=True)
class View:
    """One look at a frame in ex_look_buffer: when its words come, and its verdict.

    frame: which one. words: int64 (words,), first cycle in which each can be valid. verdict: the
    cycle of the verdict, with keep, or None where the frame is looked at again.
    """

    frame: int
    words: Cycles
    verdict: int | None
    keep: bool = False


def look_buffer_times(
    places: int, asked: Cycles, views: Sequence[View], *, ready: Cycles | None = None
) -> tuple[Cycles, IntArray, Cycles]:
    """Cycles of ex_look_buffer: when it gives places, and the words of kept frames.

    Args:
        places: frames that there is room for.
        asked: int64 (N,), first cycle in which somebody takes a place for each frame.
        views: looks in order, a frame's first one after it has its place.
        ready: int64 (K * words,), first cycle in which each kept word is accepted; None: at once.

    Returns:
        places given int64 (N,), which ones int64 (N,), gives int64 (K * words,).
    """
    ago = -(1 << 40)
    given, which = np.empty(len(asked), np.int64), np.empty(len(asked), np.int64)
    free: list[int | None] = [ago] * places  # the cycle in which each became free
    put: dict[int, Cycles] = {}
    gives: list[int] = []
    get = last = taken = come = ago
    for view in views:
        words = np.empty(len(view.words), np.int64)
        for k, offered in enumerate(view.words.tolist()):
            come = words[k] = max(offered, come + 1)
        if view.frame not in put:
            number = len(put)
            last = given[number] = max(
                int(asked[number]), last + 1, min(f for f in free if f is not None) + 1
            )
            which[number] = next(p for p, f in enumerate(free) if f is not None and f < last)
            free[int(which[number])] = None
            put[view.frame] = words
        if view.verdict is None:
            continue
        leaves = view.verdict
        for word in put[view.frame].tolist() if view.keep else ():
            get = leaves = max(view.verdict + 1, word + 1, get + 1, taken)
            taken = max(get + 1, get if ready is None else int(ready[len(gives)]))
            gives.append(taken)
        free[int(which[list(put).index(view.frame)])] = leaves
    return given, which, np.array(gives, np.int64)


def merge_times(
    offered: Sequence[Cycles],
    *,
    ids: Sequence[IntArray] | None = None,
    ready: Cycles | None = None,
) -> tuple[list[tuple[int, int]], Cycles, Cycles]:
    """Cycles of ex_merge for results offered by its exits.

    Args:
        offered: per exit int64 (N_e,), first cycle in which each result can be valid.
        ids: per exit the frames' ids, counted from 0, for input order; None: arrival order.
        ready: int64 (N,), first cycle in which each result is accepted; None: at once.

    Returns:
        (exit, index within the exit) of every result as it leaves, loads int64 (N,) when each
        moves into the output register, gives int64 (N,) when each is taken.
    """
    total = sum(len(c) for c in offered)
    heads = [0] * len(offered)
    given = cycle = -(1 << 40)
    entered: list[tuple[int, tuple[int, int]]] = []
    for _ in range(total):
        waiting = [
            (int(c[k]), e)
            for e, (c, k) in enumerate(zip(offered, heads, strict=True))
            if k < len(c)
        ]
        cycle = max(cycle + 1, min(waiting)[0])
        exit_ = max(e for at, e in waiting if at <= cycle)
        entered.append((cycle, (exit_, heads[exit_])))
        heads[exit_] += 1
    if ids is not None:
        entered.sort(key=lambda found: int(ids[found[1][0]][found[1][1]]))
    loads, gives = np.empty(total, np.int64), np.empty(total, np.int64)
    before = -(1 << 40)
    for n, (cycle, _) in enumerate(entered):
        before = loads[n] = max(cycle + 1, before + 1, given)
        given = gives[n] = max(before + 1, before if ready is None else int(ready[n]))
    return [source for _, source in entered], loads, gives
