"""FINN's width converter: both directions, ratios that are and are not powers of two."""

import pytest
from lib.finn import check_finn_block, finn_corner

from exeunt.graph import Integer, Stream
from exeunt.kernels.width import Width

pytestmark = pytest.mark.sim

CASES = [  # shape, bits, signed, lanes in, lanes out
    ((3, 3, 8), 4, False, 8, 2),
    ((3, 3, 8), 4, False, 2, 8),
    ((2, 3, 12), 3, True, 12, 1),
    ((2, 3, 12), 3, True, 1, 12),
    ((4, 2, 6), 8, False, 6, 2),
    ((4, 2, 6), 8, False, 3, 6),
    ((1, 4, 10), 5, True, 10, 5),
    ((1, 5, 4), 2, False, 1, 4),
]


def corners():
    found = []
    for i, (shape, bits, signed, lanes_in, lanes_out) in enumerate(CASES):
        dtype = Integer(bits, signed)
        node = Width(f"w{i}", Stream(shape, dtype, lanes_in), Stream(shape, dtype, lanes_out))
        found.append(finn_corner(node))
    return found


def test_finn_width_converter_matches_the_references():
    check_finn_block("finn_width", corners())
