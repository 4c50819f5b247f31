"""`exeunt explain`: pictures, figures, a user's own images, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from exeunt.config import tree
from exeunt.errors import InputError
from exeunt.quant.calibrate import calibrate
from exeunt.quant.explain import explain, read_image
from exeunt.report import document, heatmaps, store
from exeunt.splits import read_split


@pytest.fixture(scope="module")
def run(tiny: tree.Config, trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("explain") / "run"
    shutil.copytree(trained, folder)
    calibrate(tiny, folder)
    return folder


def quick(whole: tree.Config, **explain: object) -> tree.Config:
    section = whole.explain.model_copy(update={"shown": 5, "measured": 0, **explain})
    return whole.model_copy(update={"explain": section})


def test_test_images(tiny, run, monkeypatch):
    monkeypatch.setattr("exeunt.quant.explain.METHODS", ("saliency", "deeplift", "lrp-epsilon"))
    told: list[str] = []
    explain(quick(tiny, measured=8), run, progress=lambda d, n, text="": told.append(text))
    assert told[-1] == "5 test images by deeplift, at 2 exits"
    found = json.loads((run / "explain.json").read_text())
    assert len(found["images"]) == 5
    files = sorted(p.name for p in (run / "explain").glob("*.png"))
    assert files == sorted(f for row in found["images"] for f in row["pictures"])
    assert len(files) == 10  # of each image one for each of two exits
    labels = read_split(run / "splits.npz", "test").labels
    assert all(labels[row["index"]] == row["label"] for row in found["images"])
    with np.load(run / "explain" / "maps.npz") as maps:
        assert maps["maps"].shape == (5, 2, 8, 8)
        assert np.abs(maps["maps"]).max((2, 3)).all()
    assert {row["layer"] for row in found["layers"] if row["exit"] == 0} == {
        *("segments.0.0", "heads.0.1")
    }
    for exit in (0, 1):  # complete: the same difference in every layer
        sums = [row["for"] + row["against"] for row in found["layers"] if row["exit"] == exit]
        assert np.allclose(sums, sums[0], rtol=1e-4)
    figures = store.read(run)["faithfulness"]
    assert set(figures) == {"deeplift", "saliency", "lrp-epsilon"}
    assert figures["deeplift"]["completeness_error"] <= 1e-4
    assert figures["deeplift"]["completeness_error_captum"] > 1e-3
    document.write(run)
    page = (run / store.HTML).read_text()
    assert "What the answers rest on" in page
    assert "rho, float network" in page


def test_figures_of_quantus(tiny, run, monkeypatch):
    asked = []

    def figures(method, network, images, *, reference):
        asked.append((method, len(images), reference.shape))
        return {"pixel_flipping": 0.1234, "mprt": None}

    monkeypatch.setattr("exeunt.quant.explain.METHODS", ("saliency", "deeplift"))
    monkeypatch.setattr("exeunt.quant.explain.quantus_figures", figures)
    explain(quick(tiny, measured=8, quantus=True), run)
    assert asked == [("deeplift", 8, (8, 8, 1)), ("saliency", 8, (8, 8, 1))]
    assert store.read(run)["faithfulness"]["saliency"]["quantus"]["pixel_flipping"] == 0.1234
    document.write(run)
    page = (run / store.HTML).read_text()
    assert "The same maps by Quantus, 8 test images" in page
    assert "0.123" in page
    kept = (run / "explain.json").read_bytes()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        InputError, match=r"^explain\.quantus must find the package quantus, got none"
    ):
        explain(quick(tiny, quantus=True), run)
    assert (run / "explain.json").read_bytes() == kept


# of a.png, b.png, a-2.png, B-exit1.png and a.jpg: no picture is another one's original
NAMES = ("a", "b", "a-2", "B-exit1-2", "a-3")


def test_own_images(tiny, run, tmp_path):
    image = read_split(run / "splits.npz", "test").images[0, :, :, 0]
    names = []
    for name in ("a.png", "b.png", "a-2.png", "B-exit1.png"):
        names.append(str(tmp_path / name))
        Image.fromarray(image).save(names[-1])
    big = tmp_path / "a.jpg"
    Image.fromarray(np.full((20, 30, 3), 99, np.uint8)).save(big)
    before = (run / store.JSON).read_bytes()
    told: list[str] = []
    explain(
        quick(tiny, method="saliency"),
        run,
        images=[*names, str(big)],
        resize=True,
        progress=lambda d, n, text="": told.append(text),
    )
    assert told[-1] == "5 images of your own by saliency"
    assert (run / store.JSON).read_bytes() == before
    files = sorted(p.name for p in (run / "explained").iterdir())
    pictures = [f"{n}{e}.png" for n in NAMES for e in ("-exit0", "-exit1", "")]
    assert files == sorted([*pictures, "index.html"])
    page = (run / "explained" / "index.html").read_text()
    assert page.count("data:image/png;base64,") == 15
    assert page.count('class="leaves"') == 5
    with Image.open(run / "explained" / "a-exit0.png") as picture:
        assert picture.size == (224, 224)


def test_images_that_cannot_be_used(tmp_path):
    wide = tmp_path / "wide.png"
    Image.fromarray(np.zeros((8, 9, 3), np.uint8)).save(wide)
    broken = tmp_path / "broken.png"
    broken.write_bytes(wide.read_bytes()[:40])
    for path, sentence in (
        (
            wide,
            f"image {wide} must be 8 x 8 x 1 (H x W x C) as model.input says, got 8 x 9 x 3: crop "
            "it or add --resize",
        ),
        (
            broken,
            f"image {broken} must be a PNG or JPEG file, got one that cannot be read: save it "
            "again",
        ),
        (
            tmp_path / "no.png",
            f"image {tmp_path / 'no.png'} must be a PNG or JPEG file, got no such file: check it",
        ),
    ):
        with pytest.raises(InputError) as error:
            read_image(path, (8, 8, 1))
        assert str(error.value) == sentence
    assert read_image(wide, (8, 8, 1), resize=True).shape == (8, 8, 1)
    with pytest.raises(InputError, match="must have 1 or 3 channels to show images, got 2"):
        read_image(wide, (8, 9, 2))


def test_without_thresholds(tiny, trained):
    with pytest.raises(InputError, match=r"exits.json must hold the exit thresholds, got none"):
        explain(quick(tiny), trained)


def test_colours_say_which_way():
    image, heat = np.zeros((2, 2, 1), np.uint8), np.array([[2.0, -2.0], [0.0, 1.0]])
    picture = heatmaps.overlay(image, heat)
    assert tuple(picture[0, 0]) == heatmaps.FOR
    assert tuple(picture[0, 1]) == heatmaps.AGAINST
    assert tuple(picture[1, 0]) == (255, 255, 255)
    assert 255 > picture[1, 1, 2] > heatmaps.FOR[2]
    assert heatmaps.enlarged(picture, 5).shape == (6, 6, 3)
