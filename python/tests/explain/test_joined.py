"""Explanations joined to an accelerator, as RTL: every word of every map in its cycle."""

from __future__ import annotations

import dataclasses
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from exeunt import manifest as manifests
from exeunt import rules, samples
from exeunt.config import tree
from exeunt.errors import CheckFailed, InputError
from exeunt.explain import backward, context, hardware, measured
from exeunt.explain.choice import ANY, NONE
from exeunt.explain.joined import Asked
from exeunt.explain.program import METHODS
from exeunt.graph import Accelerator
from exeunt.hls.back import stitch
from exeunt.manifest import Manifest
from exeunt.reference import network
from exeunt.report import document
from exeunt.runtime.maps import LEVELS
from exeunt.simulate import answers, bulk, heatmaps, maps, verilator
from exeunt.simulate.maps import Checked, Maps

FRAMES = 60
GRADIENTS = METHODS[:4]
QUICK = verilator.Options(quick=True)
CASES = {
    "three exits": METHODS,
    "sums and concatenation": METHODS,
    "tangled 6": GRADIENTS,
    "depthwise": ("saliency", "gradient-x-input"),
    "tiled sum with a rest": ("guided-backprop",),
}


@dataclass(frozen=True)
class Design:
    """A compiled accelerator that explains, with images and what the reference answers."""

    manifest: Manifest
    library: Path
    accelerator: Accelerator
    images: np.ndarray
    logits: tuple[np.ndarray, ...]

    def run(self, asked: Asked, settings: bulk.Settings = bulk.CONTINUOUS) -> answers.Answers:
        """All images, with maps as they are asked for."""
        return answers.answer(
            self.manifest, self.library, self.images, self.logits, settings=settings,
            maps=self.maps(asked),
        )  # fmt: skip

    def maps(self, asked: Asked) -> Maps:
        """What is asked for."""
        (first, *_) = maps.wanted(self.manifest, self.accelerator)
        return dataclasses.replace(first, asked=asked)

    def checked(self, asked: Asked, settings: bulk.Settings = bulk.CONTINUOUS) -> Checked:
        """The maps against the reference."""
        found = self.run(asked, settings)
        assert not len(found.wrong)
        exact = not settings.map_stall
        return maps.check(
            self.maps(asked), self.images, found.slices[0].trace, found.got, exact=exact
        )


def compiled(
    whole: Accelerator, images: np.ndarray, methods: tuple[str, ...], folder: Path, slots: int = 2
) -> Design:
    """RTL with thresholds at which images leave at every exit."""
    logits = network.run(whole, images).logits
    two = [np.sort(x, axis=1)[:, -2:] for x in logits[:-1]]
    limits = [int(np.quantile(x[:, 1] - x[:, 0], 0.6)) for x in two]
    explained = hardware.calibrated(whole, images[:20], methods=methods, slots=slots, every=3)
    found = stitch.write(whole, folder, thresholds=[*limits, None], explained=explained)
    library = verilator.build(found, options=QUICK)
    return Design(found, library, found.accelerator(), images, logits)


