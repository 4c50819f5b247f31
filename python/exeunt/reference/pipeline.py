"""Cycle reference of a segment or head: kernels with FIFOs between them, without a clock.

Each kernel says when it takes and when it gives, and what it remembers for the frames that follow
(`resume` of its kind). A FIFO of depth
D lets word k in from the cycle after word k - D left it, and shows it from the cycle after it came
in. Back-pressure runs against the data, so the graph is solved by repeating forward passes with
the `ready` cycles of the pass before until nothing moves; all terms only ever grow, so the first
fixed point is what the hardware does. Where streams that part meet again and a FIFO on the way is
too short for the words that must wait, there is none, and the words stand still for ever.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from exeunt.graph import ENTRY, Dataflow, Node, Reads, in_a_row
from exeunt.kernels import registry
from exeunt.kernels.parts.fifo import LONG_AGO, Cycles, spaced
from exeunt.reference import tokens

MAX_PASSES = 4096
MIN_DEPTH = 2
SETTLED = 4  # cycles after which what happened delays nothing any more
TRIM_FRAMES = 6
TRIAL_PASSES = 24  # what suffices settles in a few; what is barely too slow takes thousands
TRIED = 1 << 26  # words that kernels take in all trials together


@dataclass(frozen=True)
class Past:
    """What kernels remember of their frames: cycles, of which none that is long ago matters.

    `cycles`: int64, one behind the other what each kernel remembers (`resume`), when the last
    words left each FIFO, when both readers had the fork's last word, and when the last word of
    all left. `splits`: where each part ends.
    """

    cycles: Cycles
    splits: tuple[int, ...]

    def seen_from(self, start: int) -> Past:
        """The same, counted from cycle `start`, for words that come then or later."""
        return Past(np.maximum(self.cycles - start, -SETTLED), self.splits)


@dataclass(frozen=True)
class Flow:
    """Cycles of every transfer in a segment or head.

    `takes[i]`: int64, when node i takes the words of its first input.
    `gives[s]`, `gone[s]`: int64, when the words of stream s leave the kernel, and the FIFO behind.
    `enters`: int64, when the input words come in (before the entry FIFO, if there is one).
    `shows[k]`: first cycle in which word k is on offer at the fork (empty without a fork).
    `leaves`: int64, when the output words leave the last FIFO.
    `past`: what the kernels and FIFOs remember for the frames that follow.
    """

    takes: tuple[Cycles, ...]
    gives: tuple[Cycles, ...]
    gone: tuple[Cycles, ...]
    enters: Cycles
    shows: Cycles
    leaves: Cycles
    past: Past


class Stuck(Exception):
    """Words wait for ever, or longer than was asked for."""


@dataclass
class Patience:
    """How many words kernels may still take in several flows together."""

    words: int

    def spend(self, words: int) -> None:
        """Take some away.

        Raises:
            Stuck: no more were left.
        """
        if self.words <= 0:
            raise Stuck
        self.words -= words


def in_order(earliest: Cycles) -> Cycles:
    """Cycles of transfers, one a cycle at most and in order, none before `earliest[k]`."""
    return spaced(earliest)


def occupancy(enters: Cycles, leaves: Cycles) -> int:
    """Places a FIFO needs so that no word waits to enter: a place is free a cycle after it left."""
    gone = np.searchsorted(leaves, enters, side="left")
    return int((np.arange(1, len(enters) + 1) - gone).max(initial=0))


def flow(
    nodes: Sequence[Node | None],
    fifos: Sequence[int],
    offered: Cycles,
    *,
    reads: Reads | None = None,
    ready: Cycles | None = None,
    entry: int = 0,
    fork: int | None = None,
    hold: Cycles | None = None,
    past: Past | None = None,
    limit: int | None = None,
    passes: int = MAX_PASSES,
    patience: Patience | None = None,
) -> Flow:
    """When every word of whole frames moves through kernels and the FIFOs behind them.

    Args:
        nodes: kernels, as in a `Dataflow`; None stands for a FIFO without a kernel; may be empty.
        fifos: words of the FIFO behind each stream; 0 stands for a FIFO that never fills.
        offered: int64, first cycle in which each input word can be valid, whole frames.
        reads: numbers of the streams that each kernel takes; None: one behind the other.
        ready: int64, first cycle in which the sink accepts each output word; None: always.
        entry: words of a FIFO before the first kernel; 0: none.
        fork: index of the kernel before which the stream is copied to a second reader.
        hold: int64, first cycle in which that reader accepts each word; None: always.
        past: what an earlier flow through these kernels left; None: they are empty.
        limit: latest cycle in which the last output word may leave.
        passes: after how many passes over all kernels to give up.
        patience: words that this flow takes from, and gives up.

    Raises:
        Stuck: the last word leaves later than `limit`, or never, or `passes` or `patience` do not
            suffice.
    """
    wiring = _Wiring(nodes, fifos, in_a_row(len(nodes)) if reads is None else reads, entry)
    stages, depths = wiring.stages, wiring.depths
    at_fork = None if fork is None else fork + bool(entry)
    kernels, left, (both, last) = _unpacked(past, len(stages), depths)
    after = list(kernels)
    blocked: list[Cycles | None] = [None] * len(depths)
    offers: list[tuple[Cycles, ...]] = [()] * len(stages)
    takes: list[tuple[Cycles, ...]] = [()] * len(stages)
    gives: list[Cycles] = [offered] * len(depths)
    stale = [True] * len(stages)
    held = [False] * len(stages)  # whether a sink was late
    come = shows = np.zeros(0, np.int64)
    for step in range(passes):
        settled = True
        for i, node in enumerate(stages):
            arriving = tuple(offered if s == ENTRY else gives[s] + 1 for s in wiring.reads[i])
            if i == at_fork:
                come = arriving[0]
                arriving = (_forked(come, takes[i][0] if step else None, hold, both),)
            if stale[i] or not all(map(np.array_equal, arriving, offers[i])):
                offers[i] = arriving
                here = wiring.gives[i]
                if patience is not None:
                    patience.spend(sum(map(len, arriving)))
                takes[i], gives[here], after[i], held[i] = _run(
                    node, kernels[i], arriving, blocked[here], held=held[i]
                )
                stale[i] = False
        arriving_last = gives[-1] + 1 if stages else offered
        leaves = _pass(arriving_last, ready, last)
        if limit is not None and len(leaves) and leaves[-1] > limit:
            raise Stuck
        if at_fork is not None:
            shows = _forked(come, takes[at_fork][0], hold, both)
            settled = np.array_equal(shows, offers[at_fork][0])
        gone = [leaves if r is None else takes[r[0]][r[1]] for r in wiring.readers]
        reader = shows if hold is None else np.maximum(shows, hold)
        if at_fork is not None and wiring.reads[at_fork][0] != ENTRY:
            copied = wiring.reads[at_fork][0]
            gone[copied] = np.maximum(gone[copied], reader)
        since = [np.concatenate([before, g]) for before, g in zip(left, gone, strict=True)]
        for s, depth in enumerate(depths):
            if not depth:
                continue
            room = since[s][: len(gives[s])] + 1
            seen = blocked[s]
            if (gives[s] < room).any() or (seen is not None and not np.array_equal(seen, room)):
                blocked[s] = room
                stale[wiring.writers[s]] = True
                settled = False
        if settled:
            if at_fork is not None:
                both = max(takes[at_fork][0][-1], reader[-1])
            kept = [g[len(g) - d :] for g, d in zip(since, depths, strict=True)]
            skip = int(bool(entry))
            return Flow(
                tuple(t[0] for t in takes[skip:]), tuple(gives[skip:]), tuple(gone[skip:]),
                takes[0][0] if stages else leaves, shows, leaves,
                _packed(after, kept, np.array([both, leaves[-1]], np.int64)),
            )  # fmt: skip
    raise Stuck


class _Wiring:
    """Who reads and who writes each stream; the FIFO in front, if there is one, is stage 0."""

    def __init__(
        self, nodes: Sequence[Node | None], fifos: Sequence[int], reads: Reads, entry: int
    ) -> None:
        self.stages, self.depths, self.reads = list(nodes), list(fifos), reads
        if entry:
            self.stages, self.depths = [None, *nodes], [entry, *fifos]
            self.reads = ((ENTRY,), *(tuple(s + 1 for s in sources) for sources in reads))
        self.writers = [
            i for i, n in enumerate(self.stages) for _ in (n.outputs if n is not None else (n,))
        ]
        assert len(self.writers) == len(self.depths), "a FIFO depth for every stream"
        firsts = [self.writers.index(i) for i in range(len(self.stages))]
        ends = [*firsts[1:], len(self.depths)]
        self.gives = [slice(a, b) for a, b in zip(firsts, ends, strict=True)]
        self.readers: list[tuple[int, int] | None] = [None] * len(self.depths)
        for i, sources in enumerate(self.reads):
            for port, s in enumerate(sources):
                if s != ENTRY:
                    self.readers[s] = (i, port)


def _packed(kernels: Sequence[Cycles | None], gone: Sequence[Cycles], ends: Cycles) -> Past:
    parts = [part for part in (*kernels, *gone) if part is not None]
    splits = np.cumsum([len(p) for p in parts])
    return Past(np.concatenate([*parts, ends]), tuple(splits.tolist()))


def _unpacked(
    past: Past | None, stages: int, depths: Sequence[int]
) -> tuple[list[Cycles | None], list[Cycles], Cycles]:
    if past is None:
        gone = [np.full(d, LONG_AGO, np.int64) for d in depths]
        return [None] * stages, gone, np.full(2, LONG_AGO, np.int64)
    *parts, ends = np.split(past.cycles, past.splits)
    return list(parts[:stages]), parts[stages:], ends


def _run(
    node: Node | None,
    past: Cycles | None,
    offered: tuple[Cycles, ...],
    ready: Sequence[Cycles | None],
    *,
    held: bool,
) -> tuple[tuple[Cycles, ...], tuple[Cycles, ...], Cycles, bool]:
    """The kernel's cycles, and whether a sink is late.

    Where none is, or was with earlier words (`held`), the faster ones of free sinks do.
    """
    if node is None:
        taken = _pass(offered[0], ready[0], LONG_AGO if past is None else past[0])
        return (taken,), (taken,), taken[-1:], False
    if not held:
        found = registry.transfers(node, past, offered, [None] * len(ready))
        pairs = zip(found[1], ready, strict=True)
        if all(r is None or bool((gives >= r).all()) for gives, r in pairs):
            return *found, False
    return *registry.transfers(node, past, offered, ready), True


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


def interval(
    nodes: Sequence[Node],
    fifos: Sequence[int],
    *,
    reads: Reads | None = None,
    frames: int = 8,
    limit: int | None = None,
    passes: int = MAX_PASSES,
    patience: Patience | None = None,
) -> float:
    """Cycles a frame costs when the source always has a word and the sink always takes.

    Args:
        nodes: the kernels.
        fifos: depths as in `flow`.
        reads: who reads what, as in `flow`.
        frames: frames to look at before the period must have settled.
        limit: as in `flow`.
        passes: as in `flow`.
        patience: as in `flow`.

    Raises:
        Stuck: as in `flow`.
    """
    if not nodes:
        return 0.0
    words = nodes[0].input.words
    result = flow(
        nodes, fifos, back_to_back(words, frames), reads=reads, limit=limit, passes=passes,
        patience=patience,
    )  # fmt: skip
    out = result.leaves.reshape(frames, -1)
    repeated = settle(result.leaves, out.shape[1])
    if repeated is not None:
        return repeated[1] / repeated[0]
    half = frames // 2
    return float(out[-1, -1] - out[half - 1, -1]) / (frames - half)


def latency(
    nodes: Sequence[Node], fifos: Sequence[int], *, reads: Reads | None = None
) -> tuple[int, int]:
    """Cycles from a lone frame's first input word to its first and its last output word."""
    if not nodes:
        return 1, 1
    result = flow(nodes, fifos, back_to_back(nodes[0].input.words, 1), reads=reads)
    return int(result.leaves[0]), int(result.leaves[-1])


