"""Cycle reference of a chain: kernels with FIFOs between them, without simulating a clock.

Each kernel says when it takes and when it gives, and what it remembers for the frames that follow
(`resume` of its kind). A FIFO of depth
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
from exeunt.kernels.parts.fifo import LONG_AGO, Cycles

MAX_PASSES = 4096
MIN_DEPTH = 2
SETTLED = 4  # cycles after which what happened delays nothing any more
TRIM_FRAMES = 6


@dataclass(frozen=True)
class Past:
    """What a chain remembers of its frames: cycles, of which none that is long ago matters.

    `cycles`: int64, one behind the other for each stage what the kernel remembers (`resume`) and
    when the last words left the FIFO behind it; then when both readers had the fork's last word
    and when the chain's last word left. `splits`: where each part ends.
    """

    cycles: Cycles
    splits: tuple[int, ...]

    def seen_from(self, start: int) -> Past:
        """The same, counted from cycle `start`, for words that come then or later."""
        return Past(np.maximum(self.cycles - start, -SETTLED), self.splits)


@dataclass(frozen=True)
class Flow:
    """Cycles of every transfer in a chain.

    `takes[i]`, `gives[i]`: int64, when node i takes its input words and gives its output words.
    `enters`: int64, when the input words come in (before the entry FIFO, if there is one).
    `shows[k]`: first cycle in which word k is on offer at the fork (empty without a fork).
    `leaves`: int64, when the chain's output words leave its last FIFO.
    `past`: what the chain remembers for the frames that follow.
    """

    takes: tuple[Cycles, ...]
    gives: tuple[Cycles, ...]
    enters: Cycles
    shows: Cycles
    leaves: Cycles
    past: Past


def in_order(earliest: Cycles) -> Cycles:
    """Cycles of transfers, one a cycle at most and in order, none before `earliest[k]`."""
    k = np.arange(len(earliest), dtype=np.int64)
    accumulated: Cycles = np.maximum.accumulate(earliest - k) + k
    return accumulated


def occupancy(enters: Cycles, leaves: Cycles) -> int:
    """Places a FIFO needs so that no word waits to enter: a place is free a cycle after it left."""
    gone = np.searchsorted(leaves, enters, side="left")
    return int((np.arange(1, len(enters) + 1) - gone).max(initial=0))


def flow(
    nodes: Sequence[Node | None],
    fifos: Sequence[int],
    offered: Cycles,
    *,
    ready: Cycles | None = None,
    entry: int = 0,
    fork: int | None = None,
    hold: Cycles | None = None,
    past: Past | None = None,
) -> Flow:
    """When every word of whole frames moves through kernels and the FIFOs behind them.

    Args:
        nodes: kernels, one behind the other; None stands for a FIFO without a kernel; may be empty.
        fifos: words of the FIFO behind each kernel; 0 stands for a FIFO that never fills.
        offered: int64, first cycle in which each input word can be valid, whole frames.
        ready: int64, first cycle in which the sink accepts each output word; None: always.
        entry: words of a FIFO before the first kernel; 0: none.
        fork: index of the kernel before which the stream is copied to a second reader.
        hold: int64, first cycle in which that reader accepts each word; None: always.
        past: what an earlier flow through this chain left; None: the chain is empty.
    """
    stages: list[Node | None] = [None, *nodes] if entry else list(nodes)
    depths = [entry, *fifos] if entry else list(fifos)
    at_fork = None if fork is None else fork + bool(entry)
    count = len(stages)
    kernels, left, (both, last) = _unpacked(past, depths)
    after = list(kernels)
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
                arriving = _forked(arriving, takes[i] if step else None, hold, both)
            if stale[i] or not np.array_equal(arriving, offers[i]):
                offers[i] = arriving
                takes[i], gives[i], after[i] = _run(node, kernels[i], arriving, blocked[i])
                stale[i] = False
            arriving = gives[i] + 1
        leaves = _pass(arriving, ready, last)
        if at_fork is not None:
            come = gives[at_fork - 1] + 1 if at_fork else offered
            shows = _forked(come, takes[at_fork], hold, both)
            settled = np.array_equal(shows, offers[at_fork])
        gone = [*takes[1:], leaves][:count]
        reader = shows if hold is None else np.maximum(shows, hold)
        if at_fork:
            gone[at_fork - 1] = np.maximum(gone[at_fork - 1], reader)
        for i in range(count):
            gone[i] = np.concatenate([left[i], gone[i]])
            if not depths[i]:
                continue
            room = gone[i][: len(gives[i])] + 1
            seen = blocked[i]
            if (gives[i] < room).any() or (seen is not None and not np.array_equal(seen, room)):
                blocked[i] = room
                stale[i] = True
                settled = False
        if settled:
            if at_fork is not None:
                both = max(takes[at_fork][-1], reader[-1])
            gone = [g[len(g) - d :] for g, d in zip(gone, depths, strict=True)]
            return Flow(
                tuple(takes[bool(entry) :]), tuple(gives[bool(entry) :]),
                takes[0] if count else leaves, shows, leaves,
                _packed(after, gone, np.array([both, leaves[-1]], np.int64)),
            )  # fmt: skip
    raise AssertionError(f"no fixed point after {MAX_PASSES} passes over {len(offered)} words")


def _packed(kernels: Sequence[Cycles | None], gone: Sequence[Cycles], ends: Cycles) -> Past:
    pairs = zip(kernels, gone, strict=True)
    parts = [part for pair in pairs for part in pair if part is not None]
    splits = np.cumsum([len(p) for p in parts])
    return Past(np.concatenate([*parts, ends]), tuple(splits.tolist()))


def _unpacked(
    past: Past | None, depths: Sequence[int]
) -> tuple[list[Cycles | None], list[Cycles], Cycles]:
    if past is None:
        gone = [np.full(d, LONG_AGO, np.int64) for d in depths]
        return [None] * len(depths), gone, np.full(2, LONG_AGO, np.int64)
    *parts, ends = np.split(past.cycles, past.splits)
    return list(parts[::2]), parts[1::2], ends


def _run(
    node: Node | None, past: Cycles | None, offered: Cycles, ready: Cycles | None
) -> tuple[Cycles, Cycles, Cycles]:
    """The kernel's cycles; where its sink is never late, the faster ones of a free sink."""
    if node is None:
        takes = _pass(offered, ready, LONG_AGO if past is None else past[0])
        return takes, takes, takes[-1:]
    resume = registry.resume(node)
    found = resume(node, past, offered, None)
    if ready is None or bool((found[1] >= ready).all()):
        return found
    return resume(node, past, offered, ready)


def _pass(offered: Cycles, ready: Cycles | None, last: np.int64) -> Cycles:
    earliest = np.array(offered) if ready is None else np.maximum(offered, ready)
    earliest[:1] = np.maximum(earliest[:1], last + 1)
    return in_order(earliest)


def _forked(arriving: Cycles, taken: Cycles | None, hold: Cycles | None, both: np.int64) -> Cycles:
    """When each word is on offer at a fork: behind the one before, which both readers must have."""
    earliest = arriving.copy()
    earliest[:1] = np.maximum(earliest[:1], both + 1)
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
