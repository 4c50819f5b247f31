"""How the context of a frame lies in hardware: words of up to 16 channels of one position.

A word holds what one position has for one group of channels: min(16, C) lanes of a few bits, lane i
of group g for channel 16 * g + i, 0 beyond the last channel. The word of group g at (y, x) has the
address (y * W + x) * G + g, G = ceil(C / 16). Masks (1 bit), ways through max pools, pixels and
features all have that shape.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from exeunt.errors import InputError
from exeunt.explain.program import Route

GROUP = 16  # channels of a word

Cycles = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Gather:
    """Words that are made of a stream of frames with `lanes` channels a beat, `ex_explain_gather`.

    With more than 16 lanes a beat is written at once, `wide` words with one address.

    Raises:
        InputError: lanes that do not make whole words.
    """

    shape: tuple[int, int, int]
    bits: int
    lanes: int

    def __post_init__(self) -> None:
        channels, lanes = self.shape[2], self.lanes
        if lanes < 1 or channels % lanes:
            raise InputError(
                f"the lanes of a stream that is kept must divide its {channels} channels, got "
                f"{lanes}: fold its kernel by a divisor"
            )
        if lanes > GROUP and lanes % GROUP and lanes != channels:
            raise InputError(
                f"more than {GROUP} lanes of a stream that is kept must be a multiple of {GROUP} "
                f"or all {channels} channels, got {lanes}: fold its kernel otherwise"
            )

    @property
    def lanes_of_word(self) -> int:
        """Channels of a context word."""
        return min(GROUP, self.shape[2])

    @property
    def groups(self) -> int:
        """Context words of a position."""
        return -(-self.shape[2] // GROUP)

    @property
    def wide(self) -> int:
        """Context words that are written at once."""
        return -(-self.lanes // GROUP)

    @property
    def words(self) -> int:
        """Context words of a frame."""
        return self.shape[0] * self.shape[1] * self.groups

    @property
    def width(self) -> int:
        """Bits of a context word."""
        return self.lanes_of_word * self.bits

    def parameters(self) -> dict[str, int]:
        """Parameters of `ex_explain_gather`."""
        return {
            "LANES": self.lanes,
            "BITS": self.bits,
            "C": self.shape[2],
            "POSITIONS": self.shape[0] * self.shape[1],
        }

    def writes(self, takes: Cycles) -> Cycles:
        """When words are written.

        Args:
            takes: int64 (n,), cycles in which the beats of whole frames are taken.

        Returns:
            int64 (m,), a cycle for each write, in the order of the addresses: one after the beat
            that completes it; the rest of a position one later, where the same beat completes the
            word before it.
        """
        size = self.wide * GROUP
        ends = [min(size * k, self.shape[2]) for k in range(1, self.groups // self.wide + 1)]
        beats = np.array([(end - 1) // self.lanes for end in ends])
        later = np.concatenate([[0], np.diff(beats) == 0]).astype(np.int64)
        taken = np.asarray(takes, np.int64).reshape(-1, self.shape[2] // self.lanes)
        return np.asarray((taken[:, beats] + 1 + later).reshape(-1))


def words(values: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Values (N, H, W, C) as context words, int64 (N, H * W * G, min(16, C)), lane by lane.

    They are >= 0 as they are in the bits of a lane.
    """
    count, height, width, channels = values.shape
    lanes = min(GROUP, channels)
    groups = -(-channels // GROUP)
    filled = np.zeros((count, height * width, groups * lanes), np.int64)
    filled[..., :channels] = values.reshape(count, -1, channels)
    return filled.reshape(count, -1, lanes)


def packed(found: npt.NDArray[np.int64], bits: int) -> list[int]:
    """Words (n, lanes) as integers, lane 0 in the lowest bits."""
    return [sum(int(value) << (bits * lane) for lane, value in enumerate(word)) for word in found]


def way_bits(kernel: tuple[int, int]) -> int:
    """Bits of a place in a window: ky * KW + kx, at least one bit."""
    return max(1, math.ceil(math.log2(math.prod(kernel))))


def told(route: Route, lanes: int, takes: Cycles) -> Cycles:
    """When `ex_explain_pool` tells the way of each output of a max pool.

    Args:
        route: the pool, whose windows do not overlap.
        lanes: of the stream in front of it.
        takes: int64 (n,), cycles in which the beats of whole frames of that stream are taken.

    Returns:
        int64 (m,), a cycle for each beat that it gives: one after the last one of its window.
    """
    height, width, channels = route.shape
    kh, kw = route.kernel
    taken = np.asarray(takes, np.int64).reshape(-1, height, width, channels // lanes)
    rows, columns = height // kh * kh, width // kw * kw
    return np.asarray((taken[:, kh - 1 : rows : kh, kw - 1 : columns : kw] + 1).reshape(-1))
