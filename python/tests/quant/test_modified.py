"""Training images as rules would modify them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from exeunt import rules as room
from exeunt.config import tree
from exeunt.errors import InputError
from exeunt.quant.modified.batches import Modifier
from exeunt.quant.modified.candidates import candidates
from exeunt.quant.train import fingerprint, train
from exeunt.rules import Condition, Modification, Rule, RuleSet

SHAPE = (8, 8, 1)
RIGHT = Rule((), Modification(dx=1))


def batch(count: int) -> torch.Tensor:
    """Images (N, 1, 8, 8) without a zero, so that every modification but a table shows."""
    values = np.random.default_rng(0).integers(1, 256, (count, 1, 8, 8))
    return torch.from_numpy(values.astype(np.uint8))


def wrote(path: Path, rules: RuleSet | None) -> str:
    """A rules.json with these rules."""
    path.write_text(json.dumps({"rules": None if rules is None else room.to_json(rules)}))
    return str(path)


def test_families_without_a_modification_that_fits() -> None:
    assert len(candidates((2, 2, 1), ("move",))) == 9
    with pytest.raises(
        InputError,
        match=r"families must have a modification that fits 1x1 images, got move, border: add",
    ):
        candidates((1, 1, 1), ("move", "border"))


def test_half_of_the_images_get_a_modification_of_these_families() -> None:
    images = batch(400)
    found = Modifier(SHAPE, families=("move",))(images, torch.Generator().manual_seed(0))
    assert found.shape == images.shape
    assert found.dtype == torch.uint8
    changed = (found != images).flatten(1).any(1).numpy()
    assert 0.4 < changed.mean() < 0.6
    known = [m.apply(images.permute(0, 2, 3, 1).numpy()) for m in candidates(SHAPE, ("move",))]
    seen = found.permute(0, 2, 3, 1).numpy()
    matches = np.stack([(k == seen).all(axis=(1, 2, 3)) for k in known])
    assert matches.any(axis=0).all()
    assert matches.any(axis=1).all()
    again = Modifier(SHAPE, families=("move",))(images, torch.Generator().manual_seed(0))
    assert torch.equal(found, again)
    assert Modifier(SHAPE)(images, torch.Generator()) is images


def test_images_are_shown_as_looks_see_them(tmp_path: Path) -> None:
    rules = RuleSet(
        SHAPE, (Rule((Condition("mean", "<", 16 * 128),), Modification(dy=1)),), ((RIGHT,),), (0,)
    )
    images = batch(300)
    modifier = Modifier(SHAPE, rules=wrote(tmp_path / "rules.json", rules))
    found = modifier(images, torch.Generator().manual_seed(0)).permute(0, 2, 3, 1).numpy()
    frames = images.permute(0, 2, 3, 1).numpy()
    views = [rules.look(frames, k)[0] for k in (0, 1)]
    matches = np.stack([(view == found).all(axis=(1, 2, 3)) for view in views])
    assert matches.any(axis=0).all()
    assert (matches.mean(axis=1) > 0.35).all()


def test_rules_that_training_cannot_use(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"train\.rules must be a rules\.json .* got .*none"):
        Modifier(SHAPE, rules=str(tmp_path / "none.json"))
    (tmp_path / "bad.json").write_text("[]")
    with pytest.raises(InputError, match=r"train\.rules must be a rules\.json that"):
        Modifier(SHAPE, rules=str(tmp_path / "bad.json"))
    with pytest.raises(InputError, match="in which there are none: leave it out"):
        Modifier(SHAPE, rules=wrote(tmp_path / "empty.json", None))
    other = RuleSet((9, 8, 1), (RIGHT,))
    with pytest.raises(InputError, match="images must be 9x8x1 for these rules, got 8x8x1"):
        Modifier(SHAPE, rules=wrote(tmp_path / "other.json", other))


def test_fine_tuning_with_rules_in_place(tiny: tree.Config, trained: Path, tmp_path: Path) -> None:
    assert fingerprint(tiny) == fingerprint(
        tiny.model_copy(update={"train": tiny.train.model_copy(update={"rules": ""})})
    )
    looked = RuleSet(SHAPE, looks=((RIGHT,),), thresholds=(0,))
    given = {
        "epochs": 1, "start": str(trained / "checkpoint.pt"),
        "rules": wrote(tmp_path / "rules.json", looked),
    }  # fmt: skip
    tuned = tiny.model_copy(update={"train": tiny.train.model_copy(update=given)})
    plain = tuned.model_copy(update={"train": tuned.train.model_copy(update={"rules": ""})})
    assert fingerprint(tuned) != fingerprint(plain)
    states = [
        train(config, tmp_path / name, tmp_path).state_dict()
        for name, config in (("tuned", tuned), ("plain", plain))
    ]
    assert any(not torch.equal(states[0][k], states[1][k]) for k in states[0])
