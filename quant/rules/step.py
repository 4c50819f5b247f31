"""The `rules` step: why images stay, rules that make them leave, and what they do to images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from exeunt import rules as room
from exeunt.config.tree import Config
from exeunt.errors import InputError
from exeunt.progress import Progress, part, silent
from exeunt.quant.compress import load_network
from exeunt.quant.data.datasets import load
from exeunt.quant.network.logits import exact
from exeunt.quant.rules import calibrated, evidence, form, shown
from exeunt.quant.rules.form import Learned
from exeunt.quant.rules.lists import Lists, gathered, learned
from exeunt.quant.rules.why import METHOD, why
from exeunt.quant.train import one_thread
from exeunt.report import store
from exeunt.rules import RuleSet
from exeunt.splits import SPLITS, Labelled, read_split, stratified

_EXPLAINED = 100  # validation images that leave, and that stay, whose maps are compared
_LAYING = 20_000  # training images whose logits are kept for the calibration


def rules(
    config: Config,
    run_dir: Path,
    data_dir: Path,
    *,
    progress: Progress = silent,
) -> Learned:
    """Learn rules on training images; leaves rules.json and rules.npz.

    Raises:
        InputError: no [rules] section, no checkpoint, one exit, or a criterion that does not go by
            the logits of one image.
    """
    section = config.rules
    if section is None:
        raise InputError(
            f"config {config.name} must have a section [rules] to learn rules, got none: add the "
            "line [rules], its keys have defaults"
        )
    splits = load(config.data, data_dir, shape=config.model.input, classes=config.model.classes)
    with one_thread(section.seed):
        trained = load_network(config, run_dir)
        network = exact(trained, config)
    of = evidence.subject(network, config.calibrate.criterion)
    validation = read_split(run_dir / SPLITS, "validation")
    learning, laying = parts(splits.train, section.images, seed=section.seed)
    tried = gathered(
        of, section, learning.images, learning.labels, config.calibrate.drop,
        progress=part(progress, 0, 60),
    )  # fmt: skip
    found = learned(tried, section, progress=part(progress, 60, 80))
    made = _set(config, found, form.fingerprint(network))
    progress(80, 100, "why images stay")
    with one_thread(section.seed):
        reasons = _why(config, run_dir, of, trained, validation, found.thresholds[0])
    progress(90, 100, "training images with rules")
    calibrated.save(
        run_dir / calibrated.LAYING, calibrated.seen(of, laying.images, laying.labels, made)
    )
    told = {
        "learner": section.learner,
        "images": found.images,
        "families": list(section.families),
        "oracle": {"any": found.oracle[0], "single": found.oracle[1]},
        "prices": [price / of.macs[-1] for price in found.prices],
        "rules": len(found.rules),
        "looks": [len(listed) for listed in found.looks],
        "text": [] if made is None else room.sentences(made),
    }
    result = Learned(made, told)
    form.write(run_dir, config, result)
    store.update(run_dir, {"rules": {"learned": told, "why": reasons}})
    progress(100, 100, summary(found))
    return result


def _why(
    config: Config,
    run_dir: Path,
    of: evidence.Subject,
    trained: nn.Module,
    images: Labelled,
    threshold: int,
) -> dict[str, Any]:
    """How much exit 0 and the last exit rest on the same, for images that leave and that stay.

    Of validation images, as many of each.
    """
    score = of.scored(of.head.logits(images.images)[0]).scores
    found: dict[str, Any] = {"method": METHOD}
    try:
        shown.write_reasons(run_dir, trained, of, images, score < threshold)
        for name, which in (("leave", score >= threshold), ("stay", score < threshold)):
            some = Labelled(images.images[which], images.labels[which]).some(_EXPLAINED)
            found[f"images_{name}"] = len(some.labels)
            found[f"overlap_{name}"] = None
            if len(some.labels):
                made = why(trained, some.images, method=METHOD)
                found[f"overlap_{name}"] = float(made.overlap.mean())
    except InputError:  # a network that the method has no rule for goes without pictures
        return {}
    return found


def parts(train: Labelled, count: int, *, seed: int = 0) -> tuple[Labelled, Labelled]:
    """`count` training images to learn rules on, and those that lay the path of thresholds.

    The latter are others first; where these are too few, some that rules were learned on as well.
    """
    chosen = stratified(train.labels, count, seed=seed)
    rest = np.setdiff1d(np.arange(len(train.labels)), chosen)
    laying = rest[stratified(train.labels[rest], _LAYING, seed=seed)]
    more = min(_LAYING - len(laying), len(chosen))
    if more:
        again = chosen[stratified(train.labels[chosen], more, seed=seed)]
        laying = np.sort(np.concatenate([laying, again]))
    learning, others = (
        Labelled(np.ascontiguousarray(train.images[which]), train.labels[which])
        for which in (chosen, laying)
    )
    return learning, others


def _set(config: Config, found: Lists, network: str) -> RuleSet | None:
    """The rule set of the lists, its thresholds still to be chosen; None when there is no rule."""
    if not found.rules and not found.looks:
        return None
    return RuleSet(
        shape=config.model.input,
        rules=found.rules,
        looks=found.looks,
        thresholds=(0,) * len(found.looks),
        ink=evidence.INK,
        edge=evidence.EDGE,
        network=network,
    )


def summary(found: Lists) -> str:
    """What was learned, for the screen."""
    lists: Sequence[tuple[str, int]] = [
        ("for the first look", len(found.rules)),
        *((f"for further look {k + 1}", len(listed)) for k, listed in enumerate(found.looks)),
    ]
    told = [f"{count} rules {where}" for where, count in lists if count]
    return ", ".join(told) or "no rule lowers the cost at the same loss"