def depths(
    nodes: Sequence[Node], *, reads: Reads | None = None, frames: int = TRIM_FRAMES
) -> tuple[int, ...]:
    """FIFO depths with which the kernels run at the rate of the slowest of them.

    Frames are offered at that rate, evenly spread, to kernels with FIFOs that never fill. The
    places they then occupy suffice: a self-timed graph is never slower than a schedule that fits,
    so that it never stands still either. Most are not needed, since kernels may be held up as well;
    where streams part and meet again, the ones in front of the kernels that join are. Of these none
    could be a word shorter: words would stand still, or the last of some frames leave later than
    with FIFOs that never fill and than in that schedule, or what would come of it does not settle
    within TRIAL_PASSES. Only where trials would take too long (TRIED) some stay longer.
    """
    if not nodes:
        return ()
    streams = sum(len(node.outputs) for node in nodes)
    unbounded = [0] * streams
    words = nodes[0].input.words
    period = interval(nodes, unbounded, reads=reads)
    k = np.arange(words * frames, dtype=np.int64)
    offers = (k * max(int(np.ceil(period)), words)) // words
    spread = flow(nodes, unbounded, offers, reads=reads)
    found = _occupied(spread)
    at_once = flow(nodes, unbounded, back_to_back(words, TRIM_FRAMES), reads=reads)
    limit = max(int(spread.leaves[-1]), int(at_once.leaves[-1]))
    return _Trimming(nodes, reads, period, limit).trimmed(found, offers)


