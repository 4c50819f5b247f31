"""Images in class folders and zips: what the folders mean, and what is refused in one sentence."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from exeunt.config.tree import Data
from exeunt.errors import InputError
from exeunt.quant.data import datasets, folders


def picture(path: Path, value: int = 0, mode: str = "L", size: tuple[int, int] = (5, 4), **more):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path, **more)


def tree(folder: Path, *names: str, mode: str = "L", count: int = 6) -> Path:
    """`count` images in each of the folders of these names, image k filled with k."""
    for name in names:
        for k in range(count):
            picture(folder / name / f"{k}.png", k, mode)
    return folder


def pack(folder: Path, path: Path, method: int = zipfile.ZIP_DEFLATED) -> bytearray:
    with zipfile.ZipFile(path, "w", method) as archive:
        for file in sorted(folder.rglob("*.png")):
            archive.write(file, file.relative_to(folder))
    return bytearray(path.read_bytes())


def load(path: Path, *, shape=(4, 5, 1), classes: int = 2, **section) -> datasets.Splits:
    data = Data(dataset=path.name, **{"validation": 0.3, "test": 0.2, **section})
    return datasets.load(data, path.parent, shape=shape, classes=classes)


def refused(path: Path, sentence: str, **arguments) -> None:
    with pytest.raises(InputError) as caught:
        load(path, **arguments)
    assert str(caught.value) == sentence.format(path=path)


def counts(splits: datasets.Splits) -> list[int]:
    total = [*splits.train.labels, *splits.validation.labels, *splits.test.labels]
    return np.bincount(total).tolist()


def test_folder_takes_the_end_of_every_class_in_natural_order(tmp_path):
    tree(tmp_path / "pets", "cat", "dog", count=10)
    splits = load(tmp_path / "pets", validation=0.25)
    assert splits.classes == ("cat", "dog")
    assert sorted(splits.test.images[:, 0, 0, 0].tolist()) == [8, 8, 9, 9]
    assert sorted(splits.validation.images[:, 0, 0, 0].tolist()) == [6, 6, 7, 7]
    assert splits.train.labels.tolist() == [0] * 6 + [1] * 6


def test_zip_is_read_in_place_and_halves_are_named_by_folders(tmp_path):
    for half in ("train", "test"):
        tree(tmp_path / "a" / half, "cat", "dog", mode="RGB", count=10)
    pack(tmp_path / "a", tmp_path / "pets.zip")
    packed = load(tmp_path / "pets.zip", shape=(4, 5, 3), validation=4)
    folder = load(tmp_path / "a", shape=(4, 5, 3), validation=4)
    assert np.array_equal(packed.train.images, folder.train.images)
    assert len(packed.test.labels) == 20
    assert len(packed.validation.labels) == 4


def test_first_folder_is_the_class_whatever_lies_deeper(tmp_path):
    path = tree(tmp_path / "ds", "a/mon", "a/tue", "b/mon", "c/mon", "c/wed/late")
    splits = load(path, classes=3)
    assert splits.classes == ("a", "b", "c")
    assert counts(splits) == [12, 6, 12]
    assert splits.notes == ()
    halves = tree(
        tmp_path / "h", "train/a/mon", "train/b/tue", "val/a/x", "val/b", "Test/a", "Test/b"
    )
    splits = load(halves)
    assert splits.classes == ("a", "b")
    assert [len(p.labels) for p in (splits.train, splits.validation, splits.test)] == [12, 12, 12]


def test_classes_are_numbered_as_text_and_it_is_said(tmp_path):
    path = tree(tmp_path / "ds", *map(str, range(1, 12)))
    splits = load(path, classes=11)
    assert splits.classes == ("1", "10", "11", "2", "3", "4", "5", "6", "7", "8", "9")
    assert splits.notes == (
        "classes are numbered in the order of their names as text, as torchvision's ImageFolder "
        "does: 1, 10, 11, 2, 3, 4, 5, 6 and 3 more",
    )
    assert load(tree(tmp_path / "few", "0", "1"), classes=2).notes == ()


def test_a_folder_around_everything(tmp_path):
    path = tree(tmp_path / "x", "pets/cat", "pets/dog")
    note = "the classes are the folders in pets/"
    assert (load(path).classes, load(path).notes) == (("cat", "dog"), (note,))
    pack(path, tmp_path / "x.zip")
    assert load(tmp_path / "x.zip").notes == (note,)
    tree(tmp_path / "y", "data/set/train/cat", "data/set/train/dog", "data/set/test/cat")
    splits = load(tmp_path / "y")
    assert splits.classes == ("cat", "dog")
    assert splits.notes[0] == "the classes are the folders in data/set/test/, data/set/train/"
    assert splits.notes[1] == "there are no test images of class dog"


def test_one_class_with_sessions_beside_an_empty_one(tmp_path):
    path = tree(tmp_path / "ds", "a/mon", "a/tue")
    (path / "b").mkdir()
    refused(
        path,
        "dataset {path} must have as many class folders as model.classes = 2, got 1 (a, and "
        "without images b): change model.classes or the folders",
    )


def test_junk_and_strays(tmp_path):
    path = tree(tmp_path / "ds", "a", "b")
    for name in (".ipynb_checkpoints/0.png", "a/.hidden.png", "b/._1.png", "__MACOSX/a/0.png"):
        picture(path / name)
    (path / "c").mkdir()
    (path / "readme.txt").write_text("x")
    (path / "a" / "notes.txt").write_text("x")
    picture(path / "preview.png", size=(9, 9))
    splits = load(path)
    assert splits.classes == ("a", "b")
    assert counts(splits) == [6, 6]
    assert splits.notes == (
        "1 images are in no class folder and were left out, such as preview.png",
        "folders without images: c",
    )


def test_test_images_without_classes(tmp_path):
    path = tree(tmp_path / "ds", "train/a", "train/b", "test")
    splits = load(path)
    assert splits.classes == ("a", "b")
    assert len(splits.test.labels) == 2
    assert splits.notes[0] == (
        "6 images are in no class folder and were left out, such as test/0.png"
    )


def test_a_class_may_be_called_train(tmp_path):
    splits = load(tree(tmp_path / "ds", "bus", "car", "train"), classes=3)
    assert splits.classes == ("bus", "car", "train")


@pytest.mark.parametrize(
    ("names", "classes", "sentence"),
    [
        (
            ["a", "b", "c"],
            7,
            "dataset {path} must have as many class folders as model.classes = 7, got 3 (a, b, c): "
            "change model.classes or the folders",
        ),
        (
            ["cat", "dog", "train/cat", "train/dog"],
            2,
            "{path} must hold its classes below train/ or at the top, got cat/, dog/, train/: move "
            "the training images to train/<class>/",
        ),
        (
            ["train", "test"],
            2,
            "{path} must hold its images as train/<class>/<image>, got test/0.png in no class: put "
            "the images into folders of their classes",
        ),
        (
            ["a/train", "a/test", "b/train", "b/test"],
            2,
            "{path} must have test/ above its classes, got a/test/: move it to test/a/",
        ),
        (
            ["train/a", "train/b", "test/a", "test/c"],
            3,
            "every class of dataset {path} must have training images, got none for 'c': add some "
            "or take it out of the other images",
        ),
        (
            ["test/a", "test/b"],
            2,
            "{path} must hold its classes below train/ or at the top, got test/: move the training "
            "images to train/<class>/",
        ),
        (
            ["."],
            2,
            "{path} must hold images as <class>/<image> with one of the endings .png, .jpg, .jpeg, "
            ".bmp, .gif, .pgm, .ppm, .tif, .tiff, .webp, got only images in no folder: check the "
            "path",
        ),
    ],
)
def test_folders_that_cannot_be_meant(tmp_path, names, classes, sentence):
    refused(tree(tmp_path / "ds", *names), sentence, classes=classes)


def test_folder_without_images(tmp_path):
    (tmp_path / "ds" / "cat").mkdir(parents=True)
    with pytest.raises(InputError, match=r"must hold images as <class>/<image> .* got none: check"):
        load(tmp_path / "ds")


@pytest.mark.parametrize(
    ("mode", "meaning"),
    [
        ("RGBA", "RGBA (colour with transparency)"),
        ("P", "P (colours from a palette)"),
        ("I;16", "I;16 (grey of 16 bits)"),
        ("1", "1 (black and white)"),
        ("LA", "LA (grey with transparency)"),
        ("RGB", "RGB"),
    ],
)
def test_pixels_of_another_type(tmp_path, mode, meaning):
    path = tree(tmp_path / "ds", "a", "b")
    picture(path / "b" / "7.png", 0, mode)
    refused(
        path,
        f"{{path}}:b/7.png must be 8-bit L for model.input with 1 channels, got {meaning}: convert "
        "it or change model.input",
    )


def test_images_of_wrong_size_or_content(tmp_path):
    path = tree(tmp_path / "ds", "a", "b", mode="RGB")
    refused(
        path,
        "{path}:a/0.png must be 5x4 as model.input says, got 4x5: resize it or change model.input",
        shape=(5, 4, 3),
    )
    refused(
        path,
        "model.input must have 1 or 3 channels for images in folders, got 4: take IDX files for "
        "others",
        shape=(4, 5, 4),
    )
    for content in (b"", b"not a picture", (path / "a/0.png").read_bytes()[:45]):
        (path / "b/3.png").write_bytes(content)
        refused(
            path,
            "{path}:b/3.png must be an image that can be decoded, got one that cannot: remove or "
            "replace it",
            shape=(4, 5, 3),
        )


def test_pictures_of_many_megapixels_are_refused_before_they_are_unpacked(tmp_path):
    path = tree(tmp_path / "ds", "a", "b")
    row = Image.new("L", (14000, 1))
    raw = io.BytesIO()
    row.save(raw, "PNG")
    for height, sentence in (
        (14000, "got one of more than 178 megapixels: resize it"),
        (9000, "got 9000x14000: resize it or change model.input"),  # Pillow warns of it
    ):
        content = bytearray(raw.getvalue())
        content[20:24] = height.to_bytes(4, "big")
        content[29:33] = __import__("zlib").crc32(content[12:29]).to_bytes(4, "big")
        (path / "b" / "7.png").write_bytes(content)
        refused(path, f"{{path}}:b/7.png must be 4x5 as model.input says, {sentence}")


def test_a_file_that_cannot_be_read(tmp_path):
    path = tree(tmp_path / "ds", "a", "b")
    (path / "b" / "7.png").symlink_to("/proc/self/mem")  # also root gets an error from it
    refused(
        path,
        "{path}:b/7.png must be readable, got input/output error: change its permissions or take "
        "it away",
    )


def test_images_that_are_to_be_turned(tmp_path):
    path = tree(tmp_path / "ds", "a", "b")
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(path / "b" / "7.png", exif=exif)
    assert load(path).notes == (
        "1 images say in their EXIF data that they are to be turned; they are taken as they are "
        "stored",
    )


def headers(raw: bytearray, at: int, value: int) -> bytearray:
    """One byte of every local and central header of a zip file."""
    for mark, place in ((b"PK\1\2", at + 2), (b"PK\3\4", at)):
        k = -1
        while (k := raw.find(mark, k + 1)) >= 0:
            raw[k + place] = value
    return raw


@pytest.mark.parametrize(
    ("at", "value", "sentence"),
    [
        (6, 1, "must be packed without a password, got one that needs it: pack it again"),
        (
            8,
            9,
            "must be packed by deflate or not at all, got deflate64: pack it again, or unpack it "
            "into a folder",
        ),
        (
            8,
            97,
            "must be packed by deflate or not at all, got wavpack: pack it again, or unpack it "
            "into a folder",
        ),
    ],
)
def test_zips_that_cannot_be_unpacked(tmp_path, at, value, sentence):
    raw = pack(tree(tmp_path / "a", "cat", "dog"), tmp_path / "b.zip")
    (tmp_path / "b.zip").write_bytes(headers(raw, at, value))
    refused(tmp_path / "b.zip", "{path}:cat/0.png " + sentence)


def test_other_packings_are_read(tmp_path):
    tree(tmp_path / "a", "cat", "dog")
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        pack(tmp_path / "a", tmp_path / "b.zip", method)
        assert counts(load(tmp_path / "b.zip")) == [6, 6]
    raw = pack(tmp_path / "a", tmp_path / "b.zip", zipfile.ZIP_LZMA)
    place = raw.find(b"PK\3\4", 10) - 20
    raw[place : place + 8] = b"\xff" * 8
    (tmp_path / "b.zip").write_bytes(raw)
    refused(
        tmp_path / "b.zip",
        "{path}:cat/0.png must be whole, got a damaged entry: fetch or pack it again",
    )


def test_names_as_windows_writes_them(tmp_path):
    tree(tmp_path / "a", "cat", "dog")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        for file in sorted((tmp_path / "a").rglob("*.png")):
            name = str(file.relative_to(tmp_path / "a")).replace("/", "\\")
            archive.writestr(zipfile.ZipInfo(name), file.read_bytes())
    assert load(tmp_path / "b.zip").classes == ("cat", "dog")


def test_damaged_zip(tmp_path):
    raw = pack(tree(tmp_path / "a", "cat", "dog"), tmp_path / "b.zip")
    whole = (
        "{path} must be a whole zip file, got one that breaks off or is damaged: fetch or pack it "
        "again"
    )
    for content in (raw[:-50], b"", b"nothing"):
        (tmp_path / "b.zip").write_bytes(content)
        refused(tmp_path / "b.zip", whole)
    raw[60] ^= 0xFF
    (tmp_path / "b.zip").write_bytes(raw)
    refused(
        tmp_path / "b.zip",
        "{path}:cat/0.png must be whole, got a damaged entry: fetch or pack it again",
    )


def test_an_entry_of_many_megabytes(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "_MOST", 1 << 20)
    tree(tmp_path / "a", "cat", "dog")
    (tmp_path / "a" / "dog" / "7.png").write_bytes(bytes(3 << 20))
    pack(tmp_path / "a", tmp_path / "b.zip")
    assert os.path.getsize(tmp_path / "b.zip") < 1 << 16
    refused(
        tmp_path / "b.zip",
        "{path}:dog/7.png must be an image of at most 1 MB, got 3 MB: take it out",
    )
