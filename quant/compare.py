"""Exit criteria side by side: what each saves, and at which accuracy, for the same permitted drops.

Thresholds are chosen on validation images alone; the rows are of the test images. A criterion that
is trained for in a way of its own is compared on networks trained so.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from exeunt import criteria
from exeunt.config.tree import Config
from exeunt.criteria import Criterion
from exeunt.errors import InputError
from exeunt.progress import Progress, part, silent
from exeunt.qonnx.integers import IntegerNetwork
from exeunt.quant.compress import load_network
from exeunt.quant.exits.calibration import calibrate_exits
from exeunt.quant.network.logits import exact
from exeunt.quant.train import fingerprint, is_trained, train
from exeunt.report import store
from exeunt.splits import SPLITS, Labelled, read_fingerprint, read_split

FOLDER = "criteria"
PERMITTED = (0.002, 0.005, 0.01)
_POINTS = 1  # of the curve, which nobody looks at


def compare(
    config: Config,
    run_dir: Path,
    data_dir: Path,
    *,
    seeds: Sequence[int] = (),
    names: Sequence[str] = (),
    progress: Progress = silent,
) -> list[dict[str, Any]]:
    """Calibrate every criterion for every permitted drop; writes the rows to report.json.

    A network of another seed than the config's, or one for a criterion with a loss of its own, is
    trained in `run_dir`/criteria when it is absent.

    Args:
        config: of the run.
        run_dir: with checkpoint.pt and splits.npz.
        data_dir: of the data sets.
        seeds: of the networks; none: the config's.
        names: criteria; none: all.
        progress: told of every network.

    Returns:
        a row for each criterion, permitted drop and seed: criterion, permitted (0..1), seed, saved
        (of the multiplications, 0..1), multiplies (of an image, mean), accuracy, accuracy_last,
        rates, thresholds, images and images_validation.

    Raises:
        InputError: no such criterion, one exit alone, or seeds of a network that is not trained
            here.
    """
    unknown = [name for name in names if name not in criteria.names()]
    if unknown:
        raise InputError(
            f"--criteria must be some of {', '.join(criteria.names())}, as in margin,softmax, got "
            f"{unknown[0]!r}: change it"
        )
    rules = [criteria.get(name) for name in dict.fromkeys(names or criteria.names())]
    wanted = seeds_of(config, seeds)
    own = criteria.get(config.calibrate.criterion).loss
    fixed = _fixed(config)
    validation = read_split(run_dir / SPLITS, "validation")
    test = read_split(run_dir / SPLITS, "test")
    places = [(seed, loss) for seed in wanted for loss in _losses(rules, own, fixed=fixed)]
    rows: list[dict[str, Any]] = []
    for number, (seed, loss) in enumerate(places):
        here = [rule for rule in rules if fixed or rule.loss == loss]
        label = f"{', '.join(rule.name for rule in here)}, seed {seed}"
        begin, end = 100 * number // len(places), 100 * (number + 1) // len(places)
        progress(begin, 100, label)
        at, folder = config, run_dir
        if (seed, loss) != (config.train.seed, own):
            at = other_seed(config, seed, here[0].name)
            folder = trained_at(config, at, run_dir, data_dir, progress=part(progress, begin, end))
        network = exact(load_network(at, folder), at)
        if len(network.scales) == 1:
            raise InputError(
                "criteria must have two exits or more to be compared, got 1: add a stage, or "
                "exits with `exeunt attach`"
            )
        rows += _rows(network, here, validation, test, seed)
        store.update(run_dir, {"calibration": {"criteria": rows}})
    progress(100, 100, f"{len(rules)} criteria on {len(test.labels):,} test images")
    return rows


def _losses(rules: Sequence[Criterion], own: str, *, fixed: bool) -> list[str]:
    """What networks must be trained with for these criteria."""
    return [own] if fixed else list(dict.fromkeys(rule.loss for rule in rules))


def _fixed(config: Config) -> bool:
    """Whether the network is one that is not trained here."""
    return config.model.kind == "qonnx" or config.compress is not None


def seeds_of(config: Config, seeds: Sequence[int]) -> list[int]:
    """The seeds that networks are compared of; the config's where none is given.

    Raises:
        InputError: another seed than the config's for a network that is not trained here.
    """
    wanted = list(dict.fromkeys(seeds or (config.train.seed,)))
    if _fixed(config) and wanted != [config.train.seed]:
        raise InputError(
            f"--seeds must be {config.train.seed} alone for a network that is "
            f"{'given as a file' if config.model.kind == 'qonnx' else 'compressed'}, since no "
            f"other is trained, got {', '.join(map(str, wanted))}: leave it out"
        )
    return wanted


def other_seed(config: Config, seed: int, criterion: str) -> Config:
    """The config of a network of another seed, trained for another criterion."""
    trained = config.train.model_copy(update={"seed": seed})
    calibrated = config.calibrate.model_copy(update={"criterion": criterion})
    return config.model_copy(update={"train": trained, "calibrate": calibrated})


def trained_at(
    config: Config,
    other: Config,
    run_dir: Path,
    data_dir: Path,
    *,
    place: str = "",
    progress: Progress = silent,
) -> Path:
    """The folder with the network of `other`, which is trained there when it is absent.

    Args:
        config: of the run, whose network is in `run_dir` itself.
        other: of the network that is wanted.
        run_dir: of the run.
        data_dir: of the data sets.
        place: in `run_dir`; empty: where networks of this loss and seed are.
        progress: told of the training.
    """
    if fingerprint(other) == fingerprint(config):
        return run_dir
    loss = criteria.get(other.calibrate.criterion).loss.rpartition(":")[2]
    folder = run_dir / (place or f"{FOLDER}/{loss}-seed{other.train.seed}")
    if not is_trained(other, folder, read_fingerprint(run_dir / SPLITS)):
        train(other, folder, data_dir, progress=progress)
    return folder


def _rows(
    network: IntegerNetwork,
    rules: Sequence[Criterion],
    validation: Labelled,
    test: Labelled,
    seed: int,
) -> list[dict[str, Any]]:
    """The rows of one network."""
    macs, scales, each = network.multiplies(), network.scales, network.per_class()
    seen, unseen = network.logits(validation.images), network.logits(test.images)
    classes = unseen[-1].shape[1]
    last = float((unseen[-1].argmax(axis=1) == test.labels).mean())
    found = []
    for rule in rules:
        for permitted in PERMITTED:
            chosen = calibrate_exits(
                seen, validation.labels, macs=macs, drop=permitted, criterion=rule.name,
                scales=scales, per_class=each, points=_POINTS,
            ).chosen  # fmt: skip
            left = criteria.run(rule, unseen, [*chosen.thresholds, None], scales=scales)
            spent = float(left.multiplies(macs, per_class=each, classes=classes).mean())
            found.append(
                {
                    "criterion": rule.name,
                    "permitted": permitted,
                    "seed": seed,
                    "saved": 1.0 - spent / macs[-1],
                    "multiplies": spent,
                    "accuracy": float((left.classes == test.labels).mean()),
                    "accuracy_last": last,
                    "rates": np.bincount(left.exits, minlength=len(macs)) / len(left.exits),
                    "thresholds": chosen.thresholds,
                    "images": len(test.labels),
                    "images_validation": len(validation.labels),
                }
            )
    return found
