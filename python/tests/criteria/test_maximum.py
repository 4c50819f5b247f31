"""The largest logit against its definition."""

import numpy as np

from exeunt.criteria import Logits, margin, maximum


def test_the_largest_logit_and_the_first_class_that_has_it():
    logits = np.array([[3, 7, 7, 1], [-5, -5, -5, -5], [-9, -4, -8, -6]], np.int8)
    classes, scores = maximum.values(logits, scale=3.0)
    assert classes.tolist() == [1, 0, 1]
    assert scores.tolist() == [7, -5, -4]
    assert classes.dtype == scores.dtype == np.int64


def test_floats_give_float_scores():
    scores = maximum.values(np.array([[0.25, 1.5], [3.0, 3.0]], np.float32)).scores
    assert scores.tolist() == [1.5, 3.0]
    assert scores.dtype == np.float32


def test_a_tree_over_many_lanes_takes_more_cycles():
    for criterion in (maximum.CRITERION, margin.CRITERION):
        found = [criterion.latency(Logits(1024, lanes, 8)) for lanes in (1, 2, 16, 32, 256, 512)]
        assert found == [1, 2, 5, 6, 9, 10]


def test_the_score_has_the_bits_of_a_logit():
    assert maximum.CRITERION.score_bits(Logits(10, 1, 14)) == 14
