"""Explanations beside the pipeline: which frames get a map, and when each word of it comes.

The reference of `exeunt_explain`: slots, choice and engine together, driven by what the core does.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from exeunt.explain.choice import ANY, Choice, Request
from exeunt.explain.engine import Clock, Timed
from exeunt.explain.slots import Slots
from exeunt.graph import IntArray

Cycles = npt.NDArray[np.int64]
PORT = 1  # cycles through ex_explain_port


@dataclass(frozen=True)
class Passed:
    """What the core did with N frames.

    Attributes:
        accepts: int64 (N,), cycle of each frame's first beat.
        decides: of each exit, int64, the cycle of each decision.
        takes: of each exit, whether the frame left there.
        labels: int64 (N,), the class of each frame's answer.
        scores: int64 (N,), its score.
    """

    accepts: Cycles
    decides: Sequence[Cycles]
    takes: Sequence[npt.NDArray[np.bool_]]
    labels: IntArray
    scores: IntArray


@dataclass(frozen=True)
class Asked:
    """What a host has asked for.

    Attributes:
        every: one frame in so many, 0: none.
        wait: frames wait for a slot.
        method: number of the method.
        below: of each exit, see `ex_explain_choose`; empty: any score.
        ids: that were asked for before the first frame.
    """

    every: int
    method: int
    below: tuple[int, ...] = ()
    ids: tuple[int, ...] = ()
    wait: bool = False


@dataclass(frozen=True)
class Given:
    """What came of it.

    Attributes:
        requests: in the order in which the engine took them.
        takes: cycle of each.
        gives: of each, the cycles in which the words of its packet leave.
        missed: frames to be explained for which there was no slot.
        unmet: ids asked for in vain.
    """

    requests: list[Request]
    takes: list[int]
    gives: list[list[int]]
    missed: int
    unmet: int


class _Core:
    """Events of the core by their cycles."""

    def __init__(self, passed: Passed) -> None:
        self.enters = set(passed.accepts.tolist())
        self.decides: dict[int, dict[int, tuple[int, bool]]] = {}  # cycle: exit: frame, leaves
        inside = list(range(len(passed.accepts)))
        for exit, (cycles, takes) in enumerate(zip(passed.decides, passed.takes, strict=True)):
            stay = []
            for frame, cycle, leaves in zip(inside, cycles.tolist(), takes.tolist(), strict=False):
                self.decides.setdefault(cycle, {})[exit] = frame, leaves
                if not leaves:
                    stay.append(frame)
            inside = stay


def given(
    passed: Passed,
    asked: Asked,
    *,
    slots: int,
    places: int,
    timed: Callable[[Request], Timed],
) -> Given:
    """The maps of frames that passed, and all their cycles, as long as every word is taken at once.

    Args:
        passed: by the core, from the end of a reset.
        asked: from the first frame on.
        slots: frames whose context is kept.
        places: ids that can be asked for ahead.
        timed: what the engine takes for a request.
    """
    exits = len(passed.decides)
    below = asked.below or (ANY,) * exits
    core, table, choice, clock = _Core(passed), Slots(slots, exits), Choice(places), Clock()
    for number in asked.ids:
        choice.step(every=0, method=0, enter=False, slot=None, left={}, taken=False, ask=number)
    found = Given([], [], [], 0, 0)
    frees: dict[int, int] = {}  # cycle: slot
    waiting = sorted(core.enters | set(core.decides))
    heapq.heapify(waiting)
    done = -1
    while waiting:
        now = heapq.heappop(waiting)
        if now == done:
            continue
        done = now
        offer = choice.offer
        taken = offer is not None and now >= clock.free
        if offer is not None and taken:
            take, free, words = clock.map(timed(offer), now)
            frees[free] = offer.slot
            found.requests.append(offer)
            found.takes.append(take)
            found.gives.append([word + PORT for word in words])
            heapq.heappush(waiting, free)
        decided = core.decides.get(now, {})
        left, explain = _leaving(decided, table, choice, passed, below)
        enter = now in core.enters
        event = table.step(
            enter=enter,
            want=choice.wants(asked.every),
            take=[decided[e][1] if e in decided else None for e in range(exits)],
            explain=explain,
            free=frees.pop(now, None),
        )
        choice.step(
            every=asked.every,
            method=asked.method,
            enter=enter,
            slot=event.passing.get(0),
            left={e: (slot, left[e]) for e, slot in event.left.items()},
            taken=taken,
        )
        if choice.offer is not None:
            heapq.heappush(waiting, max(now + 1, clock.free))
    return Given(found.requests, found.takes, found.gives, choice.missed, choice.unmet)


def _leaving(
    decided: Mapping[int, tuple[int, bool]],
    table: Slots,
    choice: Choice,
    passed: Passed,
    below: Sequence[int],
) -> tuple[dict[int, int], list[bool]]:
    """The class of what leaves at each exit in this cycle, and whether its map is wanted."""
    labels: dict[int, int] = {}
    explain = [False] * len(below)
    for exit, (frame, leaves) in decided.items():
        slot = table.inside[exit][0]
        if leaves:
            labels[exit] = int(passed.labels[frame])
        if leaves and slot is not None:
            explain[exit] = choice.explains(slot, int(passed.scores[frame]), below[exit])
    return labels, explain
