"""Exit thresholds of a trained network, in the integers that the hardware sees."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from exeunt.calibration import Calibration, Point, calibrate_exits, evaluate, margins
from exeunt.config.tree import Config
from exeunt.progress import Progress, silent
from exeunt.quant.compress import load_network
from exeunt.quant.network.logits import grid_and_cost, integer_logits
from exeunt.report import store
from exeunt.splits import SPLITS, read_split

EXITS = "exits.json"
SCHEMA = 1


def calibrate(config: Config, run_dir: Path, *, progress: Progress = silent) -> Calibration:
    """Choose thresholds on the validation images; writes exits.json, reports the test images.

    Raises:
        InputError: no checkpoint of this config, or logits off any grid of integers.
        CheckFailed: the logits are not integers.
    """
    network = load_network(config, run_dir)
    scales, macs = grid_and_cost(network, config)
    validation = read_split(run_dir / SPLITS, "validation")
    progress(0, 2, f"{len(validation.labels)} validation images")
    found = integer_logits(network, validation.images, scales)
    result = calibrate_exits(found, validation.labels, macs=macs, drop=config.calibrate.drop)
    chosen = result.chosen
    data = {
        "schema": SCHEMA,
        "criterion": config.calibrate.criterion,
        "thresholds": [*chosen.thresholds, None],
        "logit_scales": scales,
        "macs": macs,
        "reach": chosen.reach,
        "rates": chosen.rates,
        "accuracy": chosen.accuracy,
        "images": len(validation.labels),
        "drop": config.calibrate.drop,
        "chosen": dataclasses.asdict(chosen),
        "curve": [dataclasses.asdict(p) for p in result.curve],
        "exits_alone": [
            {"accuracy": a, "macs": m} for a, m in zip(result.accuracies, macs, strict=True)
        ],
    }
    store.write_text(run_dir / EXITS, json.dumps(data, indent=1, sort_keys=True) + "\n")
    test = read_split(run_dir / SPLITS, "test")
    progress(1, 2, f"{len(test.labels)} test images")
    on_test = integer_logits(network, test.images, scales)
    store.update(run_dir, _figures(on_test, test.labels, chosen, macs))
    progress(2, 2, f"validation accuracy {100 * chosen.accuracy:.2f}%")
    return result


def _figures(
    found: list[npt.NDArray[np.int64]],
    labels: npt.NDArray[np.int64],
    chosen: Point,
    macs: list[int],
) -> dict[str, Any]:
    """The test images' part of report.json."""
    from exeunt.calibration import exits

    on_test = margins(found, labels)
    point = evaluate(on_test, chosen.thresholds, macs)
    taken = exits(on_test.margin, chosen.thresholds)
    rows = []
    for k, cost in enumerate(macs):
        here = taken == k
        right = float(on_test.right[k, here].mean()) if here.any() else None
        rows.append(
            {
                "index": k,
                "rate": point.rates[k],
                "accuracy": right,
                "images": int(here.sum()),
                "accuracy_alone": float(on_test.right[k].mean()),
                "reach": point.reach[k],
                "macs": cost,
            }
        )
    return {
        "accuracy": {
            "early_exit": point.accuracy,
            "quantized_last_exit": float(on_test.right[-1].mean()),
            "images": len(labels),
        },
        "exits": rows,
        "calibration": {
            "images": len(labels),
            "macs_mean": point.macs,
            "macs_saved": 1.0 - point.macs / macs[-1],
        },
    }
