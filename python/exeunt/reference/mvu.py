"""Reference of `ex_mvu`: y = W x by exact floating-point BLAS, then thresholds by table."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from exeunt.graph import IntArray, Mvu
from exeunt.reference.fifo import Cycles, spaced
from exeunt.reference.threshold import count, narrow, stages

GROUP = 9  # products that the hardware adds in one cycle


def values(node: Mvu, arrays: Mapping[str, IntArray], x: IntArray) -> IntArray:
    """Y = W x of each vector; with levels, y = bias + #{t : (W x) >= t}.

    Args:
        node: the kernel.
        arrays: `weights`, integers (MH, MW); with levels `thresholds`, integers (MH, levels).
        x: integers (N, H, W, MW) within `node.input.dtype`.

    Returns:
        (N, H, W, MH) in the smallest NumPy type for `node.output.dtype`.
    """
    weights, dtype = arrays["weights"], node.input.dtype
    flat = np.asarray(x).reshape(-1, weights.shape[1])
    row = np.abs(weights.astype(np.int64)).sum(axis=1).max(initial=0)
    bound = int(row) * max(-dtype.min, dtype.max)
    exact = np.float32 if bound < 1 << 24 else np.float64
    assert bound < 1 << 53, "beyond the integers of a float64"
    y = flat.astype(exact) @ np.ascontiguousarray(weights.T, dtype=exact)
    if node.levels:
        y = count(
            y,
            arrays["thresholds"],
            bias=node.bias,
            output=node.output.dtype,
            low=-bound,
            high=bound,
        )
    return y.astype(narrow(node.output.dtype), copy=False).reshape(-1, *node.output.shape)


def folds(node: Mvu) -> tuple[int, int]:
    """(NF, SF): output words and input words of a vector."""
    mw, mh = node.input.elements, node.output.elements
    vectors = node.output.shape[0] * node.output.shape[1]
    return mh // vectors // node.output.lanes, mw // vectors // node.input.lanes


def times(node: Mvu, offered: Cycles, ready: Cycles | None = None) -> tuple[Cycles, Cycles]:
    """Transfer cycles of `ex_mvu`; exact, also under stalls.

    Step nf * SF + sf of a vector is started in a cycle of its own: in the first pass (nf = 0) one
    cycle after input word sf was taken or later, then without a gap. An input word is taken when
    its room, that of the word 2 * SF before (2 where NF = 1), was read for the last time at least
    one cycle ago. Output word nf is offered 4 cycles after its last step (5 for SIMD > 9), with
    thresholds ceil(log2(levels + 1)) + 1 more.

    Args:
        node: the kernel.
        offered: int64 (n,), first cycle in which input word k can be valid; whole vectors.
        ready: int64 (n / SF * NF,), first cycle in which output word m is accepted; None: always.

    Returns:
        takes: int64 (n,); gives: int64 (n / SF * NF,).
    """
    nf, sf = folds(node)
    operands = 3 + (node.input.lanes > GROUP)  # registers before the accumulator
    search = stages(node.levels) + 1 if node.levels else 0  # registers behind it
    if ready is not None:
        return _stalled(np.asarray(offered), np.asarray(ready), nf, sf, operands, search)
    offered = np.asarray(offered, np.int64).reshape(-1, sf)
    latency = operands + 1 + search
    # Words that wait for room never delay a step: the steps of the vector before last longer.
    early = spaced(offered.reshape(-1)).reshape(-1, sf)
    first_pass = (early + np.arange(sf, 0, -1)).max(axis=1)  # when it ends, were all else idle
    period = np.arange(len(offered), dtype=np.int64) * nf * sf
    end = np.maximum.accumulate(first_pass + (nf - 1) * sf - period) + period
    if nf == 1:
        steps = spaced(early.reshape(-1) + 1).reshape(-1, sf)
        takes = early.reshape(-1)
        return takes, steps[:, -1] + latency
    earliest = offered.copy()
    earliest[2:] = np.maximum(earliest[2:], end[:-2, None] - sf + 2 + np.arange(sf))
    passes = end[:, None] - sf * np.arange(nf - 1, -1, -1)
    return spaced(earliest.reshape(-1)), passes.reshape(-1) + latency


def _stalled(
    offered: Cycles, ready: Cycles, nf: int, sf: int, operands: int, search: int
) -> tuple[Cycles, Cycles]:
    """The same, step by step: every register closes up behind a result that must wait."""
    room = 2 if nf == 1 else 2 * sf
    takes: list[int] = []
    free: list[int] = []  # cycle in which each input word was read for the last time
    entered: list[int] = []  # cycle at whose end each step goes into the accumulator
    leaves: list[int] = []  # cycle in which each result leaves the accumulator
    gives: list[int] = []
    offers, accepts = offered.tolist(), ready.tolist()
    last = -1  # cycle in which the last step was started
    for vector in range(len(offers) // sf):
        for fold in range(nf):
            for word in range(sf):
                k = vector * sf + word
                started = last + 1
                if fold == 0:
                    taken = max(offers[k], takes[k - 1] + 1 if k else 0)
                    if k >= room:
                        taken = max(taken, free[k - room] + 1)
                    takes.append(taken)
                    started = max(started, taken + 1)
                index = len(entered)
                if index >= operands:
                    started = max(started, entered[index - operands])
                enters = started + operands
                if index:
                    enters = max(enters, entered[-1] + 1)
                if word == 0 and leaves:
                    enters = max(enters, leaves[-1])
                entered.append(enters)
                last = started
                if fold == nf - 1:
                    free.append(started)
            m = len(gives)
            leave = max(entered[-1] + 1, leaves[-1] + 1 if m else 0)
            if search:
                if m >= search:
                    leave = max(leave, gives[m - search])
                give = max(leave + search, gives[-1] + 1 if m else 0, accepts[m])
            else:
                leave = give = max(leave, accepts[m])
            leaves.append(leave)
            gives.append(give)
    return np.array(takes, np.int64), np.array(gives, np.int64)
