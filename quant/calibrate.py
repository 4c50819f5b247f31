"""Exit thresholds of a trained network, in the integers that the hardware sees."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from exeunt.calibration import Calibration, Point, calibrate_exits, evaluate, margins
from exeunt.config.tree import Config
from exeunt.errors import CheckFailed
from exeunt.progress import Progress, silent
from exeunt.quant.compress import load_network
from exeunt.quant.data.datasets import SPLITS, load_split
from exeunt.quant.network.model import MultiExitNetwork
from exeunt.quant.train import logits
from exeunt.report import store

EXITS = "exits.json"
SCHEMA = 1
_TOLERANCE = 0.02  # of one integer step, for logits of some thousand steps
_RELATIVE = 4e-7  # of the logit: float32 has 24 bits


def calibrate(config: Config, run_dir: Path, *, progress: Progress = silent) -> Calibration:
    """Choose thresholds on the validation images; writes exits.json, reports the test images.

    Raises:
        InputError: no checkpoint of this config, or logits off any grid of integers.
        CheckFailed: the logits are not integers.
    """
    network = load_network(config, run_dir)
    scales, macs = grid_and_cost(network, config)
    validation = load_split(run_dir / SPLITS, "validation")
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
    test = load_split(run_dir / SPLITS, "test")
    progress(1, 2, f"{len(test.labels)} test images")
    on_test = integer_logits(network, test.images, scales)
    store.update(run_dir, _figures(on_test, test.labels, chosen, macs))
    progress(2, 2, f"validation accuracy {100 * chosen.accuracy:.2f}%")
    return result


def grid_and_cost(network: nn.Module, config: Config) -> tuple[list[float], list[int]]:
    """Logit scale of every exit, and multiplications of a frame that leaves there."""
    if isinstance(network, MultiExitNetwork):
        from exeunt.quant.network.model import cumulative_macs as of_layers

        return network.logit_scales(), of_layers(network.costs)
    import torch

    from exeunt.quant.network.export import to_qonnx
    from exeunt.quant.network.qonnx_graph import Graph, GraphNetwork, cumulative_macs, logit_scales

    height, width, channels = config.model.input
    if isinstance(network, GraphNetwork):
        graph = network.graph
    else:
        graph = Graph(to_qonnx(network, shape=(channels, height, width)), config.model.source)
    return logit_scales(graph), cumulative_macs(graph, torch.zeros(1, channels, height, width))


def integer_logits(
    network: nn.Module, images: npt.NDArray[np.uint8], scales: list[float]
) -> list[npt.NDArray[np.int64]]:
    """Logits of every exit in integer steps, int64 (N, classes): round(logits / scale).

    Images are uint8 (N, H, W, C).

    Raises:
        CheckFailed: a quotient is further from an integer than float noise explains.
    """
    result = []
    for index, (out, scale) in enumerate(zip(logits(network, images), scales, strict=True)):
        steps = out.astype(np.float64) / scale
        whole = np.rint(steps)
        error = np.abs(steps - whole)
        if (error > np.minimum(_TOLERANCE + _RELATIVE * np.abs(steps), 0.45)).any():
            off = float(error.max())
            raise CheckFailed(
                f"logits of exit {index} must be integers times {scale:.6g}, got one {off:.3f} "
                "steps off: end its head in a bias-free layer with one weight scale"
            )
        result.append(whole.astype(np.int64))
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
                "accuracy_alone": float(on_test.right[k].mean()),
                "reach": point.reach[k],
                "macs": cost,
            }
        )
    return {
        "accuracy": {
            "early_exit": point.accuracy,
            "quantized_last_exit": float(on_test.right[-1].mean()),
        },
        "exits": rows,
        "calibration": {
            "images": len(labels),
            "macs_mean": point.macs,
            "macs_saved": 1.0 - point.macs / macs[-1],
        },
    }
