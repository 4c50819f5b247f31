"""Signals under other names, so that any valid/ready port pair can be a stream of one word."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any

from lib.quick import reader
from lib.streams import Cycles


class Joined:
    """Several signals as one word: (handle, width) pairs, the lowest bits first."""

    def __init__(self, *parts: tuple[Any, int]) -> None:
        self._parts = parts
        self._reads = [(reader(handle), width) for handle, width in parts]

    @property
    def value(self) -> int:
        """The signals' values side by side."""
        word, low = 0, 0
        for read, width in self._reads:
            word |= read() << low
            low += width
        return word

    @value.setter
    def value(self, word: int) -> None:
        for handle, width in self._parts:
            handle.value = word & ((1 << width) - 1)
            word >>= width


def stream(valid: Any, ready: Any, data: Any, last: Any = None) -> SimpleNamespace:
    """What `StreamSource(view, "x", ...)` and `StreamSink` look for, from any handles."""
    view = SimpleNamespace(x_valid=valid, x_ready=ready, x_data=data)
    if last is not None:
        view.x_last = last
    return view


def from_cycles(cycles: Cycles, first: Iterable[int], done: list[int]) -> Iterator[bool]:
    """A pattern that goes for word k from cycle first[k] on; `done` holds the words so far."""
    limits = list(first)
    base = len(done)
    while True:
        k = len(done) - base
        yield k < len(limits) and cycles.now + 1 >= limits[k]
