"""Exit criteria side by side, on networks trained for each."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

from exeunt import criteria
from exeunt.config import tree
from exeunt.criteria import registry
from exeunt.errors import InputError
from exeunt.quant import compare as module
from exeunt.quant.compare import PERMITTED, compare
from exeunt.quant.compress import load_network
from exeunt.quant.exits import losses
from exeunt.quant.exits.calibration import calibrate_exits
from exeunt.quant.network.logits import exact
from exeunt.quant.train import load_checkpoint
from exeunt.report import store
from exeunt.report.criteria import lines
from exeunt.splits import SPLITS, read_split

KEYS = {
    "criterion", "permitted", "seed", "saved", "multiplies", "accuracy", "accuracy_last", "rates",
    "thresholds", "images", "images_validation",
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
    own = folder / module.FOLDER / "joint-seed1"
    assert (own / "checkpoint.pt").is_file()
    monkeypatch.setattr(module, "train", lambda *_, **__: pytest.fail("trained again"))
    assert store.plain(compare(tiny, folder, folder, names=[name], seeds=[0, 1])) == store.plain(
        rows
    )
    for line in lines(store.read(folder)):
        assert "±" in line
        assert line.endswith("seeds 0, 1")


def other(monkeypatch: pytest.MonkeyPatch) -> str:
    """A criterion with a loss of its own."""
    name = "maximum"
    found = dict(registry._known)
    found[name] = dataclasses.replace(found[name], loss="losses:joint_")
    monkeypatch.setattr(registry, "_known", found)
    monkeypatch.setattr(losses, "joint_", _own, raising=False)
    return name


def _own(*outputs, **more):  # type: ignore[no-untyped-def]
    return losses.joint(*outputs, **{**more, "distill": 9.0})


def test_a_criterion_with_a_loss_of_its_own_is_compared_on_a_network_trained_so(
    tiny: tree.Config, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    name = other(monkeypatch)
    rows = compare(tiny, folder, folder, names=[criteria.names()[0], name])
    assert rows[0]["criterion"] != rows[3]["criterion"] == name
    section = tiny.calibrate.model_copy(update={"criterion": name})
    config = tiny.model_copy(update={"calibrate": section})
    theirs = load_checkpoint(config, folder / module.FOLDER / "joint_-seed0")
    pairs = zip(theirs.parameters(), load_checkpoint(tiny, folder).parameters(), strict=True)
    assert not all(a.equal(b) for a, b in pairs)


def test_a_network_that_was_trained_for_another_criterion_is_refused(
    tiny: tree.Config, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    name = other(monkeypatch)
    section = tiny.calibrate.model_copy(update={"criterion": name})
    with pytest.raises(InputError) as caught:
        load_checkpoint(tiny.model_copy(update={"calibrate": section}), folder)
    assert str(caught.value) == (
        f"checkpoint {folder / 'checkpoint.pt'} must be trained for the criterion {name}, with the "
        "loss losses:joint_, got one trained with losses:joint: train again or change "
        "calibrate.criterion"
    )


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
