"""The `attach` step: early exits for a trained network that has none.

Heads are trained on the integers that the network itself computes, which stay what they are. At
each place there are two, a linear layer and one behind a convolution. Which of them are kept, and
their thresholds, is chosen by expected cost on validation images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from exeunt.config.attach import Attach
from exeunt.config.derived import of_file
from exeunt.config.tree import Config, to_toml
from exeunt.errors import CheckFailed, InputError
from exeunt.progress import Progress, silent
from exeunt.promise import KEY
from exeunt.qonnx import file, heads, meaning
from exeunt.qonnx.file import Graph
from exeunt.qonnx.heads import Head, Place
from exeunt.qonnx.integers import IntegerNetwork
from exeunt.quant import asked
from exeunt.quant.compress import load_network
from exeunt.quant.data.augment import augmented
from exeunt.quant.data.datasets import Splits, load
from exeunt.quant.exits import moved
from exeunt.quant.exits.calibration import Calibration, Point, calibrate_exits, evaluate, scores
from exeunt.quant.heads import filters, train_head
from exeunt.quant.network.export import to_qonnx
from exeunt.quant.network.logits import as_tensor
from exeunt.quant.train import one_thread
from exeunt.report import store
from exeunt.splits import Labelled, chance

FOLDER = "attach"
NETWORK = "network.onnx"
CONFIG = "config.toml"
_FEATURES = 1 << 30  # of all training images together that are kept
_GAIN = 0.005  # of the multiplications: a head that saves less is not worth its hardware
_ERRORS = 2.0  # standard errors of its mean that a saving must be above

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Candidate:
    """A trained head: its integer logits (N, classes) for validation and test images."""

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
    where = "the network" if model.kind == "config" else model.source
    if model.kind == "config":
        _alone(len(model.stages), where, "leave one stage")  # known before there is a checkpoint
    network = load_network(config, run_dir)
    height, width, channels = model.input
    graph = to_qonnx(network, shape=(channels, height, width), where=where)
    _alone(len(graph.outputs), where, "name the last in model.exits")
    meant = meaning.integers(graph)
    wanted, narrow = _wanted(meant, graph, section, model.classes)
    splits = load(config.data, data_dir, shape=model.input, classes=model.classes)
    with one_thread(section.seed):
        trained = _heads(meant, wanted, splits, config, progress)
    candidates, answers = _candidates(graph, trained, splits, progress)
    total = meant.multiplies()[-1]
    last = meant.scales[-1]
    labels = splits.validation.labels
    chosen = _choose(candidates, answers[0], last, labels, config, total)
    costs = _costs(chosen, total)
    made = heads.attached(graph, [c.head for c in chosen])
    result = _calibrated(meant, made, chosen, splits.validation, config)
    folder = run_dir / FOLDER
    folder.mkdir(exist_ok=True)
    _write(made, config, folder)
    figures = _figures(config, candidates, chosen, result, costs, answers[1], last, splits)
    store.update(run_dir, {"attach": {**figures, "narrow": narrow}})
    progress(
        1,
        1,
        f"{len(chosen)} of {len(candidates)} heads kept; of {figures['images']:,} test images "
        f"{100 * figures['accuracy']:.2f}% right ({100 * figures['accuracy_last_exit']:.2f}% "
        f"without), {100 * figures['saved']:.1f}% of the multiplications saved",
    )
    return folder / CONFIG


def _alone(exits: int, where: str, advice: str) -> None:
    if exits != 1:
        raise InputError(
            f"attach must be given a network with one exit, got {exits} in {where}: {advice}"
        )


def _wanted(
    network: IntegerNetwork, graph: Graph, section: Attach, classes: int
) -> tuple[list[tuple[Place, tuple[int, int]]], int]:
    """Places and the pools of their heads, and how many more have no room for one.

    All heads together keep to `attach.share`.
    """
    total = network.multiplies()[-1]
    budget = section.share * total / section.exits
    places = [p for p in heads.places(graph, network) if p.multiplies < (1 - _GAIN) * total]
    if not places:
        raise InputError(
            "attach must find a place for an exit: a quantizer with one scale in front of the last "
            "layer that all of the network passes, got none: give the quantizers of a layer one "
            "scale, or take a deeper network"
        )
    found = [
        (place, window)
        for place in places
        if (window := place.window(classes, _room(network, place, section))) is not None
    ]
    if not found:
        raise InputError(
            "attach must find a place for an exit where a head has at most "
            f"{budget:.0f} multiplications, got none of {len(places)}: raise attach.share or lower "
            "attach.exits"
        )
    return found, len(places) - len(found)


def _room(network: IntegerNetwork, place: Place, section: Attach) -> float:
    """Multiplications that a head may have there: its part of the share, and less than the rest."""
    total = network.multiplies()[-1]
    return min(section.share * total / section.exits, total - place.multiplies - 1)


def _heads(
    network: IntegerNetwork,
    wanted: Sequence[tuple[Place, tuple[int, int]]],
    splits: Splits,
    config: Config,
    progress: Progress,
) -> list[Head]:
    """Heads trained for every place: one linear layer, and one behind a convolution if it fits."""
    section, classes = config.attach, config.model.classes
    features = sum(int(np.prod(place.grid(window))) for place, window in wanted)
    images, labels = _shown(config, splits, features)
    steps = 3 + len(wanted)
    progress(0, steps, f"what {len(wanted)} places say of {len(labels):,} training images")
    seen, answers = heads.pooled(network, images, wanted)
    soft = torch.from_numpy(answers * network.scales[-1]).float()
    found = []
    for k, (place, window) in enumerate(wanted):
        progress(1 + k, steps, f"training heads at {place.tensor}")
        most = filters(place.grid(window), classes, _room(network, place, section))
        for count in (0, most) if most and len(labels) > 1 else (0,):
            made = train_head(seen[k], labels, soft, place, window, section, filters=count)
            if made.weights.any():  # else its integers say nothing
                found.append(made)
    if not found:
        raise InputError(
            "attach must find a place where the network tells images apart, got no head that "
            f"learned anything at {len(wanted)} places from {len(labels):,} training images: train "
            "the network first"
        )
    return found


def _shown(config: Config, splits: Splits, features: int) -> tuple[npt.NDArray[np.uint8], Tensor]:
    """Images uint8 (N, H, W, C) to train heads on and labels int64 (N,); `features`: of an image.

    Where `attach.images` are more than there are, copies follow that are moved and mirrored as in
    training.
    """
    section, how, whole = config.attach, config.train, splits.train
    count = min(section.images, max(_FEATURES // features, section.batch))
    if count <= len(whole.labels) or not (how.shift or how.flip):
        some = whole.some(min(count, len(whole.labels)), seed=section.seed)
        return some.images, torch.from_numpy(some.labels)
    which = torch.arange(len(whole.labels), count) % len(whole.labels)
    copies = augmented(
        as_tensor(whole.images)[which],
        torch.Generator().manual_seed(section.seed),
        shift=how.shift,
        flip=how.flip,
    )
    images = np.concatenate([whole.images, copies.numpy().transpose(0, 2, 3, 1)])
    labels = torch.from_numpy(whole.labels)
    return images, torch.cat([labels, labels[which]])


def _candidates(
    graph: Graph, trained: Sequence[Head], splits: Splits, progress: Progress
) -> tuple[list[Candidate], tuple[IntArray, IntArray]]:
    """What heads and the end of the network say of validation and test images, in integers."""
    made = heads.attached(graph, trained)
    whole = meaning.integers(replace(made, numbered=False))  # several may be at one place
    order = [[e.output for e in whole.exits].index(name) for name in made.outputs]
    found = []
    for name, part in (("validation", splits.validation), ("test", splits.test)):
        progress(98, 100, f"what heads say of {len(part.labels):,} {name} images")
        logits = whole.logits(part.images)
        found.append([logits[k] for k in order])
    validation, test = found
    both = zip(trained, validation[:-1], test[:-1], strict=True)
    return [Candidate(*one) for one in both], (validation[-1], test[-1])


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
) -> list[Candidate]:
    """The heads with which a frame costs least, one after the other; at least one.

    Each must save `_GAIN` of the multiplications, and more than so few images could show by chance.
    What is promised, classes and copies have no say in it.
    """
    section = config.calibrate
    kept: list[int] = []
    best = float(total)
    places = {c.head.place for c in candidates}
    while len(kept) < min(config.attach.exits, len(places)):
        tried = []
        taken = {candidates[k].head.place for k in kept}
        for k in (k for k, c in enumerate(candidates) if c.head.place not in taken):
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
        costs = _costs([candidates[i] for i in sorted([*kept, k])], total)
        least = max(_GAIN * total, _ERRORS * _error(found.chosen, costs, len(labels)))
        if best - macs < least:
            break
        kept, best = [*kept, k], macs
    if not kept:
        saved = f"{100 * (1 - macs / total):.2f}% by the best" if macs < total else "none"
        raise InputError(
            f"attach must find a head that saves {100 * least / total:.2g}% of the multiplications "
            f"(less is not worth its hardware, or may be chance) where calibrate.drop = "
            f"{section.drop:g} is lost by {section.criterion}, got {saved} of {len(candidates)} on "
            f"{len(labels):,} validation images: raise calibrate.drop, data.validation or "
            "attach.share, or choose another criterion"
        )
    return [candidates[i] for i in sorted(kept)]


def _error(point: Point, costs: Sequence[int], images: int) -> float:
    """Standard error of the mean multiplications, of so many images that leave at these rates."""
    rates, spent = np.asarray(point.rates), np.asarray(costs, np.float64)
    mean = float(rates @ spent)
    return float(np.sqrt(rates @ (spent - mean) ** 2 / images))


def _calibrated(
    network: IntegerNetwork,
    made: Graph,
    chosen: Sequence[Candidate],
    validation: Labelled,
    config: Config,
) -> Calibration:
    """The calibration of the network with heads, as the config asks for it.

    Raises:
        CheckFailed: it answers otherwise than `network`, or than its heads were chosen by.
    """
    whole = meaning.integers(made)
    seen = whole.logits(moved.copies(validation.images, config.calibrate.shift))
    expected = [*(c.validation for c in chosen), *network.logits(validation.images)]
    for k, logits in enumerate(seen):
        given = logits[: len(validation.labels)]
        wrong = np.flatnonzero((given != expected[k]).any(axis=1))
        if len(wrong):
            raise CheckFailed(
                f"exit {k} of the network with heads must give the logits that it was chosen by, "
                f"got others for {len(wrong)} images, first image {wrong[0]}: report this as a "
                "fault"
            )
    return asked.calibrated(
        config.calibrate, seen, validation.labels, macs=whole.multiplies(), scales=whole.scales,
        per_class=whole.per_class(), seed=config.data.seed,
    )  # fmt: skip


def _write(made: Graph, config: Config, folder: Path) -> None:
    """The network and a config that `exeunt run` takes."""
    whole = of_file(config, f"qonnx:{NETWORK}", name=f"{config.name}-exits", heads=True)
    partial = folder / f".{NETWORK}.part"
    partial.write_bytes(file.to_model(made).SerializeToString(deterministic=True))
    partial.replace(folder / NETWORK)
    store.write_text(folder / CONFIG, to_toml(whole))


def _figures(
    config: Config,
    candidates: Sequence[Candidate],
    chosen: Sequence[Candidate],
    result: Calibration,
    costs: list[int],
    answers: IntArray,
    last: float,
    splits: Splits,
) -> dict[str, Any]:
    """The part of report.json; `answers` of the test images."""
    logits = [*(c.test for c in chosen), answers]
    point = result.chosen
    on_test = scores(
        logits, splits.test.labels, criterion=config.calibrate.criterion,
        scales=_scales(chosen, last), offsets=result.offsets,
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
            "filters": 0 if c.head.hidden is None else len(c.head.hidden.weights),
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
        "chance": chance(splits.test.labels),
        "validation_accuracy": point.accuracy,
        "validation_images": len(splits.validation.labels),
        "saved": 1.0 - tested.macs / total,
        "head_share": spent / total,
        "images": len(splits.test.labels),
        "notes": asked.order_notes(config.calibrate.criterion, splits.validation.labels),
        KEY: {k: v for k, v in result.promise.to_json().items() if k != "certified"},
    }
