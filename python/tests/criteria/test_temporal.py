"""What frames in a row say, against adding up one by one."""

from __future__ import annotations

import numpy as np
import pytest

from exeunt import criteria
from exeunt.criteria import temporal
from exeunt.criteria.criterion import ALWAYS


def _stream(seed: int, frames: int = 300, exits: int = 3) -> list[np.ndarray]:
    """Logits of frames whose class changes every ten frames or so."""
    rng = np.random.default_rng(seed)
    truth = np.cumsum(rng.random(frames) < 0.1) % 4
    found = []
    for _ in range(exits):
        logits = rng.integers(-9, 10, (frames, 4))
        logits[np.arange(frames), truth] += 9
        found.append(logits)
    return found


@pytest.mark.parametrize("seed", range(3))
def test_margins_in_a_row_add_up_at_the_exits_that_frames_reach(seed: int) -> None:
    logits, limits = _stream(seed), (30, 25, ALWAYS)
    found = criteria.run("temporal", logits, limits[:2])
    last, total = [0, 0, 0], [0, 0, 0]
    for n in range(300):
        for e in range(3):
            row = logits[e][n].tolist()
            best, ordered = row.index(max(row)), sorted(row)
            total[e] = ordered[-1] - ordered[-2] + (total[e] if best == last[e] else 0)
            last[e] = best
            if total[e] >= limits[e]:
                break
        assert (found.exits[n], found.classes[n], found.scores[n]) == (e, best, total[e])
    assert min(np.bincount(found.exits)) > 10
    assert not criteria.get("temporal").fixed


def test_in_parts_as_in_one_go() -> None:
    logits = _stream(5)
    whole = criteria.run("temporal", logits, (30, 25))
    exits, states = [], ()
    for first, end in ((0, 1), (1, 77), (77, 78), (78, 300)):
        part = criteria.run("temporal", [x[first:end] for x in logits], (30, 25), states=states)
        exits += part.exits.tolist()
        states = part.states
    assert exits == whole.exits.tolist()
    assert states == whole.states


def test_the_sum_saturates_below_never() -> None:
    wide = np.array([[-(1 << 30), (1 << 30) - 1]] * 4)
    scored, state = temporal.in_a_row(wide, temporal.NOTHING)
    assert scored.scores.tolist() == [(1 << 31) - 2] * 4
    assert state == (1, (1 << 31) - 2)
    assert temporal.in_a_row(wide[:, ::-1], state)[0].scores[0] == (1 << 31) - 2


def test_floats_give_float_scores() -> None:
    scored, state = temporal.in_a_row(np.array([[0.5, 2.0], [0.0, 0.25]], np.float32), (1, 1.0))
    assert scored.scores.tolist() == [2.5, 2.75]
    assert state == (1, 2.75)
