"""Cycles of `ex_swg_parallel`: row memories, column steps, a pipeline that stalls as a whole.

A column step reads the pixels of one column of a row of windows, one cycle after the lowest of
them was taken at the earliest, and frees pixels of the top row; pixel k is taken when pixel k - D
is free, D = KH * W, or a row more for very narrow frames. A window is on offer two cycles after
the step that completes it. While it waits, nothing moves. The padding on the right of a row (the
tail) completes in the first steps of the next row; at a frame's end in steps of its own when the
next frame's columns are not there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from exeunt.kernels.parts.fifo import Cycles
from exeunt.kernels.swg.node import Swg


def columns(node: Swg) -> int:
    """Column steps that a row of windows takes."""
    _, left, _, right = node.pad
    return node.input.shape[1] + max(0, left + right + 1 - node.kernel[1])


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
    (kh, kw), (sh, sw), (top, left, _, _) = node.kernel, node.stride, node.pad
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

    def __init__(self, ready: list[int] | None) -> None:
        self.ready = ready
        self.gives: list[int] = []
        self.next = 0  # first cycle in which the next step can happen
        self._held = (0, 0)  # cycles in which a waiting window stops everything: from, before

    def step(self, earliest: int, ends: bool) -> int:
        """A step from cycle `earliest` on: its cycle; `ends` when it completes a window."""
        cycle = max(self.next, earliest)
        if self._held[0] <= cycle < self._held[1]:
            cycle = self._held[1]
        follow = cycle + 1  # the column moves into the window in the next cycle that moves
        if self._held[0] <= follow < self._held[1]:
            follow = self._held[1]
        if ends:
            shown = follow + 1
            give = shown if self.ready is None else max(shown, self.ready[len(self.gives)])
            self.gives.append(give)
            self._held = (shown, give)
        self.next = follow
        return cycle


def times(node: Swg, offered: Cycles, ready: Cycles | None = None) -> tuple[Cycles, Cycles]:
    """Transfer cycles of whole frames, see `kind.times`."""
    p = plan(node)
    words, w = node.input.words, node.input.shape[1]
    depth = (node.kernel[0] + (w <= p.tail or w == 1)) * w
    offers = offered.tolist()
    takes: list[int] = []
    pipeline = _Pipeline(None if ready is None else np.asarray(ready, np.int64).tolist())

    def write(limit: int, earliest: int) -> None:
        cycle = max(earliest, takes[-1] + 1) if takes else earliest
        for offer in offers[len(takes) : limit]:
            if offer > cycle:
                cycle = offer
            takes.append(cycle)
            cycle += 1

    write(depth, 0)
    tail = 0  # steps that the row before still needs
    for start in range(0, offered.size, words):
        while tail and takes[start + p.rows[0][0] + tail - 1] >= pipeline.next:
            tail -= 1
            pipeline.step(0, p.tail_ends[tail])
        for bottom, free in p.rows:
            for x, freed in enumerate(free):
                earliest = takes[start + bottom + x] + 1 if x < w else 0
                ends = p.ends[x]
                if tail:
                    tail -= 1
                    ends |= p.tail_ends[tail]
                cycle = pipeline.step(earliest, ends)
                if start + freed + depth > len(takes):
                    write(start + freed + depth, cycle + 1)
            tail = p.tail
    while tail:
        tail -= 1
        pipeline.step(0, p.tail_ends[tail])
    return np.asarray(takes, np.int64), np.asarray(pipeline.gives, np.int64)
