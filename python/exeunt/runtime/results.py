"""Answers: the 16-byte result records of the core as columns, in the order of the images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

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
    threshold bank.
    """

    image: int
    id: int
    class_: int
    exit: int
    score: int
    latency: int
    flags: int

    @property
    def label(self) -> int:
        """`class_`, under the name that it had first."""
        return self.class_


@dataclass(frozen=True)
class Results:
    """The answers to N images, in their order.

    `classes` uint16 (N,), `exits` uint8 (N,), `ids` uint32 (N,), `scores` int32 (N,), `latency`
    uint32 (N,) in cycles from the first beat to the result, `flags` uint8 (N,).
    """

    classes: npt.NDArray[np.uint16]
    exits: npt.NDArray[np.uint8]
    ids: npt.NDArray[np.uint32]
    scores: npt.NDArray[np.int32]
    latency: npt.NDArray[np.uint32]
    flags: npt.NDArray[np.uint8]

    @classmethod
    def of(cls, table: npt.NDArray[np.void]) -> Results:
        """The columns of a `RESULT` array (N,)."""
        columns = ("class", "exit", "id", "score", "latency", "flags")
        return cls(*(np.ascontiguousarray(table[name]) for name in columns))

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
        return Answer(index, *(int(column[index]) for column in self._columns()))

    def _columns(self) -> tuple[npt.NDArray[Any], ...]:
        return self.ids, self.classes, self.exits, self.scores, self.latency, self.flags


def answers(table: npt.NDArray[np.void], first: int) -> list[Answer]:
    """The rows of a `RESULT` array (N,) as answers to the images from `first` on."""
    columns = (table[name].tolist() for name in ("id", "class", "exit", "score", "latency"))
    return [
        Answer(image, *row)
        for image, row in enumerate(zip(*columns, table["flags"].tolist()), first)  # noqa: B905
    ]


def parse(records: npt.NDArray[np.uint8]) -> npt.NDArray[np.void]:
    """Records uint8 (N, 16) as a `RESULT` array (N,)."""
    table: npt.NDArray[np.void] = np.ascontiguousarray(records).reshape(-1).view(RESULT)
    return table
