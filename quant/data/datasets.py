"""Datasets and their splits: training, validation (all choices), test (reporting alone)."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from exeunt.config.tree import Data
from exeunt.errors import InputError
from exeunt.files import ignored, reason, writing
from exeunt.quant.data import folders
from exeunt.quant.data.cifar import CIFAR_TRAIN, FOLDER, read_cifar
from exeunt.quant.data.idx import read_idx_pair
from exeunt.splits import Labelled, Labels

FETCHABLE = ("mnist", "fashion-mnist", "cifar10")


@dataclass(frozen=True)
class Splits:
    """Three sets of images uint8 (N, H, W, C) and labels int64 (N,), and the names of classes.

    `notes` say what of the dataset may surprise.
    """

    train: Labelled
    validation: Labelled
    test: Labelled
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()

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
    it, and runs of one class would make bursts of exits that no user has. Without `data.shuffle`
    they keep the order of the files, as the frames of a recording.

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
        return _ordered(_checked(_digits(data), name, shape, classes), data)
    if not path.exists():
        step = (
            f"run `exeunt fetch {name}` or point --data at the folder that holds {name}/"
            if name in FETCHABLE
            else "check data.dataset and --data"
        )
        raise InputError(f"dataset {name!r} must be at {path}, got nothing there: {step}")
    kind = data.format or _guess(path)
    if kind == "idx":
        _must_be_folder(path, kind)
        splits = _own_test(data, read_idx_pair(path, "train"), read_idx_pair(path, "t10k"))
    elif kind == "cifar":
        train, test, names = read_cifar(_inside(path, ".tar.gz", ".tgz", ".tar", ".zip"))
        splits = dataclasses.replace(_own_test(data, train, test), classes=names)
    elif kind in ("folder", "zip"):
        if kind == "folder":
            _must_be_folder(path, kind)
        splits = _tree(data, _inside(path, ".zip") if kind == "zip" else path, shape, classes)
    else:
        raise InputError(
            f'data.format "digits" must go with dataset "digits", got {name!r}: drop data.format'
        )
    return _ordered(_checked(splits, str(path), shape, classes), data)


def save_splits(path: Path, splits: Splits) -> None:
    """Write validation and test images and labels to splits.npz, whole or not at all."""
    with writing(path) as stream:
        np.savez_compressed(
            stream,
            validation_images=splits.validation.images,
            validation_labels=splits.validation.labels,
            test_images=splits.test.images,
            test_labels=splits.test.labels,
            classes=np.array(splits.classes),
            fingerprint=np.array(splits.fingerprint),
        )


def _guess(path: Path) -> str:
    """The format of what lies at `path`."""
    if path.is_file():
        return _in_zip(path) if path.suffix.lower() == ".zip" else "cifar"
    try:
        names = {p.name for p in path.iterdir() if not ignored(p.name)}
        places = {p.name for p in path.iterdir() if p.is_dir() and not ignored(p.name)}
    except OSError as error:
        raise InputError(
            f"folder {path} must be readable, got {reason(error)}: change its permissions"
        ) from None
    if any("-ubyte" in n for n in names):
        return "idx"
    if names & {FOLDER, *CIFAR_TRAIN} or any(n.endswith((".tar.gz", ".tgz")) for n in names):
        return "cifar"
    packed = [n for n in names if n.endswith(".zip")]
    if packed and not places:
        return _in_zip(path / packed[0]) if len(packed) == 1 else "zip"
    return "folder"


def _in_zip(path: Path) -> str:
    """Whether a zip file holds CIFAR's batches or class folders."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.rpartition("/")[2] for name in archive.namelist()}
        return "cifar" if names & set(CIFAR_TRAIN) else "zip"
    except Exception:  # the reader says what is wrong with it
        return "zip"


def _must_be_folder(path: Path, kind: str) -> None:
    if not path.is_dir():
        raise InputError(
            f"dataset {path} must be a folder for data.format {json.dumps(kind)}, got a file: "
            "change data.format or data.dataset"
        )


