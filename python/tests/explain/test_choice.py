"""Which frames are explained: turns, ids asked for, exits and scores, the order of requests."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from exeunt.errors import InputError
from exeunt.explain.choice import ANY, NONE, Choice, Request


def step(
    choice: Choice,
    *,
    every: int = 0,
    method: int = 0,
    enter: bool = False,
    slot: int | None = None,
    left: Mapping[int, tuple[int, int]] | None = None,
    taken: bool = False,
    ask: int | None = None,
    forget: bool = False,
) -> None:
    """A cycle in which only what is named happens."""
    choice.step(
        every=every, method=method, enter=enter, slot=slot, left=left or {}, taken=taken,
        ask=ask, forget=forget,
    )  # fmt: skip


def wanted(choice: Choice, every: int, frames: int) -> list[int]:
    """Which of the next frames are wanted; none gets a slot."""
    found = []
    for _ in range(frames):
        if choice.wants(every):
            found.append(choice.entered)
        step(choice, every=every, enter=True)
    return found


def test_turns() -> None:
    choice = Choice(4)
    assert wanted(choice, 3, 8) == [0, 3, 6]
    assert wanted(choice, 1, 2) == [8, 9]
    assert wanted(choice, 0, 6) == []
    assert wanted(choice, 5, 7) == [16, 21]  # its turn was long ago, so it is at once
    assert choice.missed == 7


def test_ids_are_asked_for_once_and_need_no_turn() -> None:
    choice = Choice(2)
    for number in (3, 1):
        step(choice, ask=number)
    assert wanted(choice, 0, 6) == [1, 3]
    assert (choice.missed, choice.unmet) == (2, 0)


def test_ids_that_never_come() -> None:
    choice = Choice(2)
    wanted(choice, 0, 5)
    step(choice, ask=4)  # has entered
    step(choice, ask=5, enter=True)  # enters
    assert choice.unmet == 2
    for number in (2**31, 9, 7):  # the first one is not in sight, and goes where there is no room
        step(choice, ask=number)
    assert choice.unmet == 3
    assert wanted(choice, 0, 6) == [7, 9]
    for number in (20, 21):
        step(choice, ask=number)
    step(choice, ask=12, forget=True)
    assert choice.unmet == 5
    assert wanted(choice, 0, 20) == [12]


def test_who_leaves_is_explained_by_score_or_since_it_was_asked_for() -> None:
    choice = Choice(2)
    step(choice, ask=1)
    step(choice, every=1, enter=True, slot=0)
    step(choice, every=0, enter=True, slot=1)
    assert [choice.explains(0, s, 5) for s in (-9, 4, 5, 6)] == [True, True, False, False]
    assert choice.explains(0, ANY, ANY)
    assert not choice.explains(0, NONE, NONE)
    assert not choice.explains(0, 4, 5, silent=True)
    assert choice.explains(1, 6, NONE)
    assert not choice.explains(1, 6, NONE, silent=True)


def test_requests_come_in_order_and_wait() -> None:
    choice = Choice(2)
    for slot, method in ((2, 7), (0, 8), (1, 9)):
        step(choice, every=1, method=method, enter=True, slot=slot)
    assert choice.offer is None
    step(choice, left={0: (0, 5), 2: (2, 6)})
    first, second, third = Request(0, 6, 2, 7, 2), Request(1, 5, 0, 8, 0), Request(2, 3, 1, 9, 1)
    assert choice.offer == first
    step(choice, left={1: (1, 3)})
    assert choice.offer == first
    for request in (first, second, third):
        assert choice.offer == request
        step(choice, taken=True)
    assert choice.offer is None
    assert choice.explained == 3


def test_no_places() -> None:
    with pytest.raises(InputError, match="at least 1 id must have a place until its frame enters, "
                       "got 0 places: choose as many as a host asks for at once"):  # fmt: skip
        Choice(0)
