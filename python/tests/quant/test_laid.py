"""Thresholds along a path that other images lay."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from exeunt.promise import AVERAGE, PROBABILITY
from exeunt.quant.exits.calibration import Scores
from exeunt.quant.exits.guarantee import Wanted
from exeunt.quant.exits.laid import laid, matched, walked
from exeunt.registers import NEVER

MACS = [10, 20, 100, 400]
DROP = 0.01


def drawn(count: int, seed: int, *, late: float = 0.0) -> Scores:
    """Scores of three early exits, the larger the likelier right; a part `late` is lost at the end.

    That part is right without rules, and wrong at every exit with them.
    """
    draw = np.random.default_rng(seed)
    score = draw.integers(0, 200, (4, count))
    right = draw.random((4, count)) < 0.8 + score / 1000
    right[3] = True
    right[:, draw.random(count) < late] = False
    return replace(Scores(score, right), kept=np.ones(count, bool))


def losses(found: Scores, thresholds: tuple[int, ...]) -> int:
    """Images lost by hand."""
    left = found.leave(thresholds, MACS)
    assert found.kept is not None
    return int((found.kept & ~left.right).sum())


def test_the_walk_ends_before_too_many_are_lost() -> None:
    sets = laid(drawn(6000, 1), MACS, DROP)
    assert (np.diff(sets, axis=0) <= 0).all()
    tested = drawn(4000, 2)
    found = walked(sets, tested, MACS, DROP)
    lost = losses(tested, found.chosen.thresholds)
    assert lost <= DROP / 2 * 4000
    at = [tuple(one) for one in sets.tolist()].index(found.chosen.thresholds)
    assert losses(tested, tuple(sets[at + 1].tolist())) > DROP / 2 * 4000
    assert found.chosen.macs < MACS[-1]
    assert found.chosen in found.curve


def test_losses_at_the_last_exit_do_not_end_the_walk_at_once() -> None:
    laying = drawn(6000, 1, late=0.002)
    sets = laid(laying, MACS, DROP)
    assert (sets != NEVER).any(axis=1).all()
    tested = drawn(4000, 2, late=0.002)
    found = walked(sets, tested, MACS, DROP)
    assert losses(tested, found.chosen.thresholds) <= DROP / 2 * 4000
    assert found.chosen.macs < MACS[-1]


def test_a_promise_is_kept_by_images_that_did_not_lay_the_path() -> None:
    sets = laid(drawn(6000, 1), MACS, DROP)
    tested = drawn(4000, 2)
    found = walked(sets, tested, MACS, DROP, wanted=Wanted(PROBABILITY, 0.1, 10_000))
    promise = found.promise
    assert promise.holds
    assert promise.tested == 4000
    assert promise.ordered == 0
    assert promise.lost == losses(tested, found.chosen.thresholds)
    assert promise.allowed is not None
    assert promise.lost <= promise.allowed
    assert promise.covers(found.chosen.thresholds)
    assert not promise.covers(tuple(t - 1 for t in found.chosen.thresholds))


def test_a_path_is_gone_as_far_as_other_thresholds_lose() -> None:
    laying, tested = drawn(6000, 1), drawn(4000, 2)
    sets = laid(laying, MACS, DROP)
    found = matched(sets, laying, tested, MACS, DROP, 25)
    chosen = found.chosen.thresholds
    at = [tuple(one) for one in sets.tolist()].index(chosen)
    assert losses(laying, chosen) <= 25 < losses(laying, tuple(sets[at + 1].tolist()))
    assert losses(tested, chosen) <= DROP * 4000
    bold = matched(sets, laying, tested, MACS, DROP, 6000).chosen.thresholds
    at = [tuple(one) for one in sets.tolist()].index(bold)
    assert losses(tested, bold) <= DROP * 4000 < losses(tested, tuple(sets[at + 1].tolist()))
    assert matched(sets, laying, tested, MACS, DROP, -1).chosen.thresholds == (NEVER,) * 3


def test_too_few_images_promise_nothing() -> None:
    sets = laid(drawn(6000, 1), MACS, 0.001)
    found = walked(sets, drawn(50, 2), MACS, 0.001, wanted=Wanted(PROBABILITY, 0.1, 10_000))
    assert not found.promise.holds
    assert found.promise.images_needed > 50
    assert losses(drawn(50, 2), found.chosen.thresholds) == 0


def mistaken(count: int, seed: int) -> Scores:
    """Scores where a second look may mend what a first one loses, so losses rise and fall."""
    draw = np.random.default_rng(seed)
    score = draw.integers(0, 200, (3, count))
    right = draw.random((3, count)) < 0.93 + score / 3000
    right[2] = True
    return replace(Scores(score, right), kept=np.ones(count, bool))


@pytest.mark.parametrize("kind", [PROBABILITY, AVERAGE])
def test_promises_hold_on_resplits(kind: str) -> None:
    macs, drop, delta, half = [10, 20, 100], 0.01, 0.2, 1500
    sets = laid(mistaken(6000, 1), macs, drop)[::8]
    pool = mistaken(2 * half, 2)
    draw = np.random.default_rng(3)
    lost = []
    for _ in range(150):
        order = draw.permutation(2 * half)
        wanted = Wanted(kind, delta, half)
        found = walked(sets, pool.some(order[:half]), macs, drop, wanted=wanted, points=1)
        assert found.promise.holds
        others = pool.some(order[half:])
        left = others.leave(found.chosen.thresholds, macs)
        lost.append(float((~left.right).mean()))
    assert found.chosen.macs < macs[-1]
    if kind == PROBABILITY:
        assert np.mean(np.array(lost) > drop + 1e-12) <= delta
        assert max(lost) > drop / 2  # or it would be far too careful
    else:
        assert np.mean(lost) <= drop
        assert np.mean(lost) > drop / 3
