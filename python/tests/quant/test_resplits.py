"""Promises tried on random splits: what is counted, and what cannot be split."""

from __future__ import annotations

import numpy as np
import pytest

from exeunt.errors import InputError
from exeunt.quant import resplits
from exeunt.quant.exits import calibration

MACS = (10, 100)


def images(count: int = 900) -> calibration.Scores:
    """Two exits: the first is wrong for one image in eight, with a low score more often."""
    random = np.random.default_rng(0)
    wrong = random.random(count) < 0.125
    score = np.stack([random.integers(0, 80, count) + 20 * ~wrong, np.zeros(count, np.int64)])
    return calibration.Scores(score, np.stack([~wrong, np.ones(count, bool)]))


def test_every_promise_on_every_split():
    told = []
    rows = resplits.resplits(
        images(), MACS, calibrating=500, draws=30, drops=(0.002, 0.05), deltas=(0.1,),
        progress=lambda done, total, text="": told.append((done, total)),
    )  # fmt: skip
    assert told[-1] == (30, 30)
    assert [(r.kind, r.drop) for r in rows] == [
        (kind, drop) for drop in (0.002, 0.05) for kind in ("none", "probability", "average")
    ]
    half, certain, average = rows[3:]
    assert half.made == certain.made == average.made == 1
    assert half.saved == half.half_saved == certain.half_saved
    assert certain.exceeded <= 0.3  # 0.1 of 30 splits, and chance
    assert certain.lost < average.lost <= 0.06
    assert certain.saved < average.saved
    few = rows[1]
    assert (few.made, few.exceeded, few.saved) == (0, None, None)
    text = resplits.table(rows).splitlines()
    assert len(text) == 7
    assert text[2].split()[:5] == ["probability", "0.20%", "0.1", "0.00%", "-"]


@pytest.mark.parametrize(("calibrating", "draws"), [(0, 1), (900, 1), (10, 0)])
def test_what_cannot_be_split(calibrating, draws):
    with pytest.raises(InputError) as caught:
        resplits.resplits(images(), MACS, calibrating=calibrating, draws=draws)
    assert str(caught.value) == (
        "images that calibrate must be from 1 to 899, the others are what a promise is about, and "
        f"splits at least 1, got {calibrating} and {draws}: change --images or --splits"
    )


def test_a_folder_without_a_network(tmp_path, capsys):
    assert resplits.main([str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        f"resplits: {tmp_path / 'model.onnx'}: no such file; export the network first or give "
        "another path\n"
    )
