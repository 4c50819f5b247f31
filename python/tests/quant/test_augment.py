"""Training images changed at random: every change within its bound, and drawn for each image."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from exeunt.quant.data.augment import augmented, shifted


def drawing(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_shifted_moves_each_image_within_its_bound():
    images = torch.zeros(200, 1, 5, 5, dtype=torch.uint8)
    images[:, 0, 2, 2] = 7
    moved = shifted(images, 2, torch.Generator().manual_seed(0))
    spots = np.argwhere(moved.numpy() == 7)[:, 2:]
    assert len(spots) == 200
    assert {tuple(s) for s in spots.tolist()} == {(y, x) for y in range(5) for x in range(5)}
    assert shifted(images, 0, torch.Generator()) is images


def test_shifted_fills_with_zeros():
    images = torch.full((50, 2, 4, 4), 9, dtype=torch.uint8)
    moved = shifted(images, 1, torch.Generator().manual_seed(1))
    assert sorted(torch.unique(moved).tolist()) == [0, 9]


def test_half_of_the_images_are_mirrored():
    images = torch.arange(12, dtype=torch.uint8).reshape(1, 1, 3, 4).repeat(400, 1, 1, 1)
    found = augmented(images, drawing(0), flip=True)
    same = (found == images).all(dim=(1, 2, 3))
    mirrored = (found == images.flip(3)).all(dim=(1, 2, 3))
    assert (same | mirrored).all()
    assert 150 < int(mirrored.sum()) < 250


@pytest.mark.parametrize("side", [1, 2, 3, 5])
def test_a_square_around_any_pixel_is_blanked(side):
    images = torch.ones(600, 2, 6, 5, dtype=torch.uint8)
    found = augmented(images, drawing(1), cut=side)
    assert torch.equal(found[:, 0], found[:, 1])
    blank = found[:, 0].numpy() == 0
    sizes = set()
    for one in blank:
        rows, columns = np.flatnonzero(one.any(1)), np.flatnonzero(one.any(0))
        assert one.sum() == len(rows) * len(columns)
        assert np.ptp(rows) < side
        assert np.ptp(columns) < side
        sizes.add(int(one.sum()))
    assert max(sizes) == side * side
    assert blank.any(axis=0).all()
    assert not blank.all(axis=0).any()


def test_nothing_asked_nothing_changed():
    images = torch.ones(3, 1, 4, 4)
    assert augmented(images, drawing(0)) is images