@pytest.fixture(scope="module")
def three(graphs: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Design:
    whole = graphs.straight(graphs.GRAPHS["three exits"]())
    return compiled(whole, graphs.frames(whole, FRAMES), METHODS, tmp_path_factory.mktemp("three"))


@pytest.mark.sim
@pytest.mark.parametrize("name", [*CASES])
def test_every_word_in_its_cycle(name: str, graphs: ModuleType, tmp_path: Path) -> None:
    whole = graphs.straight(graphs.GRAPHS[name]())
    methods = CASES[name]
    design = compiled(whole, graphs.frames(whole, FRAMES), methods, tmp_path)
    assert [METHODS[m.asked.method] for m in maps.wanted(design.manifest, whole)] == [*methods]
    seen = set()
    for method in methods:
        found = design.checked(Asked(1, METHODS.index(method)))
        assert found.wrong is None
        assert len(found.given.requests) + found.given.missed == FRAMES
        seen |= {request.exit for request in found.given.requests}
    assert seen == set(range(len(whole.heads)))


@pytest.mark.sim
def test_which_frames_are_explained(three: Design) -> None:
    every = three.checked(Asked(3, 1))
    assert every.wrong is None
    assert {r.id % 3 for r in every.given.requests} == {0}
    asked = three.checked(Asked(0, 0, ids=(5, 17, 40)))
    assert asked.wrong is None
    assert [r.id for r in asked.given.requests] == [5, 17, 40]
    exits = three.run(Asked(0, 0)).got["exit"]
    late = three.checked(Asked(1, 4, below=(NONE, NONE, ANY), wait=True))
    assert late.wrong is None
    assert sorted(r.id for r in late.given.requests) == np.flatnonzero(exits == 2).tolist()
    scores = three.run(Asked(0, 0)).got["score"]
    limit = int(np.median(scores[exits == 0]))
    some = three.checked(Asked(1, 4, below=(limit, NONE, NONE), wait=True))
    assert some.wrong is None
    low = np.flatnonzero((exits == 0) & (scores < limit))
    assert sorted(r.id for r in some.given.requests) == low.tolist()


@pytest.mark.sim
def test_frames_wait_for_a_slot_or_go_unexplained(three: Design) -> None:
    plain, meanwhile = three.run(Asked(0, 0)), three.run(Asked(1, 0))
    assert plain.cycles == meanwhile.cycles, "inference must never wait for explanations"
    assert (plain.left == meanwhile.left).all()
    assert three.checked(Asked(1, 0)).given.missed > 0
    waiting = three.checked(Asked(1, 0, wait=True))
    assert waiting.wrong is None
    assert (len(waiting.given.requests), waiting.given.missed) == (FRAMES, 0)
    assert three.run(Asked(1, 0, wait=True)).cycles > plain.cycles


@pytest.mark.sim
@pytest.mark.parametrize("stall", [0.3, 0.95])
def test_slow_readers_of_either_stream(three: Design, stall: float) -> None:
    results = bulk.Settings(idle=0.3, stall=stall, seed=2)
    assert three.checked(Asked(1, 1, wait=True), results).wrong is None
    both = bulk.Settings(stall=stall / 2, map_stall=stall, seed=3)
    found = three.checked(Asked(1, 1, wait=True), both)
    assert found.wrong is None
    assert len(found.sizes) == FRAMES
    dropping = three.checked(Asked(1, 1), both)
    assert dropping.wrong is None
    assert 0 < len(dropping.sizes) < FRAMES


@pytest.mark.sim
def test_modified_images_are_explained_as_they_are_seen(graphs: ModuleType, tmp_path: Path) -> None:
    moved = rules.RuleSet((8, 8, 1), (rules.Rule((), rules.Modification(dx=1, dy=-1)),))
    whole = dataclasses.replace(graphs.straight(samples.accelerator()), rules=moved)
    images = samples.images(FRAMES, seed=3)
    design = compiled(whole, images, ("gradient-x-input",), tmp_path)
    assert design.checked(Asked(1, 1)).wrong is None


def _broken(design: Design, file: str, old: str, new: str, folder: Path) -> Design:
    """The design with a text of one file replaced."""
    shutil.copytree(design.manifest.folder, folder, ignore=shutil.ignore_patterns(".sim"))
    path = folder / "rtl" / file
    text = path.read_text()
    assert text.count(old) == 1, f"{file}: {text.count(old)} of {old}"
    path.write_text(text.replace(old, new))
    found = manifests.write(folder, design.manifest.data)
    return dataclasses.replace(
        design, manifest=found, library=verilator.build(found, options=QUICK)
    )


@pytest.mark.sim
@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("exeunt_explain.sv", ".take(see_image_take)", ".take(1'b1)", "word"),
        ("exeunt_explain.sv", ".s_slot(request_slot)", ".s_slot(~request_slot)", "word"),
        ("exeunt_core.sv", ".scores({", ".scores(~{", ""),
        ("ex_explain_sweep.sv", "assign m_data = ", "assign m_data = 1 ^ ", "word"),
        ("exeunt_explain.sv", ".decide(decide), .take(take)", ".decide(decide), .take(decide)", ""),
        ("ex_explain_slots.sv", "kept = want && used_q != '1;", "kept = want;", ""),
    ],
)
def test_what_is_broken_is_found(
    three: Design, file: str, old: str, new: str, said: str, tmp_path: Path
) -> None:
    design = _broken(three, file, old, new, tmp_path / "run")
    exits = three.run(Asked(0, 0)).got["exit"]
    scores = three.run(Asked(0, 0)).got["score"]
    limit = int(np.median(scores[exits == 0]))
    found = design.checked(Asked(1, 1, below=(limit, ANY, ANY)))
    assert found.wrong is not None
    assert said in found.wrong.text
    told = maps.sentence(found.wrong, 100)
    assert told.startswith("the RTL must give the maps of the reference, and ")
    assert f"--frame {100 + found.wrong.frame}" in told


