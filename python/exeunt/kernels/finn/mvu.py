"""Cycles of FINN's matrix-vector unit; exact, also under stalls."""

from __future__ import annotations

import numpy as np

from exeunt.kernels.mvu import Mvu
from exeunt.kernels.parts.fifo import Cycles, spaced
from exeunt.kernels.registry import register_resume

LONG_AGO = -(1 << 40)
LOCKS = 4  # locks that may be ahead of the next step, beside one a stage of the pipeline


def stages(node: Mvu) -> int:
    """Stages of FINN's multiply pipeline (DSP48): a step issued in t ends at the end of t + it."""
    simd = node.input.lanes
    return 4 + (simd - 1).bit_length() + (simd == 1)


def _transfers(
    node: Mvu, past: Cycles | None, offered: Cycles, ready: Cycles | None
) -> tuple[Cycles | list[int], ...]:
    # The past: when the last word was taken, the last step read from the replay buffer and issued,
    # the last result moved from the queue and left; when the last `room` words were read for the
    # last repetition; the last locks, from and to.
    columns = node.input.shape[2] // node.input.lanes
    rows = node.output.shape[2] // node.output.lanes
    depth = stages(node)
    room = 0 if rows == 1 else max(2, 1 << (columns - 1).bit_length())
    before = [LONG_AGO] * (5 + room + 2 * (depth + LOCKS)) if past is None else past.tolist()
    if ready is None and max(before) < offered[0]:
        takes, freed, gives = _free(offered, rows, columns, room, depth)
        end = int(gives[-1]) - depth - 2  # the last step is issued
        freed = [*before[5 : 5 + room], *freed][-room:] if room else []
        return takes, gives, [int(takes[-1]), end - 1, end, *(gives[-1:] - 1), *gives[-1:], *freed,
                              *before[5 + room :]]  # fmt: skip
    last, read, issue, moved, give = before[:5]
    freed = before[5 : 5 + room]
    locks = [(before[k], before[k + 1]) for k in range(5 + room, len(before), 2)]
    offers = offered.tolist()
    accepts = [LONG_AGO] * (len(offers) // columns * rows) if ready is None else ready.tolist()
    taken: list[int] = []
    given: list[int] = []
    for start in range(0, len(offers), columns):
        for row in range(rows):
            for k in range(start, start + columns):
                if rows > 1:
                    if row == 0:
                        last = max(offers[k], last + 1, freed[k] + 1)
                        taken.append(last)
                    read = max(read + 1, taken[k] + 1, issue)
                    if row == rows - 1:
                        freed.append(read)
                    issue = read + 1
                else:
                    issue = max(offers[k], last + 1)
                for begin, end in locks:
                    if begin <= issue <= end:
                        issue = end + 1
                if rows == 1:
                    last = issue
                    taken.append(last)
            # The result comes into the queue and from there into the output register. While one is
            # in the queue and the register cannot give its word, a lock stops further steps; it
            # falls when the queue is empty.
            come = issue + depth + 1
            blocked = max(come, moved + 1)
            held = blocked < give
            moved = max(come, give)
            if locks[-1][1] >= come:
                locks[-1] = (locks[-1][0], moved + 1)
            elif held:
                del locks[0]
                locks.append((blocked + 1, moved + 1))
            give = max(moved + 1, accepts[len(given)])
            given.append(give)
    return taken, given, [last, read, issue, moved, give, *freed[len(freed) - room :],
                          *(c for lock in locks for c in lock)]  # fmt: skip


def _free(
    offered: Cycles, rows: int, columns: int, room: int, depth: int
) -> tuple[Cycles | list[int], list[int], Cycles]:
    """The same from empty and without a stall: takes, when words were read last, gives."""
    latency = depth + 2
    if rows == 1:
        takes = spaced(offered)
        return takes, [], takes[columns - 1 :: columns] + latency
    taken: list[int] = []
    freed: list[int] = []
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
    return taken, freed, (first + 1 + latency).reshape(-1)


def resume(
    node: Mvu, past: Cycles | None, offered: Cycles, ready: Cycles | None = None
) -> tuple[Cycles, Cycles, Cycles]:
    """Transfer cycles of further frames, see `exeunt.kernels.kind.Kind.resume`."""
    offers = np.asarray(offered).astype(np.int64)
    accepts = None if ready is None else np.asarray(ready).astype(np.int64)
    takes, gives, after = _transfers(node, past, offers, accepts)
    return np.asarray(takes, np.int64), np.asarray(gives, np.int64), np.asarray(after, np.int64)


register_resume("mvu", "finn", resume)
