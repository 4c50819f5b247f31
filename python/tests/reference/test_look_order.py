"""Whether frames that are looked at again can stand still: every order of events in a small core.

The rule unit, segment 0 with its head, the buffer behind it and segment 1 as counters and queues
of frames. What happens next, and what each verdict is, is anything. Every step brings some frame
nearer to its end (a frame has a bounded number of looks), so where one can always move, all leave.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal

import pytest

Takes = Literal["entering", "starting", "arriving"]


@dataclass(frozen=True)
class Core:
    """The state: what is free, frames that wait for a place, in the queue and in segment 0.

    queue, line: of each frame in order how many looks were before this one.
    """

    slots: int
    places: int
    outside: int
    judged: int = 0
    queue: tuple[int, ...] = ()
    line: tuple[int, ...] = ()
    arrived: bool = False  # the first in the line is through the fork
    kept: int = 0
    behind: int = 0  # in segment 1
    results: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Built:
    """What the core has: further looks, frames that fit into segments 0 and 1.

    takes: where a frame takes its place; in hardware "entering", before it is queued.
    """

    looks: int
    length: int
    later: int
    takes: Takes


def steps(built: Built, s: Core) -> Iterator[Core]:
    """What may happen next to a frame inside."""
    if s.judged and (s.places or built.takes != "entering"):
        taken = int(built.takes == "entering")
        yield replace(s, judged=0, places=s.places - taken, queue=(*s.queue, 0))
    if s.queue and len(s.line) < built.length:
        taken = int(built.takes == "starting" and s.queue[0] == 0)
        if s.places >= taken:
            yield replace(s, places=s.places - taken, queue=s.queue[1:], line=(*s.line, s.queue[0]))
    if s.line and not s.arrived:
        taken = int(built.takes == "arriving" and s.line[0] == 0)
        if s.places >= taken:
            yield replace(s, places=s.places - taken, arrived=True)
    if s.arrived:
        gone = replace(s, line=s.line[1:], arrived=False)
        if s.line[0] < built.looks:  # it stays, and is looked at again
            yield replace(gone, queue=(*s.queue, s.line[0] + 1))
        yield replace(gone, kept=s.kept + 1, slots=s.slots + 1)  # it stays for good
        if not s.results[0]:
            yield replace(gone, places=s.places + 1, slots=s.slots + 1, results=(1, s.results[1]))
    if s.kept and s.behind < built.later:
        yield replace(s, kept=s.kept - 1, places=s.places + 1, behind=s.behind + 1)
    if s.behind and not s.results[1]:
        yield replace(s, behind=s.behind - 1, results=(s.results[0], 1))
    for k in range(2):
        if s.results[k]:
            left = (0, s.results[1]) if k == 0 else (s.results[0], 0)
            yield replace(s, results=left, outside=s.outside + 1)


def comes(s: Core) -> Iterator[Core]:
    """The next frame, if there is room for it."""
    if s.slots and s.outside and not s.judged:
        yield replace(s, slots=s.slots - 1, outside=s.outside - 1, judged=1)


def stuck(built: Built, slots: int, places: int, in_flight: int) -> tuple[Core | None, int]:
    """A state in which a frame is inside and none can move, if one is reached; states reached."""
    empty = Core(slots, places, in_flight)
    seen, todo = {empty}, [empty]
    while todo:
        state = todo.pop()
        following = list(steps(built, state))
        if not following and state.outside < in_flight:
            return state, len(seen)
        for found in [*following, *comes(state)]:
            if found not in seen:
                seen.add(found)
                todo.append(found)
    return None, len(seen)


@pytest.mark.parametrize("looks", [1, 2])
def test_no_frame_stands_still(looks: int) -> None:
    reached = 0
    for slots, places, length, later in product((1, 2, 3), (1, 2, 3), (1, 2), (1, 2)):
        found, count = stuck(Built(looks, length, later, "entering"), slots, places, 5)
        assert found is None, f"{slots} slots, {places} places, {length}, {later}: {found}"
        reached += count
    assert reached > 10_000


@pytest.mark.parametrize("takes", ["starting", "arriving"])
def test_a_place_taken_later_stands_still(takes: Takes) -> None:
    found, _ = stuck(Built(1, 2, 1, takes), 2, 1, 4)
    assert found is not None
    assert found.places == 0
    assert found.queue or found.line
