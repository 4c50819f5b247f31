"""Images in the report: names of classes, wrong answers, heat maps with a scale."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
from PIL import Image

from exeunt.report import document, gallery, heatmaps, images


def stored(folder, **more):
    with np.load(folder / "splits.npz") as splits:
        np.savez(folder / "splits.npz", **{**splits, **more})


def test_classes_have_their_names(finished):
    names = [f"kind{i}" for i in range(10)]
    stored(finished, classes=np.array(names))
    answers = json.loads((finished / "simulation.json").read_text())["answers"]
    with np.load(finished / "splits.npz") as splits:
        labels = splits["test_labels"]
    (part,) = gallery.gallery(finished)["parts"]
    texts = {c["text"] for row in part["pictures"] for c in row["cells"]}
    wrong = next(i for i, c in enumerate(answers["class"]) if c != labels[i])
    said = f"said {names[answers['class'][wrong]]}, is {names[labels[wrong]]}"
    assert said in texts
    assert {t for t in texts if not t.startswith("said")} <= set(names)
    assert f'<span class="wrong">{said}</span>' in document.write(finished).read_text()


def test_classes_without_names_are_numbers(finished):
    assert images.class_names(finished) == []
    assert images.verdict([], 7, 7) == "7"
    assert images.verdict([], 7, 1) == "said 1, is 7"


def test_answers_name_their_images(finished):
    """Where a subset was simulated, `index` says which test images the answers are of."""
    path = finished / "simulation.json"
    data = json.loads(path.read_text())
    with np.load(finished / "splits.npz") as splits:
        pixels, labels = splits["test_images"], splits["test_labels"]
    data["answers"] = {"index": [7, 3], "exit": [0, 0], "class": [int(labels[7]), int(labels[3])]}
    path.write_text(json.dumps(data))
    (part,) = gallery.gallery(finished)["parts"]
    cells = part["pictures"][0]["cells"]
    assert not any(cell["wrong"] for cell in cells)
    wanted = {images.source(heatmaps.plain(pixels[i])) for i in (7, 3)}
    assert {cell["source"] for cell in cells} == wanted


def test_a_picture_is_in_the_page_itself():
    picture = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    head, data = images.source(picture).split(",")
    assert head == "data:image/png;base64"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))), picture)


def test_heat_is_red_for_and_blue_against_and_white_at_zero():
    picture = heatmaps.diverging(np.array([[2.0, -2.0], [0.0, 1.0]]))
    assert tuple(picture[0, 0]) == heatmaps.FOR
    assert tuple(picture[0, 1]) == heatmaps.AGAINST
    assert tuple(picture[1, 0]) == heatmaps.NOTHING
    assert picture[1, 1, 0] > picture[1, 1, 2]
    assert (heatmaps.diverging(np.zeros((2, 2))) == 247).all()


def test_heat_frames_the_exit_and_marks_wrong_answers():
    rows = [{"label": 1, "answers": [1, 0], "leaves": 1}]
    pixels = np.zeros((1, 4, 4, 1), np.uint8)
    part = images.heat(pixels, np.ones((1, 2, 4, 4)), rows, ["cat", "dog"])
    first, second, third = part["pictures"][0]["cells"]
    assert first["text"] == "dog"
    assert (second["text"], second["wrong"], second["frame"]) == ("dog", False, "")
    assert (third["text"], third["wrong"]) == ("said cat, is dog", True)
    assert third["frame"]
    assert part["scale"]["low"] == "against the answer"
