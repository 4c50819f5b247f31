"""Cycles of FINN's matrix-vector unit; exact, also under stalls."""

from __future__ import annotations

from collections import deque

import numpy as np

from exeunt.kernels.mvu import Mvu
from exeunt.kernels.parts.fifo import Cycles, spaced
from exeunt.kernels.registry import register_times

LONG_AGO = -(1 << 30)


def stages(node: Mvu) -> int:
    """Stages of FINN's multiply pipeline (DSP48): a step issued in t ends at the end of t + it."""
    simd = node.input.lanes
    return 4 + (simd - 1).bit_length() + (simd == 1)


def _transfers(
    node: Mvu, offered: Cycles, ready: Cycles | None
) -> tuple[Cycles | list[int], Cycles | list[int]]:
    takes, gives = _free(node, offered)
    if ready is None or (gives >= ready).all():
        return takes, gives
    return _stalled(node, offered.tolist(), ready.tolist())


def _free(node: Mvu, offered: Cycles) -> tuple[Cycles, Cycles]:
    columns = node.input.shape[2] // node.input.lanes
    rows = node.output.shape[2] // node.output.lanes
    latency = stages(node) + 2
    if rows == 1:
        takes = spaced(offered)
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


def _stalled(node: Mvu, offers: list[int], ready: list[int]) -> tuple[list[int], list[int]]:
    # Cycle by cycle, as the registers of replay_buffer.sv and mvu_vvu_axi.sv go.
    columns = node.input.shape[2] // node.input.lanes
    rows = node.output.shape[2] // node.output.lanes
    depth = stages(node)
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


def times(node: Mvu, offered: Cycles, ready: Cycles | None = None) -> tuple[Cycles, Cycles]:
    """Transfer cycles of whole frames, see `exeunt.kernels.kind.Kind.times`."""
    offers = np.asarray(offered).astype(np.int64)
    accepts = None if ready is None else np.asarray(ready).astype(np.int64)
    takes, gives = _transfers(node, offers, accepts)
    return np.asarray(takes, np.int64), np.asarray(gives, np.int64)


register_times("mvu", "finn", times)