def _inside(path: Path, *endings: str) -> Path:
    """`path` itself, or the one archive with such an ending in the folder `path`."""
    if path.is_file():
        return path
    found = sorted(p for p in path.iterdir() if p.name.endswith(endings))
    if endings != (".zip",) and (not found or (path / FOLDER).is_dir()):
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
    order = np.arange(len(bunch.target))
    if data.shuffle:
        order = np.random.default_rng(data.seed).permutation(len(bunch.target))
    images = bunch.images.astype(np.uint8)[order, :, :, None]
    labels = bunch.target.astype(np.int64)[order]
    rest, test = _cut_classes(Labelled(images, labels), data.test, "data.test")
    train, validation = _cut_classes(rest, data.validation, "data.validation")
    return Splits(train, validation, test, tuple(str(k) for k in range(10)))


def _own_test(data: Data, train: Labelled, test: Labelled) -> Splits:
    count = _count(data.validation, len(train.labels), "data.validation")
    if not _alike(train.labels, train.labels[-count:]):
        return Splits(*_cut_classes(train, data.validation, "data.validation"), test, ())
    head = Labelled(train.images[:-count], train.labels[:-count])
    return Splits(head, Labelled(train.images[-count:], train.labels[-count:]), test, ())


def _alike(whole: Labels, part: Labels) -> bool:
    """Whether every class has about the share of `part` that it has of `whole`."""
    top = int(whole.max()) + 1
    expected = np.bincount(whole, minlength=top) * (len(part) / len(whole))
    found = np.bincount(part, minlength=top)
    return bool((np.abs(found - expected) <= np.maximum(expected / 2, 4 * np.sqrt(expected))).all())


def _ordered(splits: Splits, data: Data) -> Splits:
    """The splits with validation and test images in an order that depends on the seed alone.

    Or, without `data.shuffle`, as they are.
    """

    def mixed(part: Labelled, number: int) -> Labelled:
        order = np.random.default_rng([data.seed, number]).permutation(len(part.labels))
        return Labelled(part.images[order], part.labels[order])

    if not data.shuffle:
        return splits
    return dataclasses.replace(
        splits, validation=mixed(splits.validation, 0), test=mixed(splits.test, 1)
    )


def _tree(data: Data, path: Path, shape: tuple[int, int, int], classes: int) -> Splits:
    tree = folders.read_tree(path, shape=shape)
    if len(tree.classes) != classes:
        raise folders.class_error(tree, str(path), classes)
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
    return Splits(rest, validation, test, tree.classes, tree.notes)


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
    names = splits.classes or tuple(str(k) for k in range(classes))
    if len(names) != classes:
        raise InputError(
            f"model.classes must be {len(names)}, as many as dataset {where} has, got {classes}: "
            "change it"
        )
    counts = [
        np.bincount(p.labels, minlength=classes)
        for p in (splits.train, splits.validation, splits.test)
    ]
    untrained = np.flatnonzero((counts[0] == 0) & (counts[1] + counts[2] > 0))
    if len(untrained):
        raise InputError(
            f"every class of dataset {where} must have training images, got none for "
            f"{names[untrained[0]]!r}: add some or take it out of the other images"
        )
    highest = int(np.flatnonzero(sum(counts)).max())
    if highest + 1 < classes:
        raise InputError(
            f"labels of dataset {where} must go up to model.classes - 1 = {classes - 1}, got "
            f"{highest} as the highest: change model.classes to {highest + 1}"
        )
    notes = list(splits.notes)
    for count, what in ((counts[0], "images"), (counts[2], "test images")):
        absent = [names[k] for k in np.flatnonzero(count == 0)]
        if absent:
            notes.append(f"there are no {what} of class {folders.listed(absent)}")
            break
    return dataclasses.replace(splits, classes=names, notes=tuple(notes))


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(str(s) for s in shape)
