"""Cycle reference of a chain: kernels with FIFOs between them, without simulating a clock.

Each kernel says when it takes and when it gives (`times` of its kind). A FIFO of depth
D lets word k in from the cycle after word k - D left it, and shows it from the cycle after it came
in. Back-pressure runs against the data, so the chain is solved by repeating forward passes with
the `ready` cycles of the pass before until nothing moves; all terms only ever grow, so the first
fixed point is what the hardware does.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from exeunt.graph import Chain, Node
from exeunt.kernels import registry
from exeunt.kernels.parts.fifo import Cycles

MAX_PASSES = 4096
MIN_DEPTH = 2
TRIM_FRAMES = 6
_FAR_PAST = np.int64(-(1 << 40))


@dataclass(frozen=True)
class Flow:
    """Cycles of every transfer in a chain.

    `takes[i]`, `gives[i]`: int64, when node i takes its input words and gives its output words.
    `enters`: int64, when the input words come in (before the entry FIFO, if there is one).
    `shows[k]`: first cycle in which word k is on offer at the fork (empty without a fork).
    `leaves`: int64, when the chain's output words leave its last FIFO.
    """

    takes: tuple[Cycles, ...]
    gives: tuple[Cycles, ...]
    enters: Cycles
    shows: Cycles
    leaves: Cycles


def in_order(earliest: Cycles) -> Cycles:
    """Cycles of transfers, one a cycle at most and in order, none before `earliest[k]`."""
    k = np.arange(len(earliest), dtype=np.int64)
    accumulated: Cycles = np.maximum.accumulate(earliest - k) + k
    return accumulated


def space(leaves: Cycles, depth: int) -> Cycles:
    """First cycle in which a FIFO of `depth` words, left at `leaves`, accepts each word."""
    ready = np.full(len(leaves), _FAR_PAST, np.int64)
    ready[depth:] = leaves[: max(0, len(leaves) - depth)] + 1
    return ready


def occupancy(enters: Cycles, leaves: Cycles) -> int:
    """Places a FIFO needs so that no word waits to enter: a place is free a cycle after it left."""
    gone = np.searchsorted(leaves, enters, side="left")
    return int((np.arange(1, len(enters) + 1) - gone).max(initial=0))


def flow(
    nodes: Sequence[Node],
    fifos: Sequence[int],
    offered: Cycles,
    *,
    ready: Cycles | None = None,
    entry: int = 0,
    fork: int | None = None,
    hold: Cycles | None = None,
) -> Flow:
    """When every word of whole frames moves through kernels and the FIFOs behind them.

    Args:
        nodes: kernels, one behind the other; may be empty.
        fifos: words of the FIFO behind each kernel; 0 stands for a FIFO that never fills.
        offered: int64, first cycle in which each input word can be valid, whole frames.
        ready: int64, first cycle in which the sink accepts each output word; None: always.
        entry: words of a FIFO before the first kernel; 0: none.
        fork: index of the kernel before which the stream is copied to a second reader.
        hold: int64, first cycle in which that reader accepts each word; None: always.
    """
    stages: list[Node | None] = [None, *nodes] if entry else list(nodes)
    depths = [entry, *fifos] if entry else list(fifos)
    at_fork = None if fork is None else fork + bool(entry)
    count = len(stages)
    blocked: list[Cycles | None] = [None] * count
    offers: list[Cycles] = [offered] * count
    takes: list[Cycles] = [offered] * count
    gives: list[Cycles] = [offered] * count
    stale = [True] * count
    shows = np.zeros(0, np.int64)
    for step in range(MAX_PASSES):
        arriving = offered
        settled = True
        for i, node in enumerate(stages):
            if i == at_fork:
                arriving = _forked(arriving, takes[i] if step else None, hold)
            if stale[i] or not np.array_equal(arriving, offers[i]):
                offers[i] = arriving
                if node is None:
                    takes[i] = gives[i] = _pass(arriving, blocked[i])
                else:
                    takes[i], gives[i] = _run(node, arriving, blocked[i])
                stale[i] = False
            arriving = gives[i] + 1
        leaves = _pass(arriving, ready)
        if at_fork is not None:
            come = gives[at_fork - 1] + 1 if at_fork else offered
            shows = _forked(come, takes[at_fork], hold)
            settled = np.array_equal(shows, offers[at_fork])
        for i in range(count):
            if not depths[i]:
                continue
            gone = takes[i + 1] if i + 1 < count else leaves
            if i + 1 == at_fork:
                gone = np.maximum(gone, shows if hold is None else np.maximum(shows, hold))
            room = space(gone, depths[i])
            seen = blocked[i]
            if (gives[i] < room).any() or (seen is not None and not np.array_equal(seen, room)):
                blocked[i] = room
                stale[i] = True
                settled = False
        if settled:
            first = takes[0] if count else leaves
            drop = bool(entry)
            return Flow(tuple(takes[drop:]), tuple(gives[drop:]), first, shows, leaves)
    raise AssertionError(f"no fixed point after {MAX_PASSES} passes over {len(offered)} words")


def _run(node: Node, offered: Cycles, ready: Cycles | None) -> tuple[Cycles, Cycles]:
    """The kernel's times; where its sink is never late, the faster ones of a free sink."""
    times = registry.times(node)
    takes, gives = times(node, offered, None)
    if ready is None or bool((gives >= ready).all()):
        return takes, gives
    return times(node, offered, ready)


