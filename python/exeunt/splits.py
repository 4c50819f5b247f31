"""The images of a run, in splits.npz: how they are read, and how a few are drawn from them.

A training leaves its validation and test images there, each in an order that `data.seed` shuffled:
the order in which they are streamed. Whoever needs only some of them takes `stratified` ones.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from exeunt.errors import InputError

SPLITS = "splits.npz"

Images = npt.NDArray[np.uint8]  # (N, H, W, C)
Labels = npt.NDArray[np.int64]  # (N,)


@dataclass(frozen=True)
class Labelled:
    """Images uint8 (N, H, W, C) with their classes int64 (N,)."""

    images: Images
    labels: Labels

    def some(self, count: int, *, seed: int = 0) -> Labelled:
        """`count` of them over all classes, see `stratified`."""
        chosen = stratified(self.labels, count, seed=seed)
        return Labelled(np.ascontiguousarray(self.images[chosen]), self.labels[chosen])


def read_split(path: Path, split: str) -> Labelled:
    """The "validation" or "test" images and labels in a splits.npz.

    Raises:
        InputError: the file is missing or damaged, or images and labels do not go together.
    """
    images, labels = _arrays(path, f"{split}_images", f"{split}_labels")
    if images.dtype != np.uint8 or images.ndim != 4 or labels.shape != images.shape[:1]:
        raise InputError(
            f"{path} must hold {split} images uint8 (N, H, W, C) with a label each, got "
            f"{images.dtype} {images.shape} and {labels.shape}: do `exeunt train` again"
        )
    return Labelled(images, labels.astype(np.int64))


def read_classes(path: Path) -> tuple[str, ...]:
    """Names of the classes in a splits.npz, in the order of their numbers.

    Raises:
        InputError: the file is missing or damaged.
    """
    (names,) = _arrays(path, "classes")
    return tuple(str(name) for name in names)


def read_fingerprint(path: Path) -> str:
    """The fingerprint of all images that a splits.npz was made of, also those for training.

    Raises:
        InputError: the file is missing or damaged.
    """
    (found,) = _arrays(path, "fingerprint")
    return str(found)


def _arrays(path: Path, *names: str) -> list[npt.NDArray]:
    if not path.is_file():
        raise InputError(f"{path} must hold the images, got no such file: do `exeunt train` first")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
            return [data[name] for name in names]
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile, NotImplementedError):
        raise InputError(
            f"{path} must be an .npz with {' and '.join(names)}, got something else: do "
            "`exeunt train` again"
        ) from None


def stratified(labels: Labels, count: int, *, seed: int = 0) -> npt.NDArray[np.int64]:
    """Which `count` items stand for all: indices int64, ascending, the same for the same seed.

    Every class has its share of `count`, rounded down or up so that they sum to it, and at least
    one item where `count` allows one of each. Fewer than there are classes are of different ones.

    Args:
        labels: integers (N,), the classes.
        count: how many; 0, and more than there are, is all of them.
        seed: of the draw.
    """
    if not 0 < count < len(labels):
        return np.arange(len(labels), dtype=np.int64)
    random = np.random.default_rng([seed, count])
    order = random.permutation(len(labels))
    found, place, sizes = np.unique(labels[order], return_inverse=True, return_counts=True)
    quotas = _quotas(sizes, count, random.permutation(len(found)))
    return np.sort(order[turns(place) < quotas[place]]).astype(np.int64)


def chance(labels: Labels) -> float:
    """Accuracy 0..1 of always saying the most frequent of these classes int64 (N,)."""
    return float(np.bincount(labels).max() / len(labels)) if len(labels) else 0.0


def neighbours(labels: Labels) -> float:
    """How far items follow others of their class int64 (N,): 0 as in random order, 1 always."""
    if len(labels) < 2:
        return 0.0
    expected = float(((np.bincount(labels) / len(labels)) ** 2).sum())
    seen = float((labels[1:] == labels[:-1]).mean())
    return (seen - expected) / (1 - expected) if expected < 1 else 1.0


def turns(labels: Labels) -> npt.NDArray[np.int64]:
    """How many items of its class come before each of these, int64 (N,).

    Sorted by it, classes take turns for as long as they have items.
    """
    order = np.argsort(labels, kind="stable")
    ordered = labels[order]
    turn = np.empty(len(labels), np.int64)
    turn[order] = np.arange(len(labels)) - np.searchsorted(ordered, ordered)
    return turn


def _quotas(sizes: npt.NDArray, count: int, order: npt.NDArray) -> npt.NDArray[np.int64]:
    """How many of `count` each class of these sizes gives; `order` settles ties."""
    few = count < len(sizes)
    share = sizes * (count / sizes.sum())
    least = np.zeros(len(sizes)) if few else np.ones(len(sizes))
    most = np.ones(len(sizes)) if few else sizes
    quotas = np.clip(np.floor(share), least, most).astype(np.int64)
    while (gap := count - int(quotas.sum())) != 0:
        lack = (share - quotas) * np.sign(gap)  # those furthest off get one, or give one back
        able = quotas < most if gap > 0 else quotas > least
        worst = np.lexsort((order, -lack, ~able))[: min(abs(gap), int(able.sum()))]
        quotas[worst] += np.sign(gap)
    return quotas
