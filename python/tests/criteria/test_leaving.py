"""Where frames leave, against a walk frame by frame."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from exeunt import criteria
from exeunt.criteria import Carry, History, Scored
from exeunt.criteria.criterion import ALWAYS, NEVER

MARGIN = criteria.get("margin")


def _logits(seed: int, frames: int = 60, exits: int = 3, classes: int = 4) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(-9, 10, (frames, classes)) for _ in range(exits)]


def _summed(logits: np.ndarray, carried: np.ndarray) -> Scored:
    """The margin and those of the exits before that were at least 3."""
    plain = MARGIN.values(logits)
    return Scored(plain.classes, plain.scores + carried[:, 0])


# carried: margins so far, and how many classes are wanted
SUMMED = dataclasses.replace(
    MARGIN,
    name="summed",
    carry=Carry(
        bits=lambda logits: 8,
        first=lambda count, classes: np.tile([0, classes], (count, 1)),
        values=_summed,
        next=lambda logits, carried, scored, limits: np.stack(
            [np.where(limits - scored.scores < 5, scored.scores, 0), carried[:, 1] - 1], axis=1
        ),
        words=lambda carried, bits: carried[:, 0].tolist(),
        delay=lambda logits: 1,
        wanted=lambda carried: carried[:, 1],
    ),
)


def _follows(logits: np.ndarray, state: int) -> tuple[Scored, int]:
    """The margin plus a tenth of all margins before."""
    plain = MARGIN.values(logits)
    before = state + np.concatenate([[0], np.cumsum(plain.scores)[:-1]])
    return Scored(plain.classes, plain.scores + before // 10), int(before[-1] + plain.scores[-1])


FOLLOWS = dataclasses.replace(MARGIN, name="follows", history=History(first=0, values=_follows))


@pytest.mark.parametrize("seed", range(4))
def test_the_first_exit_whose_score_reaches_its_threshold(seed: int) -> None:
    logits = _logits(seed)
    rows = [(4, 2), (NEVER, 3), (None, 0), (ALWAYS, NEVER), (9, NEVER)]
    banks = np.random.default_rng(seed).integers(0, len(rows), 60)
    found = criteria.run("margin", logits, rows, banks=banks)
    for n, bank in enumerate(banks):
        for e in range(3):
            ordered = sorted(logits[e][n].tolist())
            score, limit = ordered[-1] - ordered[-2], (*rows[bank], None)[e]
            if limit is None or e == 2 or (limit != NEVER and score >= limit):
                break
        klass = logits[e][n].tolist().index(ordered[-1])
        assert (found.exits[n], found.scores[n], found.classes[n]) == (e, score, klass)
        assert found.wanted[:, n].tolist() == [4 if i <= e else 0 for i in range(3)]
    plain = criteria.run(MARGIN, logits, rows[0])
    assert plain.exits.tolist() == criteria.run("margin", logits, [4, 2, NEVER]).exits.tolist()


def test_what_a_frame_carries_comes_from_the_exits_before() -> None:
    logits = _logits(7)
    found = criteria.run(SUMMED, logits, [6, 9])
    assert set(found.exits.tolist()) == {0, 1, 2}
    raised = 0
    for n in range(60):
        carried = 0
        for e in range(3):
            ordered = sorted(logits[e][n].tolist())
            score = ordered[-1] - ordered[-2] + carried
            raised += carried > 0
            limit = (6, 9, ALWAYS)[e]
            if score >= limit:
                break
            carried = score if limit - score < 5 else 0
        assert (found.exits[n], found.scores[n]) == (e, score)
        assert found.wanted[:, n].tolist() == [4 - i if i <= e else 0 for i in range(3)]
    assert raised > 20, "what is carried must matter"
    assert not SUMMED.fixed
    assert MARGIN.fixed


def test_classes_that_nobody_wants_cost_nothing() -> None:
    logits = _logits(8)
    found = criteria.run(SUMMED, logits, [6, 9])
    plain = np.array([100, 300, 600])[found.exits]
    assert found.multiplies([100, 300, 600]).tolist() == plain.tolist()
    spent = found.multiplies([100, 300, 600], per_class=[5, 7, 11], classes=4)
    less = np.array([0, 7, 7 + 2 * 11])[found.exits]
    assert spent.tolist() == (plain - less).tolist()


def test_an_exit_remembers_the_frames_that_got_there() -> None:
    logits = _logits(9)
    found = criteria.run(FOLLOWS, logits, [20, 12])
    assert set(found.exits.tolist()) == {0, 1, 2}
    seen = [0, 0, 0]
    for n in range(60):
        for e in range(3):
            ordered = sorted(logits[e][n].tolist())
            margin = ordered[-1] - ordered[-2]
            score = margin + seen[e] // 10
            seen[e] += margin
            if score >= (20, 12, ALWAYS)[e]:
                break
        assert (found.exits[n], found.scores[n]) == (e, score)
    assert found.states == tuple(seen)
    first = criteria.run(FOLLOWS, [x[:23] for x in logits], [20, 12])
    then = criteria.run(FOLLOWS, [x[23:] for x in logits], [20, 12], states=first.states)
    assert [*first.exits, *then.exits] == found.exits.tolist()
    assert then.states == found.states
    assert not FOLLOWS.fixed


def test_scores_of_every_exit_when_nobody_leaves() -> None:
    logits = _logits(10)
    for one, x in zip(criteria.every("margin", logits), logits, strict=True):
        plain = MARGIN.values(x)
        assert (one.scores == plain.scores).all()
        assert (one.classes == plain.classes).all()
    carried = criteria.every(SUMMED, logits)
    assert all(
        (a.scores == b.scores).all()
        for a, b in zip(carried, criteria.every("margin", logits), strict=True)
    )
    followed = criteria.every(FOLLOWS, logits)
    assert (followed[1].scores >= MARGIN.values(logits[1]).scores).all()
    assert (followed[1].scores > MARGIN.values(logits[1]).scores).sum() > 40
