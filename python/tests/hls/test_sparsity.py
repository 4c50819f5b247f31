"""What the manifest says of the zeros in a weight matrix."""

from __future__ import annotations

import numpy as np
import pytest

from exeunt.hls.back.kernels.sparsity import pattern


def test_a_balanced_pattern_keeps_every_pe_busy():
    weights = np.zeros((4, 8), np.int64)
    for row in range(4):
        weights[row, 2 * row % 8] = 1 + row  # one block of two in every row, each elsewhere
    found = pattern(weights, simd=2, pe=2)
    assert found == {
        "nonzero": 4,
        "weights": 32,
        "block": 2,
        "blocks": 4,
        "schedule": 2,
        "dense": 8,
        "balance": 1.0,
    }


def test_the_longest_row_of_a_group_sets_its_pace():
    weights = np.zeros((4, 8), np.int64)
    weights[0] = 3
    weights[2, 0] = -1
    found = pattern(weights, simd=1, pe=2)
    assert (found["schedule"], found["dense"], found["nonzero"]) == (9, 16, 9)
    assert found["balance"] == pytest.approx(9 / 18)
    assert pattern(np.zeros((2, 4), np.int64), simd=4, pe=1)["balance"] == 1.0
