"""The quick model by whole frames against the cycle reference, and what predictions share."""

from __future__ import annotations

import heapq

import numpy as np
import pytest

from exeunt import samples
from exeunt.reference import frames, system
from exeunt.reference.frames import Room

EXITS = np.random.default_rng(1).choice(3, 300, p=[0.6, 0.3, 0.1]).astype(np.int64)


def test_pace_leaves_out_the_frames_that_fill_it() -> None:
    assert frames.pace(np.array([0, 1, 11, 21])) == 10.0
    assert frames.pace(np.array([7])) == 0.0


def plainly(parts: list[frames.Stage], exits: np.ndarray, room: Room) -> np.ndarray:
    """What `frames.play` says, rule by rule."""
    count, ago = len(parts), -float(1 << 40)
    begun, given, inside = [ago] * count, [ago] * count, list[float]()
    places = [[ago] * b for b in room.buffers]
    queued: list[list[float]] = [[] for _ in room.queues]
    accepts = []
    for last in exits.tolist():
        offered = heapq.heappop(inside) + 1 if len(inside) >= room.in_flight else 0.0
        for i in range(last + 1):
            part = parts[i]
            start = max(offered, begun[i] + part.interval)
            if i + 1 < count:
                free = min(places[i]) + 1
                if last > i or free <= start + part.token:
                    start = max(start, free - part.shows)
            begun[i] = start
            if i == 0:
                accepts.append(int(start))
            else:
                queued[i - 1].append(start + part.taken)
                left = max(offered + part.words - 1, given[i] + part.words)
                depth = room.queues[i - 1]
                if len(queued[i - 1]) > depth:
                    left = max(left, queued[i - 1][-depth - 1] + (depth > 0))
                given[i] = left
                places[i - 1].remove(min(places[i - 1]))
                places[i - 1].append(left)
            token = start + part.token
            if i < last:
                offered = max(token, start + part.shows, given[i + 1]) + frames.KEPT
        heapq.heappush(inside, token + frames.RESULT)
        gone = max(token, start + parts[last].shows + 1)
        if last + 1 < count and min(places[last]) + 1 <= gone:
            places[last].remove(min(places[last]))
            places[last].append(gone)
    return np.array(accepts, np.int64)


def test_whole_frames_go_by_their_rules_and_stop_where_they_are_too_slow() -> None:
    stopped = 0
    for seed in range(80):
        rng = np.random.default_rng([3, seed])
        count, frame_count = int(rng.integers(1, 5)), int(rng.integers(1, 400))
        parts = []
        for _ in range(count):
            words, wait, shows, more, token = rng.integers(1, 90, 5).tolist()
            interval = float(rng.integers(1, 400)) / float(rng.choice([1, 3]))
            parts.append(frames.Stage(words, words + wait, shows, shows + more, token, interval))
        exits = rng.choice(count, frame_count, p=rng.dirichlet(np.ones(count))).astype(np.int64)
        room = Room(
            tuple(rng.integers(1, 9, count - 1).tolist()),
            tuple(rng.integers(0, 9, count - 1).tolist()), int(rng.choice([1, 4, 8, 64])),
        )  # fmt: skip
        want = plainly(parts, exits, room)
        np.testing.assert_array_equal(frames.play(parts, exits, room), want)
        pace = frames.pace(want)
        for part in (0.5, 0.9, 0.999, 1.0, 1.001, 2.0):
            paces = frames.Paces(parts, exits)
            found = paces.of(room, limit=part * pace)
            assert found == pace or (found == np.inf and part < 1)
            stopped += found == np.inf
            assert paces.of(room) == pace  # and again, without a limit
            assert paces.of(room, limit=part * pace) in (pace, found)
    assert stopped > 80


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
