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
    last = tuple(
        tuple((int(word[i, j]), reads - 1 - int(j)) for j in np.flatnonzero(ends[i]))
        for i in range(oh * ow)
    )
    return Plan(depth(node), np.append(base, h * w * folds), word, last)


def frame(
    node: Swg, past: Cycles | None, offers: list[int], accepts: list[int] | None
) -> tuple[Cycles, Cycles, Cycles]:
    """Transfer cycles of a further frame, see `kind.resume`.

    The past holds when the last word was taken, when the next read can come, and when there is
    room in the ring for each of the next `depth` words.
    """
    p = plan(node)
    words = node.input.words
    before = [int(LONG_AGO)] * (p.depth + 2) if past is None else past.tolist()
    last, free = before[:2]
    room = before[2:]
    takes: list[int] = []

    def write(limit: int) -> None:
        nonlocal last
        for k in range(len(takes), limit if limit < words else words):
            last = max(offers[k], last + 1, room[k])
            takes.append(last)

    write(p.depth)
    reads, bases = p.word.shape[1], p.base.tolist()
    gives: list[int] = []
    table = p.word.tolist() if accepts is not None else [[]] * len(p.last)
    for i, runs in enumerate(p.last):
        if accepts is None:
            # reads of the window fill the cycles `free`..end-1
            end = max(free, takes[bases[i]] + 1) + reads
            for word, rest in runs:
                late = takes[word] + 2 + rest
                if late > end:
                    end = late
            free = end
        else:
            for word in table[i]:
                read = max(free, takes[word] + 1)
                give = max(read + 1, accepts[len(gives)])
                gives.append(give)
                free = give
            end = read + 1
        room.extend([end] * (bases[i + 1] - bases[i]))
        write(len(room))
    done = np.asarray(takes, np.int64)
    if accepts is None:
        reading = done[p.word.ravel()] + 1
        reading[0] = max(reading[0], before[1])
        given = spaced(reading) + 1
    else:
        given = np.asarray(gives, np.int64)
    return done, given, np.array([last, free, *room[words:]], np.int64)
