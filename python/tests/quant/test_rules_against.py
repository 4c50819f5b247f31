"""Rules beside what people would do instead: `exeunt rules --compare`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from exeunt import cost
from exeunt.config import tree
from exeunt.config.rules import Rules
from exeunt.errors import InputError
from exeunt.quant.compress import load_network
from exeunt.quant.exits.calibration import Outcome
from exeunt.quant.network.logits import exact
from exeunt.quant.rules import alternatives, converter, evidence, shifted, ways
from exeunt.quant.rules.against import OURS, compare
from exeunt.quant.rules.stability import alike, jaccard, stability
from exeunt.registers import NEVER
from exeunt.report.compared import compared, lines
from exeunt.rules import Condition, Modification, Rule, RuleSet
from exeunt.splits import SPLITS, read_split

SECTION = Rules(first=False, families=("move",), rules=2, conditions=1, images=600, looks=1)
RIGHT, DOWN = (Rule((), Modification(dx=1)),), (Rule((), Modification(dy=1)),)


@pytest.fixture(scope="module")
def config(tiny: tree.Config) -> tree.Config:
    """Two exits on digits with rules."""
    section = tiny.calibrate.model_copy(update={"drop": 0.05})
    return tiny.model_copy(update={"rules": SECTION, "calibrate": section})


@pytest.fixture(scope="module")
def run(
    config: tree.Config, trained: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    """A run folder in which two seeds were compared."""
    folder = tmp_path_factory.mktemp("against") / "run"
    shutil.copytree(trained, folder)
    return folder, compare(config, folder, folder, seeds=(0, 1))


@pytest.fixture(scope="module")
def sets(config: tree.Config, trained: Path) -> tuple[evidence.Subject, ways.Sets]:
    """The tiny network and its images; the validation images lay the paths too."""
    of = evidence.subject(exact(load_network(config, trained), config), "margin")
    parts = [read_split(trained / SPLITS, name) for name in ("validation", "validation", "test")]
    return of, ways.Sets(*(ways.Known.of(of, part) for part in parts))


def test_every_way_has_a_row_for_every_seed(
    config: tree.Config, run: tuple[Path, dict[str, Any]]
) -> None:
    folder, found = run
    names = {row["name"] for row in found["rows"]}
    for name in (
        "no rules", "one modification for all, in each look", "drawn rules, in each look",
        "test-time augmentation, 2 views of every image", "learned converter, for every image",
        "learned converter, in a second look", "oracle: best modification by the label",
        "oracle: gradient for the label", "trained with the modifications as augmentation",
    ):  # fmt: skip
        rows = [row for row in found["rows"] if row["name"] == name]
        assert [row["seed"] for row in rows] == [0, 1], name
    assert {"single", "random"} <= {row["learner"] for row in found["first"]}
    for row in found["rows"]:
        assert 0 <= row["reach"] <= 1
        if row["name"] == "no rules":
            assert row["fewer"] == 0
            assert row["added"] == 0
            assert row["seen"][0] == 1
        if "cycles" in row:
            built = "converter" not in row["name"]
            assert (row["cycles"] is not None) == (row["lut"] is not None) == built
        if row["name"].startswith("test-time"):
            assert row["seen"][0] == 2
        if row["name"] == "no rules":
            asked = cost.network(
                config.model, target_cycles=config.compile.cycles, reach=row["seen"],
                headroom=config.compile.spare, dsp=False,
            )  # fmt: skip
            assert (row["cycles"], row["lut"]) == (asked.cycles, asked.lut + asked.control)
        if row["name"].startswith("oracle"):
            assert "cycles" not in row
            assert row["bound"]
            assert row["fewer"] >= 0
    told = json.loads((folder / "report.json").read_text())["rules"]["compared"]
    assert len(told["rows"]) == len(found["rows"])
    part = compared({"rules": {"compared": told}})
    assert part is not None
    assert names <= {
        row[0].removesuffix(" (a bound, no method)") for row in part["parts"][0]["rows"]
    }
    assert any("learned converter" in line for line in lines({"rules": {"compared": told}}))
    changed = [(r["kind"], r["severity"]) for r in found["shifted"] if r["name"] == "no rules"]
    assert len(changed) == 2 * (1 + 4 * 3)
    if OURS in names and len([r for r in found["rows"] if r["name"] == OURS]) == 2:
        assert len(found["transfer"]) == 2
        assert found["stability"][0]["networks"] == [0, 1]


def test_a_run_without_rules_is_refused(tiny: tree.Config, trained: Path) -> None:
    with pytest.raises(InputError, match=r"must have a section \[rules\] to be compared"):
        compare(tiny, trained, trained)


def test_test_time_augmentation_sums_views_and_counts_them(
    sets: tuple[evidence.Subject, ways.Sets],
) -> None:
    of, images = sets
    way = alternatives.averaged(of, images, [RIGHT[0].modification, DOWN[0].modification])
    assert way.macs == (3 * of.macs[0], of.macs[1] + 2 * of.macs[0])
    total = images.test.logits[0].copy()
    for rule in (RIGHT[0], DOWN[0]):
        total += of.head.logits(rule.modification.apply(images.test.images))[0]
    np.testing.assert_array_equal(way.test.logits[0], total)
    np.testing.assert_array_equal(way.test.logits[1], images.test.logits[1])


def test_how_often_stages_see_an_image(sets: tuple[evidence.Subject, ways.Sets]) -> None:
    of, images = sets
    rules = RuleSet((8, 8, 1), looks=(RIGHT, DOWN), thresholds=(0, 0))
    way = ways.by_rules("rules", of, images, rules)
    exits = np.array([0] * 6 + [1] * 2 + [2] + [3])  # six leave at once, one gets to the last exit
    left = Outcome(exits, np.ones(10, bool), np.zeros(10))
    assert way.seen(left) == pytest.approx([1.0 + 0.4 + 0.2, 0.1])
    assert way.built
    views = alternatives.averaged(of, images, [RIGHT[0].modification])
    assert views.seen(Outcome(np.array([0, 1]), left.right[:2], left.spent[:2])) == [2.0, 0.5]
    assert not any(w.built for w in alternatives.converted(of, images, 0))


def test_who_leaves_at_a_look_does_not_reach_stage_1(
    sets: tuple[evidence.Subject, ways.Sets],
) -> None:
    of, images = sets
    way = ways.by_rules("rules", of, images, RuleSet((8, 8, 1), looks=(RIGHT,), thresholds=(0,)))
    chosen = (NEVER, -(1 << 30))  # nobody leaves at once, everybody at the further look
    found = ways.row(
        way, ways.Judged(chosen, way.test.leave(chosen, way.macs)), 0.5, of.macs[-1]
    )  # fmt: skip
    assert (found["reach"], found["fewer"], found["seen"]) == (0.0, 1.0, [2.0, 0.0])
    assert found["multiplies"] == 2 * of.macs[0]
    assert found["lost"] == float((images.test.right & ~way.test.right[1]).mean())


def test_a_converter_costs_its_multiplications(
    sets: tuple[evidence.Subject, ways.Sets],
) -> None:
    of, images = sets
    every, second = alternatives.converted(of, images, 0)
    cost = 2 * 64 * 32
    assert every.macs == tuple(m + cost for m in of.macs)
    assert second.macs == (of.macs[0], 2 * of.macs[0] + cost, of.macs[1] + of.macs[0] + cost)
    assert second.looks == 1


def test_a_converter_learns_to_make_images_easy() -> None:
    draw = np.random.default_rng(0)
    labels = np.arange(400) % 2
    images = np.zeros((400, 4, 4, 1), np.uint8)
    images[labels == 0, :2] = 200
    images[labels == 1, 2:] = 200
    easy = np.arange(400) < 300
    noisy = images.copy()
    noisy[~easy] = np.clip(images[~easy] + draw.normal(0, 40, (100, 4, 4, 1)), 0, 255)
    made = converter.fitted(noisy, labels, easy, hidden=8, epochs=60)
    assert made.multiplies == 2 * 16 * 8
    found = made(noisy[~easy]).astype(int)
    before = np.abs(noisy[~easy].astype(int) - images[~easy]).mean()
    assert np.abs(found - images[~easy]).mean() < before / 2
    np.testing.assert_array_equal(
        made(noisy), converter.fitted(noisy, labels, easy, hidden=8, epochs=60)(noisy)
    )


def test_the_gradient_makes_the_first_exit_surer_of_the_label(
    config: tree.Config, trained: Path, sets: tuple[evidence.Subject, ways.Sets]
) -> None:
    _, images = sets
    network = load_network(config, trained)
    some, labels = images.test.images[:100], images.test.labels[:100]
    pushed = alternatives.pushed(network, some, labels)
    assert np.abs(pushed.astype(int) - some).max() <= 32
    right = []
    for seen in (some, pushed):
        with torch.no_grad():
            logits = network(torch.from_numpy(seen).permute(0, 3, 1, 2).float())[0]
        right.append(float((logits.argmax(1).numpy() == labels).mean()))
    assert right[1] > right[0] + 0.2


@pytest.mark.parametrize("kind", sorted(shifted.KINDS))
def test_changed_images(kind: str) -> None:
    images = np.zeros((6, 12, 12, 1), np.uint8)
    images[:, 3:9, 5:7] = 220
    made = [shifted.KINDS[kind](images, severity, 3) for severity in shifted.SEVERITIES]
    far = [np.abs(m.astype(int) - images).mean() for m in made]
    assert 0 < far[0] < far[1] < far[2]
    for one in made:
        assert one.dtype == np.uint8
        assert one.shape == images.shape
    np.testing.assert_array_equal(made[1], shifted.KINDS[kind](images, 2, 3))


def test_jaccard_of_sets() -> None:
    one, other = np.array([1, 1, 0, 0], bool), np.array([1, 0, 1, 0], bool)
    assert jaccard(one, other) == pytest.approx(1 / 3)
    assert jaccard(one, one) == 1
    assert jaccard(one & False, one & False) == 1


def test_rules_are_alike_where_they_do_the_same() -> None:
    images = np.zeros((4, 8, 8, 1), np.uint8)
    images[2:] = 200
    split = Rule((Condition("mean", "<", 16 * 100),), Modification(dx=1))
    sets = [RuleSet((8, 8, 1), looks=(x,), thresholds=(0,)) for x in (RIGHT, DOWN, (split, *DOWN))]
    assert alike(sets[0], sets[0], images, 1) == 1
    assert alike(sets[0], sets[1], images, 1) == 0
    assert alike(sets[0], sets[2], images, 1) == pytest.approx(1 / 3)  # half of the images agree
    (pair,) = stability(sets[::2], [np.array([1, 1, 0, 0], bool), np.ones(4, bool)], images)
    assert pair["images"] == pytest.approx(0.5)
    assert pair["looks"] == [pytest.approx(1 / 3)]
    assert pair["rules"] == 0
