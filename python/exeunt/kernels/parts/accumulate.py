"""Cycles of a kernel that takes a word a cycle and gives one when a certain word came in."""

from __future__ import annotations

from typing import Literal

import numpy as np

from exeunt.graph import IntArray, Stream
from exeunt.kernels.parts.fifo import LONG_AGO, Cycles, spaced
from exeunt.kernels.parts.size import Size, lutrams

Function = Literal["max", "sum"]


def resume(
    past: Cycles | None, offered: Cycles, completing: IntArray, ready: Cycles | None = None
) -> tuple[Cycles, Cycles, Cycles]:
    """Transfer cycles behind earlier words, exact also under stalls.

    Word k enters one cycle after word k-1 at the earliest; word completing[m] produces output
    word m, which is on offer from the next cycle on, and enters only when output word m-1 leaves
    or has left:

        takes[k] = max(offered[k], takes[k-1] + 1, gives[m-1] if k == completing[m]),
        gives[m] = max(takes[completing[m]] + 1, ready[m]).

    Args:
        past: int64 (2,), when the word before these entered and the last output word left; None:
            none did.
        offered: int64 (n,), first cycle in which word k can be valid.
        completing: integers (m,), ascending, within 0..n-1.
        ready: int64 (m,), first cycle in which output word m is accepted; None: always.

    Returns:
        takes int64 (n,), gives int64 (m,), past int64 (2,) for the words that follow.
    """
    offered = np.array(offered, np.int64)
    past = np.full(2, LONG_AGO, np.int64) if past is None else past
    completing = np.asarray(completing, np.int64)
    if not completing.size:
        return spaced(offered), np.zeros(0, np.int64), past
    offered[0] = max(offered[0], past[0] + 1)
    offered[completing[0]] = max(offered[completing[0]], past[1])
    takes = spaced(offered)
    gives = takes[completing] + 1
    if ready is None:
        return takes, gives, np.array([takes[-1], gives[-1]])
    # A late output m delays word completing[m+1], and every word behind it by as much.
    alone = np.maximum(gives, np.asarray(ready, np.int64))
    delay = np.maximum.accumulate(alone[:-1] - completing[1:])
    gives = alone
    gives[1:] = np.maximum(alone[1:], delay + completing[1:] + 1)
    late = offered
    late[completing[1:]] = np.maximum(late[completing[1:]], gives[:-1])
    takes = spaced(late)
    return takes, gives, np.array([takes[-1], gives[-1]])


def size(output: Stream, words: int) -> Size:
    """An accumulator with a memory of `words` partial results, one output word each."""
    bits = output.lanes * output.dtype.bits
    return Size(26 + 2 * bits + 4 * lutrams(words, bits))
