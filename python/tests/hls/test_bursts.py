"""Room for bursts: found by playing exits, the least that does, and built as it was found."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from exeunt import samples
from exeunt.hls import bursts
from exeunt.hls.bursts import Case, Given
from exeunt.reference import frames, system
from exeunt.reference.frames import Room

WHOLE = samples.pooling()
EXITS = np.random.default_rng(1).choice(3, 400, p=[0.7, 0.2, 0.1]).astype(np.int64)
REACH = (1.0, 0.3, 0.1)


def exact(room: Room, exits: np.ndarray = EXITS) -> float:
    found = system.predict(WHOLE, exits, sizes=room.sizes(WHOLE), gives=False)
    return bursts.pace(found.accepts)


def test_the_least_room_that_does() -> None:
    best = exact(bursts.largest(3, Given()))
    room, played = bursts.smallest(WHOLE, EXITS)
    assert played.pace == exact(room) <= best * bursts.ENOUGH * bursts.CLOSE
    assert played.ideal <= played.pace
    usual = Given().usual(3)
    assert bursts.size(WHOLE, room).bram18 <= bursts.size(WHOLE, usual).bram18
    parts = frames.stages(WHOLE)
    limit = bursts.pace(frames.play(parts, EXITS, bursts.largest(3, Given()))) * bursts.ENOUGH
    for i in range(2):
        less = list(room.buffers)
        less[i] -= 1
        if less[i] >= bursts.LEAST:
            smaller = dataclasses.replace(room, buffers=tuple(less))
            quick = bursts.pace(frames.play(parts, EXITS, smaller))
            assert max(exact(smaller), quick) > limit * 0.998


@pytest.mark.parametrize("blocks", [None, 0, 4])
def test_steps_down_are_those_of_all_that_could_be_tried(blocks: int | None) -> None:
    """Rooms that are plainly no better are not played to the end; the best is still found."""
    parts, given = frames.stages(WHOLE), Given()
    least = bursts.pace(frames.play(parts, EXITS, bursts.largest(3, given)))
    for limit in (least, least * 1.01, least * 1.1, least * 3):
        room, now = bursts.largest(3, given), least
        while True:
            tried = []
            over = blocks is not None and bursts.size(WHOLE, room).bram18 > blocks
            for i, smaller in enumerate(bursts._near(room, given, -1)):
                reached = bursts.pace(frames.play(parts, EXITS, smaller))
                if reached <= limit or (over and smaller.in_flight == room.in_flight):
                    saved = bursts._worth(WHOLE, room) - bursts._worth(WHOLE, smaller) + 1
                    tried.append(((reached / now - 1 + 1e-4) / saved, i, reached, smaller))
            if not tried:
                break
            *_, now, room = min(tried, key=lambda t: t[:2])
        paces = frames.Paces(parts, EXITS)
        assert bursts._descended(WHOLE, paces, given, limit, blocks) == room


def test_a_slower_wish_takes_less_room() -> None:
    quick, _ = bursts.smallest(WHOLE, EXITS)
    slow, played = bursts.smallest(WHOLE, EXITS, wanted=3 * exact(quick))
    assert played.pace <= 3 * exact(quick)
    assert slow.buffers == (bursts.LEAST,) * 2
    assert slow.queues == (1, 1)
    assert slow.in_flight <= quick.in_flight


def test_what_the_config_fixes_stays() -> None:
    room, _ = bursts.smallest(WHOLE, EXITS, given=Given(buffers=5, in_flight=32))
    assert room.buffers == (5, 5)
    assert room.in_flight == 32
    assert Given(buffers=7).usual(3) == Room((7, 7), (2, 2), 16)


def test_a_stage_that_frames_wait_for_gets_head_room() -> None:
    reach = [float((i <= EXITS).mean()) for i in range(3)]
    full = 1.05 * 100 / reach[1]  # frames come too often for it
    parts = (
        frames.Stage(10, 10, 10, 20, 30, 100.0),
        frames.Stage(10, 10, 10, 20, 30, full),
        frames.Stage(10, 10, 10, 20, 30, 100.0),
    )
    room = Given().usual(3)
    spare = bursts.headroom(parts, EXITS, room=room, goal=100.0, reach=reach)
    assert spare[0] == 1.0
    assert spare[1] > 1.02
    assert spare[2] == 1 / reach[2]  # this one is fast enough as it is
    faster = dataclasses.replace(parts[1], interval=100 / (spare[1] * reach[1]))
    pace = bursts.pace(frames.play((parts[0], faster, parts[2]), EXITS, room))
    assert pace <= 100 * bursts.ENOUGH < bursts.pace(frames.play(parts, EXITS, room))


def test_where_nothing_is_known_of_the_exits() -> None:
    blind = Case(np.full(50, 2), None, 3, Given())
    assert blind.start == bursts.SPARE
    fit = blind.fit(WHOLE)
    assert fit.room == Room((4, 4), (2, 2), 16)
    assert blind.headroom(fit, 1.0) is None
    again = Case(EXITS, (1.2, 0.3, 0.1), 3, Given())  # frames are looked at again
    assert again.fit(WHOLE).room == fit.room
    known = Case(EXITS, REACH, 3, Given())
    assert (known.start, known.blind) == (1.0, False)
    assert Case(EXITS, REACH, 3, Given(headroom=2.0)).start == 2.0


def test_what_is_told() -> None:
    case = Case(EXITS, REACH, 3, Given())
    fit = case.fit(WHOLE)
    found = bursts.told(fit, case)
    assert found["buffers"] == list(fit.room.buffers)
    assert found["of_ideal"] == pytest.approx(found["ideal"] / found["cycles_per_image"])
    assert found["of_ideal"] >= 0.95
    hard = found["worst"]["hard"]
    assert hard["cycles_per_image"] == pytest.approx(max(found["intervals"]), rel=0.02)
    assert found["worst"]["bursts"]["cycles_per_image"] >= found["cycles_per_image"] * 0.99
    assert min(s for s in found["headroom"] if s) == 1.0


def test_evenly_spaced_frames_wait_less() -> None:
    case = Case(EXITS, REACH, 3, Given())
    fit = case.fit(WHOLE)
    busy = bursts.percentiles(fit.played.found.reported)
    calm = bursts.spaced(fit, case, 50 * fit.played.pace)
    alone = [exact_latency(i, fit.room) for i in range(3)]
    assert calm == {"p50": alone[0], "p95": alone[2], "p99": alone[2]}
    assert busy["p99"] >= calm["p99"]


def exact_latency(exit_: int, room: Room) -> int:
    found = system.predict(WHOLE, np.array([exit_]), sizes=room.sizes(WHOLE), gives=False)
    return int(found.reported[0])
