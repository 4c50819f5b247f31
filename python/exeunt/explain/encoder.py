"""In which cycles `ex_explain_encode` takes values and gives words, exactly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from exeunt.runtime.maps import LEVELS, TILE, stored_bits


def word_cycles(bits: int, code: str) -> int:
    """Cycles of a word of a packet: 4 where a piece of the payload has up to 8 bits, else 2."""
    return 4 if code == LEVELS or stored_bits(bits, code) + 2 <= 8 else 2


MEAN = 68  # from the last value that is measured to the first piece of the mean, and the shift


class Encoder:
    """Transfer cycles of an encoder whose packets are taken at once."""

    def __init__(self) -> None:
        never = -(1 << 40)
        # the last value; the tile before; the map before; the output
        self._taken, self._moved, self._done, self._closed, self._free = (never,) * 5
        self._coding = never  # the first pixel that is coded

    def map(
        self, tiles: Sequence[int], words: int, offered: Sequence[int], spacing: int
    ) -> tuple[list[int], list[int]]:
        """The next map.

        Args:
            tiles: of each tile the values that are not 0.
            words: of the packet.
            offered: first cycle in which each value can be valid, 16 a tile.
            spacing: cycles from word to word, see `word_cycles`.

        Returns:
            The cycles in which values are taken and words given.
        """
        takes: list[int] = []
        for ones in tiles:
            for place in range(TILE * TILE):
                first = self._moved if place == 0 else 0
                self._taken = max(offered[len(takes)], self._taken + 1, first, self._closed + 1)
                takes.append(self._taken)
            self._moved = max(self._taken + 1, self._done)
            pieces = TILE * TILE if ones else 1
            self._done = max(self._moved + 1, self._free + 1) + pieces - 1
        return takes, self._gives(words, spacing)

    def measured(self, offered: Sequence[int], shift: int) -> list[int]:
        """The values of the next map in levels, as they come first.

        Args:
            offered: first cycle in which each value can be valid.
            shift: of the mean.

        Returns:
            The cycles in which they are taken.
        """
        takes = self._takes(offered, self._closed + 1)
        self._coding = max(takes[-1] + MEAN + shift, self._free + 1) + 2
        return takes

    def coded(
        self, words: int, offered: Sequence[int], spacing: int
    ) -> tuple[list[int], list[int]]:
        """The same values again; see `map`."""
        takes = self._takes(offered, self._coding)
        self._done = takes[-1] + 1
        return takes, self._gives(words, spacing)

    def _takes(self, offered: Sequence[int], first: int) -> list[int]:
        takes = []
        for cycle in offered:
            self._taken = max(cycle, self._taken + 1, first)
            takes.append(self._taken)
        return takes

    def _gives(self, words: int, spacing: int) -> list[int]:
        self._closed = self._done
        gives = [self._done + 2 + spacing * (k + 1) for k in range(words)]
        self._free = gives[-1] - 1
        return gives


def encoder(
    maps: Sequence[Sequence[int]],
    words: Sequence[int],
    offered: npt.NDArray[np.int64],
    bits: int,
    code: str,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Transfer cycles of several maps, see `Encoder`.

    Args:
        maps: of each map for each tile the values that are not 0.
        words: of each packet.
        offered: int64 (values,), first cycle in which each value can be valid, 16 a tile.
        bits: of a value.
        code: of the maps.

    Returns:
        takes int64 (values,), and gives int64 (words of all packets,).
    """
    found, spacing = Encoder(), word_cycles(bits, code)
    takes: list[int] = []
    gives: list[int] = []
    for tiles, size in zip(maps, words, strict=True):
        first = offered[len(takes) : len(takes) + TILE * TILE * len(tiles)].tolist()
        taken, given = found.map(tiles, size, first, spacing)
        takes += taken
        gives += given
    return np.array(takes, np.int64), np.array(gives, np.int64)
