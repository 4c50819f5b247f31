"""Exit criteria side by side."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from exeunt import criteria
from exeunt.config import tree
from exeunt.errors import InputError
from exeunt.quant import compare as module
from exeunt.quant.compare import PERMITTED, compare
from exeunt.quant.compress import load_network
from exeunt.quant.exits import calibration
from exeunt.quant.exits.calibration import calibrate_exits
from exeunt.quant.exits.guarantee import Wanted
from exeunt.quant.exits.moved import copies
from exeunt.quant.network.logits import exact
from exeunt.report import store
from exeunt.report.criteria import lines
from exeunt.splits import SPLITS, read_split

KEYS = {
    "criterion", "permitted", "seed", "saved", "multiplies", "accuracy", "accuracy_last", "rates",
    "thresholds", "images", "images_validation", "shift", "per_class", "guarantee", "promised",
    "images_needed",
}  # fmt: skip


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    shutil.copytree(trained, tmp_path / "run")
    return tmp_path / "run"


def test_every_criterion_and_drop_has_a_row(tiny: tree.Config, folder: Path):
    rows = compare(tiny, folder, folder)
    assert [(r["criterion"], r["permitted"]) for r in rows] == [
        (name, permitted) for name in criteria.names() for permitted in PERMITTED
    ]
    assert all(set(row) == KEYS for row in rows)
    assert store.read(folder)["calibration"]["criteria"] == store.plain(rows)
    assert all(0 <= r["saved"] < 1 for r in rows)
    assert max(r["saved"] for r in rows) > 0.05
    for name in criteria.names():
        saved = [r["saved"] for r in rows if r["criterion"] == name]
        assert saved == sorted(saved), "a larger permitted drop cannot save less on these images"
    assert len(lines(store.read(folder))) == len(rows)


def test_a_row_is_the_test_images_by_thresholds_of_the_validation_images(
    tiny: tree.Config, folder: Path
):
    name = "softmax"
    rows = compare(tiny, folder, folder, names=[name])
    network = exact(load_network(tiny, folder), tiny)
    macs, scales = network.multiplies(), network.scales
    validation, test = (read_split(folder / SPLITS, s) for s in ("validation", "test"))
    seen, unseen = network.logits(validation.images), network.logits(test.images)
    for row in rows:
        chosen = calibrate_exits(
            seen, validation.labels, macs=macs, drop=row["permitted"], criterion=name, scales=scales
        ).chosen
        assert tuple(row["thresholds"]) == chosen.thresholds
        left = criteria.run(name, unseen, [*chosen.thresholds, None], scales=scales)
        assert row["accuracy"] == (left.classes == test.labels).mean()
        assert row["multiplies"] == pytest.approx(np.array(macs)[left.exits].mean())
        assert row["saved"] == pytest.approx(1 - row["multiplies"] / macs[-1])
        assert row["accuracy_last"] == (unseen[-1].argmax(1) == test.labels).mean()


def test_seeds_are_trained_once_and_have_rows_of_their_own(
    tiny: tree.Config, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    name = criteria.names()[0]
    rows = compare(tiny, folder, folder, names=[name], seeds=[0, 1])
    assert [r["seed"] for r in rows] == [0, 0, 0, 1, 1, 1]
    assert rows[0]["accuracy_last"] != rows[3]["accuracy_last"]
    own = folder / module.FOLDER / "seed1"
    assert (own / "checkpoint.pt").is_file()
    monkeypatch.setattr(module, "train", lambda *_, **__: pytest.fail("trained again"))
    assert store.plain(compare(tiny, folder, folder, names=[name], seeds=[0, 1])) == store.plain(
        rows
    )
    for line in lines(store.read(folder)):
        assert "±" in line
        assert line.endswith("seeds 0, 1")


def test_the_comparison_asks_for_what_the_config_asks_for(tiny: tree.Config, folder: Path):
    network = exact(load_network(tiny, folder), tiny)
    macs, scales, each = network.multiplies(), network.scales, network.per_class()
    validation, test = (read_split(folder / SPLITS, s) for s in ("validation", "test"))
    unseen = network.logits(test.images)
    for asked in (
        {"per_class": True},
        {"shift": 1},
        {"guarantee": "average"},
        {"guarantee": "probability", "delta": 0.4, "horizon": 0, "per_class": True},
    ):
        section = tiny.calibrate.model_copy(update=asked)
        config = tiny.model_copy(update={"calibrate": section})
        ways = (2 * section.shift + 1) ** 2
        seen = network.logits(copies(validation.images, section.shift))
        differ = []
        for row in compare(config, folder, folder):
            rule = criteria.get(row["criterion"])
            kind = "none" if rule.history is not None else section.guarantee
            alone = rule.by_class and section.per_class
            given = {
                "macs": macs, "drop": row["permitted"], "criterion": rule.name, "scales": scales,
                "per_class": each,
            }  # fmt: skip
            labels = np.tile(validation.labels, ways)
            wanted = Wanted(kind, section.delta, section.horizon, tiny.data.seed)
            made = calibrate_exits(seen, labels, **given, wanted=wanted, by_class=alone)
            assert tuple(row["thresholds"]) == made.chosen.thresholds
            on_test = calibration.scores(
                unseen, test.labels, criterion=rule.name, scales=scales, per_class=each,
                offsets=made.offsets,
            )  # fmt: skip
            left = on_test.leave(made.chosen.thresholds, macs)
            assert row["saved"] == pytest.approx(1 - left.spent.mean() / macs[-1])
            assert row["accuracy"] == left.right.mean()
            assert (row["shift"], row["per_class"]) == (section.shift, alone)
            assert (row["guarantee"], row["promised"]) == (kind, made.promise.holds)
            assert row["images_needed"] == made.promise.images_needed
            plain = calibrate_exits([x[: len(validation.labels)] for x in seen],
                                    validation.labels, **given)  # fmt: skip
            differ.append((made.chosen.thresholds, made.offsets) != (plain.chosen.thresholds, ()))
        assert any(differ), f"{asked} must change something, or this test shows nothing"


def test_what_cannot_be_compared(tiny: tree.Config, folder: Path):
    with pytest.raises(InputError) as caught:
        compare(tiny, folder, folder, names=["margin", "majority"])
    assert str(caught.value) == (
        f"--criteria must be some of {', '.join(criteria.names())}, as in margin,softmax, got "
        "'majority': change it"
    )
    given = tiny.model_copy(update={"compress": object()})
    with pytest.raises(InputError) as caught:
        compare(given, folder, folder, seeds=[0, 3])
    assert str(caught.value) == (
        "--seeds must be 0 alone for a network that is compressed, since no other is trained, got "
        "0, 3: leave it out"
    )
