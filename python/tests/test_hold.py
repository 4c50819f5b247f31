"""What holds a rate, in integers: event by event as its definition has it, limits and sentences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exeunt import hold
from exeunt.criteria.criterion import ALWAYS, NEVER
from exeunt.errors import InputError
from exeunt.hold import LAG, Asked, Band, Held, Hold

BANDS = st.builds(
    lambda low, more, step, floor, ceiling: Band(low, low + more, step, -floor, ceiling),
    *(st.integers(0, 12) for _ in range(5)),
)
NOWHERE = 1 << 62  # the threshold of nobody
SEEDS = st.integers(0, 1 << 32)


def defined(window: int, band: Band, hits: list[bool]) -> list[int]:
    """The offset of each event, from all events before it."""
    verdicts = [0]
    for first in range(0, len(hits) - window + 1, window):
        count = sum(hits[first : first + window])
        wanted = verdicts[-1]
        if count > band.high:
            wanted = max(wanted - band.step, band.floor)
        elif count < band.low:
            wanted = min(wanted + band.step, band.ceiling)
        verdicts.append(wanted)
    return [verdicts[max(0, n - LAG) // window] for n in range(len(hits))]


@settings(deadline=None, max_examples=200)
@given(BANDS, st.integers(LAG, 20), SEEDS, st.floats(0.0, 1.0))
def test_offsets_are_as_defined(band, window, seed, odds):
    hits = (np.random.default_rng(seed).random(200) < odds).tolist()
    held, want = Held(window, band), defined(window, band, hits)
    seen = []
    for hit in hits:
        seen.append(held.offset)
        held.event(int(hit))
    assert seen == want
    path = [o for k, o in enumerate(want) if k == 0 or o != want[k - 1]]
    assert [o for n, o in held.path if n < len(hits)] == path
    assert all(want[n] == o for n, o in held.path if n < len(hits))
    rises = sum(b > a for (_, a), (_, b) in zip(held.path, held.path[1:], strict=False))
    assert (held.raised, held.raised + held.lowered) == (rises, len(held.path) - 1)
    assert held.events == len(hits)


@settings(deadline=None, max_examples=200)
@given(
    BANDS,
    st.integers(LAG, 20),
    SEEDS,
    st.sampled_from([-3, 0, 5, ALWAYS, NOWHERE]),
    st.integers(1, 50),
)
def test_frames_leave_by_their_scores(band, window, seed, limit, cut):
    """Whatever the pieces in which they come."""
    scores = np.random.default_rng(seed).integers(-20, 21, 200).tolist()
    held, one = Held(window, band), Held(window, band)
    want = []
    for score in scores:
        leaves = limit == ALWAYS or (limit != NOWHERE and score >= limit + one.offset)
        want.append(leaves)
        one.event(int(not leaves))
    got: list[bool] = []
    for first in range(0, len(scores), cut):
        part = np.array(scores[first : first + cut], np.int64)
        got += held.leave(part, np.full(len(part), limit, np.int64)).tolist()
    assert got == want
    assert held.path == one.path


def test_windows_too_short_for_the_hardware_change_nothing():
    held = Held(LAG - 1, Band(0, 0, 5, -100, 100))
    for _ in range(100):
        held.event(1)
    assert (held.offset, held.lowered) == (0, 0)


def test_rates_around_those_measured():
    asked = Asked((0.75, 0.5, 1.0), window=100, within=0.05, step=0.125, most=1.0)
    found = asked.of([40, NEVER, -3], 12)
    assert found == Hold(
        100, (Band(20, 30, 5, -40, 40), Band(45, 55, 0, 0, 0), Band(0, 5, 1, -3, 3))
    )
    assert asked.of([1 << 20, 0, 1], 8).bands[0] == Band(20, 30, 127, -127, 127)
    found.check(4, 12)
    assert hold.from_json(found.to_json()) == found
    late = Hold(16, found.bands, 900)
    assert hold.from_json(late.to_json()) == late
    assert [w for w in late.writes() if w[0] == "hold"] == [("hold", 0, 0), ("hold", 0, 3)]
    assert ("hold_band", 1, 55 << 16 | 45) in found.writes()
    assert ("hold_floor", 0, -40 & 0xFFFFFFFF) in found.writes()
    assert found.writes()[-1] == ("hold", 0, 1)


def test_bits():
    assert [hold.bits_of(n) for n in (3, 17, 32)] == [4, 18, 30]


BAND = Band(1, 2, 3, -4, 5)


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (Hold(15, (BAND,)), "hold.window must be from 16 to 65536 events, got 15; use 256"),
        (Hold(16, ()), "hold must have a band for each of 1 exits but the last, got 0; give one "
         "for each"),
        (Hold(16, (BAND,), 1 << 32), "hold.limit must be a latency of 0 to 4294967295 cycles, got "
         "4294967296; lower it"),
        (Hold(16, (Band(2, 1, 0, 0, 0),)), "hold must have 0 <= low <= high < 65536 hits in a "
         "window at exit 0, got 2 and 1; raise high"),
        (Hold(16, (Band(1, 2, 8, 0, 0),)), "hold must have a step and a ceiling from 0 to 7 and a "
         "floor from -7 to 0 at exit 0, got 8, 0 and 0; use smaller ones"),
        (Hold(16, (Band(1, 2, 1, 1, 2),)), "hold must have a step and a ceiling from 0 to 7 and a "
         "floor from -7 to 0 at exit 0, got 1, 2 and 1; use smaller ones"),
    ],
)  # fmt: skip
def test_what_cannot_be_held(found, sentence):
    with pytest.raises(InputError) as told:
        found.check(2, 4)
    assert str(told.value) == sentence
