"""`ex_threshold` against its reference, and the reference against the definition."""

import numpy as np
import pytest
from lib.bench import Corner, check_stream_block
from lib.stream_block import random_input
from threshold.corners import CORNERS

from exeunt.graph import Integer
from exeunt.kernels import threshold
from exeunt.kernels.parts import levels
from exeunt.kernels.threshold import Threshold


@pytest.mark.sim
def test_threshold() -> None:
    check_stream_block("threshold", CORNERS)


@pytest.mark.parametrize("corner", CORNERS, ids=lambda c: c.name)
def test_values_against_the_definition(corner: Corner) -> None:
    node = corner.node
    assert isinstance(node, Threshold)
    x = random_input(node, 3, 5)
    limits = corner.arrays["thresholds"]
    expected = node.bias + (x[..., None] >= limits).sum(axis=-1)
    assert np.array_equal(threshold.values(node, corner.arrays, x), expected)


def test_search_and_table_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).integers(-300, 300, (50, 4))
    limits = np.sort(np.random.default_rng(1).integers(-320, 320, (4, 15)), axis=1)
    counts = []
    for entries in (levels.TABLE_ENTRIES, 0):
        monkeypatch.setattr(levels, "TABLE_ENTRIES", entries)
        counts.append(levels.count(x, limits, bias=-8, output=Integer(4, True), low=-512, high=511))
    assert np.array_equal(counts[0], counts[1])
