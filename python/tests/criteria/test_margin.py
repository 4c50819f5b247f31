"""The margin against its definition, frame by frame."""

import numpy as np
import pytest

from exeunt.criteria import Logits, margin


def test_margin_first_index_wins_a_tie() -> None:
    logits = np.array([[3, 7, 7, 1], [5, 5, 5, 5], [-9, -4, -8, -6], [2, 1, 0, 2]])
    classes, scores = margin.values(logits)
    assert classes.tolist() == [1, 0, 1, 0]
    assert scores.tolist() == [0, 0, 2, 0]
    assert classes.dtype == scores.dtype == np.int64


def test_margin_against_sorting() -> None:
    rng = np.random.default_rng(0)
    for dtype in (np.int8, np.int32):
        info = np.iinfo(dtype)
        logits = rng.integers(info.min, info.max + 1, (200, 10), dtype=np.int64).astype(dtype)
        classes, scores = margin.values(logits)
        for row, klass, score in zip(logits.astype(int), classes, scores, strict=True):
            ordered = sorted(row.tolist(), reverse=True)
            assert score == ordered[0] - ordered[1]
            assert klass == row.tolist().index(ordered[0])


def test_floats_give_float_scores() -> None:
    classes, scores = margin.values(np.array([[0.25, 1.5, 1.0], [3.0, 3.0, 0.0]], np.float32))
    assert classes.tolist() == [1, 0]
    assert scores.tolist() == [0.5, 0.0]
    assert scores.dtype == np.float32


@pytest.mark.parametrize("bits", [2, 14, 31])
def test_the_largest_score_fits_in_its_bits(bits: int) -> None:
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    largest = int(margin.values(np.array([[low, high]])).scores[0])
    assert largest.bit_length() + 1 == margin.score_bits(Logits(2, 1, bits))


def test_times_with_and_without_stalls() -> None:
    logits = Logits(classes=4, lanes=2, bits=8)
    takes, gives = margin.CRITERION.times(logits, np.arange(6))
    assert takes.tolist() == [0, 1, 2, 3, 4, 5]
    assert gives.tolist() == [3, 5, 7]
    takes, gives = margin.CRITERION.times(logits, np.arange(6), np.array([5, 5, 9]))
    assert takes.tolist() == [0, 1, 2, 5, 6, 7]
    assert gives.tolist() == [5, 7, 9]
    assert margin.CRITERION.latency(logits) == 2
