"""Subsets of images stand for all of them, class by class; splits.npz and what is wrong with it."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exeunt.errors import InputError
from exeunt.splits import Labelled, neighbours, read_classes, read_split, stratified, turns

SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=12)


def labels_of(sizes, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))


@settings(deadline=None, max_examples=200)
@given(SIZES, st.integers(1, 400), st.integers(0, 3))
def test_every_class_has_its_share(sizes, count, seed):
    labels = labels_of(sizes)
    chosen = stratified(labels, count, seed=seed)
    assert np.array_equal(chosen, stratified(labels, count, seed=seed))
    assert (np.diff(chosen) > 0).all()
    assert len(chosen) == min(count, len(labels))
    found = np.bincount(labels[chosen], minlength=len(sizes))
    share = np.array(sizes) * len(chosen) / len(labels)
    if count < len(sizes):
        assert found.max() == 1
    else:
        assert found.min() >= 1
        assert (found[share >= 1] <= np.ceil(share[share >= 1])).all()
        if share.min() >= 1:
            assert (np.abs(found - share) < 1).all()


@pytest.mark.parametrize(
    ("sizes", "count", "expected"),
    [
        ((500,) * 10, 500, [50] * 10),
        ((50, 50, 50), 10, [3, 3, 4]),  # counts that do not divide
        ((7, 13, 29), 10, [1, 3, 6]),
        ((1000, 3, 3), 6, [1, 1, 4]),
        ((1000, 3), 1, [0, 1]),
        ((4, 2), 0, [2, 4]),
        ((4, 2), 99, [2, 4]),
    ],
)
def test_balance(sizes, count, expected):
    labels = np.repeat(np.arange(len(sizes)), sizes)  # sorted by class, as sets often are
    assert sorted(np.bincount(labels[stratified(labels, count)], minlength=len(sizes))) == expected


def test_seeds_draw_others():
    labels = labels_of([100] * 4)
    assert not np.array_equal(stratified(labels, 40, seed=0), stratified(labels, 40, seed=1))


def test_classes_take_turns():
    labels = np.array([2, 2, 0, 2, 1, 0, 1, 1, 1])
    assert turns(labels).tolist() == [0, 1, 0, 2, 0, 1, 1, 2, 3]
    images = np.arange(9, dtype=np.uint8)[:, None, None, None]
    some = Labelled(images, labels).some(3)
    assert sorted(some.labels) == [0, 1, 2]
    assert all(labels[i] == k for i, k in zip(some.images[:, 0, 0, 0], some.labels, strict=True))


def write(path, **arrays):
    whole = {
        "test_images": np.zeros((4, 2, 2, 1), np.uint8),
        "test_labels": np.arange(4),
        "classes": np.array(["ant", "bee", "cat", "dog"]),
    }
    np.savez(path, **{k: v for k, v in (whole | arrays).items() if v is not None})


def test_names_and_images_are_read(tmp_path):
    write(tmp_path / "splits.npz")
    assert read_classes(tmp_path / "splits.npz") == ("ant", "bee", "cat", "dog")
    assert read_split(tmp_path / "splits.npz", "test").labels.tolist() == [0, 1, 2, 3]


def test_what_is_wrong_with_the_file(tmp_path):
    path = tmp_path / "splits.npz"

    def refused(sentence):
        with pytest.raises(InputError, match=f"^{re.escape(f'{path} {sentence}')}$"):
            read_split(path, "test")

    refused("must hold the images, got no such file: do `exeunt train` first")
    other = (
        "must be an .npz with test_images and test_labels, got something else: do `exeunt train` "
        "again"
    )
    path.write_bytes(b"PK nothing")
    refused(other)
    write(path, test_labels=None)
    refused(other)
    write(path, test_labels=np.array([{}], object))  # would be unpickled
    refused(other)
    write(path)
    path.write_bytes(path.read_bytes()[:300])
    refused(other)
    write(path, test_labels=np.arange(3))
    refused(
        "must hold test images uint8 (N, H, W, C) with a label each, got uint8 (4, 2, 2, 1) and "
        "(3,): do `exeunt train` again"
    )


def test_neighbours_of_one_class():
    rows = np.repeat(np.arange(5), 40)
    assert neighbours(rows) > 0.95
    assert abs(neighbours(np.random.default_rng(0).permutation(rows))) < 0.15
    assert neighbours(np.arange(200) % 5) < 0
    assert neighbours(np.zeros(9, np.int64)) == 1
    assert neighbours(np.array([3])) == 0
