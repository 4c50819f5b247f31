"""`exeunt new`: a config for a folder of images, that runs; what it refuses."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from exeunt.command import cli
from exeunt.config import tree


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        cli.main(list(arguments))
    return int(caught.value.code or 0)


def picture(path: Path, size: tuple[int, int] = (8, 8), mode: str = "L", value: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, (value,) * len(mode) if mode == "RGB" else value).save(path)


def classes(folder: Path, *names: str, count: int = 20, **kind) -> Path:
    for name in names:
        for k in range(count):
            picture(folder / name / f"{k}.png", **kind)
    return folder


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("size", "mode", "sides"),
    [
        ((1, 1), "L", [1, 1, 1]),
        ((3, 5), "L", [3, 3, 3]),
        ((8, 8), "L", [4, 2, 2]),
        ((28, 28), "L", [14, 7, 3]),
        ((32, 32), "RGB", [16, 8, 4]),
        ((96, 64), "RGB", [8, 4, 2]),
        ((224, 224), "RGB", [14, 7, 3]),
        ((200, 4), "L", [2, 2, 2]),
    ],
)
def test_config_fits_images_of_any_size(here, capsys, size, mode, sides):
    from exeunt.config.layers import behind

    classes(here / "pictures", "cat", "dog", "eel", count=2, size=size, mode=mode)
    assert call("new", "mine", "--images", "pictures") == 0
    assert call("config", "mine.toml") == 0
    loaded = tree.load("mine.toml")
    assert loaded.model.input == (size[1], size[0], len(mode))
    assert loaded.model.classes == 3
    shape, reached = loaded.model.input, []
    for i, stage in enumerate(loaded.model.stages):
        for block in stage.blocks:
            shape = behind(block, shape, f"stages[{i}]")
        reached.append(min(shape[:2]))
    assert reached == sides
    told = capsys.readouterr().out.splitlines()
    colour = "grey" if mode == "L" else "colour"
    assert told[:3] == [
        f"mine.toml: 3 classes, 6 images, {size[1]} x {size[0]}, {colour}",
        "warning: a class has 2 images; figures for so few say little",
        "next: exeunt run mine.toml",
    ]


def test_what_the_config_says(here, capsys):
    classes(here / "data" / "pets", "10", "2", "a\tb\nc", count=100)
    assert call("new", "pets.toml", "--images", "data/pets") == 0
    text = Path("pets.toml").read_text()
    assert text.startswith("# 3 classes of 8 x 8 grey images: 204 train, 36 validation, 60 test.\n")
    assert "classes = 3  # in the order of their names as text: 10, 2, a b c\n" in text
    loaded = tree.load("pets.toml")
    assert loaded.name == "pets"
    assert (loaded.data.dataset, loaded.data.format) == ("pets", "folder")  # below --data
    assert (loaded.data.validation, loaded.data.test) == (0.15, 0.2)
    assert loaded.train.epochs == 120
    assert loaded.calibrate.shift == 1
    assert loaded.compile.target_cycles == 4 * 64
    assert "warning" not in capsys.readouterr().out
    for line in text.splitlines():
        assert len(line) <= 100


def test_halves_and_zips_are_as_the_data_room_reads_them(here):
    from exeunt.quant.data import datasets

    classes(here / "set" / "train", "a", "b", count=40, mode="RGB", size=(6, 5))
    classes(here / "set" / "val", "a", "b", count=5, mode="RGB", size=(6, 5))
    classes(here / "set" / "test", "a", "b", count=7, mode="RGB", size=(6, 5))
    with zipfile.ZipFile("set.zip", "w") as archive:
        for path in sorted(Path("set").rglob("*.png")):
            archive.write(path)
    for name in ("set", "set.zip"):
        assert call("new", "mine", "--images", name, "--force") == 0
        loaded = tree.load("mine.toml")
        assert "80 train, 10 validation, 14 test" in Path("mine.toml").read_text()
        assert loaded.data.dataset == str(here / name)
        assert loaded.data.format == ("folder" if name == "set" else "zip")
        splits = datasets.load(
            loaded.data, here / "data", shape=loaded.model.input, classes=loaded.model.classes
        )
        assert splits.classes == ("a", "b")
        parts = (splits.train, splits.validation, splits.test)
        assert [len(part.labels) for part in parts] == [80, 10, 14]


def test_an_existing_file_is_not_written_over(here, capsys):
    classes(here / "pictures", "a", "b")
    Path("mine.toml").write_text("mine")
    assert call("new", "mine", "--images", "pictures") == 2
    assert capsys.readouterr().err == (
        "exeunt: mine.toml must not be there yet, got a file of that name: choose another name, or "
        "add --force to write over it\n"
    )
    assert Path("mine.toml").read_text() == "mine"
    assert call("new", "mine", "--images", "pictures", "--force") == 0
    assert tree.load("mine.toml").model.classes == 2


def test_a_folder_that_cannot_be_written(here, capsys):
    classes(here / "pictures", "a", "b")
    Path("mine.toml").mkdir()
    assert call("new", "mine", "--images", "pictures", "--force") == 2
    assert capsys.readouterr().err == (
        "exeunt: mine.toml must be a file that can be written, got is a directory: change that, or "
        "go to another folder\n"
    )


@pytest.mark.parametrize("name", ["a b", "-x", "", "digits", "sub/mine"])
def test_names_that_no_run_can_have(here, capsys, name):
    classes(here / "pictures", "a", "b")
    assert call("new", "--images", "pictures", "--", name) == 2
    err = capsys.readouterr().err
    assert err.startswith(
        "exeunt: the name must be letters, digits, '_', '.' and '-' after a letter or digit, and "
        "none of b-lenet, "
    )
    assert err.endswith(f"got {name!r}: choose another\n")


def gone(folder: Path) -> None:
    del folder


def empty(folder: Path) -> None:
    (folder / "a").mkdir(parents=True)


def loose(folder: Path) -> None:
    picture(folder / "1.png")


def one(folder: Path) -> None:
    classes(folder, "cat")


def sizes(folder: Path) -> None:
    classes(folder, "a", "b")
    picture(folder / "b" / "other.png", size=(9, 7))


def types(folder: Path) -> None:
    classes(folder, "a", "b")
    picture(folder / "b" / "other.png", mode="RGB")


def palette(folder: Path) -> None:
    classes(folder, "a", "b", mode="P", count=3)


def damaged(folder: Path) -> None:
    classes(folder, "a", "b")
    (folder / "b" / "bad.png").write_bytes(b"no image")


def untrained(folder: Path) -> None:
    classes(folder / "train", "a", "b")
    classes(folder / "test", "a", "b", "c")


def untrainable(folder: Path) -> None:
    classes(folder / "test", "a", "b")


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            gone,
            "the images must be a folder or a zip of <class>/<image>, got pictures, where there is "
            "nothing: check the path",
        ),
        (
            empty,
            "pictures must hold images as <class>/<image> with one of the endings .*, got none: "
            "check the path",
        ),
        (
            loose,
            "pictures must hold images as <class>/<image> with one of the endings .*, got only "
            "images in no folder: check the path",
        ),
        (
            one,
            r"pictures must hold at least two classes, got one \(cat\): put the images of each "
            "class into a folder of its own",
        ),
        (
            sizes,
            "images of pictures must all have one size and one type, since a network takes no "
            r"other, got 8 x 8 grey \(40, such as a/\d+.png\) and 7 x 9 grey \(1, such as "
            r"b/other.png\): resize or convert them",
        ),
        (
            types,
            "images of pictures must all have one size and one type, since a network takes no "
            r"other, got 8 x 8 grey \(40, such as a/\d+.png\) and 8 x 8 colour \(1, such as "
            r"b/other.png\): resize or convert them",
        ),
        (
            palette,
            r"images of pictures must be 8-bit grey \(L\) or colour \(RGB\), got P \(colours from "
            r"a palette\) in 6, such as \w/\d.png: convert them",
        ),
        (
            damaged,
            "pictures:b/bad.png must be an image that can be decoded, got one that cannot: remove "
            "or replace it",
        ),
        (
            untrained,
            "every class of pictures must have training images, got none for 'c': add some or take "
            "it out of the other images",
        ),
        (
            untrainable,
            "pictures must hold its classes below train/ or at the top, got test/: move the "
            "training images to train/<class>/",
        ),
    ],
)
def test_images_that_no_network_can_take(here, capsys, make, sentence):
    make(here / "pictures")
    assert call("new", "mine", "--images", "pictures") == 2
    err = capsys.readouterr().err
    assert re.fullmatch(f"exeunt: {sentence}\n", err), err
    assert not Path("mine.toml").exists()


def bars(folder: Path) -> None:
    """Images of 8 x 8 pixels with a bright bar that lies, stands, or is absent."""
    draw = np.random.default_rng(0)
    for name in ("lying", "standing", "without"):
        (folder / name).mkdir(parents=True)
        for k in range(40):
            image = draw.integers(0, 60, (8, 8), dtype=np.uint8)
            at = draw.integers(1, 7)
            if name == "lying":
                image[at] = 220
            elif name == "standing":
                image[:, at] = 220
            Image.fromarray(image).save(folder / name / f"{k}.png")


def short(path: Path) -> None:
    """Fewer epochs, so that the test is short."""
    text = path.read_text()
    assert "epochs = 120 " in text
    path.write_text(text.replace("epochs = 120 ", "epochs = 12 "))


@pytest.mark.sim
@pytest.mark.slow
def test_new_config_goes_through_the_rtl(here, capsys):
    bars(here / "bars")
    assert call("new", "mine", "--images", "bars") == 0
    short(here / "mine.toml")
    assert call("run", "mine.toml") == 0
    report = json.loads((here / "build" / "mine" / "report.json").read_text())
    assert report["simulation"]["images"] == 24  # a fifth of 120
    assert report["simulation"]["mismatches"] == 0
    assert report["accuracy"]["early_exit"] > 0.6  # a third would be chance
