"""`exeunt rules` end to end on a tiny network, and what it refuses."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from exeunt import rules as room
from exeunt.config import tree
from exeunt.config.rules import Rules
from exeunt.errors import InputError
from exeunt.quant.calibrate import calibrate
from exeunt.quant.compress import load_network
from exeunt.quant.exits.calibration import Calibration, Point, calibrate_exits
from exeunt.quant.network.logits import exact
from exeunt.quant.rules import calibrated, evidence, exits, form, learn, learners, shown
from exeunt.quant.rules.apply import apply
from exeunt.quant.rules.lists import gathered
from exeunt.quant.rules.step import parts, rules
from exeunt.quant.rules.why import overlap
from exeunt.rules import Condition, Modification, Rule, RuleSet
from exeunt.splits import SPLITS, Labelled, read_split

MOVE = Rule((), Modification(dx=1))


@pytest.fixture(scope="module")
def run(
    tiny: tree.Config, trained: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[tree.Config, Path]:
    """A run folder with rules, learned and calibrated."""
    folder = tmp_path_factory.mktemp("rules") / "run"
    shutil.copytree(trained, folder)
    section = Rules(families=("move", "table"), rules=3, conditions=1, images=900)
    config = tiny.model_copy(update={"rules": section})
    rules(config, folder, folder)
    calibrate(config, folder)
    return config, folder


def test_rules_and_thresholds_are_in_exits_json(run: tuple[tree.Config, Path]) -> None:
    config, folder = run
    data = json.loads((folder / "exits.json").read_text())
    assert len(data["thresholds"]) == 2
    assert data["thresholds"][-1] is None
    assert sum(data["rates"]) == pytest.approx(1.0)
    told = json.loads((folder / "report.json").read_text())["rules"]
    network = exact(load_network(config, folder), config)
    learned = form.read(folder, network).rules
    assert (learned is None) == (told["learned"]["text"] == [])
    if room.KEY in data:
        found = room.from_json(data[room.KEY])
        assert found.network == form.fingerprint(network)
        looks = told["calibrated"]["looks"]
        assert len(found.looks) == len(data["look_reach"]) == looks
        assert data["reach"][0] == pytest.approx(1.0 + sum(data["look_reach"]))


def test_looks_add_logits_of_modified_images(run: tuple[tree.Config, Path]) -> None:
    config, folder = run
    of = evidence.subject(exact(load_network(config, folder), config), "margin")
    images = read_split(folder / SPLITS, "test").images[:40]
    seen = evidence.views(of, images, (), ((MOVE,),))
    whole = of.network.logits(images)
    moved = of.network.logits(MOVE.modification.apply(images))
    first, second, last = seen.virtual()
    np.testing.assert_array_equal(first, whole[0])
    np.testing.assert_array_equal(second, whole[0] + moved[0])
    np.testing.assert_array_equal(last, whole[1])
    then = evidence.views(of, images, (MOVE,), ((),)).virtual()
    np.testing.assert_array_equal(then[1], moved[0] + whole[0])
    np.testing.assert_array_equal(then[2], moved[1])  # of what the first look sees


def test_looks_cost_their_passes(run: tuple[tree.Config, Path]) -> None:
    config, folder = run
    of = evidence.subject(exact(load_network(config, folder), config), "margin")
    first, last = of.macs
    assert evidence.virtual_macs(of.macs, 2) == [first, 2 * first, 3 * first, last + 2 * first]
    assert evidence.virtual_macs(of.macs, 0) == [first, last]


def test_a_look_that_does_not_pay_is_left_out(run: tuple[tree.Config, Path]) -> None:
    config, folder = run
    of = evidence.subject(exact(load_network(config, folder), config), "margin")
    of = replace(of, macs=(of.macs[1] - 1, of.macs[1]))  # the first exit costs as much as the last
    some = read_split(folder / SPLITS, "validation")
    same = RuleSet(shape=(8, 8, 1), looks=((Rule((), Modification(dx=7)),),), thresholds=(0,))
    seen = calibrated.seen(of, some.images, some.labels, same)
    plain = calibrate_exits(
        of.network.logits(some.images), some.labels, macs=of.macs, drop=0.02, points=1
    )
    found = calibrated.calibrated(of, same, seen, seen, plain=plain, drop=0.02, tail=0.0)
    assert found.looks == 0
    assert found.rules is None
    assert found.calibration is plain


def test_learned_lists_are_refined_together(
    run: tuple[tree.Config, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, folder = run
    of = evidence.subject(exact(load_network(config, folder), config), "margin")
    some = read_split(folder / SPLITS, "test")  # any images with labels
    section = config.rules
    assert section is not None
    found = gathered(of, section, some.images, some.labels, 0.05)
    learner = found.learner(section.model_copy(update={"looks": 1}))
    monkeypatch.setattr(learn, "_look", lambda *_: [learners.Choice((), 1)])
    monkeypatch.setattr(
        learner, "price", lambda _, lists, tail=True: 100.0 - sum(x[0].modification for x in lists)
    )
    (made,) = learn.looks(learner)
    assert made == [learners.Choice((), len(learner.modifications) - 1)]
    assert learner.prices == [100.0, 100.0 - made[0].modification]
    learner.section = section.model_copy(update={"learner": "single", "looks": 1})
    assert learn.looks(learner) == [[learners.Choice((), 1)]]  # what stands for no learning


def test_a_promise_is_made_for_looks_that_training_images_chose(
    run: tuple[tree.Config, Path], tmp_path: Path
) -> None:
    config, folder = run
    target = tmp_path / "run"
    shutil.copytree(folder, target)
    section = config.calibrate.model_copy(
        update={"guarantee": "probability", "drop": 0.2, "delta": 0.2}
    )
    promised = config.model_copy(update={"calibrate": section})
    network = exact(load_network(config, target), config)
    of = evidence.subject(network, "margin")
    given = RuleSet((8, 8, 1), looks=((MOVE,),), thresholds=(0,), network=form.fingerprint(network))
    form.write(target, config, form.Learned(given, {}))
    some = read_split(target / SPLITS, "validation")
    calibrated.save(
        target / calibrated.LAYING, calibrated.seen(of, some.images, some.labels, given)
    )
    calibrate(promised, target)
    data = json.loads((target / "exits.json").read_text())
    assert data["guarantee"]["holds"]
    assert data["guarantee"]["tested"] == len(some.labels)
    assert len(data[room.KEY]["looks"]) == 1  # whether or not it pays on these images
    assert len(data["thresholds"]) == len(data["reach"]) == len(data["rates"]) == 2
    assert len(data["look_reach"]) == 1


def test_what_exits_json_has_of_looks() -> None:
    """Two looks and three exits: what stands for looks is told apart from the exits."""
    rules = RuleSet((8, 8, 1), looks=((MOVE,), (MOVE,)), thresholds=(7, 8))
    point = Point((6, 7, 8, 9), 0.9, 50.0, (0.6, 0.1, 0.1, 0.15, 0.05), (1.0, 0.4, 0.3, 0.2, 0.05))
    made = Calibration(point, (point,), (0.8, 0.8, 0.8, 0.9, 0.95))
    looked = calibrated.Looked(made, 2, rules, "margin", (1.0,), made)
    assert looked.exits == (6, 9)
    assert looked.point.rates == pytest.approx((0.8, 0.15, 0.05))
    assert looked.point.reach == (1.0, 0.2, 0.05)
    found = exits.entries(looked)
    assert found["look_reach"] == (0.4, 0.3)
    assert found["reach"] == pytest.approx([1.7, 0.2, 0.05])
    assert exits.by_exits(looked).accuracies == (0.8, 0.9, 0.95)
    assert exits.entries(replace(looked, rules=None, looks=0)) == {}


def test_pictures_and_figures_of_the_rules(run: tuple[tree.Config, Path]) -> None:
    _, folder = run
    told = json.loads((folder / "report.json").read_text())["rules"]
    with np.load(folder / "rules_why.npz") as data:
        assert data["images"].shape[1:] == (8, 8, 1)
        assert data["maps"].shape[1:] == (2, 8, 8)
        assert data["stays"].any()
    sides = told["calibrated"]["with"], told["calibrated"]["without"]
    for side in sides:
        assert sum(side["rates"]) == pytest.approx(1.0)
    if told["calibrated"]["looks"]:
        assert sides[0]["multiplies"] < sides[1]["multiplies"] * 1.1
        assert (folder / "rules_shown.npz").is_file()
        for row in told["calibrated"]["rules"]:
            assert 0 <= row["left"] <= row["fired"]


def test_examples_are_of_images_that_left_by_a_rule(
    run: tuple[tree.Config, Path], tmp_path: Path
) -> None:
    config, folder = run
    trained = load_network(config, folder)
    of = evidence.subject(exact(trained, config), "margin")
    images = read_split(folder / SPLITS, "test")
    given = RuleSet((8, 8, 1), looks=((MOVE,),), thresholds=(0,))
    fired = np.stack([np.full(len(images.labels), -1), np.zeros(len(images.labels), int)])
    left = np.zeros(len(images.labels), np.int64)
    left[[5, 9, 11]] = 1
    shown.write_examples(tmp_path, trained, of, images, given, left, fired)
    with np.load(tmp_path / "rules_shown.npz") as data:
        assert len(data["before"]) == 2
        kept = images.images[[5, 9, 11]]
        for before, after in zip(data["before"], data["after"], strict=True):
            assert (before == kept).all(axis=(1, 2, 3)).any()
            np.testing.assert_array_equal(MOVE.modification.apply(before[None])[0], after)
        assert np.abs(data["maps"][:, 0] - data["maps"][:, 1]).max() > 0
        assert data["lists"].tolist() == [1, 1]
    shown.write_examples(tmp_path, trained, of, images, None, left, fired)
    assert not (tmp_path / "rules_shown.npz").exists()


def test_paths_are_laid_by_images_that_no_rule_was_learned_on_first() -> None:
    labels = np.arange(30_000, dtype=np.int64) % 10
    # the index of an image is in its values
    index = np.arange(30_000)
    images = np.stack([index // 256, index % 256], axis=1).astype(np.uint8).reshape(-1, 2, 1, 1)
    train = Labelled(images, labels)

    def indices(found: Labelled) -> set[int]:
        values = found.images.reshape(-1, 2).astype(int)
        return set((256 * values[:, 0] + values[:, 1]).tolist())

    learning, laying = parts(train, 5_000)
    assert (len(learning.labels), len(laying.labels)) == (5_000, 20_000)
    assert not indices(learning) & indices(laying)
    many, filled = parts(train, 25_000)
    assert (len(many.labels), len(filled.labels)) == (25_000, 20_000)
    assert len(indices(filled)) == 20_000
    assert len(indices(filled) - indices(many)) == 5_000
    few, same = parts(Labelled(images[:900], labels[:900]), 900)
    assert indices(few) == indices(same)


def test_own_images(run: tuple[tree.Config, Path], tmp_path: Path) -> None:
    config, folder = run
    target = tmp_path / "run"
    shutil.copytree(folder, target)
    network = exact(load_network(config, target), config)
    given = RuleSet(
        (8, 8, 1), looks=((MOVE,),), thresholds=(-1,), network=form.fingerprint(network)
    )
    data = json.loads((target / "exits.json").read_text())
    data |= {room.KEY: room.to_json(given), "thresholds": [1 << 20, None]}
    (target / "exits.json").write_text(json.dumps(data))
    frame = read_split(target / SPLITS, "test").images[0, :, :, 0]
    Image.fromarray(frame).save(tmp_path / "one.png")
    (found,) = apply(config, target, [str(tmp_path / "one.png")])
    assert found.left == 1
    assert "look 1: Always: shift 1 pixel to the right; leaves after look 1 as " in found.text
    assert sorted(p.name for p in (target / "applied").iterdir()) == [
        "0-one-look1.png",
        "0-one-rules.png",
    ]
    Image.fromarray(np.zeros((9, 8), np.uint8)).save(tmp_path / "two.png")
    with pytest.raises(InputError, match=r"must be 8 x 8 x 1 .* got 9 x 8 x 1"):
        apply(config, target, [str(tmp_path / "two.png")])
    data[room.KEY] = room.to_json(replace(given, network="0" * 16))
    (target / "exits.json").write_text(json.dumps(data))
    with pytest.raises(InputError, match="rules must be those of the network"):
        apply(config, target, [str(tmp_path / "one.png")])
    (target / "exits.json").write_text(json.dumps({"thresholds": [1, None]}))
    with pytest.raises(InputError, match="must have rules to apply, got none"):
        apply(config, target, [str(tmp_path / "one.png")])


def test_refused(tiny: tree.Config, trained: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must have a section \[rules\]"):
        rules(tiny, trained, trained)
    config = tiny.model_copy(update={"rules": Rules()})
    with pytest.raises(InputError, match=r"rules\.json must hold the rules"):
        calibrate(config, trained)
    shutil.copytree(trained, tmp_path / "run")
    (tmp_path / "run" / "rules.json").write_text("{}")
    with pytest.raises(InputError, match="must be what `exeunt rules` wrote"):
        calibrate(config, tmp_path / "run")
    network = exact(load_network(tiny, trained), tiny)
    other = RuleSet((8, 8, 1), (Rule((Condition("mean", "<", 5),), Modification(dx=1)),))
    other = replace(other, network="f" * 16)
    form.write(tmp_path / "run", config, form.Learned(other, {}))
    with pytest.raises(InputError, match="rules must be those of the network"):
        form.read(tmp_path / "run", network)
    form.write(tmp_path / "run", config, form.Learned(replace(other, shape=(9, 8, 1)), {}))
    with pytest.raises(InputError, match="images must be 9x8x1 for these rules, got 8x8x1"):
        form.read(tmp_path / "run", network)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[rules]\nlooks = 3", "rules.looks"),
        ("[rules]\nrules = 9", "rules.rules"),
        ('[rules]\nlearner = "guess"', "rules.learner"),
        ("[rules]\nfirst = false\nlooks = 0", "must have something to learn"),
        ('[rules]\n[calibrate]\ncriterion = "patience"', "criterion must go by the logits of one"),
        ("[rules]\n[calibrate]\nper_class = true", "per_class must be left out"),
    ],
)
def test_configs_that_are_refused(text: str, sentence: str) -> None:
    from exeunt.config.toml import to_toml

    whole = to_toml(tree.load("digits"))
    whole = whole[: whole.index("[calibrate]")] + whole[whole.index("[attach]") :]
    with pytest.raises(InputError, match=sentence):
        tree.parse(f"{whole}\n{text}\n")


def test_overlap_of_maps() -> None:
    one = np.zeros((3, 2, 2))
    one[0, 0, 0] = one[1, 0, 0] = 2.0
    other = np.zeros((3, 2, 2))
    other[0, 0, 0] = 5.0
    other[1] = 1.0
    one[2] = other[2] = -1.0
    assert overlap(one, other).tolist() == [1.0, 0.25, 0.0]
