"""Datasets: what every reader gives, and the sentence for every file that is wrong."""

from __future__ import annotations

import gzip
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


def test_images_of_a_recording_keep_their_order(tmp_path):
    write_images(tmp_path / "pets")
    given = {"shape": (4, 5, 1), "classes": 2, "test": 0.4, "validation": 0.5, "shuffle": False}
    splits = load(tmp_path, "pets", **given)
    assert splits.test.labels.tolist() == [0] * 4 + [1] * 4
    assert splits.test.images[:, 0, 0, 0].tolist() == [6, 7, 8, 9] * 2
    assert splits.validation.images[:, 0, 0, 0].tolist() == [3, 4, 5] * 2
    digits = load(tmp_path, "digits", shape=(8, 8, 1), classes=10, shuffle=False)
    assert (
        digits.test.labels.tolist()
        == load(
            tmp_path, "digits", shape=(8, 8, 1), classes=10, shuffle=False, seed=5
        ).test.labels.tolist()
    )


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
        f"{path} must hold 1440 bytes behind its header of shape (40, 6, 6), got 1433 of them: "
        "fetch it again",
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


def test_headers_that_promise_too_much_or_nothing(tmp_path):
    write_idx(tmp_path / "mnist", zipped=False)
    path = tmp_path / "mnist" / "train-images-idx3-ubyte"
    head = b"\0\0\x08\x04" + (65536).to_bytes(4, "big") * 4
    for content in (head, gzip.compress(head + b"\0" * 1000)):
        path.write_bytes(content)
        refused(
            f"{path} must hold 18446744073709551616 bytes behind its header of shape (65536, "
            "65536, 65536, 65536), got far fewer: fetch it again",
            tmp_path,
            "mnist",
        )
    path.write_bytes(gzip.compress(b"\0\0\x08\x01" + (2).to_bytes(4, "big") + bytes(1 << 20)))
    refused(
        f"{path} must hold 2 bytes behind its header of shape (2,), got more: fetch it again",
        tmp_path,
        "mnist",
    )
    write_idx(tmp_path / "mnist", zipped=False)
    for what, rank in (("images-idx3", 3), ("labels-idx1", 1)):
        empty = np.zeros((0, 6, 6)[:rank], np.uint8)
        (tmp_path / "mnist" / f"t10k-{what}-ubyte").write_bytes(idx(empty))
    refused(
        "{folder}/mnist/t10k-images-idx3-ubyte must hold images, got shape (0, 6, 6): take the "
        "file of a whole set",
        tmp_path,
        "mnist",
    )


def test_files_that_cannot_be_read(tmp_path):
    write_idx(tmp_path / "mnist")
    path = tmp_path / "mnist/train-images-idx3-ubyte.gz"
    path.unlink()
    path.symlink_to("/proc/self/mem")  # also root gets an error from it
    refused(
        f"{path} must be readable, got input/output error: change its permissions or fetch it "
        "again",
        tmp_path,
        "mnist",
    )
    write_cifar(tmp_path / "cifar10")
    path = tmp_path / "cifar10" / "data_batch_2"
    path.unlink()
    path.symlink_to("/proc/self/mem")
    refused(
        f"{path} must be readable, got input/output error: change its permissions",
        tmp_path,
        "cifar10",
        shape=(32, 32, 3),
    )


@pytest.mark.parametrize(("name", "format"), [("x.tar.gz", "idx"), ("x.zip", "folder")])
def test_a_file_where_a_folder_must_be(tmp_path, name, format):
    (tmp_path / name).write_bytes(b"x")
    refused(
        f'dataset {tmp_path}/{name} must be a folder for data.format "{format}", got a file: '
        "change data.format or data.dataset",
        tmp_path,
        name,
        format=format,
    )


