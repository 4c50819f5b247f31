"""Datasets: what every reader gives, and the sentence for every file that is wrong."""

from __future__ import annotations

import gzip
import io
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from exeunt.config.tree import Data
from exeunt.errors import InputError
from exeunt.quant.data import datasets as dataset
from exeunt.splits import read_classes, read_split

RANDOM = np.random.default_rng(0)


def idx(array: np.ndarray) -> bytes:
    head = bytes([0, 0, 8, array.ndim]) + b"".join(s.to_bytes(4, "big") for s in array.shape)
    return head + array.astype(np.uint8).tobytes()


def write_idx(folder: Path, count: int = 40, side: int = 6, zipped: bool = True) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for half, n in (("train", count), ("t10k", count // 2)):
        images = RANDOM.integers(0, 256, (n, side, side))
        labels = np.arange(n) % 10
        for what, raw in (("images-idx3", idx(images)), ("labels-idx1", idx(labels))):
            name = f"{half}-{what}-ubyte" + (".gz" if zipped else "")
            (folder / name).write_bytes(gzip.compress(raw) if zipped else raw)


def batch(count: int) -> bytes:
    content = {
        b"data": RANDOM.integers(0, 256, (count, 3072)).astype(np.uint8),
        b"labels": [k % 10 for k in range(count)],
    }
    return pickle.dumps(content)


def write_cifar(folder: Path, count: int = 20) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in [f"data_batch_{k}" for k in range(1, 6)] + ["test_batch"]:
        (folder / name).write_bytes(batch(count))


def write_images(folder: Path, mode: str = "L", size: tuple[int, int] = (5, 4)) -> None:
    for label in ("cat", "dog"):
        (folder / label).mkdir(parents=True, exist_ok=True)
        for k in range(10):
            Image.new(mode, size, k).save(folder / label / f"{k}.png")


def load(folder: Path, name: str, *, shape=(6, 6, 1), classes=10, **section) -> dataset.Splits:
    return dataset.load(Data(dataset=name, **section), folder, shape=shape, classes=classes)


def refused(sentence: str, folder: Path, name: str, **arguments) -> None:
    with pytest.raises(InputError) as caught:
        load(folder, name, **arguments)
    assert sentence.format(folder=folder) == str(caught.value)


def test_digits_are_split_by_class_and_always_alike(tmp_path):
    first = load(tmp_path, "digits", shape=(8, 8, 1), validation=0.15)
    again = load(tmp_path, "digits", shape=(8, 8, 1), validation=0.15)
    other = load(tmp_path, "digits", shape=(8, 8, 1), validation=0.15, seed=1)
    total = sum(len(p.labels) for p in (first.train, first.validation, first.test))
    assert total == 1797
    assert abs(len(first.test.labels) - 359) <= 2
    assert np.array_equal(first.test.images, again.test.images)
    assert not np.array_equal(first.test.images, other.test.images)
    counts = np.bincount(first.test.labels)
    assert counts.min() >= 34
    assert counts.max() <= 37
    assert first.train.images.dtype == np.uint8
    assert first.train.images.max() == 16


def test_validation_and_test_images_are_shuffled_by_the_seed(tmp_path):
    write_images(tmp_path / "pets")

    def order(**section):
        splits = load(
            tmp_path, "pets", shape=(4, 5, 1), classes=2, test=0.4, validation=0.5, **section
        )
        assert splits.train.labels.tolist() == [0] * 3 + [1] * 3
        parts = (splits.validation, splits.test)
        for part in parts:  # image k of a class is filled with k: they stay together
            assert np.bincount(part.labels).tolist() == [len(part.labels) // 2] * 2
        assert sorted(splits.test.images[:, 0, 0, 0]) == [6, 6, 7, 7, 8, 8, 9, 9]
        return [part.labels.tolist() for part in parts]

    first = order()
    assert first == order()
    assert first != order(seed=1)
    assert all(labels != sorted(labels) for labels in (order(seed=s)[1] for s in (0, 1)))


def test_a_set_sorted_by_class_is_validated_on_all_classes(tmp_path):
    write_idx(tmp_path / "a", count=200)
    for half in ("train", "t10k"):
        path = tmp_path / "a" / f"{half}-labels-idx1-ubyte.gz"
        labels = np.frombuffer(gzip.decompress(path.read_bytes())[8:], np.uint8)
        path.write_bytes(gzip.compress(idx(np.sort(labels))))
    splits = load(tmp_path, "a", validation=50)
    assert np.bincount(splits.validation.labels).tolist() == [5] * 10
    assert np.bincount(splits.train.labels).tolist() == [15] * 10


@pytest.mark.parametrize("zipped", [True, False])
def test_idx(tmp_path, zipped):
    write_idx(tmp_path / "mnist", zipped=zipped)
    splits = load(tmp_path, "mnist", validation=5)
    assert splits.train.images.shape == (35, 6, 6, 1)
    assert sorted(splits.validation.labels.tolist()) == [5, 6, 7, 8, 9]
    assert splits.test.images.shape == (20, 6, 6, 1)


def test_cifar_folder_and_archive(tmp_path):
    write_cifar(tmp_path / "cifar10" / "cifar-10-batches-py")
    folder = load(tmp_path, "cifar10", shape=(32, 32, 3), validation=0.25)
    assert folder.train.images.shape == (75, 32, 32, 3)
    assert folder.test.images.shape == (20, 32, 32, 3)
    raw = pickle.loads((tmp_path / "cifar10/cifar-10-batches-py/test_batch").read_bytes())
    planes = {bytes(row.reshape(3, 32, 32).transpose(1, 2, 0).tobytes()) for row in raw[b"data"]}
    assert {image.tobytes() for image in folder.test.images} == planes
    (tmp_path / "packed").mkdir()
    with tarfile.open(tmp_path / "packed" / "cifar-10-python.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "cifar10" / "cifar-10-batches-py", "cifar-10-batches-py")
    packed = load(tmp_path, "packed", shape=(32, 32, 3), validation=0.25)
    assert np.array_equal(packed.train.images, folder.train.images)
    assert np.array_equal(packed.test.labels, folder.test.labels)


def test_folder_takes_the_end_of_every_class_in_natural_order(tmp_path):
    write_images(tmp_path / "pets")
    splits = load(tmp_path, "pets", shape=(4, 5, 1), classes=2, test=0.2, validation=0.25)
    assert splits.classes == ("cat", "dog")
    assert sorted(splits.test.images[:, 0, 0, 0].tolist()) == [8, 8, 9, 9]
    assert sorted(splits.validation.images[:, 0, 0, 0].tolist()) == [6, 6, 7, 7]
    assert splits.train.labels.tolist() == [0] * 6 + [1] * 6


def test_zip_is_read_in_place_and_halves_are_named_by_folders(tmp_path):
    write_images(tmp_path / "a" / "train", "RGB")
    write_images(tmp_path / "a" / "test", "RGB")
    with zipfile.ZipFile(tmp_path / "pets.zip", "w") as archive:
        for file in sorted((tmp_path / "a").rglob("*.png")):
            archive.write(file, file.relative_to(tmp_path / "a"))
    packed = load(tmp_path, "pets.zip", shape=(4, 5, 3), classes=2, validation=4)
    folder = load(tmp_path, "a", shape=(4, 5, 3), classes=2, validation=4)
    assert np.array_equal(packed.train.images, folder.train.images)
    assert len(packed.test.labels) == 20
    assert len(packed.validation.labels) == 4


def test_splits_are_written_and_read(tmp_path):
    splits = load(tmp_path, "digits", shape=(8, 8, 1))
    dataset.save_splits(tmp_path / "splits.npz", splits)
    found = read_split(tmp_path / "splits.npz", "test")
    assert np.array_equal(found.images, splits.test.images)
    assert np.array_equal(found.labels, splits.test.labels)
    assert read_classes(tmp_path / "splits.npz") == tuple("0123456789")
    assert [p.name for p in tmp_path.iterdir()] == ["splits.npz"]


def test_missing_dataset(tmp_path):
    refused(
        "dataset 'mnist' must be at {folder}/mnist, got nothing there: run `exeunt fetch mnist` "
        "or point --data at the folder that holds mnist/",
        tmp_path,
        "mnist",
    )
    refused(
        "dataset 'pets' must be at {folder}/pets, got nothing there: check data.dataset and --data",
        tmp_path,
        "pets",
    )


def test_a_folder_called_digits_is_not_overlooked(tmp_path):
    write_images(tmp_path / "digits")
    refused(
        "dataset 'digits' must be one thing, got scikit-learn's and {folder}/digits: say "
        'data.format = "digits" for scikit-learn\'s, or "folder" or what it is for yours',
        tmp_path,
        "digits",
        shape=(4, 5, 1),
        classes=2,
    )
    own = load(tmp_path, "digits", shape=(4, 5, 1), classes=2, format="folder")
    assert own.classes == ("cat", "dog")
    assert len(load(tmp_path, "digits", shape=(8, 8, 1), format="digits").classes) == 10


def test_missing_file(tmp_path):
    write_idx(tmp_path / "mnist")
    (tmp_path / "mnist/t10k-labels-idx1-ubyte.gz").unlink()
    refused(
        "{folder}/mnist must hold t10k-labels-idx1-ubyte.gz (or t10k-labels-idx1-ubyte), got no "
        "such file: fetch it or point --data at the folder that holds the datasets",
        tmp_path,
        "mnist",
    )


def test_truncated_files(tmp_path):
    write_idx(tmp_path / "mnist")
    path = tmp_path / "mnist/train-images-idx3-ubyte.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    refused(
        f"{path} must be a whole gzip file, got one that breaks off or is damaged: fetch it again",
        tmp_path,
        "mnist",
    )
    path.write_bytes(gzip.decompress(whole)[:-7])
    refused(
        f"{path} must hold 1456 bytes for shape (40, 6, 6), got 1449: fetch it again",
        tmp_path,
        "mnist",
    )
    path.write_bytes(b"")
    refused(
        f"{path} must start with an IDX header (00 00 08 and 1 to 4 dimensions), got an empty "
        "file: check which file this is",
        tmp_path,
        "mnist",
    )


def test_wrong_element_type(tmp_path):
    write_idx(tmp_path / "mnist")
    path = tmp_path / "mnist/train-images-idx3-ubyte.gz"
    path.write_bytes(b"\0\0\x0d\x03" + b"\0" * 12)
    refused(
        f"{path} must hold unsigned 8-bit elements (IDX type 08), got type 0d: convert the images "
        "to 0..255",
        tmp_path,
        "mnist",
    )


def test_mislabelled_files(tmp_path):
    write_idx(tmp_path / "mnist")
    images = tmp_path / "mnist/train-images-idx3-ubyte.gz"
    labels = tmp_path / "mnist/train-labels-idx1-ubyte.gz"
    kept = images.read_bytes(), labels.read_bytes()
    images.write_bytes(kept[1])
    refused(
        f"{images} must hold images (3 or 4 dimensions), got shape (40,): check that images and "
        "labels are not swapped",
        tmp_path,
        "mnist",
    )
    images.write_bytes(kept[0])
    labels.write_bytes(kept[0])
    refused(
        f"{labels} must hold labels (1 dimension), got shape (40, 6, 6): check that images and "
        "labels are not swapped",
        tmp_path,
        "mnist",
    )
    labels.write_bytes(idx(np.arange(39)))
    refused(
        f"{labels} must label the 40 images of {images.name}, got 39 labels: take both files from "
        "the same set",
        tmp_path,
        "mnist",
    )


def test_wrong_size_and_classes(tmp_path):
    write_idx(tmp_path / "mnist")
    refused(
        "images of dataset {folder}/mnist must be 28 x 28 x 1 (H x W x C) as model.input says, "
        "got 6 x 6 x 1: change model.input or the dataset",
        tmp_path,
        "mnist",
        shape=(28, 28, 1),
    )
    refused(
        "labels of dataset {folder}/mnist must be below model.classes = 5, got 9: change "
        "model.classes or check the label file",
        tmp_path,
        "mnist",
        classes=5,
    )
    refused(
        "images of dataset digits must be 8 x 8 x 3 (H x W x C) as model.input says, got "
        "8 x 8 x 1: change model.input or the dataset",
        tmp_path,
        "digits",
        shape=(8, 8, 3),
    )


def test_splits_that_leave_nothing(tmp_path):
    write_idx(tmp_path / "mnist")
    refused(
        "data.validation must leave at least one of the 40 images on either side, got 40: "
        "change it",
        tmp_path,
        "mnist",
        validation=40,
    )


def test_format_that_does_not_fit(tmp_path):
    write_idx(tmp_path / "mnist")
    refused(
        'data.format "digits" must go with dataset "digits", got \'mnist\': drop data.format',
        tmp_path,
        "mnist",
        format="digits",
    )


def test_cifar_batch_missing_or_damaged(tmp_path):
    write_cifar(tmp_path / "cifar10")
    (tmp_path / "cifar10/data_batch_3").unlink()
    refused(
        "{folder}/cifar10 must hold the CIFAR-10 batch data_batch_3, got no such file: fetch "
        "cifar10 again",
        tmp_path,
        "cifar10",
        shape=(32, 32, 3),
    )
    (tmp_path / "cifar10/data_batch_3").write_bytes(batch(20)[:-30])
    with pytest.raises(InputError, match="data_batch_3 must be a CIFAR-10 python batch"):
        load(tmp_path, "cifar10", shape=(32, 32, 3))
    archive = tmp_path / "x.tar.gz"
    archive.write_bytes(b"nothing")
    refused(
        f"{archive} must be a whole .tar.gz of CIFAR-10 batches, got one that breaks off or is "
        "damaged: fetch it again",
        tmp_path,
        "x.tar.gz",
        shape=(32, 32, 3),
    )


def test_cifar_batch_runs_no_code(tmp_path):
    write_cifar(tmp_path / "cifar10")

    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "owned",))

    (tmp_path / "cifar10/data_batch_1").write_bytes(pickle.dumps({b"data": Evil()}))
    with pytest.raises(InputError, match="is not an array"):
        load(tmp_path, "cifar10", shape=(32, 32, 3))
    assert not (tmp_path / "owned").exists()


def test_folder_without_images(tmp_path):
    (tmp_path / "pets" / "cat").mkdir(parents=True)
    with pytest.raises(InputError) as caught:
        load(tmp_path, "pets")
    assert str(caught.value).startswith(f"{tmp_path}/pets must hold images as <class>/<image>")
    assert str(caught.value).endswith("got none: check the path")


def test_images_of_wrong_type_size_or_content(tmp_path):
    write_images(tmp_path / "pets", "RGB")
    refused(
        "{folder}/pets:cat/0.png must be 8-bit L for model.input with 1 channels, got RGB: "
        "convert it or change model.input",
        tmp_path,
        "pets",
        shape=(4, 5, 1),
    )
    refused(
        "{folder}/pets:cat/0.png must be 5x4 as model.input says, got 4x5: resize it or change "
        "model.input",
        tmp_path,
        "pets",
        shape=(5, 4, 3),
    )
    refused(
        "{folder}/pets:cat/0.png must be of 2 channels (folders hold 1 or 3) for model.input with "
        "2 channels, got RGB: convert it or change model.input",
        tmp_path,
        "pets",
        shape=(4, 5, 2),
    )
    (tmp_path / "pets/dog/3.png").write_bytes(b"not a picture")
    refused(
        "{folder}/pets:dog/3.png must be an image that can be decoded, got 13 bytes that cannot: "
        "remove or replace it",
        tmp_path,
        "pets",
        shape=(4, 5, 3),
    )


def test_folder_with_classes_at_two_levels(tmp_path):
    write_images(tmp_path / "pets")
    write_images(tmp_path / "pets" / "train")
    refused(
        "{folder}/pets must hold its classes below train/ or at the top, got all, train/: move "
        "the training images to train/<class>/",
        tmp_path,
        "pets",
        shape=(4, 5, 1),
    )


def test_damaged_zip(tmp_path):
    write_images(tmp_path / "a")
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for file in sorted((tmp_path / "a").rglob("*.png")):
            archive.write(file, file.relative_to(tmp_path / "a"))
    raw = bytearray(stream.getvalue())
    (tmp_path / "b.zip").write_bytes(raw[:-50])
    refused(
        "{folder}/b.zip must be a whole zip file, got one that breaks off or is damaged: fetch or "
        "pack it again",
        tmp_path,
        "b.zip",
        shape=(4, 5, 1),
    )
    raw[60] ^= 0xFF
    (tmp_path / "c.zip").write_bytes(raw)
    refused(
        "{folder}/c.zip:cat/0.png must be whole, got a damaged entry: fetch or pack it again",
        tmp_path,
        "c.zip",
        shape=(4, 5, 1),
    )


def test_two_archives_in_one_folder(tmp_path):
    (tmp_path / "pets").mkdir()
    for name in ("a.zip", "b.zip"):
        (tmp_path / "pets" / name).write_bytes(b"")
    refused(
        "{folder}/pets must hold one .zip file, got 2: name the file itself in data.dataset",
        tmp_path,
        "pets",
    )
