"""Cycle reference of FINN's RTL kernels, the backend `kernels = "finn"`; the values are ours.

All four are exact, also under stalls.
"""

from __future__ import annotations

import importlib
from collections import deque
from collections.abc import Mapping
from typing import cast

import numpy as np
import numpy.typing as npt

from exeunt.graph import IntArray, Mvu, Node, Swg, Threshold, Width

Cycles = npt.NDArray[np.int64]
LONG_AGO = -(1 << 30)


def values(node: Node, arrays: Mapping[str, IntArray], x: IntArray) -> IntArray:
    """What `node` computes: the same as with our kernels, `exeunt.reference.<kind>.values`."""
    result: IntArray = importlib.import_module(f"exeunt.reference.{node.kind}").values(
        node, arrays, x
    )
    return result


def times(node: Node, offered: Cycles, ready: Cycles | None = None) -> tuple[Cycles, Cycles]:
    """Cycles in which `node` takes its input words and gives its output words, whole frames.

    Args:
        node: a kernel of kind mvu, threshold, swg (serial) or width.
        offered: int64, first cycle in which each input word can be valid.
        ready: int64, first cycle in which the sink accepts each output word; None: always.
    """
    offers = np.asarray(offered).astype(np.int64)
    accepts = None if ready is None else np.asarray(ready).astype(np.int64)
    if isinstance(node, Mvu):
        takes, gives = _mvu(node, offers, accepts)
    elif isinstance(node, Threshold):
        takes, gives = _threshold(node, offers, accepts)
    elif isinstance(node, Swg):
        takes, gives = _swg(node, offers, accepts)
    else:
        takes, gives = _width(cast(Width, node), offers, accepts)
    return np.asarray(takes, np.int64), np.asarray(gives, np.int64)


def _in_order(earliest: Cycles) -> Cycles:
    k = np.arange(len(earliest), dtype=np.int64)
    result: Cycles = np.maximum.accumulate(earliest - k) + k
    return result


def threshold_stages(node: Threshold) -> int:
    """Stages of FINN's search pipeline: clog2(levels + 1)."""
    return int(node.levels).bit_length()


def _threshold(
    node: Threshold, offered: Cycles, ready: Cycles | None
) -> tuple[Cycles | list[int], Cycles | list[int]]:
    # The pipeline runs freely; a word more enters while fewer than `room` are inside.
    latency = threshold_stages(node) + 2
    room = threshold_stages(node) + 3
    takes = _in_order(offered)
    if ready is None or (takes + latency >= ready).all():
        return takes, takes + latency
    taken: list[int] = []
    given: list[int] = []
    last = give = LONG_AGO
    for k, (offer, accept) in enumerate(zip(offered.tolist(), ready.tolist(), strict=True)):
        last = max(offer, last + 1, given[k - room] + 1 if k >= room else LONG_AGO)
        give = max(last + latency, give + 1, accept)
        taken.append(last)
        given.append(give)
    return taken, given


