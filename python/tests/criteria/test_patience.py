"""Patience against its definition."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from exeunt import criteria, samples
from exeunt.criteria import Logits, patience
from exeunt.criteria.criterion import NEVER
from exeunt.errors import InputError
from exeunt.hls.back import stitch
from exeunt.reference.modelled import Modelled
from exeunt.runtime import Accelerator


def test_exits_in_a_row_with_the_same_answer() -> None:
    rng = np.random.default_rng(0)
    logits = [rng.integers(-9, 10, (300, 3)) for _ in range(5)]
    limits = (NEVER, 2, 2, 2)
    found = criteria.run("patience", logits, limits)
    for n in range(300):
        answers: list[int] = []
        for e in range(5):
            row = logits[e][n].tolist()
            answers.append(row.index(max(row)))
            run = next((k for k, a in enumerate(reversed(answers)) if a != answers[-1]), e + 1)
            if e == 4 or (limits[e] != NEVER and run >= limits[e]):
                break
        assert (found.exits[n], found.classes[n], found.scores[n]) == (e, answers[-1], run)
    assert set(found.exits.tolist()) == {1, 2, 3, 4}


def test_scores_do_not_depend_on_thresholds() -> None:
    assert criteria.get("patience").fixed
    logits = [np.array([[1, 5, 2]])] * 4
    assert [int(s.scores[0]) for s in criteria.every("patience", logits)] == [1, 2, 3, 4]


def test_words_hold_eight_exits() -> None:
    logits = Logits(10, 1, 8)
    bits = patience.carry_bits(logits)
    assert patience.words(np.array([[9, 8], [0, 1]]), bits) == [8 << 4 | 9, 1 << 4]
    assert 1 << (patience.score_bits(logits) - 1) > 8


def test_more_exits_than_there_are_is_refused(tmp_path: Path) -> None:
    said = (
        "by the criterion patience the threshold of exit 1 must be at most 2, since there cannot "
        "be more exits in a row with this answer, or 2147483647 for never, got 3: lower it"
    )
    whole = dataclasses.replace(samples.accelerator(), criterion="patience")
    with pytest.raises(InputError) as caught:
        stitch.write(whole, tmp_path / "refused", thresholds=[1, 3, None])
    assert str(caught.value) == said
    stitch.write(whole, tmp_path / "run", thresholds=[NEVER, 2, None])
    with Accelerator(tmp_path / "run", Modelled(tmp_path / "run")) as device:
        before = device.thresholds
        with pytest.raises(InputError) as caught:
            device.thresholds = [1, 3, None]
        assert str(caught.value) == said
        assert device.thresholds == before
        device.thresholds = [None, 2, None]
    criteria.get("margin").check([10**9, None])
