"""Cycles of `ex_swg`: a ring of words between a writer and a reader.

With B(w) the first word that window w or a later one may need (the base), D the size of the ring:

    takes[k] = max(offered[k], takes[k-1] + 1, reads[last of w] + 1 if B(w) <= k - D < B(w+1)),
    reads[j] = max(reads[j-1] + 1, gives[j-1], takes[word of j] + 1),
    gives[j] = max(reads[j] + 1, ready[j]),

where the word of a read outside of the frame is the base of its window.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from exeunt.graph import IntArray
from exeunt.kernels.parts.fifo import Cycles, spaced
from exeunt.kernels.swg.node import Swg


@dataclass(frozen=True)
class Plan:
    """What a frame's windows read, in words of the frame.

    Attributes:
        depth: words of the ring.
        base: int64 (windows + 1,), base of each window; at the end the next frame's.
        word: int64 (windows, reads), word that each read waits for.
        last: for every window, pairs (word, reads from it to the window's end) that decide when
            the window is read: the last word of each run of successive words.
    """

    depth: int
    base: IntArray
    word: IntArray
    last: tuple[tuple[tuple[int, int], ...], ...]


def depth(node: Swg) -> int:
    """Words of the ring, as localparam DEPTH of `ex_swg` has it."""
    h, w, channels = node.input.shape
    oh, ow, _ = node.output.shape
    (kh, kw), (sh, sw), (top, left, _, _) = node.kernel, node.stride, node.pad
    folds = channels // node.input.lanes
    row = w * folds
    y_last, x_last = (oh - 1) * sh - top, (ow - 1) * sw - left
    last_base = y_last * row + max(x_last, 0) * folds if y_last >= 0 else 0
    window = kh * kw * folds
    head = (min(kh - top, h) - 1) * row + min(kw - left, w) * folds
    new = (sh - 1) * row + kw * folds
    keep_frame = h * row - last_base + head
    need_row = (kh - 1) * row + kw * folds + new + (new // window + 2) * sw * folds
    need_frame = keep_frame + (keep_frame // window + 2) * sw * folds
    return max(need_row, need_frame) + 2


@cache
def plan(node: Swg) -> Plan:
    """The reads of a frame."""
    h, w, channels = node.input.shape
    oh, ow, _ = node.output.shape
    (kh, kw), (sh, sw), (top, left, _, _) = node.kernel, node.stride, node.pad
    folds = channels // node.input.lanes
    y0 = (np.arange(oh) * sh - top)[:, None]
    x0 = (np.arange(ow) * sw - left)[None, :]
    base = np.where(y0 >= 0, (y0 * w + np.maximum(x0, 0)) * folds, 0).ravel()
    ky, kx, fold = np.meshgrid(np.arange(kh), np.arange(kw), np.arange(folds), indexing="ij")
    y = y0.reshape(oh, 1, 1) + ky.ravel()
    x = x0.reshape(1, ow, 1) + kx.ravel()
    inside = ((y >= 0) & (y < h) & (x >= 0) & (x < w)).reshape(oh * ow, -1)
    word = ((y * w + x) * folds + fold.ravel()).reshape(oh * ow, -1)
    word = np.where(inside, word, base[:, None])
    reads = word.shape[1]
    ends = np.ones_like(inside)  # a word that the next read does not continue
    ends[:, :-1] = word[:, 1:] != word[:, :-1] + 1
    ends[:, 1:] &= inside[:, 1:]
    last = tuple(
        tuple((int(word[i, j]), reads - 1 - int(j)) for j in np.flatnonzero(ends[i]))
        for i in range(oh * ow)
    )
    return Plan(depth(node), np.append(base, h * w * folds), word, last)


def times(node: Swg, offered: Cycles, ready: Cycles | None = None) -> tuple[Cycles, Cycles]:
    """Transfer cycles of whole frames, see `kind.times`."""
    p = plan(node)
    frames = offered.size // node.input.words
    if ready is not None:
        return _stalled(node, p, offered, ready)
    takes: list[int] = []
    _write(takes, offered.tolist(), p.depth, 0)
    reads, free, bases, offers = p.word.shape[1], 0, p.base.tolist(), offered.tolist()
    for frame in range(frames):
        start = frame * node.input.words
        for i, runs in enumerate(p.last):
            end = free + reads  # reads of the window fill the cycles `free`..end-1
            first = takes[start + bases[i]] + 1 + reads
            if first > end:
                end = first
            for word, rest in runs:
                late = takes[start + word] + 2 + rest
                if late > end:
                    end = late
            free = end
            limit = start + bases[i + 1] + p.depth
            if limit > len(takes):
                _write(takes, offers, limit, free)
    done = np.asarray(takes, np.int64)
    starts = np.arange(frames)[:, None] * node.input.words
    return done, spaced(done[(starts + p.word.ravel()).ravel()] + 1) + 1


def _write(takes: list[int], offered: list[int], limit: int, earliest: int) -> None:
    """Takes the words up to `limit`, none before cycle `earliest`."""
    cycle = max(earliest, takes[-1] + 1) if takes else earliest
    for offer in offered[len(takes) : limit]:
        if offer > cycle:
            cycle = offer
        takes.append(cycle)
        cycle += 1


def _stalled(node: Swg, p: Plan, offered: Cycles, ready: Cycles) -> tuple[Cycles, Cycles]:
    """Transfer cycles read by read."""
    offers, accepts = offered.tolist(), np.asarray(ready, np.int64).tolist()
    takes: list[int] = []
    gives: list[int] = []
    _write(takes, offers, p.depth, 0)
    free = 0  # first cycle in which a read can follow the one before
    words, bases = p.word.tolist(), p.base.tolist()
    for start in range(0, offered.size, node.input.words):
        for i, row in enumerate(words):
            for word in row:
                read = max(free, takes[start + word] + 1)
                give = max(read + 1, accepts[len(gives)])
                gives.append(give)
                free = max(read + 1, give)
            limit = start + bases[i + 1] + p.depth
            if limit > len(takes):
                _write(takes, offers, limit, read + 1)
    return np.asarray(takes, np.int64), np.asarray(gives, np.int64)