def test_number_of_classes(tmp_path):
    write_idx(tmp_path / "mnist")
    refused(
        "labels of dataset {folder}/mnist must go up to model.classes - 1 = 10, got 9 as the "
        "highest: change model.classes to 10",
        tmp_path,
        "mnist",
        classes=11,
    )
    refused(
        "model.classes must be 10, as many as dataset digits has, got 12: change it",
        tmp_path,
        "digits",
        shape=(8, 8, 1),
        classes=12,
    )


def relabelled(path: Path, change) -> None:
    labels = np.frombuffer(gzip.decompress(path.read_bytes())[8:], np.uint8).copy()
    path.write_bytes(gzip.compress(idx(change(labels))))


def test_classes_without_images(tmp_path):
    write_idx(tmp_path / "a")
    train, test = (tmp_path / f"a/{half}-labels-idx1-ubyte.gz" for half in ("train", "t10k"))
    relabelled(train, lambda labels: np.where(labels == 3, 4, labels))
    refused(
        "every class of dataset {folder}/a must have training images, got none for '3': add some "
        "or take it out of the other images",
        tmp_path,
        "a",
    )
    relabelled(test, lambda labels: np.where(labels == 3, 4, labels))
    assert load(tmp_path, "a").notes == ("there are no images of class 3",)
    write_idx(tmp_path / "b")
    relabelled(
        tmp_path / "b/t10k-labels-idx1-ubyte.gz", lambda labels: np.where(labels == 3, 4, labels)
    )
    assert load(tmp_path, "b").notes == ("there are no test images of class 3",)


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
        "cifar10 again, its python version; class folders go into a zip",
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
        f"{archive} must be a whole .tar.gz or .zip of CIFAR-10 batches, got one that breaks off "
        "or is damaged: fetch it again",
        tmp_path,
        "x.tar.gz",
        shape=(32, 32, 3),
    )


def test_cifar_as_zip_with_names_and_in_its_other_version(tmp_path):
    write_cifar(tmp_path / "plain")
    meta = pickle.dumps({b"label_names": [f"n{k}".encode() for k in range(10)]})
    for pack, top in (("a.zip", "cifar-10-batches-py/"), ("b.zip", "")):
        with zipfile.ZipFile(tmp_path / pack, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in (tmp_path / "plain").iterdir():
                archive.write(file, f"{top}{file.name}")
            archive.writestr(f"{top}batches.meta", meta)
    plain = load(tmp_path, "plain", shape=(32, 32, 3))
    assert plain.classes == tuple("0123456789")
    for pack in ("a.zip", "b.zip"):
        found = load(tmp_path, pack, shape=(32, 32, 3))
        assert np.array_equal(found.test.images, plain.test.images)
        assert found.classes == tuple(f"n{k}" for k in range(10))
    (tmp_path / "inside").mkdir()
    (tmp_path / "a.zip").rename(tmp_path / "inside" / "a.zip")
    found = load(tmp_path, "inside", shape=(32, 32, 3))
    assert np.array_equal(found.train.images, plain.train.images)
    raw = bytearray((tmp_path / "b.zip").read_bytes())
    raw[200] ^= 0xFF
    (tmp_path / "b.zip").write_bytes(raw)
    with pytest.raises(InputError, match=r"b\.zip must be a whole \.tar\.gz or \.zip of CIFAR-10"):
        load(tmp_path, "b.zip", shape=(32, 32, 3))
    for file in (tmp_path / "plain").iterdir():
        file.rename(file.with_suffix(".bin"))
    refused(
        "{folder}/plain must hold the CIFAR-10 batch data_batch_1, got no such file, but the "
        "binary version: fetch cifar10 again, its python version; class folders go into a zip",
        tmp_path,
        "plain",
        shape=(32, 32, 3),
        format="cifar",
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


def test_two_archives_in_one_folder(tmp_path):
    (tmp_path / "pets").mkdir()
    for name in ("a.zip", "b.zip"):
        (tmp_path / "pets" / name).write_bytes(b"")
    refused(
        "{folder}/pets must hold one .zip file, got 2: name the file itself in data.dataset",
        tmp_path,
        "pets",
    )
