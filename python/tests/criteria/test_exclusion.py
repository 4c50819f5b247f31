"""Class exclusion against its definition, frame by frame and exit by exit."""

from __future__ import annotations

import numpy as np

from exeunt import criteria
from exeunt.criteria import Logits, exclusion
from exeunt.criteria.criterion import ALWAYS, NEVER


def _logits(seed: int, frames: int = 200, exits: int = 4, classes: int = 6) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(-12, 13, (frames, classes)) for _ in range(exits)]


def test_sets_only_shrink_and_the_last_exit_answers_from_what_is_left() -> None:
    logits, limits = _logits(0), (9, 7, 8)
    found = criteria.run("exclusion", logits, limits)
    other = 0
    for n in range(200):
        left = set(range(6))
        for e in range(4):
            row = logits[e][n].tolist()
            assert found.wanted[e, n] == len(left)
            ordered = sorted((row[k] for k in left), reverse=True)
            best = min(k for k in left if row[k] == ordered[0])
            limit = (*limits, ALWAYS)[e]
            survivors = {k for k in left if ordered[0] - row[k] < limit}
            if len(survivors) <= 1 or e == 3:
                break
            assert survivors <= left
            left = survivors
        assert (found.exits[n], found.classes[n]) == (e, best)
        assert found.scores[n] == ordered[0] - ordered[1]
        assert (found.wanted[e + 1 :, n] == 0).all()
        other += best != row.index(max(row))
    assert set(found.exits.tolist()) == {0, 1, 2, 3}
    assert other > 10, "an excluded class must sometimes have the largest logit"


def test_an_excluded_class_is_not_admitted_again_when_all_others_are_as_low_as_can_be() -> None:
    logits = [np.array([[-128, 90, 100, -128]]), np.array([[-128, -128, -128, 127]])]
    found = criteria.run("exclusion", logits, [50])
    assert (found.exits[0], found.classes[0], found.scores[0]) == (1, 1, 0)


def test_never_excludes_nobody() -> None:
    logits = _logits(1)
    found = criteria.run("exclusion", logits, [NEVER] * 3)
    assert found.classes.tolist() == logits[3].argmax(axis=1).tolist()
    assert (found.wanted == 6).all()


def test_excluded_classes_cost_the_later_heads_nothing() -> None:
    logits = _logits(2)
    found = criteria.run("exclusion", logits, (9, 7, 8))
    spent = found.multiplies([100, 200, 300, 400], per_class=[5, 6, 7, 8], classes=6)
    for n in range(200):
        less = sum((5, 6, 7, 8)[e] * (6 - found.wanted[e, n]) for e in range(found.exits[n] + 1))
        assert spent[n] == 100 * (found.exits[n] + 1) - less
    assert (spent < np.array([100, 200, 300, 400])[found.exits]).sum() > 50


def test_the_first_exit_is_the_margin() -> None:
    logits = _logits(3)
    plain, found = criteria.every("margin", logits), criteria.every("exclusion", logits)
    assert plain[0].scores.tolist() == found[0].scores.tolist()
    floats = exclusion.values(np.array([[0.25, 1.5, 1.0], [3.0, 3.0, 0.0]], np.float32))
    assert floats.classes.tolist() == [1, 0]
    assert floats.scores.tolist() == [0.5, 0.0]
    assert not criteria.get("exclusion").fixed


def test_words_have_a_bit_for_each_class() -> None:
    left = np.array([[True, False, True], [False, True, True]])
    assert exclusion.words(left, 3) == [0b101, 0b110]
    carry = exclusion.CRITERION.carry
    assert carry is not None
    assert (carry.bits(Logits(1000, 20, 9)), carry.delay(Logits(1000, 20, 9))) == (1000, 51)
