"""Criteria side by side: the cells, what is resumed, the statistics, the choice."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from exeunt.config import compress as passes
from exeunt.config import tree
from exeunt.errors import InputError
from exeunt.quant.compress import choice, compare
from exeunt.quant.compress.work import Work
from exeunt.report import store
from exeunt.report.compression import compression, lines


def planned(whole: tree.Config, **plan) -> tree.Config:
    section = passes.Compress.model_validate(
        {
            "images": 40,
            "passes": ({"kind": "filters", "multiple": 2, "budget": 0.6},),
            "compare": {"criteria": ("l1", "random"), "epochs": 0, **plan},
        }
    )
    return whole.model_copy(update={"compress": section})


@pytest.fixture
def folder(tiny: tree.Config, trained: Path, tmp_path: Path) -> Path:
    """A run folder with the tiny network trained, standing in for seed 3 too."""
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    other = tiny.model_copy(update={"train": tiny.train.model_copy(update={"seed": 3})})
    from exeunt.quant.train import fingerprint

    state = torch.load(run / "checkpoint.pt", weights_only=True)
    (run / "compare" / "seed3").mkdir(parents=True)
    torch.save({**state, "hash": fingerprint(other)}, run / "compare" / "seed3" / "checkpoint.pt")
    return run


def test_the_table_is_made_cell_by_cell(tiny, folder, monkeypatch):
    whole = planned(tiny, seeds=(0, 3), epochs=1)
    tuned = []
    finetune = Work.finetune

    def count(self, *arguments):
        if len(tuned) == 3:
            raise KeyboardInterrupt
        tuned.append(self.label)
        return finetune(self, *arguments)

    monkeypatch.setattr(Work, "finetune", count)
    with pytest.raises(KeyboardInterrupt):
        compare.compare(whole, folder, folder)
    assert tuned == ["filters-l1-0.6-seed0", "filters-random-0.6-seed0", "filters-l1-0.6-seed3"]
    tuned[:] = []
    rows = compare.compare(whole, folder, folder)
    assert tuned == ["filters-random-0.6-seed3"]  # the others are on disk
    assert [(r["criterion"], r["seed"]) for r in rows] == [
        ("l1", 0),
        ("random", 0),
        ("l1", 3),
        ("random", 3),
    ]
    for row in rows:
        assert row["macs"] <= 0.6 * row["macs_original"]
        assert row["weight_bits"] < row["weight_bits_original"]
        assert 0 < row["predicted_cycles"] <= row["predicted_cycles_original"] < 100_000
        assert 0 <= row["accuracy_before"] <= 1
    assert rows[0]["accuracy_original"] == rows[2]["accuracy_original"]  # the same network
    found = store.read(folder)["compression"]
    assert found["criteria"] == rows
    assert {s["seeds"] for s in found["statistics"]} == {2}
    part = compression(folder, store.read(folder))
    assert part is not None
    assert sum("svg" in p for p in part["parts"]) == 3
    assert [line.split()[:3] for line in lines(store.read(folder))] == [
        ["filters", "0.6", "l1"],
        ["filters", "0.6", "random"],
    ]


def test_other_settings_are_another_cell(tiny, folder):
    compare.compare(planned(tiny, seeds=(0,)), folder, folder)
    cell = folder / "compare" / "cells" / "filters-l1-0.6-seed0.json"
    first = json.loads(cell.read_text())
    compare.compare(planned(tiny, seeds=(0,), settings={"l1": {"floor": 0.5}}), folder, folder)
    second = json.loads(cell.read_text())
    assert first["stamp"] != second["stamp"]
    assert second["settings"]["floor"] == 0.5
    assert json.loads(cell.with_name("filters-random-0.6-seed0.json").read_text())


@pytest.mark.parametrize(
    "asked", [{"criterion": "maximum"}, {"per_class": True}, {"shift": 1}, {"guarantee": "average"}]
)
def test_other_thresholds_are_another_cell(tiny, folder, asked):
    compare.compare(planned(tiny, seeds=(0,)), folder, folder)
    cell = folder / "compare" / "cells" / "filters-l1-0.6-seed0.json"
    first = json.loads(cell.read_text())["stamp"]
    section = tiny.calibrate.model_copy(update=asked)
    other = planned(tiny.model_copy(update={"calibrate": section}), seeds=(0,))
    compare.compare(other, folder, folder)
    assert json.loads(cell.read_text())["stamp"] != first


def test_other_images_are_another_cell(tiny, folder):
    compare.compare(planned(tiny, seeds=(0,)), folder, folder)
    cells = {p: json.loads(p.read_text())["stamp"] for p in (folder / "compare").rglob("*0.json")}
    assert len(cells) == 2
    with np.load(folder / "splits.npz") as old:  # as a training on other images leaves them
        arrays = dict(old)
    np.savez(folder / "splits.npz", **{**arrays, "fingerprint": np.array("1" * 64)})
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    torch.save({**state, "data": "1" * 64}, folder / "checkpoint.pt")
    compare.compare(planned(tiny, seeds=(0,)), folder, folder)
    for path, stamp in cells.items():
        assert json.loads(path.read_text())["stamp"] != stamp


def test_budgets_stand_in_place_of_the_own():
    specs = ({"kind": "filters"}, {"kind": "weights"}, {"kind": "blocks"})
    plan = {"budgets": (0.25, 0.5), "criteria": ("l1",), "seeds": (1,)}
    section = passes.Compress.model_validate({"passes": specs, "compare": plan})
    names = [cell.name for cell in compare.cells_of(section)]
    assert names == [f"{s['kind']}-l1-{b}-seed1" for s in specs for b in (0.25, 0.5)]
    assert compare.cells_of(section)[2].spec.sparsity == 0.75


def test_random_is_drawn_several_times():
    plan = {"criteria": ("uniform", "l1", "random"), "seeds": (1,), "draws": 2}
    kinds = ({"kind": "precision"}, {"kind": "filters"})
    section = passes.Compress.model_validate({"passes": kinds, "compare": plan})
    assert [cell.name for cell in compare.cells_of(section)] == [
        "precision-uniform-0.75-seed1",
        "precision-l1-0.75-seed1",
        "precision-random-0.75-seed1",
        "precision-random-0.75-seed1-draw1",
        "filters-l1-0.5-seed1",
        "filters-random-0.5-seed1",
        "filters-random-0.5-seed1-draw1",
    ]
    rows = [row("a", s, 0.5) for s in range(2)]
    rows += [row("random", s, v) for s in range(2) for v in (0.3, 0.5)]
    assert [f["mean"] for f in compare.verdicts(rows)] == pytest.approx([0.1] * 4 + [-0.1] * 4)
    for r in rows:
        r |= {"macs_mean_original": 100, "macs_mean_after": 50 if r["criterion"] == "a" else 60}
    found = [f for f in compare.verdicts(rows) if f["key"] == "multiplies_after"]
    assert [(f["mean"], f["verdict"]) for f in found] == [
        (pytest.approx(-0.1), "ahead"),
        (pytest.approx(0.1), "behind"),
    ]


def test_a_setting_that_no_pass_has(tiny, folder):
    sentence = (
        r"^compress.compare.settings.l1 must have settings of a filters pass, got 'colour': "
        r"choose of aggregate, .*reference, rounds$"
    )
    with pytest.raises(InputError, match=sentence):
        compare.compare(planned(tiny, settings={"l1": {"colour": "red"}}), folder, folder)


def row(criterion: str, seed: int, value: float) -> dict:
    keys = ("accuracy_before", "accuracy_after", "last_before", "last_after")
    return {"kind": "filters", "budget": 0.5, "criterion": criterion, "seed": seed} | dict.fromkeys(
        keys, value
    )


def test_verdicts_are_paired_over_seeds():
    # differences 0.01, 0.02, 0.03: mean 0.02, standard error 0.01 / sqrt(3), t(2) = 4.3027
    rows = [row("a", s, 0.5 + 0.1 * s + 0.01 * (s + 1)) for s in range(3)]
    rows += [row("b", s, 0.5 + 0.1 * s) for s in range(3)]
    found = compare.verdicts(rows)
    ab = next(f for f in found if (f["criterion"], f["key"]) == ("a", "accuracy_after"))
    assert ab["mean"] == pytest.approx(0.02)
    reach = 4.3027 * 0.01 / 3**0.5
    assert ab["interval"] == pytest.approx([0.02 - reach, 0.02 + reach], abs=1e-5)
    assert ab["verdict"] == "level"  # three seeds that differ so much do not tell
    rows[0:3] = [row("a", s, 0.6 + 0.1 * s + 0.001 * s) for s in range(3)]
    ahead = {f["criterion"]: f["verdict"] for f in compare.verdicts(rows)}
    assert ahead == {"a": "ahead", "b": "behind"}
    assert compare.verdicts([row("a", 0, 0.5), row("b", 0, 0.4)])[0]["verdict"] is None


def test_the_choice_is_the_best_that_was_tried(tiny, folder, monkeypatch):
    monkeypatch.setattr(choice, "NORMALIZE", ("l2", "rank"))
    monkeypatch.setattr(
        choice, "ATTRIBUTED", {"aggregate": ("absolute", "net"), "reference": ("zeros",)}
    )
    whole = planned(tiny, criteria=("l1", "deeplift", "random"), seeds=(0, 3))
    seeds = []
    do = choice.apply

    def apply(spec, subject, work):
        seeds.append(work.seed)
        return do(spec, subject, work)

    monkeypatch.setattr(choice, "apply", apply)
    chosen = choice.choose(whole, folder, folder)
    assert set(chosen) == {"l1", "deeplift"}
    found = json.loads((folder / "compare" / "choice.json").read_text())
    assert found["chosen"] == chosen
    tried = [t for t in found["tried"] if t["criterion"] == "l1"]
    best = max(tried, key=lambda t: t["early_exit"] + t["last"])
    assert {**best["settings"], **chosen["l1"]} == best["settings"]
    assert len(tried) == 4
    for row in tried:
        for name in ("last", "early_exit"):
            one, other = row[f"{name}_of_seeds"]
            assert row[name] == pytest.approx((one + other) / 2)
    assert seeds == [0, 3] * len(found["tried"])
    # what was chosen can be pasted into the config
    compare.cells_of(planned(tiny, settings=chosen).compress)