def test_what_a_manifest_keeps_is_the_same_engine(graphs: ModuleType) -> None:
    whole = graphs.straight(graphs.GRAPHS["three exits"]())
    made = hardware.calibrated(
        whole, graphs.frames(whole, 20), methods=("grad-cam", "saliency"), bits=6, prune=0.1,
        lanes=4, slots=3, every=0,
    )  # fmt: skip
    assert made.methods == ("saliency", "grad-cam")
    again = hardware.from_json(whole, made.to_json())
    assert again.engine.parameters == made.engine.parameters
    assert again.engine.tables == made.engine.tables
    assert again.engine.steps == made.engine.steps
    assert (again.slots, again.every, again.exits) == (3, 0, 3)
    assert made.to_json()["maps"]["saliency"][1] == list(whole.image_shape)


CONFIG = """
name = "three"
[data]
dataset = "digits"
[model]
source = "qonnx:none.onnx"
input = [8, 8, 1]
classes = 10
[explain]
shown = 5
measured = 12
[compile]
clock_mhz = 200.0
"""


@pytest.fixture
def run_folder(three: Design, tmp_path: Path) -> Path:
    """A run folder with the design and its images."""
    folder = tmp_path / "run"
    shutil.copytree(three.manifest.folder, folder)
    labels = np.arange(FRAMES) % 10
    parts = {"test": slice(0, 40), "validation": slice(40, 60), "train": slice(0, 0)}
    np.savez(
        folder / "splits.npz",
        classes=np.array([str(i) for i in range(10)]),
        **{f"{name}_images": three.images[where] for name, where in parts.items()},
        **{f"{name}_labels": labels[where] for name, where in parts.items()},
    )
    return folder


@pytest.mark.sim
def test_maps_are_drawn_and_measured(three: Design, run_folder: Path) -> None:
    told: list[str] = []
    heatmaps.heatmaps(
        tree.parse(CONFIG), run_folder, progress=lambda done, total, text="": told.append(text)
    )
    assert told[-1] == "25 maps of the RTL, 0 mismatches"
    found = json.loads((run_folder / "heatmaps.json").read_text())
    assert found["methods"] == [*METHODS]
    assert len(found["images"]) == 5
    explained = heatmaps.explained_by(three.manifest, three.accelerator)
    with np.load(run_folder / "heatmaps.npz") as stored:
        for row, image in zip(found["images"], stored["images"], strict=True):
            assert set(row["cycles"]) == set(row["bits"]) == {*METHODS}
            assert min(row["cycles"].values()) > 100
            program = explained.programs["gradient-x-input", row["exit"]]
            frames = context.forward(three.accelerator, program, image[None])
            real = backward.real(program, frames, np.array([row["answer"]]))[0].sum(axis=2)
            heat = stored["heat gradient-x-input"][found["images"].index(row)]
            assert np.corrcoef(real.ravel(), heat.ravel())[0, 1] > 0.9
    exits = {row["exit"] for row in found["figures"]}
    assert sum(row["images"] for row in found["figures"] if row["method"] == "saliency") == 12
    for row in found["figures"]:
        assert row["maps_per_second"] == 200e6 / row["busy"]
        assert row["spearman"] > 0.8  # noise through a random network
        assert row["cycles"] < row["dense_cycles"] + 100 or row["method"] == "grad-cam"
    trade = {(row["bits"], row["prune"]): row for row in found["trade"]}
    assert set(trade) == {*measured.pairs(8)}
    assert trade[4, 0.0]["spearman"] < trade[12, 0.0]["spearman"]
    assert trade[8, 0.2]["size"] < trade[8, 0.0]["size"]
    page = document.write(run_folder).read_text()
    assert "Heat maps from the accelerator" in page
    assert page.count("data:image/png") >= 5 * (1 + len(METHODS))
    assert f"exit {max(exits)}" in page


