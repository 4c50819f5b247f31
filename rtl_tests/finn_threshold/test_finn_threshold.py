"""FINN's thresholding: full and partial trees, folds, signs, biases, thresholds out of range."""

import numpy as np
import pytest
from lib.finn import check_finn_block, finn_corner

from exeunt.graph import Integer, Stream
from exeunt.kernels.threshold import Threshold

pytestmark = pytest.mark.sim

CASES = [  # (H, W, C), lanes, input, output, levels, bias
    ((2, 3, 8), 2, Integer(9, True), Integer(4), 15, 0),
    ((2, 3, 8), 8, Integer(9, True), Integer(4), 15, 0),
    ((3, 2, 6), 3, Integer(12, True), Integer(2), 3, 0),
    ((3, 2, 6), 1, Integer(7, True), Integer(4, True), 15, -8),
    ((2, 2, 4), 4, Integer(8), Integer(3), 7, 0),
    ((2, 2, 4), 2, Integer(6), Integer(3), 5, 0),
    ((2, 2, 2), 1, Integer(5, True), Integer(1), 1, 0),
    ((1, 5, 3), 3, Integer(10, True), Integer(4), 11, 2),
    ((1, 2, 4), 2, Integer(16, True), Integer(8), 255, 0),
]


def corners():
    found = []
    for i, (shape, lanes, source, target, levels, bias) in enumerate(CASES):
        rng = np.random.default_rng(i)
        node = Threshold(f"t{i}", Stream(shape, source, lanes), Stream(shape, target, lanes),
                         levels=levels, bias=bias)  # fmt: skip
        low, high = source.min - 3, source.max + 4  # always met and never met ones, too
        table = np.sort(rng.integers(low, high, (shape[2], levels)), axis=1)
        found.append(finn_corner(node, {"thresholds": table}))
    return found


def test_finn_thresholding_matches_the_references():
    check_finn_block("finn_threshold", corners())
