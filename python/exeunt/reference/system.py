"""Cycle reference of the whole core for a given sequence of exits, without simulating a clock.

Segments and heads come from `pipeline.flow`; this module adds what the controller does between
them: admission, fork, verdict, frame buffer, results. Every rule is the one that the block's header
states (hls/rtl/ex_tag.sv, ex_decide.sv, ex_route.sv, ex_frame_buffer.sv, ex_merge.sv).

Words of a chain that runs in its rhythm repeat from frame to frame, so the first segment is solved
for a few frames and continued; only where back-pressure reaches the input are all frames solved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from exeunt.graph import Accelerator, Chain, IntArray
from exeunt.reference import pipeline
from exeunt.reference.pipeline import Cycles

ENTRY_DEPTH = 2
RESULT_DEPTH = 2
WARM_UP = 16
MAX_PASSES = 64


@dataclass(frozen=True)
class Sizes:
    """What the core was built with: words of each frame buffer, verdicts queued, frames inside."""

    buffers: tuple[int, ...]
    verdicts: int
    in_flight: int


@dataclass(frozen=True)
class Prediction:
    """Cycles of N frames; cycle 0 is the first in which the source offers a beat.

    `accepts`: int64 (N,), transfer of each frame's first beat.
    `decides[i]`: int64, decision of each frame that reaches exit i, in order.
    `results`: int64 (N,), transfer of each frame's result on m_*, by frame.
    `reported`: int64 (N,), the latency field of each result.
    `gives[node]`: int64, transfers of the node's output words; those of the first segment and
    head may cover the first frames only.
    """

    accepts: Cycles
    decides: tuple[Cycles, ...]
    results: Cycles
    reported: Cycles
    gives: dict[str, Cycles]

    @property
    def cycles(self) -> int:
        """Cycles from the first beat to the last result, both included."""
        return int(self.results.max() - self.accepts[0]) + 1 if len(self.results) else 0


@dataclass
class _Stage:
    """One segment with its head and exit, for the frames that reach it."""

    segment: Chain
    head: Chain
    offered: Cycles
    entry: int = 0
    hold: Cycles | None = None
    shows: Cycles | None = None  # when the frame buffer sees each word of the segment
    enters: Cycles | None = None
    last: Cycles | None = None  # when each frame's last logits beat is taken
    gives: tuple[Cycles, ...] = ()  # of every kernel, of the frames that were solved


def _solve(stage: _Stage, frames: int) -> None:
    nodes = stage.segment.nodes + stage.head.nodes
    fifos = stage.segment.fifos + stage.head.fifos
    fork = len(stage.segment.nodes)
    if not stage.segment.nodes:  # the core puts a FIFO of two words in its place
        assert not stage.entry, "a first segment without kernels is not predicted"
    found = pipeline.flow(
        nodes, fifos, stage.offered, entry=stage.entry, fork=fork, hold=stage.hold
    )
    stage.enters = found.enters
    stage.shows = found.shows
    stage.gives = found.gives
    words = stage.head.output.words
    stage.last = found.leaves.reshape(frames, words)[:, -1]


def _continue(times: Cycles, frames: int, have: int) -> Cycles | None:
    """Repeat the rhythm of the last of `have` frames until there are `frames`."""
    table = times.reshape(have, -1)
    rhythm = pipeline.settle(times, table.shape[1])
    if rhythm is None:
        return None
    cycle, step = rhythm
    more = frames - have
    rounds = np.arange(more, dtype=np.int64)
    source = have - cycle + rounds % cycle
    rest = table[source] + (rounds // cycle + 1)[:, None] * step
    whole: Cycles = np.concatenate([table, rest]).reshape(-1)
    return whole


def _first(stage: _Stage, frames: int) -> None:
    """Solve the first stage for a source that always has a beat."""
    words = stage.segment.input.words
    if frames <= WARM_UP or stage.hold is not None:
        _solve(stage, frames)
        return
    short = _Stage(stage.segment, stage.head, stage.offered[: WARM_UP * words], stage.entry)
    _solve(short, WARM_UP)
    assert short.enters is not None
    assert short.shows is not None
    assert short.last is not None
    parts = [_continue(t, frames, WARM_UP) for t in (short.enters, short.shows, short.last)]
    if any(p is None for p in parts):
        _solve(stage, frames)
        return
    stage.enters, stage.shows, stage.last = parts
    stage.gives = short.gives


@dataclass(frozen=True)
class _Exit:
    """What happens behind a head: see `_decide`."""

    decides: Cycles
    results: Cycles
    freed: Cycles
    offers: Cycles
    late: Cycles


def _decide(stage: _Stage, keep: npt.NDArray[np.bool_], depth: int, taken: Cycles | None) -> _Exit:
    """Decisions of one exit and what its frame buffer does with them, frame by frame.

    Args:
        stage: solved; its `shows` (and `hold`) say when words are written.
        keep: bool (F,), frames that go on.
        depth: verdicts that may wait for the frame buffer; 0 at the last exit, which has none.
        taken: int64, when the next segment takes each kept word; None: always at once.

    Returns:
        decides: int64 (F,), when each token is released to all its receivers.
        results: int64 (F - K,), when each result enters its FIFO.
        freed: int64 (F * words,), when each word's place in the buffer is given back.
        offers: int64 (K * words,), first cycle in which each kept word is on offer.
        late: int64 (F,), when the last logits of each frame make room for the next frame's.
    """
    assert stage.shows is not None
    assert stage.last is not None
    frames = len(keep)
    written = stage.shows if stage.hold is None else np.maximum(stage.shows, stage.hold)
    table = written.reshape(frames, -1)
    words = table.shape[1]
    steps = np.arange(words, dtype=np.int64)
    decides, late, popped = (np.empty(frames, np.int64) for _ in range(3))
    freed = np.empty((frames, words if depth else 0), np.int64)
    reads: list[Cycles] = []
    results: list[int] = []
    token = free_from = last_read = -1
    for f in range(frames):
        late[f] = max(int(stage.last[f]) + 1, token)
        shown = max(int(late[f]), token) + 1
        token = shown
        if not keep[f]:
            results.append(shown)
        if depth:
            token = max(shown, int(popped[f - depth]) + 1) if f >= depth else shown
            cycle = popped[f] = max(token + 1, free_from)
            if keep[f]:
                earliest = np.maximum(table[f], cycle) + 1
                earliest[0] = max(int(earliest[0]), last_read + 1)
                if taken is not None:
                    start = len(reads) * words
                    earliest[1:] = np.maximum(earliest[1:], taken[start : start + words - 1])
                    if start:
                        earliest[0] = max(int(earliest[0]), int(taken[start - 1]))
                read = np.maximum.accumulate(earliest - steps) + steps
                reads.append(read)
                freed[f] = read
                free_from = last_read = int(read[-1])
            else:
                freed[f] = cycle
                free_from = max(cycle, int(table[f, -1])) + 1
        decides[f] = token
    offers = np.concatenate(reads) + 1 if reads else np.zeros(0, np.int64)
    return _Exit(decides, np.array(results, np.int64), freed.reshape(-1), offers, late)


def _merge(entered: Sequence[Cycles]) -> list[Cycles]:
    """When each result leaves on m_*, by exit, for results that enter their FIFOs at `entered`.

    A FIFO shows a result from the cycle after it entered; each cycle the highest exit that shows
    one puts it into the output register, from which it leaves a cycle later.
    """
    left = [np.empty(len(c), np.int64) for c in entered]
    shown = [[int(c) + 1 for c in cycles] for cycles in entered]
    heads = [0] * len(entered)
    cycle = -1
    for _ in range(sum(len(c) for c in entered)):
        waiting = [(shown[e][k], e) for e, k in enumerate(heads) if k < len(shown[e])]
        cycle = max(cycle + 1, min(waiting)[0])
        exit_ = max(e for at, e in waiting if at <= cycle)
        left[exit_][heads[exit_]] = cycle + 1
        heads[exit_] += 1
    return left


def _same(old: Cycles | None, new: Cycles) -> bool:
    return old is not None and np.array_equal(old, new)


def predict(accelerator: Accelerator, exits: IntArray, *, sizes: Sizes) -> Prediction:
    """Cycles of every frame when the source always has a beat and the sink always takes.

    Args:
        accelerator: the compiled graph.
        exits: int64 (N,), the exit each frame takes.
        sizes: what the core was built with.
    """
    frames = len(exits)
    words = accelerator.segments[0].input.words
    members = [np.flatnonzero(exits >= i) for i in range(len(accelerator.segments))]
    admitted = np.arange(frames * words, dtype=np.int64)
    count = len(accelerator.segments)
    holds: list[Cycles | None] = [None] * count
    takens: list[Cycles | None] = [None] * count
    for _ in range(MAX_PASSES):
        offered, settled = admitted, True
        decided: list[_Exit] = []
        stages: list[_Stage] = []
        for i in range(count):
            stage = _Stage(
                accelerator.segments[i], accelerator.heads[i], offered,
                entry=0 if i else ENTRY_DEPTH, hold=holds[i],
            )  # fmt: skip
            _first(stage, len(members[i])) if not i else _solve(stage, len(members[i]))
            assert stage.enters is not None
            if i and not _same(takens[i - 1], stage.enters):
                takens[i - 1] = stage.enters
                settled = False
            final = i + 1 == count
            keep = exits[members[i]] > i
            found = _decide(stage, keep, 0 if final else sizes.verdicts, takens[i])
            if not final:
                room = pipeline.space(found.freed, sizes.buffers[i])
                assert stage.shows is not None
                binds = holds[i] is not None or bool((stage.shows < room).any())
                if binds and not _same(holds[i], room):
                    holds[i] = room
                    settled = False
            stages.append(stage)
            decided.append(found)
            offered = found.offers
        results = np.empty(frames, np.int64)
        for i, left in enumerate(_merge([d.results for d in decided])):
            results[members[i][exits[members[i]] == i]] = left
        assert stages[0].enters is not None
        firsts = stages[0].enters.reshape(frames, words)[:, 0]
        gate = pipeline.space(np.sort(results), sizes.in_flight)
        if (firsts < gate).any():
            admitted = np.maximum(admitted.reshape(frames, words), gate[:, None]).reshape(-1)
            settled = False
        if settled:
            gives = {
                node.name: given
                for stage in stages
                for node, given in zip(
                    stage.segment.nodes + stage.head.nodes, stage.gives, strict=True
                )
            }
            decides = tuple(d.decides for d in decided)
            return Prediction(firsts, decides, results, results - 1 - firsts, gives)
    raise AssertionError(f"no fixed point after {MAX_PASSES} passes over {frames} frames")