@pytest.mark.sim
def test_images_of_a_user(three: Design, run_folder: Path) -> None:
    pictures = [("some/one.png", three.images[3]), ("two.jpg", three.images[4])]
    heatmaps.heatmaps(tree.parse(CONFIG), run_folder, pictures=pictures)
    rows = json.loads((run_folder / "heatmaps" / "answers.json").read_text())
    assert [row["image"] for row in rows] == ["some/one.png", "two.jpg"]
    names = {p.name for p in (run_folder / "heatmaps").glob("*.png")}
    assert names == {f"{name}-{method}.png" for name in ("one", "two") for method in METHODS}
    assert not (run_folder / "heatmaps.json").exists()


def test_maps_of_a_design_that_has_none(tmp_path: Path) -> None:
    found = stitch.write(samples.accelerator(), tmp_path)
    with pytest.raises(InputError) as caught:
        heatmaps.heatmaps(tree.parse(CONFIG), tmp_path)
    assert str(caught.value) == (
        f"{found.folder} must hold a design that explains its frames, got one that does not: set "
        "explain.hardware = true and do `exeunt compile`"
    )


@pytest.mark.sim
def test_a_map_that_is_wrong_is_not_drawn(three: Design, tmp_path: Path) -> None:
    design = _broken(
        three, "ex_explain_sweep.sv", "assign m_data = ", "assign m_data = 1 ^ ", tmp_path / "r"
    )
    explained = heatmaps.explained_by(design.manifest, design.accelerator)
    with pytest.raises(CheckFailed, match="the RTL must give the maps of the reference"):
        heatmaps.draw(
            design.manifest, design.accelerator, explained, design.images[:4], tmp_path / ".sim"
        )


@pytest.mark.parametrize("method", ["saliency", "gradient-x-input"])
def test_one_number_a_pixel_is_measured_as_such(method: str, graphs: ModuleType) -> None:
    whole = graphs.straight(graphs.GRAPHS["sums and concatenation"]())
    images = graphs.frames(whole, 12)
    made = hardware.calibrated(whole, images, methods=(method,))
    assert made.engine.code == LEVELS
    exit = len(whole.heads) - 1
    classes = network.run(whole, images).logits[exit].argmax(1)
    one = measured.Exit(whole, made, (method, exit), images, classes, images.mean(axis=0))
    assert one.values.shape == (12, *whole.image_shape[:2], 1)
    assert one.kept().spearman > 0.8
    wide, narrow = one.trade(images, [(12, 0.0), (4, 0.0)])
    assert wide["spearman"] > narrow["spearman"]


def test_maps_of_shuffled_weights_are_others(graphs: ModuleType) -> None:
    whole = graphs.straight(graphs.GRAPHS["three exits"]())
    images = graphs.frames(whole, 16)
    made = hardware.calibrated(whole, images, methods=("gradient-x-input",))
    key = ("gradient-x-input", 2)
    classes = network.run(whole, images).logits[2].argmax(1)
    one = measured.Exit(whole, made, key, images, classes, images.mean(axis=0))
    assert one.kept().spearman > 0.95
    assert abs(one.randomised(images)) < 0.6
    assert one.randomised(images, seed=1) != one.randomised(images)
    costs = one.cost()
    assert costs["dense_bits"] == 8 * 64
    assert costs["busy"] < costs["cycles"] < costs["busy"] + 100