def _width(node: Width, offered: Cycles, ready: Cycles | None) -> tuple[list[int], list[int]]:
    # A shift buffer of one input and one output word: a word enters while at most an output
    # word's worth is stored, and one leaves while at least that much is.
    unit = min(node.input.width, node.output.width)
    into, out = node.input.width // unit, node.output.width // unit
    count = len(offered) * into // out
    accepts = [LONG_AGO] * count if ready is None else ready.tolist()
    taken: list[int] = []
    given: list[int] = []
    last = give = LONG_AGO
    for k, offer in enumerate(offered.tolist()):
        before = -(-k * into // out) - 2
        last = max(offer, last + 1, given[before] + 1 if before >= 0 else LONG_AGO)
        taken.append(last)
        for m in range(len(given), (k + 1) * into // out):
            give = max(taken[-(-(m + 1) * out // into) - 1] + 1, give + 1, accepts[m])
            given.append(give)
    return taken, given


def mvu_depth(node: Mvu) -> int:
    """Stages of FINN's multiply pipeline (DSP48): a step issued in t ends at the end of t + it."""
    simd = node.input.lanes
    return 4 + (simd - 1).bit_length() + (simd == 1)


def _mvu(
    node: Mvu, offered: Cycles, ready: Cycles | None
) -> tuple[Cycles | list[int], Cycles | list[int]]:
    takes, gives = _mvu_free(node, offered)
    if ready is None or (gives >= ready).all():
        return takes, gives
    return _mvu_stalled(node, offered.tolist(), ready.tolist())


def _mvu_free(node: Mvu, offered: Cycles) -> tuple[Cycles, Cycles]:
    columns = node.input.shape[2] // node.input.lanes
    rows = node.output.shape[2] // node.output.lanes
    latency = mvu_depth(node) + 2
    if rows == 1:
        takes = _in_order(offered)
        return takes, takes[columns - 1 :: columns] + latency
    room = max(2, 1 << (columns - 1).bit_length())
    taken: list[int] = []
    freed: list[int] = []  # when each word was read for the last repetition
    ends: list[int] = []  # when each vector was read through for the first time
    last = read = LONG_AGO
    offers = offered.tolist()
    for start in range(0, len(offers), columns):
        for k in range(start, start + columns):
            last = max(offers[k], last + 1, freed[k - room] + 1 if k >= room else LONG_AGO)
            read = max(read + 1, last + 1)
            taken.append(last)
        ends.append(read)
        read += (rows - 1) * columns
        freed.extend(range(read - columns + 1, read + 1))
    first = np.asarray(ends, np.int64)[:, None] + np.arange(rows) * columns
    return np.asarray(taken, np.int64), (first + 1 + latency).reshape(-1)


def _mvu_stalled(node: Mvu, offers: list[int], ready: list[int]) -> tuple[list[int], list[int]]:
    # Cycle by cycle, as the registers of replay_buffer.sv and mvu_vvu_axi.sv go.
    columns = node.input.shape[2] // node.input.lanes
    rows = node.output.shape[2] // node.output.lanes
    depth = mvu_depth(node)
    room = max(2, 1 << (columns - 1).bit_length())
    steps = rows * columns
    total_in, total_out = len(offers), len(ready)
    total_steps = total_in * rows
    taken: list[int] = []
    given: list[int] = []
    ending: deque[int] = deque()  # cycles in which the pipeline gives a result
    reads = freed = issued = 0  # reads of the replay buffer, words freed in it, steps issued
    queue = 0  # results in the queue behind the output register
    shown = locked = waiting = False  # output register, lock, a step waits behind the buffer
    cycle = offers[0]
    while len(given) < total_out:
        n = len(taken)
        offers_now = n < total_in and offers[n] <= cycle
        pushed = bool(ending) and ending[0] == cycle
        accepted = cycle >= ready[len(given)] if shown else True
        moved = False
        take = issue = read = False
        if rows == 1:
            take = issue = offers_now and not locked
        else:
            issue = waiting and not locked
            if not waiting or not locked:
                vector, step = divmod(reads, steps)
                read = reads < total_steps and vector * columns + step % columns < n
            take = offers_now and n - freed < room
        popped = accepted and queue > 0
        lock = locked if queue else False
        if queue and shown and not accepted:
            lock = True
        if shown and accepted:
            given.append(cycle)
            moved = True
        if accepted:
            shown = queue > 0
        if pushed:
            ending.popleft()
        if rows > 1 and (not waiting or not locked):
            waiting = read
            if read:
                freed += reads % steps >= steps - columns
                reads += 1
        if issue:
            issued += 1
            if issued % columns == 0:
                ending.append(cycle + depth)
        if take:
            taken.append(cycle)
        moved = moved or take or issue or read or pushed or popped or lock != locked
        queue += pushed - popped
        locked = lock
        cycle += 1
        if not moved:
            later = [e for e in ending][:1]
            if len(taken) < total_in and offers[len(taken)] >= cycle:
                later.append(offers[len(taken)])
            if shown and ready[len(given)] >= cycle:
                later.append(ready[len(given)])
            if later:
                cycle = max(cycle, min(later))
    return taken, given


def window_words(node: Swg) -> IntArray:
    """Index, in the padded frame, of each word that a frame's windows need: (OH * OW, words)."""
    (kh, kw), (sh, sw) = node.kernel, node.stride
    height, width = padded(node)
    rows, columns = (height - kh) // sh + 1, (width - kw) // sw + 1
    folds = node.input.shape[2] // node.input.lanes
    starts = (np.arange(rows)[:, None] * sh * width + np.arange(columns) * sw) * folds
    words = np.arange(kh)[:, None] * width * folds + np.arange(kw * folds)
    result: IntArray = starts.reshape(-1, 1) + words.reshape(1, -1)
    return result


def padded(node: Swg) -> tuple[int, int]:
    """Rows and columns of the padded frame."""
    top, left, bottom, right = node.pad
    return node.input.shape[0] + top + bottom, node.input.shape[1] + left + right


def line_buffer(node: Swg) -> tuple[int, int]:
    """Words that a window spans, and words of FINN's line buffer."""
    (kh, kw), (sh, sw) = node.kernel, node.stride
    _, width = padded(node)
    folds = node.input.shape[2] // node.input.lanes
    span = ((kh - 1) * width + kw) * folds
    ahead = max(0, sw - 1 - kh * kw) + max(0, (sh - 1) * width - kh * kw)
    return span, span + ahead * folds


def _fetches_before(node: Swg) -> Cycles:
    """For each word of the padded frame, how many fetches free its place in the line buffer."""
    words = window_words(node)
    span, depth = line_buffer(node)
    starts = np.append(words[:, 0], words[-1, 0] + span - 1)
    fetches = words.size
    done = np.arange(fetches)
    following = starts[(done + words.shape[1] - 1) // words.shape[1]]
    oldest = np.append(np.minimum(following, words.reshape(-1)), np.iinfo(np.int64).max)
    height, width = padded(node)
    count = height * width * (node.input.shape[2] // node.input.lanes)
    result: Cycles = np.searchsorted(oldest, np.arange(count) - depth + 1).astype(np.int64)
    return result


def _swg(node: Swg, offered: Cycles, ready: Cycles | None) -> tuple[list[int], list[int]]:
    # The padding shows word p from the cycle after `sent` on, a frame's first one not before the
    # frame is offered; the window reads it into the line buffer (`stored`), fetches what windows
    # need and shows it a cycle later. Frames do not overlap in the line buffer.
    top, left, bottom, right = node.pad
    padding = bool(top or left or bottom or right)
    height, width, channels = node.input.shape
    folds = channels // node.input.lanes
    inner = np.zeros((*padded(node), folds), bool)
    inner[top : top + height, left : left + width] = True
    real: list[bool] = inner.reshape(-1).tolist()
    wanted: list[int] = window_words(node).reshape(-1).tolist()
    needed: list[int] = _fetches_before(node).tolist()
    frames = len(offered) // (height * width * folds)
    accepts = [LONG_AGO] * (frames * len(wanted)) if ready is None else ready.tolist()
    offers = offered.tolist()
    taken: list[int] = []
    given: list[int] = []
    restart = sent = took = read = fetched = give = sent_real = LONG_AGO
    for _ in range(frames):
        stored: list[int] = []
        fetches: list[int] = []
        restart = max(restart, offers[len(taken)], took + 1)
        for place, limit in zip(real, needed, strict=True):
            while len(fetches) < limit:
                word = wanted[len(fetches)]
                fetched = max(fetched + 1, stored[word] + 1, give)
                give = max(fetched + 1, give + 1, accepts[len(given)])
                fetches.append(fetched)
                given.append(give)
            free = max(read + 1, fetches[limit - 1] + 1 if limit else restart)
            if not padding:
                took = read = max(free, offers[len(taken)])
                taken.append(read)
            else:
                sent = max(sent + 1, read)
                if place:
                    took = max(offers[len(taken)], took + 1, sent_real + 1)
                    taken.append(took)
                    sent = sent_real = max(sent, took)
                read = max(free, sent + 1)
            stored.append(read)
        for word in wanted[len(fetches) :]:
            fetched = max(fetched + 1, stored[word] + 1, give)
            give = max(fetched + 1, give + 1, accepts[len(given)])
            given.append(give)
        restart = max(give, read) + 1
    return taken, given