def _pass(offered: Cycles, ready: Cycles | None) -> Cycles:
    return in_order(offered if ready is None else np.maximum(offered, ready))


def _forked(arriving: Cycles, taken: Cycles | None, hold: Cycles | None) -> Cycles:
    """When each word is on offer at a fork: behind the one before, which both readers must have."""
    earliest = arriving.copy()
    if taken is not None and len(earliest):
        gone = taken if hold is None else np.maximum(taken, hold)
        earliest[1:] = np.maximum(earliest[1:], gone[:-1] + 1)
    return in_order(earliest)


def back_to_back(words: int, frames: int) -> Cycles:
    """Offers of a source that always has a word: cycle k for word k."""
    return np.arange(words * frames, dtype=np.int64)


def settle(times: Cycles, words: int) -> tuple[int, int] | None:
    """The repetition (frames, cycles) that the end of a word sequence shows, if it has settled.

    Args:
        times: int64 (frames * words).
        words: words in a frame.
    """
    table = times.reshape(-1, words)
    frames = len(table)
    for cycle in range(1, max(2, frames // 3)):
        tail = table[-2 * cycle :] - table[-3 * cycle : -cycle]
        if len(tail) == 2 * cycle and (tail == tail[0, 0]).all():
            return cycle, int(tail[0, 0])
    return None


def interval(nodes: Sequence[Node], fifos: Sequence[int], *, frames: int = 8) -> float:
    """Cycles a frame costs when the source always has a word and the sink always takes.

    Args:
        nodes: the chain.
        fifos: depths as in `flow`.
        frames: frames to look at before the period must have settled.
    """
    if not nodes:
        return 0.0
    words = nodes[0].input.words
    result = flow(nodes, fifos, back_to_back(words, frames))
    out = result.leaves.reshape(frames, -1)
    repeated = settle(result.leaves, out.shape[1])
    if repeated is not None:
        return repeated[1] / repeated[0]
    half = frames // 2
    return float(out[-1, -1] - out[half - 1, -1]) / (frames - half)


def latency(nodes: Sequence[Node], fifos: Sequence[int]) -> tuple[int, int]:
    """Cycles from a lone frame's first input word to its first and its last output word."""
    if not nodes:
        return 1, 1
    result = flow(nodes, fifos, back_to_back(nodes[0].input.words, 1))
    return int(result.leaves[0]), int(result.leaves[-1])


def depths(nodes: Sequence[Node], *, frames: int = 6) -> tuple[int, ...]:
    """FIFO depths with which the chain runs at the rate of its slowest kernel.

    Frames are offered at that rate, evenly spread, to the chain with FIFOs that never fill. The
    places they then occupy suffice: a self-timed chain is never slower than a schedule that fits.
    """
    if not nodes:
        return ()
    unbounded = [0] * len(nodes)
    words = nodes[0].input.words
    period = interval(nodes, unbounded)
    k = np.arange(words * frames, dtype=np.int64)
    spread = flow(nodes, unbounded, (k * max(int(np.ceil(period)), words)) // words)
    found = []
    for i in range(len(nodes)):
        leaves = spread.takes[i + 1] if i + 1 < len(nodes) else spread.leaves
        found.append(max(MIN_DEPTH, occupancy(spread.gives[i], leaves)))
    return _trimmed(nodes, found, period)


def _trimmed(nodes: Sequence[Node], found: list[int], period: float) -> tuple[int, ...]:
    """The same depths, with those cut to the least that turn out not to be needed for `period`."""
    least = [MIN_DEPTH] * len(found)
    if found == least or interval(nodes, least, frames=TRIM_FRAMES) <= period:
        return tuple(least)
    for i in sorted(range(len(found)), key=lambda i: -found[i]):
        if found[i] > MIN_DEPTH:
            shorter = [*found[:i], MIN_DEPTH, *found[i + 1 :]]
            if interval(nodes, shorter, frames=TRIM_FRAMES) <= period:
                found = shorter
    return tuple(found)


def with_depths(segment: Chain, head: Chain) -> tuple[Chain, Chain]:
    """Segment and head with FIFOs that let both run at the rate of the slowest kernel of the two.

    The head hangs on the segment's fork, so it is sized as the segment's continuation.
    """
    found = depths(segment.nodes + head.nodes)
    split = len(segment.nodes)
    return (
        dataclasses.replace(segment, fifos=found[:split]),
        dataclasses.replace(head, fifos=found[split:]),
    )
