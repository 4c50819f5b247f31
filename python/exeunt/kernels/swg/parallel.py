"""Cycles of `ex_swg_parallel`: row memories, column steps, a pipeline that stalls as a whole.

A column step reads the pixels of one column of a row of windows, one cycle after the lowest of
them was taken at the earliest, and frees pixels of the top row; pixel k is taken when pixel k - D
is free, D = EH * W with EH rows from the first to the last of a window, or a row more for very
narrow frames. A window is on offer two cycles after the step that completes it. While it waits,
nothing moves. The padding on the right of a row (the tail) completes in the first steps of the next
row; at a frame's end in steps of its own when the next frame's columns are not there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from exeunt.kernels.parts.fifo import LONG_AGO, Cycles
from exeunt.kernels.swg.node import Swg


def columns(node: Swg) -> int:
    """Column steps that a row of windows takes."""
    _, left, _, right = node.pad
    return node.input.shape[1] + max(0, left + right + 1 - node.extent[1])


@dataclass(frozen=True)
class Plan:
    """The column steps of a frame.

    Attributes:
        tail: steps that a row of windows needs beyond its own.
        ends: for every own step of a row whether it completes a window.
        tail_ends: for every tail step, the last one first, whether it completes a window.
        rows: for every row of windows the first word of its bottom row and, for each step, how
            many words of the frame are free after it.
    """

    tail: int
    ends: tuple[bool, ...]
    tail_ends: tuple[bool, ...]
    rows: tuple[tuple[int, tuple[int, ...]], ...]


@cache
def plan(node: Swg) -> Plan:
    """The column steps of a frame."""
    h, w, _ = node.input.shape
    oh, ow, _ = node.output.shape
    (kh, kw), (sh, sw), (top, left, _, _) = node.extent, node.stride, node.pad
    steps = columns(node)
    complete = {ox * sw - left + kw - 1 for ox in range(ow)}
    tail = max(0, max(complete) + 1 - steps)
    rows = []
    for oy in range(oh):
        y0 = oy * sh - top
        free = [y0 * w + min(x + 1, w) if y0 >= 0 else 0 for x in range(steps)]
        free[-1] = max(0, y0 + sh) * w if oy < oh - 1 else h * w
        rows.append((min(h - 1, y0 + kh - 1) * w, tuple(free)))
    ends = tuple(x in complete for x in range(steps))
    tail_ends = tuple(steps + tail - 1 - t in complete for t in range(tail))
    return Plan(tail, ends, tail_ends, tuple(rows))


class _Pipeline:
    """Column steps in, windows out: when each step happens and each window leaves."""

    def __init__(self, follows: int, held: tuple[int, int], accepts: list[int]) -> None:
        self.accepts = accepts
        self.gives: list[int] = []
        self.next = follows  # first cycle in which the next step can happen
        self.held = held  # cycles in which a waiting window stops everything: from, before

    def step(self, earliest: int, ends: bool) -> int:
        """A step from cycle `earliest` on: its cycle; `ends` when it completes a window."""
        cycle = max(self.next, earliest)
        if self.held[0] <= cycle < self.held[1]:
            cycle = self.held[1]
        follow = cycle + 1  # the column moves into the window in the next cycle that moves
        if self.held[0] <= follow < self.held[1]:
            follow = self.held[1]
        if ends:
            shown = follow + 1
            give = max(shown, self.accepts[len(self.gives)])
            self.gives.append(give)
            self.held = (shown, give)
        self.next = follow
        return cycle


def frame(
    node: Swg, past: Cycles | None, offered: Cycles, ready: Cycles | None
) -> tuple[Cycles, Cycles, Cycles]:
    """Transfer cycles of a further frame, see `kind.resume`.

    The past holds when the last word was taken; when the next step can come and from when to when
    a window stops it, were none, one, .. all steps of the tail done; when the tail's windows leave;
    and when there is room for each of the next `depth` words.
    """
    p = plan(node)
    offers, accepts = offered.tolist(), None if ready is None else ready.tolist()
    words, w = node.input.words, node.input.shape[1]
    depth = (node.extent[0] + (w <= p.tail or w == 1)) * w
    windows = sum(p.tail_ends)
    ago = int(LONG_AGO)
    before = [ago] * (1 + 3 * (p.tail + 1) + windows + depth) if past is None else past.tolist()
    last, before = before[0], before[1:]
    states = [before[k : k + 3] for k in range(0, 3 * (p.tail + 1), 3)]
    leaving = before[3 * len(states) : len(before) - depth]
    room = before[len(before) - depth :]
    takes: list[int] = []

    def write() -> None:
        nonlocal last
        for k in range(len(takes), min(len(room), words)):
            last = max(offers[k], last + 1, room[k])
            takes.append(last)

    write()
    tail = p.tail if past is not None else 0  # steps that the row before still needs
    while tail and takes[p.rows[0][0] + tail - 1] >= states[p.tail - tail][0]:
        tail -= 1
    older = leaving[windows - sum(p.tail_ends[:tail]) :]
    follows, begin, end = states[p.tail - tail]
    if accepts is None:
        accepts = [ago] * node.output.words
    pipeline = _Pipeline(follows, (begin, end), older + accepts)
    for bottom, free in p.rows:
        for x, freed in enumerate(free):
            earliest = takes[bottom + x] + 1 if x < w else ago
            ends = p.ends[x]
            if tail:
                tail -= 1
                ends |= p.tail_ends[tail]
            cycle = pipeline.step(earliest, ends)
            if freed + depth > len(room):
                room.extend([cycle + 1] * (freed + depth - len(room)))
                write()
        tail = p.tail
    after = [last, pipeline.next, *pipeline.held]
    while tail:
        tail -= 1
        pipeline.step(ago, p.tail_ends[tail])
        after += [pipeline.next, *pipeline.held]
    gives = np.asarray(pipeline.gives[len(older) :], np.int64)
    after += gives[len(gives) - windows :].tolist() + room[words:]
    return np.asarray(takes, np.int64), gives, np.asarray(after, np.int64)
