"""`ex_mvu` against its reference, and the reference against the definition."""

import numpy as np
import pytest
from lib.bench import Corner, check_stream_block
from lib.stream_block import random_input
from mvu.corners import CORNERS, full_grid

from exeunt.kernels import mvu, registry
from exeunt.kernels.mvu import Mvu


@pytest.mark.sim
def test_mvu() -> None:
    check_stream_block("mvu", CORNERS, frames=4)


@pytest.mark.sim
@pytest.mark.slow
def test_mvu_full_grid() -> None:
    check_stream_block("mvu_grid", full_grid(), frames=4, seed=2)


@pytest.mark.parametrize("corner", CORNERS, ids=lambda c: c.name)
def test_values_against_the_definition(corner: Corner) -> None:
    node = corner.node
    assert isinstance(node, Mvu)
    x = random_input(node, 4, 5)
    weights = corner.arrays["weights"].reshape(node.groups, -1, corner.arrays["weights"].shape[1])
    words = x.reshape(*x.shape[:3], node.groups // node.together, -1, node.together, node.simd)
    vectors = np.moveaxis(words, 5, 4).reshape(*x.shape[:3], node.groups, -1)
    expected = np.einsum("nhwgc,grc->nhwgr", vectors, weights).reshape(*x.shape[:3], -1)
    if node.offset:
        expected = expected + corner.arrays["offsets"]
    if node.levels:
        limits = corner.arrays["thresholds"]
        expected = node.bias + (expected[..., None] >= limits).sum(axis=-1)
    got = mvu.values(node, corner.arrays, x)
    assert got.shape == (4, *node.output.shape)
    assert np.array_equal(got, expected)


@pytest.mark.parametrize("corner", CORNERS, ids=lambda c: c.name)
def test_period_and_both_ways_to_count(corner: Corner) -> None:
    """Back to back a vector costs NF * SF cycles, and the stepwise count agrees."""
    node = corner.node
    assert isinstance(node, Mvu)
    nf, sf = mvu.folds(node)
    rng = np.random.default_rng(1)
    for offered in (np.zeros(40 * sf, np.int64), np.cumsum(rng.integers(0, 4, 40 * sf))):
        takes, gives = registry.times(node, offered)
        stepwise = registry.times(node, offered, np.zeros(40 * nf, np.int64))
        assert np.array_equal(takes, stepwise[0])
        assert np.array_equal(gives, stepwise[1])
        if offered[-1] == 0:
            assert np.all(np.diff(gives[nf - 1 :: nf]) == nf * sf)
