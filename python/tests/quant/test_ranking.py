"""AUROC of an exit's score against its definition."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from exeunt.quant.exits.ranking import auroc


def by_pairs(score: np.ndarray, right: np.ndarray) -> float:
    gaps = score[right][:, None] - score[~right][None, :]
    return float(((gaps > 0) + 0.5 * (gaps == 0)).mean())


def test_ties_count_one_half():
    assert auroc(np.array([5, 5]), np.array([True, False])) == 0.5
    assert auroc(np.array([5, 4, 4, 3]), np.array([True, True, False, False])) == 0.875
    rng = np.random.default_rng(0)
    score, right = rng.integers(0, 9, 200), rng.random(200) < 0.7
    assert auroc(score, right) == pytest.approx(by_pairs(score, right))
    assert auroc(score, right) == pytest.approx(roc_auc_score(right, score))


def test_above_and_below_chance():
    right = np.array([True, True, False])
    assert auroc(np.array([-1, 0, -7]), right) == 1.0
    assert auroc(np.array([-1, 0, 7]), right) == 0.0


@pytest.mark.parametrize("value", [True, False])
def test_there_is_none_where_all_are_alike(value: bool):
    assert auroc(np.array([1, 2, 3]), np.full(3, value)) is None
