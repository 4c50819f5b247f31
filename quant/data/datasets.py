"""Datasets and their splits: training, validation (all choices), test (reporting alone)."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from exeunt.config.tree import Data
from exeunt.errors import InputError
from exeunt.quant.data.formats import CIFAR_TRAIN, read_cifar, read_idx_pair, read_tree
from exeunt.splits import Labelled, Labels

FETCHABLE = ("mnist", "fashion-mnist", "cifar10")


@dataclass(frozen=True)
class Splits:
    """Three sets of images uint8 (N, H, W, C) and labels int64 (N,), and the names of classes."""

    train: Labelled
    validation: Labelled
    test: Labelled
    classes: tuple[str, ...]

    @cached_property
    def fingerprint(self) -> str:
        """Hex SHA-256 of all images, labels and names, in their order."""
        total = hashlib.sha256("\0".join(self.classes).encode())
        for part in (self.train, self.validation, self.test):
            for array in (part.images, part.labels):
                total.update(repr(array.shape).encode())
                total.update(np.ascontiguousarray(array).data)
        return total.hexdigest()


def load(data: Data, data_dir: Path, *, shape: tuple[int, int, int], classes: int) -> Splits:
    """The dataset that the [data] section names, found under `data_dir`, and split.

    A set with test images of its own gives its last `validation` training images (a number or a
    fraction) for validation; those of every class alike where the last ones are not, as in a set
    sorted by class. Otherwise `test` (a fraction) and `validation` are taken from the end of every
    class: of digits after a shuffle with `data.seed`, of a folder in the order of file names.

    Validation and test images come in an order that `data.seed` shuffles: they are streamed in
    it, and runs of one class would make bursts of exits that no user has.

    Args:
        data: the [data] section.
        data_dir: the folder that holds the datasets.
        shape: (H, W, C) of the images, from [model].
        classes: number of classes, from [model].

    Raises:
        InputError: a file is missing, truncated or mislabelled; images are of another size,
            type or channel count; a label is out of range; a split leaves nothing.
    """
    name = data.dataset
    path = Path(data_dir) / name
    if name == "digits" and data.format in (None, "digits"):
        if data.format is None and os.path.lexists(path):
            raise InputError(
                f"dataset 'digits' must be one thing, got scikit-learn's and {path}: say "
                'data.format = "digits" for scikit-learn\'s, or "folder" or what it is for yours'
            )
        return _shuffled(_checked(_digits(data), name, shape, classes), data.seed)
    if not path.exists():
        step = (
            f"run `exeunt fetch {name}` or point --data at the folder that holds {name}/"
            if name in FETCHABLE
            else "check data.dataset and --data"
        )
        raise InputError(f"dataset {name!r} must be at {path}, got nothing there: {step}")
    kind = data.format or _guess(path)
    names: tuple[str, ...] = tuple(str(k) for k in range(classes))
    if kind == "idx":
        splits = _own_test(data, (read_idx_pair(path, "train"), read_idx_pair(path, "t10k")), names)
    elif kind == "cifar":
        splits = _own_test(data, read_cifar(_inside(path, ".tar.gz", ".tgz")), names)
    elif kind in ("folder", "zip"):
        splits = _tree(data, _inside(path, ".zip") if kind == "zip" else path, shape)
    else:
        raise InputError(
            f'data.format "digits" must go with dataset "digits", got {name!r}: drop data.format'
        )
    return _shuffled(_checked(splits, str(path), shape, classes), data.seed)


def save_splits(path: Path, splits: Splits) -> None:
    """Write validation and test images and labels to splits.npz, whole or not at all."""
    partial = path.with_name(path.name + ".part")
    with partial.open("wb") as stream:
        np.savez_compressed(
            stream,
            validation_images=splits.validation.images,
            validation_labels=splits.validation.labels,
            test_images=splits.test.images,
            test_labels=splits.test.labels,
            classes=np.array(splits.classes),
            fingerprint=np.array(splits.fingerprint),
        )
    partial.replace(path)


def _guess(path: Path) -> str:
    """The format of what lies at `path`."""
    if path.is_file():
        return "zip" if path.suffix == ".zip" else "cifar"
    names = {p.name for p in path.iterdir()}
    if any("-ubyte" in n for n in names):
        return "idx"
    batches = {"cifar-10-batches-py", *CIFAR_TRAIN}
    if names & batches or any(n.endswith((".tar.gz", ".tgz")) for n in names):
        return "cifar"
    if any(n.endswith(".zip") for n in names) and not any(p.is_dir() for p in path.iterdir()):
        return "zip"
    return "folder"


def _inside(path: Path, *endings: str) -> Path:
    """`path` itself, or the one archive with such an ending in the folder `path`."""
    if path.is_file():
        return path
    found = sorted(p for p in path.iterdir() if p.name.endswith(endings))
    if ".zip" not in endings and (not found or (path / "cifar-10-batches-py").is_dir()):
        return path  # a folder of batches
    if len(found) != 1:
        raise InputError(
            f"{path} must hold one {endings[0]} file, got {len(found)}: name the file itself in "
            "data.dataset"
        )
    return found[0]


def _digits(data: Data) -> Splits:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    order = np.random.default_rng(data.seed).permutation(len(bunch.target))
    images = bunch.images.astype(np.uint8)[order, :, :, None]
    labels = bunch.target.astype(np.int64)[order]
    rest, test = _cut_classes(Labelled(images, labels), data.test, "data.test")
    train, validation = _cut_classes(rest, data.validation, "data.validation")
    return Splits(train, validation, test, tuple(str(k) for k in range(10)))


def _own_test(data: Data, halves: tuple[Labelled, Labelled], classes: tuple[str, ...]) -> Splits:
    train, test = halves
    count = _count(data.validation, len(train.labels), "data.validation")
    if not _alike(train.labels, train.labels[-count:]):
        return Splits(*_cut_classes(train, data.validation, "data.validation"), test, classes)
    head = Labelled(train.images[:-count], train.labels[:-count])
    return Splits(head, Labelled(train.images[-count:], train.labels[-count:]), test, classes)


def _alike(whole: Labels, part: Labels) -> bool:
    """Whether every class has about the share of `part` that it has of `whole`."""
    top = int(whole.max()) + 1
    expected = np.bincount(whole, minlength=top) * (len(part) / len(whole))
    found = np.bincount(part, minlength=top)
    return bool((np.abs(found - expected) <= np.maximum(expected / 2, 4 * np.sqrt(expected))).all())


def _shuffled(splits: Splits, seed: int) -> Splits:
    """The splits with validation and test images in an order that depends on the seed alone."""

    def mixed(part: Labelled, number: int) -> Labelled:
        order = np.random.default_rng([seed, number]).permutation(len(part.labels))
        return Labelled(part.images[order], part.labels[order])

    return dataclasses.replace(
        splits, validation=mixed(splits.validation, 0), test=mixed(splits.test, 1)
    )


def _tree(data: Data, path: Path, shape: tuple[int, int, int]) -> Splits:
    tree = read_tree(path, shape=shape)
    halves = dict(tree.halves)
    rest = halves.pop("train", None) or halves.pop("all", None)
    if rest is None or "all" in halves:
        raise InputError(
            f"{path} must hold its classes below train/ or at the top, got "
            f"{', '.join(sorted(tree.halves))}/: move the training images to train/<class>/"
        )
    test = halves.get("test")
    if test is None:
        rest, test = _cut_classes(rest, data.test, "data.test")
    validation = halves.get("validation")
    if validation is None:
        rest, validation = _cut_classes(rest, data.validation, "data.validation")
    return Splits(rest, validation, test, tree.classes)


def _count(amount: float, total: int, key: str) -> int:
    count = amount if isinstance(amount, int) else round(amount * total)
    if not 0 < count < total:
        raise InputError(
            f"{key} must leave at least one of the {total} images on either side, got {amount}: "
            "change it"
        )
    return int(count)


def _cut_classes(whole: Labelled, amount: float, key: str) -> tuple[Labelled, Labelled]:
    """Split off the end of every class: `amount` images in all, or that fraction of each class."""
    total = len(whole.labels)
    fraction = _count(amount, total, key) / total
    chosen = np.zeros(total, bool)
    for label in np.unique(whole.labels):
        of_class = np.flatnonzero(whole.labels == label)
        count = min(max(1, round(fraction * len(of_class))), len(of_class) - 1)
        if count:
            chosen[of_class[-count:]] = True
    return (
        Labelled(whole.images[~chosen], whole.labels[~chosen]),
        Labelled(whole.images[chosen], whole.labels[chosen]),
    )


def _checked(splits: Splits, where: str, shape: tuple[int, int, int], classes: int) -> Splits:
    """The splits, when every image has `shape` and every label is below `classes`."""
    for name in ("train", "validation", "test"):
        part: Labelled = getattr(splits, name)
        found = part.images.shape[1:]
        if found != shape:
            raise InputError(
                f"images of dataset {where} must be {_by(shape)} (H x W x C) as model.input says, "
                f"got {_by(found)}: change model.input or the dataset"
            )
        highest = int(part.labels.max(initial=0))
        if highest >= classes:
            raise InputError(
                f"labels of dataset {where} must be below model.classes = {classes}, got "
                f"{highest}: change model.classes or check the label file"
            )
    return splits


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(str(s) for s in shape)
