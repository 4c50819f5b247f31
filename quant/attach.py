"""The `attach` step: early exits for a trained network that has none.

Heads are trained on the integers that the network itself computes, which stay what they are. Which
of them are kept, and their thresholds, is chosen by expected cost on validation images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from torch import Tensor, nn

from exeunt.config.attach import Attach
from exeunt.config.derived import of_file
from exeunt.config.tree import Config, to_toml
from exeunt.errors import CheckFailed, InputError
from exeunt.progress import Progress, silent
from exeunt.qonnx import file, heads, meaning
from exeunt.qonnx.file import Graph
from exeunt.qonnx.heads import Head, Place
from exeunt.qonnx.integers import IntegerNetwork
from exeunt.quant.compress import load_network
from exeunt.quant.data.datasets import Splits, load
from exeunt.quant.exits.calibration import Calibration, Point, calibrate_exits, evaluate, scores
from exeunt.quant.network.export import to_qonnx
from exeunt.quant.train import one_thread
from exeunt.report import store

FOLDER = "attach"
NETWORK = "network.onnx"
CONFIG = "config.toml"
_TEMPERATURE = 2.0
_GAIN = 0.005  # of the multiplications: a head that saves less is not kept

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Candidate:
    """A trained head: its logits (N, classes) for validation and test images."""

    head: Head
    validation: IntArray
    test: IntArray


def attach(config: Config, run_dir: Path, data_dir: Path, *, progress: Progress = silent) -> Path:
    """Train heads on the network of `config`; leaves attach/ with a QONNX file and its config.

    Raises:
        InputError: no checkpoint of this config, a network with several exits or without a place
            for one.
        CheckFailed: the network with heads does not answer as the network without.
    """
    section, model = config.attach, config.model
    network = load_network(config, run_dir)
    height, width, channels = model.input
    where = "the network" if model.kind == "config" else model.source
    graph = to_qonnx(network, shape=(channels, height, width), where=where)
    if len(graph.outputs) != 1:
        raise InputError(
            f"attach must be given a network with one exit, got {len(graph.outputs)} in {where}: "
            + ("leave one stage" if model.kind == "config" else "name the last in model.exits")
        )
    meant = meaning.integers(graph)
    wanted = _wanted(meant, graph, section, model.classes)
    splits = load(config.data, data_dir, shape=model.input, classes=model.classes)
    with one_thread(section.seed):
        candidates = _candidates(meant, wanted, splits, section, progress)
    total = meant.multiplies()[-1]
    answers = meant.logits(splits.validation.images), meant.logits(splits.test.images)
    last = meant.scales[-1]
    chosen, result = _choose(
        candidates, answers[0][0], last, splits.validation.labels, config, total
    )
    costs = _costs(chosen, total)
    made = heads.attached(graph, [c.head for c in chosen])
    _check(made, chosen, answers[0][0], splits.validation.images)
    folder = run_dir / FOLDER
    folder.mkdir(exist_ok=True)
    _write(made, config, folder)
    figures = _figures(
        config, candidates, chosen, result.chosen, costs, answers[1][0], last, splits
    )
    store.update(run_dir, {"attach": figures})
    progress(
        1,
        1,
        f"{len(chosen)} of {len(candidates)} exits kept; of {figures['images']:,} test images "
        f"{100 * figures['accuracy']:.2f}% right ({100 * figures['accuracy_last_exit']:.2f}% "
        f"without), {100 * figures['saved']:.1f}% of the multiplications saved",
    )
    return folder / CONFIG


def _wanted(
    network: IntegerNetwork, graph: Graph, section: Attach, classes: int
) -> list[tuple[Place, tuple[int, int]]]:
    """Places and the pools of their heads, so that all heads together keep to `attach.share`."""
    total = network.multiplies()[-1]
    budget = section.share * total / section.exits
    found = [
        (place, window)
        for place in heads.places(graph, network)
        if place.multiplies < total and (window := place.window(classes, budget)) is not None
    ]
    if not found:
        raise InputError(
            "attach must find a place for an exit: a quantizer with one scale in front of the last "
            "layer that all of the network passes, and a head there of at most "
            f"{budget:.0f} multiplications, got none: raise attach.share or lower attach.exits"
        )
    return found


def _candidates(
    network: IntegerNetwork,
    wanted: Sequence[tuple[Place, tuple[int, int]]],
    splits: Splits,
    section: Attach,
    progress: Progress,
) -> list[Candidate]:
    """A head trained for every place."""
    some = splits.train.some(min(section.images, len(splits.train.labels)), seed=section.seed)
    steps = 3 + len(wanted)
    progress(0, steps, f"what {len(wanted)} places say of {len(some.labels):,} training images")
    (answers,) = network.logits(some.images)
    seen = heads.pooled(network, some.images, wanted)
    progress(1, steps, f"what they say of {len(splits.validation.labels):,} validation images")
    validation = heads.pooled(network, splits.validation.images, wanted)
    progress(2, steps, f"what they say of {len(splits.test.labels):,} test images")
    test = heads.pooled(network, splits.test.images, wanted)
    soft = torch.from_numpy(answers * network.scales[-1]).float()
    labels = torch.from_numpy(some.labels)
    found = []
    for k, (place, window) in enumerate(wanted):
        progress(3 + k, steps, f"training the head at {place.tensor}")
        head = train_head(seen[k], labels, soft, place, window, section)
        found.append(Candidate(head, head.logits(validation[k]), head.logits(test[k])))
    return found


def train_head(
    seen: npt.NDArray[np.int32],
    labels: Tensor,
    soft: Tensor,
    place: Place,
    window: tuple[int, int],
    section: Attach,
) -> Head:
    """A head of quantized weights, trained on the integers in front of it.

    Args:
        seen: (N, features), see `exeunt.qonnx.heads.pooled`.
        labels: int64 (N,).
        soft: logits (N, classes) of the network, from which the head learns beside the labels.
        place: where it leaves.
        window: its pool.
        section: of the config.
    """
    x = torch.from_numpy(seen).float()
    mean, spread = x.mean(dim=0), float(x.std()) or 1.0
    x = (x - mean) / spread
    count, classes = x.shape[0], soft.shape[1]
    layer = nn.Linear(x.shape[1], classes)
    torch.nn.init.zeros_(layer.weight)
    most = 2 ** (section.bits - 1) - 1

    def scale() -> Tensor:
        return layer.weight.detach().abs().max().clamp_min(1e-6) / most

    def quantized() -> Tensor:
        steps = torch.round(layer.weight / scale()) * scale()
        return layer.weight + (steps - layer.weight).detach()

    optimiser = torch.optim.AdamW(layer.parameters(), lr=0.01, weight_decay=section.weight_decay)
    batches = -(-count // section.batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, section.epochs * batches)
    teacher = F.softmax(soft / _TEMPERATURE, dim=1)
    for _ in range(section.epochs):
        order = torch.randperm(count)
        for part in order.split(section.batch):
            out = F.linear(x[part], quantized(), layer.bias)
            loss = F.cross_entropy(out, labels[part])
            log = F.log_softmax(out / _TEMPERATURE, dim=1)
            gap = F.kl_div(log, teacher[part], reduction="batchmean")
            loss = loss + section.distill * _TEMPERATURE**2 * gap
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    step = float(scale())
    weights = torch.round(layer.weight.detach() / step).numpy().astype(np.int64)
    # logits = weights * step * (seen - mean) / spread + bias, in steps of step / spread
    bias = layer.bias.detach().double().numpy() * spread / step - weights @ mean.double().numpy()
    size = int(np.prod(window))
    grain = size / (spread * place.step)  # of one unit of the pool's mean in the layer's input
    return Head(place, window, weights, section.bits, step * grain, np.rint(bias).astype(np.int64))


def _costs(chosen: Sequence[Candidate], total: int) -> list[int]:
    """Multiplications of a frame that leaves at each of these heads, or at the end."""
    costs, spent = [], 0
    for candidate in chosen:
        spent += candidate.head.multiplies
        costs.append(candidate.head.place.multiplies + spent)
    return [*costs, total + spent]


def _scales(chosen: Sequence[Candidate], last: float) -> list[float]:
    """What a logit of 1 stands for at each exit; `last`: at the end."""
    return [*(c.head.logit_scale for c in chosen), last]


def _choose(
    candidates: Sequence[Candidate],
    answers: IntArray,
    last: float,
    labels: npt.NDArray[np.integer],
    config: Config,
    total: int,
) -> tuple[list[Candidate], Calibration]:
    """The heads with which a frame costs least, one after the other; at least one."""
    section = config.calibrate
    kept: list[int] = []
    best: tuple[float, Calibration] | None = None
    while len(kept) < min(config.attach.exits, len(candidates)):
        tried = []
        for k in set(range(len(candidates))) - set(kept):
            chosen = [candidates[i] for i in sorted([*kept, k])]
            found = calibrate_exits(
                [*(c.validation for c in chosen), answers],
                labels,
                macs=_costs(chosen, total),
                drop=section.drop,
                criterion=section.criterion,
                scales=_scales(chosen, last),
            )
            tried.append((found.chosen.macs, k, found))
        macs, k, found = min(tried, key=lambda t: t[:2])
        if best is not None and macs > best[0] - _GAIN * total:
            break
        kept, best = [*kept, k], (macs, found)
    assert best is not None
    return [candidates[i] for i in sorted(kept)], best[1]


def _check(
    made: Graph, chosen: Sequence[Candidate], answers: IntArray, images: npt.NDArray[np.uint8]
) -> None:
    """Refuse a network with heads whose logits are not those that were calibrated."""
    found = meaning.integers(made).logits(images)
    for k, expected in enumerate([*(c.validation for c in chosen), answers]):
        wrong = np.flatnonzero((found[k] != expected).any(axis=1))
        if len(wrong):
            raise CheckFailed(
                f"exit {k} of the network with heads must give the logits that it was chosen by, "
                f"got others for {len(wrong)} images, first image {wrong[0]}: report this as a "
                "fault"
            )


def _write(made: Graph, config: Config, folder: Path) -> None:
    """The network and a config that `exeunt run` takes."""
    whole = of_file(config, f"qonnx:{NETWORK}", name=f"{config.name}-exits")
    partial = folder / f".{NETWORK}.part"
    partial.write_bytes(file.to_model(made).SerializeToString(deterministic=True))
    partial.replace(folder / NETWORK)
    store.write_text(folder / CONFIG, to_toml(whole))


def _figures(
    config: Config,
    candidates: Sequence[Candidate],
    chosen: Sequence[Candidate],
    point: Point,
    costs: list[int],
    answers: IntArray,
    last: float,
    splits: Splits,
) -> dict[str, Any]:
    """The part of report.json; `answers` of the test images."""
    logits = [*(c.test for c in chosen), answers]
    on_test = scores(
        logits, splits.test.labels, criterion=config.calibrate.criterion,
        scales=_scales(chosen, last),
    )  # fmt: skip
    tested = evaluate(on_test, point.thresholds, costs)
    spent = sum(c.head.multiplies for c in chosen)
    total = costs[-1] - spent
    rows = [
        {
            "tensor": c.head.place.tensor,
            "shape": list(c.head.place.shape),
            "window": list(c.head.window),
            "multiplies": c.head.place.multiplies,
            "head_multiplies": c.head.multiplies,
            "accuracy": float((c.validation.argmax(axis=1) == splits.validation.labels).mean()),
            "kept": any(c is other for other in chosen),
        }
        for c in candidates
    ]
    return {
        "places": rows,
        "multiplies": total,
        "drop": config.calibrate.drop,
        "thresholds": list(point.thresholds),
        "rates": list(tested.rates),
        "accuracy": tested.accuracy,
        "accuracy_last_exit": float(on_test.right[-1].mean()),
        "validation_accuracy": point.accuracy,
        "validation_images": len(splits.validation.labels),
        "saved": 1.0 - tested.macs / total,
        "head_share": spent / total,
        "images": len(splits.test.labels),
    }
