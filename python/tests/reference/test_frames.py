"""The quick model by whole frames against the cycle reference, and what predictions share."""

from __future__ import annotations

import numpy as np
import pytest

from exeunt import samples
from exeunt.reference import frames, system
from exeunt.reference.frames import Room

EXITS = np.random.default_rng(1).choice(3, 300, p=[0.6, 0.3, 0.1]).astype(np.int64)


def test_pace_leaves_out_the_frames_that_fill_it() -> None:
    assert frames.pace(np.array([0, 1, 11, 21])) == 10.0
    assert frames.pace(np.array([7])) == 0.0


@pytest.mark.parametrize(
    ("room", "within"),
    [
        (Room((8, 8), (8, 8), 64), 0.02),
        (Room((4, 4), (2, 2), 16), 0.03),
        (Room((2, 2), (1, 1), 8), 0.10),
    ],
)
def test_whole_frames_foretell_the_cycle_reference(room: Room, within: float) -> None:
    whole = samples.pooling()
    parts = frames.stages(whole)
    quick = frames.pace(frames.play(parts, EXITS, room))
    exact = frames.pace(system.predict(whole, EXITS, sizes=room.sizes(whole), gives=False).accepts)
    assert quick == pytest.approx(exact, rel=within)
    assert exact >= frames.ideal(parts, EXITS) * 0.999


def test_stages_are_those_of_a_lone_frame() -> None:
    whole = samples.pooling()
    parts = frames.stages(whole)
    room = Room((4, 4), (2, 2), 16)
    for i, part in enumerate(parts):
        same = system.predict(whole, np.full(60, i), sizes=room.sizes(whole), gives=False)
        steps = np.diff(same.accepts[20:])
        slowest = max(p.interval for p in parts[: i + 1])
        assert steps.mean() == pytest.approx(slowest, rel=0.02)
        assert part.taken < part.token
        assert part.shows <= part.gone
    alone = system.predict(whole, np.array([0]), sizes=room.sizes(whole), gives=False)
    assert alone.decides[0][0] == alone.accepts[0] + parts[0].token


def test_the_ideal_is_the_slowest_stage_by_its_share() -> None:
    part = frames.Stage(1, 1, 1, 1, 1, 10.0)
    slow = frames.Stage(1, 1, 1, 1, 1, 100.0)
    assert frames.ideal((part, slow), np.array([0, 0, 0, 1])) == 25.0
    assert frames.ideal((part, slow), np.zeros(4, np.int64)) == 10.0


def test_what_is_known_changes_nothing() -> None:
    whole = samples.pooling()
    known = system.Known()
    for room in (Room((4, 4), (2, 2), 16), Room((1, 2), (0, 1), 4)):
        sizes = room.sizes(whole)
        fresh = system.predict(whole, EXITS, sizes=sizes, gives=False)
        again = system.predict(whole, EXITS, sizes=sizes, gives=False, known=known)
        np.testing.assert_array_equal(fresh.results, again.results)
        before = known.words
        system.predict(whole, EXITS, sizes=sizes, gives=False, known=known)
        assert known.words == before > 0  # nothing was left to solve
    some = system.predict(whole, EXITS, sizes=sizes, gives=False, words=1)
    assert 0 < len(some.accepts) < len(EXITS)
    np.testing.assert_array_equal(some.results[:1], fresh.results[:1])


def test_frames_come_no_sooner_than_the_source_has_them() -> None:
    whole = samples.pooling()
    sizes = Room((4, 4), (2, 2), 16).sizes(whole)
    slow = system.predict(whole, EXITS, sizes=sizes, gives=False, spacing=100_000)
    np.testing.assert_array_equal(slow.accepts, np.arange(len(EXITS)) * 100_000)
    alone = [
        int(system.predict(whole, np.array([i]), sizes=sizes, gives=False).reported[0])
        for i in range(3)
    ]
    np.testing.assert_array_equal(slow.reported, np.array(alone)[EXITS])  # each is alone
    quick = system.predict(whole, EXITS, sizes=sizes, gives=False, spacing=0.5)
    free = system.predict(whole, EXITS, sizes=sizes, gives=False)
    np.testing.assert_array_equal(quick.accepts, free.accepts)
