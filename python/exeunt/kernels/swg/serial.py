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
from exeunt.kernels.parts.fifo import LONG_AGO, Cycles, spaced
from exeunt.kernels.swg.node import Swg


@dataclass(frozen=True)
class Plan:
    """What a frame's windows read, in words of the frame.

    Attributes:
        depth: words of the ring.
        base: int64 (windows + 1,), base of each window; at the end the next frame's.
        word: int64 (windows, reads), word that each read waits for.
        frees: int64 (words of a frame,), window behind which each word's room is free.
        runs: int64, of every window the words that decide when it is read: the last one of each
            run of successive words.
        rests: int64, reads behind each of these in its window.
        starts: int64 (windows,), index into `runs` of each window's first.
    """

    depth: int
    base: IntArray
    word: IntArray
    frees: IntArray
    runs: IntArray
    rests: IntArray
    starts: IntArray


def depth(node: Swg) -> int:
    """Words of the ring, as localparam DEPTH of `ex_swg` has it."""
    h, w, channels = node.input.shape
    oh, ow, _ = node.output.shape
    (kh, kw), (sh, sw), (top, left, _, _) = node.extent, node.stride, node.pad
    folds = channels // node.input.lanes
    row = w * folds
    y_last, x_last = (oh - 1) * sh - top, (ow - 1) * sw - left
    last_base = y_last * row + max(x_last, 0) * folds if y_last >= 0 else 0
    window = node.kernel[0] * node.kernel[1] * folds
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
    block, ky, kx, fold = np.indices((node.blocks, kh, kw, folds // node.blocks))
    fold += block * (folds // node.blocks)
    y = y0.reshape(oh, 1, 1) + ky.ravel() * node.dilation[0]
    x = x0.reshape(1, ow, 1) + kx.ravel() * node.dilation[1]
    inside = ((y >= 0) & (y < h) & (x >= 0) & (x < w)).reshape(oh * ow, -1)
    word = ((y * w + x) * folds + fold.ravel()).reshape(oh * ow, -1)
    word = np.where(inside, word, base[:, None])
    reads = word.shape[1]
    ends = np.ones_like(inside)  # a word that the next read does not continue
    ends[:, :-1] = word[:, 1:] != word[:, :-1] + 1
    ends[:, 1:] &= inside[:, 1:]
    window, read = np.nonzero(ends)
    bases = np.append(base, h * w * folds)
    return Plan(
        depth(node),
        bases,
        word,
        frees=np.repeat(np.arange(oh * ow), np.diff(bases)),
        runs=word[window, read],
        rests=reads - 1 - read,
        starts=np.searchsorted(window, np.arange(oh * ow)),
    )


def frame(
    node: Swg, past: Cycles | None, offers: Cycles, accepts: Cycles | None
) -> tuple[Cycles, Cycles, Cycles]:
    """Transfer cycles of a further frame, see `kind.resume`.

    The past holds when the last word was taken, when the next read can come, and when there is
    room in the ring for each of the next `depth` words. Writer and reader are solved in turn, each
    for all words at once, until every rule holds: first as if the ring never filled.
    """
    p = plan(node)
    words = node.input.words
    before = np.full(p.depth + 2, LONG_AGO, np.int64) if past is None else past
    free, room = before[1], before[2:]
    earliest = offers.copy()
    known = earliest[: p.depth]
    np.maximum(known, room[: len(known)], out=known)
    earliest[0] = max(earliest[0], before[0] + 1)
    waiting = earliest[p.depth :].copy()
    frees = p.frees[: len(waiting)]
    while True:
        takes = spaced(earliest)
        if accepts is None:
            ends = _ends(p, takes, free)
        else:
            reading = takes[p.word.ravel()] + 1
            gives = np.maximum(reading + 1, accepts)
            gives[0] = max(gives[0], free + 1)
            gives = spaced(gives)
            reading[0] = max(reading[0], free)
            np.maximum(reading[1:], gives[:-1], out=reading[1:])
            ends = reading.reshape(p.word.shape)[:, -1] + 1
        freed = ends[frees]
        if (takes[p.depth :] >= freed).all():
            break
        np.maximum(waiting, freed, out=earliest[p.depth :])
    if accepts is None:
        reading = takes[p.word.ravel()] + 1
        reading[0] = max(reading[0], free)
        gives = spaced(reading) + 1
    room = np.concatenate([room, ends[p.frees]])[words:]
    return takes, gives, np.concatenate([takes[-1:], gives[-1:], room])


def _ends(p: Plan, takes: Cycles, free: np.int64) -> Cycles:
    """When each window was read, if the reader never waits for a sink: the cycle after."""
    reads = p.word.shape[1]
    late = np.maximum.reduceat(takes[p.runs] + p.rests, p.starts) + 2
    late = np.maximum(late, takes[p.base[:-1]] + 1 + reads)
    late[0] = max(late[0], free + reads)
    index = np.arange(len(late), dtype=np.int64) * reads
    ends: Cycles = np.maximum.accumulate(late - index) + index
    return ends
