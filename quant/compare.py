"""Exit criteria side by side: what each saves, and at which accuracy, for the same permitted drops.

Thresholds are chosen on validation images alone, as the table [calibrate] of the config says but
for criterion and permitted drop; the rows are of the test images.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from exeunt import criteria
from exeunt.config.calibrate import Calibrate
from exeunt.config.tree import Config
from exeunt.criteria import Criterion
from exeunt.errors import InputError
from exeunt.progress import Progress, silent
from exeunt.promise import NONE
from exeunt.qonnx.integers import IntegerNetwork
from exeunt.quant import asked
from exeunt.quant.compress import load_network
from exeunt.quant.compress.subject import COMPRESSED
from exeunt.quant.exits import moved
from exeunt.quant.exits.calibration import scores
from exeunt.quant.needs import needs
from exeunt.quant.network.logits import exact
from exeunt.quant.train import CHECKPOINT, fingerprint, is_trained, train
from exeunt.report import store
from exeunt.scheduler import HERE, Machines, Task
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
    machines: Machines = HERE,
) -> list[dict[str, Any]]:
    """Calibrate every criterion for every permitted drop; writes the rows to report.json.

    A network of another seed than the config's is trained in `run_dir`/criteria when it is absent.

    Args:
        config: of the run.
        run_dir: with checkpoint.pt and splits.npz.
        data_dir: of the data sets.
        seeds: of the networks; none: the config's.
        names: criteria; none: all.
        progress: told of every network.
        machines: each seed is a task for them.

    Returns:
        a row for each criterion, permitted drop and seed: criterion, permitted (0..1), seed, saved
        (of the multiplications, 0..1), multiplies (of an image, mean), accuracy, accuracy_last,
        rates, thresholds, images and images_validation; and of what [calibrate] asks for beside
        them: shift, per_class and guarantee where the criterion can have it (else false, "none"),
        promised (whether the images were enough), images_needed (for the promise).

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
    machines.agree(needs(config, data_dir.absolute()))
    found: dict[int, list[dict[str, Any]]] = {}

    def finished(number: int, rows: list[dict[str, Any]]) -> None:
        found[number] = rows
        rows = [row for number in sorted(found) for row in found[number]]
        store.update(run_dir, {"calibration": {"criteria": rows}})

    tasks = [
        Task(
            f"{', '.join(rule.name for rule in rules)}, seed {seed}",
            run_dir,
            (config, data_dir.absolute(), seed, [rule.name for rule in rules]),
            (CHECKPOINT, SPLITS, COMPRESSED, f"{FOLDER}/seed{seed}"),
        )
        for seed in wanted
    ]
    made = machines.map(_of_seed, tasks, progress=progress, finished=finished)
    rows = [row for rows in made for row in rows]
    test = read_split(run_dir / SPLITS, "test")
    progress(100, 100, f"{len(rules)} criteria on {len(test.labels):,} test images")
    return rows


def _of_seed(
    run_dir: Path,
    config: Config,
    data_dir: Path,
    seed: int,
    names: Sequence[str],
    *,
    progress: Progress,
) -> list[dict[str, Any]]:
    """The rows of one network, which is trained when it is absent."""
    at = other_seed(config, seed)
    folder = trained_at(config, at, run_dir, data_dir, progress=progress)
    network = exact(load_network(at, folder), at)
    if len(network.scales) == 1:
        raise InputError(
            "criteria must have two exits or more to be compared, got 1: add a stage, or exits "
            "with `exeunt attach`"
        )
    validation = read_split(run_dir / SPLITS, "validation")
    test = read_split(run_dir / SPLITS, "test")
    rules = [criteria.get(name) for name in names]
    return [{"seed": seed, **row} for row in _rows(network, config, rules, validation, test)]


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


def other_seed(config: Config, seed: int) -> Config:
    """The config of a network of another seed."""
    return config.model_copy(update={"train": config.train.model_copy(update={"seed": seed})})


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
        place: in `run_dir`; empty: where networks of this seed are.
        progress: told of the training.
    """
    if fingerprint(other) == fingerprint(config):
        return run_dir
    folder = run_dir / (place or f"{FOLDER}/seed{other.train.seed}")
    if not is_trained(other, folder, read_fingerprint(run_dir / SPLITS)):
        train(other, folder, data_dir, progress=progress)
    return folder


def _asked(section: Calibrate, rule: Criterion, permitted: float) -> Calibrate:
    """What the config asks for, as far as this criterion can have it."""
    wanted: dict[str, Any] = {"criterion": rule.name, "drop": permitted}
    if not rule.by_class:
        wanted["per_class"] = False
    if rule.history is not None:  # frames judged by their neighbours are not independent
        wanted["guarantee"] = NONE
    return section.model_copy(update=wanted)


def _rows(
    network: IntegerNetwork,
    config: Config,
    rules: Sequence[Criterion],
    validation: Labelled,
    test: Labelled,
) -> list[dict[str, Any]]:
    """The rows of one network, without its seed."""
    macs, scales, each = network.multiplies(), network.scales, network.per_class()
    seen = network.logits(moved.copies(validation.images, config.calibrate.shift))
    unseen = network.logits(test.images)
    last = float((unseen[-1].argmax(axis=1) == test.labels).mean())
    found = []
    for rule in rules:
        for permitted in PERMITTED:
            section = _asked(config.calibrate, rule, permitted)
            made = asked.calibrated(
                section, seen, validation.labels, macs=macs, scales=scales, per_class=each,
                seed=config.data.seed, points=_POINTS,
            )  # fmt: skip
            on_test = scores(
                unseen, test.labels, criterion=rule.name, scales=scales, per_class=each,
                offsets=made.offsets,
            )  # fmt: skip
            left = on_test.leave(made.chosen.thresholds, macs)
            spent = float(left.spent.mean())
            found.append(
                {
                    "criterion": rule.name,
                    "permitted": permitted,
                    "saved": 1.0 - spent / macs[-1],
                    "multiplies": spent,
                    "accuracy": float(left.right.mean()),
                    "accuracy_last": last,
                    "rates": np.bincount(left.exits, minlength=len(macs)) / len(left.exits),
                    "thresholds": made.chosen.thresholds,
                    "images": len(test.labels),
                    "images_validation": len(validation.labels),
                    "shift": section.shift,
                    "per_class": section.per_class,
                    "guarantee": section.guarantee,
                    "promised": made.promise.holds,
                    "images_needed": made.promise.images_needed,
                }
            )
    return found
