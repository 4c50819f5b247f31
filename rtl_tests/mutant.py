"""What a deliberate fault is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """The fault `new` in place of the only `old` in `file`; `test` must fail with it.

    `corners` goes to the block tests as the environment variable CORNERS: the fewer, the sooner.
    A test that has no end is no answer, unless `hangs` says that it is the answer.
    """

    file: str
    old: str
    new: str
    test: str
    corners: str = "fast"
    hangs: bool = False
