"""FINN's padding and sliding window: kernels, strides, paddings, channel folds."""

import pytest
from lib.finn import check_finn_block, finn_corner

from exeunt.graph import Integer, Stream
from exeunt.kernels.swg import Swg

pytestmark = pytest.mark.sim

CASES = [  # (H, W, C), lanes, dtype, kernel, stride, pad (top, left, bottom, right)
    ((5, 6, 4), 2, Integer(4), (3, 3), (1, 1), (1, 1, 1, 1)),
    ((5, 6, 4), 4, Integer(4), (3, 3), (1, 1), (1, 1, 1, 1)),
    ((5, 5, 2), 1, Integer(3, True), (3, 3), (1, 1), (0, 0, 0, 0)),
    ((6, 6, 2), 2, Integer(2), (2, 2), (2, 2), (0, 0, 0, 0)),
    ((7, 7, 3), 1, Integer(4, True), (3, 3), (2, 2), (1, 1, 1, 1)),
    ((7, 6, 1), 1, Integer(8), (5, 5), (1, 1), (2, 2, 2, 2)),
    ((6, 7, 2), 2, Integer(4), (3, 3), (2, 2), (0, 0, 0, 0)),
    ((4, 5, 4), 2, Integer(4), (1, 3), (1, 1), (0, 1, 0, 1)),
    ((5, 4, 2), 2, Integer(4), (3, 1), (1, 1), (1, 0, 1, 0)),
    ((5, 5, 3), 3, Integer(5), (2, 3), (1, 2), (0, 1, 1, 0)),
    # more rows and columns behind the last window than the windows cover
    ((5, 7, 1), 1, Integer(2), (2, 3), (4, 4), (0, 0, 0, 0)),
    ((4, 4, 3), 1, Integer(8), (4, 2), (2, 4), (0, 0, 0, 0)),
    ((7, 6, 2), 1, Integer(3), (4, 2), (2, 1), (0, 0, 1, 2)),
]


def corners():
    found = []
    for i, (shape, lanes, dtype, kernel, stride, pad) in enumerate(CASES):
        rows = (shape[0] + pad[0] + pad[2] - kernel[0]) // stride[0] + 1
        columns = (shape[1] + pad[1] + pad[3] - kernel[1]) // stride[1] + 1
        output = Stream((rows, columns, kernel[0] * kernel[1] * shape[2]), dtype, lanes)
        node = Swg(f"s{i}", Stream(shape, dtype, lanes), output,
                   kernel=kernel, stride=stride, pad=pad)  # fmt: skip
        found.append(finn_corner(node))
    return found


def test_finn_sliding_window_matches_the_references():
    check_finn_block("finn_swg", corners())
