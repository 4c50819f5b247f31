"""Cycles of FINN's padding and sliding window; exact, also under stalls."""

from __future__ import annotations

import numpy as np

from exeunt.graph import IntArray
from exeunt.kernels.parts.fifo import Cycles
from exeunt.kernels.registry import register_resume
from exeunt.kernels.swg import Swg

LONG_AGO = -(1 << 40)


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


def _transfers(
    node: Swg, past: Cycles | None, offered: Cycles, ready: Cycles | None
) -> tuple[list[int], ...]:
    # The padding shows word p from the cycle after `sent` on, a frame's first one not before the
    # frame is offered; the window reads it into the line buffer (`stored`), fetches what windows
    # need and shows it a cycle later. Frames do not overlap in the line buffer. The past: the last
    # of each of these.
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
    restart, sent, took, read, fetched, give, sent_real = (
        [LONG_AGO] * 7 if past is None else past.tolist()
    )
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
    return taken, given, [restart, sent, took, read, fetched, give, sent_real]


def resume(
    node: Swg, past: Cycles | None, offered: Cycles, ready: Cycles | None = None
) -> tuple[Cycles, Cycles, Cycles]:
    """Transfer cycles of further frames, see `exeunt.kernels.kind.Kind.resume`."""
    offers = np.asarray(offered).astype(np.int64)
    accepts = None if ready is None else np.asarray(ready).astype(np.int64)
    takes, gives, after = _transfers(node, past, offers, accepts)
    return np.asarray(takes, np.int64), np.asarray(gives, np.int64), np.asarray(after, np.int64)


register_resume("swg", "finn", resume)