def _occupied(scheduled: Flow) -> list[int]:
    """Depths of FIFOs in which the words of a schedule find room."""
    return [
        max(MIN_DEPTH, occupancy(gives, gone))
        for gives, gone in zip(scheduled.gives, scheduled.gone, strict=True)
    ]


class _Trimming:
    """FIFO depths cut to what `period` needs."""

    def __init__(
        self, nodes: Sequence[Node], reads: Reads | None, period: float, limit: int
    ) -> None:
        self._nodes, self._period, self._limit = nodes, period, limit
        self._reads = in_a_row(len(nodes)) if reads is None else reads
        self._joins = any(len(node.inputs) > 1 for node in nodes)
        self._patience = Patience(TRIED)

    def _alive(self, depths: Sequence[int]) -> bool:
        return not self._joins or tokens.alive(self._nodes, depths, reads=self._reads)

    def suffice(self, depths: Sequence[int], *, patience: Patience | None = None) -> bool:
        """Whether the kernels run as fast with these, as far as patience lets us know."""
        if not self._alive(depths):
            return False  # the cycles would grow for ever
        try:
            found = interval(
                self._nodes, depths, reads=self._reads, frames=TRIM_FRAMES, limit=self._limit,
                passes=TRIAL_PASSES if self._joins else MAX_PASSES, patience=patience,
            )  # fmt: skip
        except Stuck:
            return False
        return found <= self._period

    def trimmed(self, found: list[int], offers: Cycles) -> tuple[int, ...]:
        """The same depths, with those cut that turn out not to be needed.

        In a row of kernels a FIFO is cut to the least or left as it is. Where streams meet again
        it is cut to the fewest words that suffice.

        Args:
            found: depths that suffice.
            offers: int64, the cycles of the input words in their schedule.
        """
        least = [MIN_DEPTH] * len(found)
        if found == least or self.suffice(least):
            return tuple(least)
        longer = sorted((i for i, d in enumerate(found) if d > MIN_DEPTH), key=lambda i: -found[i])
        if self._joins:
            found = self._held_up(offers) or self._cut(found, longer[::-1])
            longer = self._by_promise(found)
        for i in longer:
            found[i] = self._shortest(found, i)
        return tuple(found)

    def _by_promise(self, found: Sequence[int]) -> list[int]:
        """Long FIFOs, those first that could lose the most bits before words stand still."""
        widths = [stream.width for node in self._nodes for stream in node.outputs]
        bits = {
            i: (depth - self._moving(found, i)) * widths[i]
            for i, depth in enumerate(found)
            if depth > MIN_DEPTH
        }
        return sorted(bits, key=lambda i: -bits[i])

    def _moving(self, found: Sequence[int], i: int) -> int:
        """The least depth of FIFO i with which no words stand still."""
        return _least(
            MIN_DEPTH, found[i], lambda depth: self._alive([*found[:i], depth, *found[i + 1 :]])
        )

    def _held_up(self, offers: Cycles) -> list[int] | None:
        """Long FIFOs only in front of the kernels that join, if these suffice."""
        wide = {s for taken in self._reads if len(taken) > 1 for s in taken}
        streams = sum(len(node.outputs) for node in self._nodes)
        free = [0 if s in wide else MIN_DEPTH for s in range(streams)]
        try:
            scheduled = flow(self._nodes, free, offers, reads=self._reads, passes=TRIAL_PASSES)
        except Stuck:
            return None
        found = _occupied(scheduled)
        return found if self.suffice(found) else None

    def _cut(self, found: list[int], group: list[int]) -> list[int]:
        """All of `group` at the least if that suffices, otherwise half by half, the long ones last.

        Those that must be long are few, so that most are cut in one trial.
        """
        if not group:
            return found
        cut = [MIN_DEPTH if i in group else d for i, d in enumerate(found)]
        if self.suffice(cut, patience=self._patience):
            return cut
        if len(group) == 1:
            (i,) = group
            found[i] = self._shortest(found, i)
            return found
        half = (len(group) + 1) // 2
        return self._cut(self._cut(found, group[:half]), group[half:])

    def _shortest(self, found: list[int], i: int) -> int:
        """The least depth of FIFO i that suffices; in a row of kernels the least or as it is."""

        def having(depth: int) -> list[int]:
            return [*found[:i], depth, *found[i + 1 :]]

        if not self._joins:
            return MIN_DEPTH if self.suffice(having(MIN_DEPTH)) else found[i]
        least = self._moving(found, i)
        if least == found[i] or self.suffice(having(least), patience=self._patience):
            return least

        def enough(depth: int) -> bool:
            return self.suffice(having(depth), patience=self._patience)

        return _least(least + 1, found[i], enough)


def _least(low: int, high: int, good: Callable[[int], bool]) -> int:
    """The least number from `low` to `high` that is good, if `high` and all above the least are."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if good(middle) else (middle + 1, high)
    return low


@lru_cache(maxsize=64)
def with_depths(segment: Dataflow, head: Dataflow) -> tuple[Dataflow, Dataflow]:
    """Segment and head with FIFOs that let both run at the rate of the slowest kernel of the two.

    The head hangs on the segment's fork, so it is sized as the segment's continuation.
    """
    whole = segment.then(head)
    found = depths(whole.nodes, reads=whole.reads)
    split = len(segment.streams)
    return (
        dataclasses.replace(segment, fifos=found[:split]),
        dataclasses.replace(head, fifos=found[split:]),
    )
