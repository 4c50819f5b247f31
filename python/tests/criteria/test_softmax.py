"""softmax in integers against the probability itself."""

from __future__ import annotations

import numpy as np
import pytest

from exeunt.criteria import Logits, softmax

SCALES = (3e-9, 1e-4, 0.0031, 0.05, 0.5, 2.0, 40.0)


def true(logits: np.ndarray, scale: float) -> np.ndarray:
    """S, the sum of exp over the classes other than the answer, (N,)."""
    behind = logits.max(axis=1, keepdims=True) - logits
    return np.exp(-scale * behind).sum(axis=1) - 1


def frames(scale: float, classes: int = 10, count: int = 400) -> np.ndarray:
    rng = np.random.default_rng(0)
    spread = np.minimum(rng.uniform(0, 12, (count, 1)) / scale, 1 << 30)
    return np.rint(rng.uniform(-1, 1, (count, classes)) * spread).astype(np.int64)


@pytest.mark.parametrize("scale", SCALES)
def test_the_score_is_the_probability_within_the_bound(scale: float):
    logits = frames(scale)
    classes, scores = softmax.values(logits, scale=scale)
    factor, more = softmax.bound(scale, logits.shape[1])
    assert factor < 1.09
    exact, found = true(logits, scale), -scores / softmax.ONE
    assert (found <= exact * factor + more).all()
    assert (found >= exact / factor - more).all()
    assert (classes == logits.argmax(axis=1)).all()
    assert scores.dtype == np.int64


@pytest.mark.parametrize("scale", [0.0031, 0.05, 0.5])
def test_images_rank_as_their_probabilities_do(scale: float):
    logits = frames(scale)
    factor, more = softmax.bound(scale, logits.shape[1])
    exact, scores = true(logits, scale), softmax.values(logits, scale=scale).scores
    order = np.argsort(exact)
    clearly = exact[order][None, :] > (exact[order] * factor + 2 * more)[:, None] * factor
    assert clearly.mean() > 0.3
    assert (scores[order][None, :] <= scores[order][:, None])[clearly].all()


def test_a_tie_is_the_first_and_as_unsure_as_can_be():
    classes, scores = softmax.values(np.array([[5, 9, 9], [0, -900, -900], [7, 7, 7]]), scale=0.5)
    assert classes.tolist() == [1, 0, 0]
    top = softmax.ONE - 1
    assert scores.tolist() == [-top - round(softmax.ONE * np.exp(-2)), 0, -2 * top]


def test_floats_give_the_probability_itself():
    logits = np.array([[0.0, 2.5, 1.0], [3.0, 3.0, 0.0]], np.float32)
    found = softmax.values(logits, scale=0.7)
    assert found.classes.tolist() == [1, 0]
    assert found.scores == pytest.approx(-softmax.ONE * true(logits, 0.7), rel=1e-5)


@pytest.mark.parametrize("scale", SCALES)
def test_the_table_falls_from_one_to_nothing(scale: float):
    shift, entries = softmax.table(scale)
    assert entries.max() < softmax.ONE
    assert entries.min() > 0
    assert (np.diff(entries) <= 0).all()
    assert len(entries) <= softmax.MOST
    assert shift == 0 or len(entries) > softmax.MOST // 2 - 1
    known = softmax.parameters(Logits(10, 1, 20, scale), "score0")
    (text,) = softmax.memories(Logits(10, 1, 20, scale), "score0").values()
    lines = [int(line, 16) for line in text.split()]
    assert len(lines) == known["SIZE"]
    assert lines == [*entries.tolist(), *[0] * (len(lines) - len(entries))]
    assert known["SHIFT"] == shift


def test_two_computations_of_a_scale_give_one_table():
    for scale in (0.0123, 0.2, 0.77):
        near = float(np.float32(scale))
        assert near != scale
        assert softmax.table(near)[1].tolist() == softmax.table(scale)[1].tolist()


@pytest.mark.parametrize("classes", [2, 3, 10, 1000, 65536])
def test_the_lowest_score_fits_in_its_bits(classes: int):
    least = int(softmax.values(np.zeros((1, classes), np.int64), scale=1.0).scores[0])
    bits = softmax.score_bits(Logits(classes, 1, 8, 1.0))
    assert -(1 << (bits - 1)) <= least < -(1 << (bits - 2))


def test_candidates_are_scores_a_32nd_apart():
    scores = -np.arange(5000)
    found = softmax.CRITERION.thresholds(scores)
    assert set(found) <= set(scores)
    assert found[0] == scores.min()
    assert len(found) < 400
    gaps = found[1:] / found[:-1]  # of their sizes
    assert (gaps[:-1][found[1:-1] < -100] > 1 - 1 / 20).all()
    few = np.array([0, -3, -3, -70])
    assert softmax.CRITERION.thresholds(few).tolist() == [-70, -3, 0]


def test_latency_is_two_trees_and_the_beats_once_more():
    assert softmax.CRITERION.latency(Logits(10, 1, 14)) == 13
    assert softmax.CRITERION.latency(Logits(10, 10, 14)) == 10
    assert softmax.CRITERION.latency(Logits(66, 33, 14)) == 16
