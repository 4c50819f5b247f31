"""Exit thresholds of a trained network, in the integers that the hardware sees."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from exeunt import criteria, promise, registers
from exeunt.config.tree import Config
from exeunt.progress import Progress, silent
from exeunt.promise import Promise
from exeunt.qonnx import seen
from exeunt.qonnx.integers import IntegerNetwork
from exeunt.quant import asked
from exeunt.quant.compress import load_network
from exeunt.quant.exits import guarantee, moved
from exeunt.quant.exits.calibration import (
    Calibration,
    Outcome,
    Scores,
    scores,
)
from exeunt.quant.exits.ranking import auroc
from exeunt.quant.network.logits import exact
from exeunt.quant.rules import exits as with_rules
from exeunt.quant.rules.calibrated import Looked
from exeunt.quant.train import one_thread
from exeunt.report import store
from exeunt.splits import SPLITS, Labelled, chance, read_split, stratified

EXITS = "exits.json"
SCHEMA = 1
_SEEN = 128  # validation images whose logits are kept


def calibrate(config: Config, run_dir: Path, *, progress: Progress = silent) -> Calibration:
    """Choose thresholds on the validation images; writes exits.json, reports the test images.

    The logits are those of the integer network; calibration.npz keeps some of them, which the
    compiled network must give as well.

    Raises:
        InputError: no checkpoint of this config, or something that integers cannot compute.
    """
    trained = load_network(config, run_dir)
    network = exact(trained, config)
    scales, macs = network.scales, network.multiplies()
    validation = read_split(run_dir / SPLITS, "validation")
    progress(0, 2, f"{len(validation.labels)} validation images")
    section = config.calibrate
    looked: Looked | None = None
    if config.rules is not None:
        found = network.logits(validation.images)
        wanted = asked.wanted(section, config.data.seed)
        looked = with_rules.calibrate(config, run_dir, network, validation, wanted)
        result = with_rules.by_exits(looked)
    else:
        result, found = _alone(config, network, validation)
    chosen = result.chosen
    data = {
        "schema": SCHEMA,
        "criterion": section.criterion,
        "thresholds": [*chosen.thresholds, None],
        "logit_scales": scales,
        "macs": macs,
        "reach": chosen.reach,
        "rates": chosen.rates,
        "accuracy": chosen.accuracy,
        "images": len(validation.labels),
        "drop": section.drop,
        "shift": section.shift,
        "chosen": dataclasses.asdict(chosen),
        "curve": [dataclasses.asdict(p) for p in result.curve],
        "exits_alone": [
            {"accuracy": a, "macs": m} for a, m in zip(result.accuracies, macs, strict=True)
        ],
    }
    if result.promise.kind != promise.NONE:
        data[promise.KEY] = result.promise.to_json()
    if result.offsets:
        data["offsets"] = result.offsets
    if looked is not None and config.rules is not None:
        data |= with_rules.entries(looked)
    else:
        judged_too = scores(
            found, validation.labels, criterion=section.criterion, scales=scales,
            per_class=network.per_class(), offsets=result.offsets,
        )  # fmt: skip
        data["sequence"] = "".join(map(str, judged_too.leave(chosen.thresholds, macs).exits))
    store.write_text(run_dir / EXITS, json.dumps(data, indent=1, sort_keys=True) + "\n")
    kept = stratified(validation.labels, _SEEN)
    seen.write(run_dir / seen.NAME, validation.images[kept], [x[kept] for x in found], kept)
    test = read_split(run_dir / SPLITS, "test")
    progress(1, 2, f"{len(test.labels)} test images")
    if looked is not None:
        judged = with_rules.judged(config, network, test, looked)
        on_test, left = judged.scores, judged.left
        figures = _figures(on_test, left, macs)
        figures["rules"] = {"calibrated": with_rules.told(looked, judged, macs)}
        with one_thread(config.data.seed):
            with_rules.pictured(config, run_dir, trained, network, test, looked, judged)
    else:
        logits = network.logits(test.images)
        on_test = scores(
            logits, test.labels, criterion=section.criterion, scales=scales,
            per_class=network.per_class(), offsets=result.offsets,
        )  # fmt: skip
        left = on_test.leave(chosen.thresholds, macs)
        figures = _figures(on_test, left, macs)
    figures["accuracy"]["chance"] = chance(test.labels)
    right = on_test.right[-1] if on_test.kept is None else on_test.kept
    lost = right & ~left.right
    figures["calibration"] |= {
        "criterion": section.criterion,
        "drop": section.drop,
        "shift": section.shift,
        "lost": float(lost.mean()),
        "notes": [*_notes(config, validation.labels), *_unused(config, result)],
        promise.KEY: _promise(result.promise, lost),
    }
    store.update(run_dir, figures)
    thresholds = ", ".join(map(registers.threshold_text, chosen.thresholds)) or "none"
    progress(
        2,
        2,
        f"thresholds {thresholds}{_told(result)}; of {len(validation.labels):,} validation images "
        f"{100 * chosen.accuracy:.2f}% right with {100 * chosen.macs / macs[-1]:.1f}% of the "
        "multiplications" + (f"; {result.promise.text}" if result.promise.text else ""),
    )
    return result


def _alone(
    config: Config, network: IntegerNetwork, validation: Labelled
) -> tuple[Calibration, list[npt.NDArray[np.int64]]]:
    """The calibration of a network without rules, and its logits for the validation images."""
    seen = network.logits(moved.copies(validation.images, config.calibrate.shift))
    result = asked.calibrated(
        config.calibrate, seen, validation.labels, macs=network.multiplies(),
        scales=network.scales, per_class=network.per_class(), seed=config.data.seed,
    )  # fmt: skip
    return result, [x[: len(validation.labels)] for x in seen]


def _told(result: Calibration) -> str:
    """How far thresholds of classes lie apart, for the screen."""
    if not result.offsets:
        return ""
    most = ", ".join(str(max(row)) for row in result.offsets[:-1])
    return f" and up to {most} more for some classes"


def _notes(config: Config, labels: npt.NDArray[np.int64]) -> list[str]:
    """That the network or these validation images are for another criterion, if so."""
    criterion, loss = config.calibrate.criterion, config.train.loss
    found = []
    for meant in map(criteria.get, criteria.names()):
        if loss and loss == meant.loss and criterion != meant.name:
            found.append(
                f'the network was trained with train.loss = "{loss}", which is made for '
                f"{meant.name}, and its exits go by {criterion}: leave out train.loss, or set "
                f'calibrate.criterion = "{meant.name}"'
            )
    return [*found, *asked.order_notes(criterion, labels)]


def _unused(config: Config, result: Calibration) -> list[str]:
    """That classes have no thresholds of their own although they might, if so."""
    if not config.calibrate.per_class or result.offsets:
        return []
    return [
        "thresholds of classes save no multiplications on the validation images, so all classes "
        "have the exit's: leave out calibrate.per_class"
    ]


def _promise(made: Promise, lost: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """The promise in report.json, and what became of it on the test images."""
    data = made.to_json()
    del data["certified"]
    data["test"] = None  # also where an older promise had one
    if made.holds:
        assert made.lost is not None
        count = int(lost.sum())
        chance = guarantee.chance_of_more(made.lost, made.tested, count, len(lost))
        data["test"] = {"images": len(lost), "lost": count, "chance": chance}
    return data


def _figures(on_test: Scores, left: Outcome, macs: list[int]) -> dict[str, Any]:
    """The test images' part of report.json."""
    taken = left.exits
    rates = np.bincount(taken, minlength=len(macs)) / len(taken)
    reach = 1.0 - np.concatenate([[0.0], np.cumsum(rates)[:-1]])
    last = on_test.right[-1] if on_test.kept is None else on_test.kept
    rows = []
    for k, cost in enumerate(macs):
        here = taken == k
        right = float(left.right[here].mean()) if here.any() else None
        rows.append(
            {
                "index": k,
                "rate": float(rates[k]),
                "accuracy": right,
                "images": int(here.sum()),
                "accuracy_alone": float(on_test.right[k].mean()),
                "auroc": auroc(on_test.score[k], on_test.right[k]),
                "reach": float(reach[k]),
                "macs": cost,
            }
        )
    return {
        "accuracy": {
            "early_exit": float(left.right.mean()),
            "quantized_last_exit": float(last.mean()),
            "images": len(taken),
        },
        "exits": rows,
        "calibration": {
            "images": len(taken),
            "macs_mean": float(left.spent.mean()),
            "macs_mean_all": float(np.asarray(macs)[taken].mean()),
            "macs_saved": 1.0 - float(left.spent.mean()) / macs[-1],
        },
    }
