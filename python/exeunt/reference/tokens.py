"""Whether FIFOs let every word through: the order of transfers alone, without cycles.

Where streams part and meet again, a FIFO that is too short makes all words stand still: the kernel
that joins waits for the longer way, which waits for words that the full FIFO keeps from coming.
Whether that happens does not depend on cycles. Each kernel is asked once, by its cycle reference
with words far apart, how many words must have come before one is taken or given, and how many must
have left; from that follows what every word waits for, and none may wait for itself.

Only streams that part and meet again can stand still: no wait goes through a single stream to what
is behind it and back, since words keep their order. So each part between two such streams is asked
alone, and in it a row of kernels counts as one long FIFO, a `_Way`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np

from exeunt.graph import ENTRY, Node, Reads
from exeunt.kernels import registry
from exeunt.kernels.parts.fifo import Cycles

FRAMES = 2
_APART = 1 << 32  # cycles between words, far more than a kernel needs for one


@dataclass(frozen=True)
class _Needs:
    """What the first n words of one port wait for, by n from 0 on; ascending.

    `come[p]`: words of input p that must have come before they move; `left[q]`: words of output q
    that must have left before them.
    """

    come: tuple[Cycles, ...]
    left: tuple[Cycles, ...]


@lru_cache(maxsize=256)
def _needs(node: Node) -> tuple[tuple[_Needs, ...], tuple[_Needs, ...]]:
    """For each input and each output of a kernel what its words wait for."""
    words = [stream.words * FRAMES for stream in node.inputs]
    given = [stream.words * FRAMES for stream in node.outputs]
    takes: list[list[Cycles]] = [[] for _ in words]
    gives: list[list[Cycles]] = [[] for _ in given]
    for port in range(len(words)):
        offered = [
            (np.arange(count, dtype=np.int64) + 1) * _APART if p == port else np.zeros(count, int)
            for p, count in enumerate(words)
        ]
        found = registry.transfers(node, None, offered, [None] * len(given))
        for counts, moved in ((takes, found[0]), (gives, found[1])):
            for kept, cycles in zip(counts, moved, strict=True):
                kept.append(cycles // _APART)
    for port in range(len(given)):
        ready: list[Cycles | None] = [
            (np.arange(count, dtype=np.int64) + 1) * _APART if p == port else None
            for p, count in enumerate(given)
        ]
        offered = [np.zeros(count, np.int64) for count in words]
        found = registry.transfers(node, None, offered, ready)
        for p, cycles in enumerate(found[0]):
            takes[p].append(cycles // _APART)
        for p, cycles in enumerate(found[1]):
            own = np.arange(given[p], dtype=np.int64)  # words leave in order
            gives[p].append(own if p == port else cycles // _APART)
    split = len(words)

    def table(kept: list[list[Cycles]]) -> tuple[_Needs, ...]:
        lists = [tuple(_by_count(counts) for counts in port) for port in kept]
        return tuple(_Needs(k[:split], k[split:]) for k in lists)

    return table(takes), table(gives)


def _by_count(by_word: Cycles) -> Cycles:
    """What the first n words need, for what each needs."""
    return np.concatenate([np.zeros(1, np.int64), np.maximum.accumulate(by_word)])


@dataclass(frozen=True)
class _Way:
    """A FIFO, or a row of kernels with FIFOs before, between and behind them.

    `come[n]`: words that must have come in before n words can be taken out; `left[n]`: words that
    must have been taken out before n words can have come in. Both from n = 0 on, ascending.
    """

    come: Cycles
    left: Cycles

    @classmethod
    def fifo(cls, words: int, depth: int) -> _Way:
        """A FIFO for so many words in all; with a depth of 0 it never fills."""
        count = np.arange(words + 1, dtype=np.int64)
        return cls(count, _beyond(count, depth))

    def then(self, needs: tuple[tuple[_Needs, ...], tuple[_Needs, ...]], depth: int) -> _Way:
        """This, a kernel with one input and one output, and the FIFO behind it."""
        ((taken,), (given,)) = needs
        return _Way(self.come[given.come[0]], _beyond(taken.left[0][self.left], depth))


def _beyond(words: Cycles, depth: int) -> Cycles:
    """How many words must have left a FIFO that so many words have entered."""
    return np.maximum(words - depth, 0) if depth else np.zeros_like(words)


_Part: TypeAlias = tuple[tuple[Node, ...], tuple[int, ...], Reads]


def _parts(nodes: Sequence[Node], fifos: Sequence[int], reads: Reads) -> Iterator[_Part]:
    """The nodes, FIFOs and reads between two streams by which all words pass, numbered anew.

    Kernels in a row, which need nobody else, are left out; the last FIFO of a part never fills.
    """
    number, done, start = {ENTRY: ENTRY}, 0, 0
    depths: list[int] = []
    sources: list[tuple[int, ...]] = []
    unread = {ENTRY}
    for k, (node, taken) in enumerate(zip(nodes, reads, strict=True)):
        sources.append(tuple(number[s] for s in taken))
        for _ in node.outputs:
            number[done] = len(depths)
            depths.append(fifos[done])
            unread.add(done)
            done += 1
        unread -= set(taken)
        if len(unread) > 1:
            continue
        if k > start:
            yield tuple(nodes[start : k + 1]), (*depths[:-1], 0), tuple(sources)
        number, depths, sources, start = {done - 1: ENTRY}, [], [], k + 1


def alive(nodes: Sequence[Node], fifos: Sequence[int], *, reads: Reads) -> bool:
    """Whether whole frames pass through kernels and the FIFOs behind them.

    Args:
        nodes: kernels, as in a `Dataflow`.
        fifos: words of the FIFO behind each stream; 0 stands for a FIFO that never fills.
        reads: numbers of the streams that each kernel takes.
    """
    return all(_alive(*part) for part in _parts(nodes, fifos, reads))


@lru_cache(maxsize=256)
def _alive(nodes: tuple[Node, ...], fifos: tuple[int, ...], reads: Reads) -> bool:
    """The same of a part in which the first kernel copies and the last one joins.

    Where words stand still, a kernel that joins cannot take a word because of what this same word
    must let through first.
    """
    ways: dict[int, _Way] = {}  # by the number of its last stream
    last: dict[int, int] = {}  # stream of a way, by the first one
    crossings: list[tuple[Node, tuple[int, ...], range]] = []
    first = 0
    for node, sources in zip(nodes, reads, strict=True):
        here = range(first, first + len(node.outputs))
        first = here.stop
        if len(node.inputs) == len(node.outputs) == 1:
            (source,), (given,) = sources, here
            ways[given] = ways.pop(source).then(_needs(node), fifos[given])
            last[next(s for s, end in last.items() if end == source)] = given
            continue
        crossings.append((node, sources, here))
        for s, stream in zip(here, node.outputs, strict=True):
            ways[s], last[s] = _Way.fifo(stream.words * FRAMES, fifos[s]), s
    kernels = [
        _Crossing(*_needs(node), sources, tuple(last[s] for s in here))
        for node, sources, here in crossings
    ]
    return not any(
        _waits_for_itself(kernels, ways, k, port)
        for k, kernel in enumerate(kernels)
        if len(kernel.reads) > 1
        for port in range(len(kernel.reads))
    )


@dataclass(frozen=True)
class _Crossing:
    """A kernel with several inputs or outputs: what they need, and the ways there."""

    inputs: tuple[_Needs, ...]
    outputs: tuple[_Needs, ...]
    reads: tuple[int, ...]
    writes: tuple[int, ...]


def _waits_for_itself(
    kernels: Sequence[_Crossing], ways: Mapping[int, _Way], joining: int, port: int
) -> bool:
    """Whether one of the words that a kernel takes at a port must be taken before it is taken.

    All that must have moved before is gathered, for all words of the port side by side: words
    `given` into a way and `taken` out of it, by the way.
    """
    own = kernels[joining].reads[port]
    words = np.arange(1, len(kernels[joining].inputs[port].left[0]), dtype=np.int64)
    given = {s: np.zeros_like(words) for s in ways}
    taken = {s: np.zeros_like(words) for s in ways}
    growing = True
    while growing:
        growing = False
        for k, kernel in enumerate(kernels):
            waiting = [
                (kernel.inputs[p], words if (k, p) == (joining, port) else taken[s])
                for p, s in enumerate(kernel.reads)
                if s != ENTRY
            ]
            waiting += [(kernel.outputs[q], given[s]) for q, s in enumerate(kernel.writes)]
            for needs, count in waiting:
                for p, s in enumerate(kernel.reads):
                    if s != ENTRY:
                        growing |= _raised(given[s], ways[s].come[needs.come[p][count]])
                for q, s in enumerate(kernel.writes):
                    growing |= _raised(given[s], needs.left[q][count])
        for s, way in ways.items():
            growing |= _raised(taken[s], way.left[given[s]])
        if (taken[own] >= words).any():
            return True
    return False


def _raised(counts: Cycles, least: Cycles) -> bool:
    """Whether some of the counts were below the least that they now have."""
    grown = bool((least > counts).any())
    if grown:
        np.maximum(counts, least, out=counts)
    return grown
