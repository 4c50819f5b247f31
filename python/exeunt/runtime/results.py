"""Answers: the 16-byte result records of the core as columns, in the order of the images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from exeunt.runtime.maps import HeatMap

FIELDS = [
    ("id", "<u4"),
    ("score", "<i4"),
    ("latency", "<u4"),
    ("class", "<u2"),
    ("exit", "u1"),
    ("flags", "u1"),
]
RESULT = np.dtype(FIELDS)
"""A result as it leaves the core."""

FLAG_BAD = 1
FLAG_BANK = 2
FLAGS = FLAG_BAD | FLAG_BANK


class Answer(NamedTuple):
    """The answer to one image.

    `image`: its place among the images; `id`: the core's count of frames; `class_`: what it is
    said to be (`class` is a word of Python's); `exit`: where it left; `score`: how sure that exit
    was, as its criterion counts; `latency`: cycles in the core; `flags`: bit 0 bad, bit 1 the
    threshold bank; `map`: its heat map, if it was explained.
    """

    image: int
    id: int
    class_: int
    exit: int
    score: int
    latency: int
    flags: int
    map: HeatMap | None = None

    @property
    def label(self) -> int:
        """`class_`, under the name that it had first."""
        return self.class_


@dataclass(frozen=True)
class Results:
    """The answers to N images, in their order.

    `classes` uint16 (N,), `exits` uint8 (N,), `ids` uint32 (N,), `scores` int32 (N,), `latency`
    uint32 (N,) in cycles from the first beat to the result, `flags` uint8 (N,). `maps`: heat maps
    of those that were explained, by their place; `missed`: how many were to be explained and found
    no free slot.
    """

    classes: npt.NDArray[np.uint16]
    exits: npt.NDArray[np.uint8]
    ids: npt.NDArray[np.uint32]
    scores: npt.NDArray[np.int32]
    latency: npt.NDArray[np.uint32]
    flags: npt.NDArray[np.uint8]
    maps: Mapping[int, HeatMap] = field(default_factory=dict)
    missed: int = 0

    @classmethod
    def of(
        cls,
        table: npt.NDArray[np.void],
        maps: Mapping[int, HeatMap] | None = None,
        missed: int = 0,
    ) -> Results:
        """The columns of a `RESULT` array (N,), and heat maps by row."""
        columns = ("class", "exit", "id", "score", "latency", "flags")
        classes, exits, ids, scores, latency, flags = (
            np.ascontiguousarray(table[name]) for name in columns
        )
        return cls(classes, exits, ids, scores, latency, flags, dict(maps or {}), missed)

    @property
    def bad(self) -> npt.NDArray[np.bool_]:
        """The frame was cut short; bool (N,)."""
        found: npt.NDArray[np.bool_] = (self.flags & FLAG_BAD) != 0
        return found

    @property
    def bank(self) -> npt.NDArray[np.uint8]:
        """The threshold bank that was in force; uint8 (N,), 0 or 1."""
        return ((self.flags & FLAG_BANK) >> 1).astype(np.uint8)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Answer:
        one = [int(column[index]) for column in self._columns()]
        number, class_, exit_index, score, latency, flags = one
        found = self.maps.get(index)
        return Answer(index, number, class_, exit_index, score, latency, flags, found)

    def _columns(self) -> tuple[npt.NDArray[Any], ...]:
        return self.ids, self.classes, self.exits, self.scores, self.latency, self.flags


def answers(
    table: npt.NDArray[np.void], first: int, maps: Mapping[int, HeatMap] | None = None
) -> list[Answer]:
    """The rows of a `RESULT` array (N,) as answers to the images from `first` on.

    `maps`: heat maps by image.
    """
    columns = (table[name].tolist() for name in ("id", "class", "exit", "score", "latency"))
    found = [
        Answer(image, *row)
        for image, row in enumerate(zip(*columns, table["flags"].tolist()), first)  # noqa: B905
    ]
    return (
        [a._replace(map=maps[a.image]) if a.image in maps else a for a in found] if maps else found
    )


def parse(records: npt.NDArray[np.uint8]) -> npt.NDArray[np.void]:
    """Records uint8 (N, 16) as a `RESULT` array (N,)."""
    table: npt.NDArray[np.void] = np.ascontiguousarray(records).reshape(-1).view(RESULT)
    return table
