"""Whether FIFOs let every word through: the order of transfers alone, without cycles.

Where streams part and meet again, a FIFO that is too short makes all words stand still: the kernel
that joins waits for the longer way, which waits for words that the full FIFO keeps from coming.
Whether that happens does not depend on cycles. Each kernel is asked once, by its cycle reference
with words far apart, how many words must have come before one is taken or given, and how many must
have left; then all words move as far as they can.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from exeunt.graph import ENTRY, Node, Reads
from exeunt.kernels import registry
from exeunt.kernels.parts.fifo import Cycles

FRAMES = 2
_APART = 1 << 32  # cycles between words, far more than a kernel needs for one


@dataclass(frozen=True)
class _Needs:
    """What the words of one port wait for: counts by word, ascending.

    `come[p]`: words of input p that must have come before each moves; `left[q]`: words of output q
    that must have left before it.
    """

    come: tuple[list[int], ...]
    left: tuple[list[int], ...]

    def reach(self, come: Sequence[int], left: Sequence[int]) -> int:
        """How many words can have moved; with no `left` nothing stops at the outputs."""
        pairs = [*zip(self.come, come, strict=True)]
        if left:
            pairs += zip(self.left, left, strict=True)
        return min(bisect_right(needed, there) for needed, there in pairs)


@lru_cache(maxsize=4096)
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
        lists = [[counts.tolist() for counts in port] for port in kept]
        return tuple(_Needs(tuple(k[:split]), tuple(k[split:])) for k in lists)

    return table(takes), table(gives)


def alive(nodes: Sequence[Node], fifos: Sequence[int], *, reads: Reads) -> bool:
    """Whether whole frames pass through kernels and the FIFOs behind them.

    Args:
        nodes: kernels, as in a `Dataflow`.
        fifos: words of the FIFO behind each stream; 0 stands for a FIFO that never fills.
        reads: numbers of the streams that each kernel takes.
    """
    streams = [stream for node in nodes for stream in node.outputs]
    given = [0] * len(streams)
    taken = [0] * len(streams)
    total = [stream.words * FRAMES for stream in streams]
    needs = [_needs(node) for node in nodes]
    last = len(streams) - 1
    moved = True
    while moved:
        moved = False
        first = 0
        for node, sources, (inputs, outputs) in zip(nodes, reads, needs, strict=True):
            here = range(first, first + len(node.outputs))
            first += len(node.outputs)
            come = [
                stream.words * FRAMES if s == ENTRY else given[s]
                for s, stream in zip(sources, node.inputs, strict=True)
            ]
            most = []  # that each output could give if the others gave all that they can
            for port, s in enumerate(here):
                room = total[s] if s == last or not fifos[s] else taken[s] + fifos[s]
                most.append(min(room, outputs[port].reach(come, ())))
            for port, s in enumerate(here):
                count = min(most[port], outputs[port].reach(come, most))
                moved |= count > given[s]
                given[s] = max(given[s], count)
            left = [given[n] for n in here]
            for port, s in enumerate(sources):
                if s != ENTRY:
                    count = min(given[s], inputs[port].reach(come, left))
                    moved |= count > taken[s]
                    taken[s] = max(taken[s], count)
    return given == total
