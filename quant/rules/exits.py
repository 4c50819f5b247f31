"""The calibration of a network with rules: what goes into exits.json, and the figures."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from exeunt import rules as room
from exeunt.config.tree import Config
from exeunt.errors import InputError
from exeunt.qonnx.integers import IntegerNetwork
from exeunt.quant.exits.calibration import (
    Calibration,
    IntArray,
    Outcome,
    Scores,
    calibrate_exits,
    scores,
)
from exeunt.quant.exits.guarantee import Wanted
from exeunt.quant.rules import calibrated as thresholds
from exeunt.quant.rules import evidence, form
from exeunt.quant.rules.calibrated import Looked
from exeunt.quant.rules.shown import write_examples
from exeunt.splits import Labelled


def calibrate(
    config: Config, run_dir: Path, network: IntegerNetwork, validation: Labelled, wanted: Wanted
) -> Looked:
    """Thresholds for the rules in rules.json, on validation images.

    Raises:
        InputError: no rules, or those of another network.
    """
    section = config.rules
    assert section is not None
    of = evidence.subject(network, config.calibrate.criterion)
    rules = form.read(run_dir, network).rules
    laying = thresholds.load(run_dir / thresholds.LAYING)
    testing = thresholds.seen(of, validation.images, validation.labels, rules)
    plain = calibrate_exits(
        network.logits(validation.images), validation.labels, macs=of.macs,
        drop=config.calibrate.drop, criterion=of.criterion, scales=of.scales, wanted=wanted,
    )  # fmt: skip
    return thresholds.calibrated(
        of, rules, laying, testing, plain=plain, drop=config.calibrate.drop, tail=section.tail,
        wanted=wanted,
    )  # fmt: skip


def by_exits(looked: Looked) -> Calibration:
    """The calibration as that of exits: who leaves at a look leaves at exit 0."""
    made, looks = looked.calibration, looked.looks
    if looked.rules is None:
        return made
    certified = [thresholds.exit_thresholds(one, looks) for one in made.promise.certified[-1:]]
    return Calibration(
        thresholds.folded(made.chosen, looks),
        tuple(thresholds.folded(point, looks) for point in made.curve),
        (made.accuracies[0], *made.accuracies[looks + 1 :]),
        replace(made.promise, certified=tuple(certified)),
    )


def entries(looked: Looked) -> dict[str, Any]:
    """What exits.json has of the rules beside the thresholds of the exits.

    `look_reach`: part of the images that look 1, look 2 see; `reach`: of each exit, where the first
    is how often stage 0 sees an image, for which it is folded.
    """
    if looked.rules is None:
        return {}
    reach = looked.calibration.chosen.reach
    seen = reach[1 : looked.looks + 1]
    return {
        room.KEY: room.to_json(looked.rules),
        "look_reach": seen,
        "reach": [1.0 + sum(seen), *reach[looked.looks + 1 :]],
    }


@dataclass(frozen=True)
class Judged:
    """What becomes of images with calibrated rules.

    scores, left: by exits, where who leaves at a look leaves at exit 0; looked: int64 (N,), at
    which look an image leaves, more than there are where it goes on; fired: int64 (1 + looks, N);
    plain: what becomes of them without rules.
    """

    scores: Scores
    left: Outcome
    looked: IntArray
    fired: IntArray
    plain: Outcome


def judged(config: Config, network: IntegerNetwork, images: Labelled, looked: Looked) -> Judged:
    """What becomes of images with the calibrated rules, and without."""
    of = evidence.subject(network, config.calibrate.criterion)
    whole = network.logits(images.images)
    seen = thresholds.seen(of, images.images, images.labels, looked.rules, plain=whole)
    looks = looked.looks
    scored = seen.scored(of, looks)
    macs = evidence.virtual_macs(of.macs, looks)
    left = scored.leave(looked.calibration.chosen.thresholds, macs)
    rows = [0, *range(looks + 1, len(scored.score))]
    exits = np.maximum(left.exits - looks, 0).astype(np.int64)
    without = scores(whole, images.labels, criterion=of.criterion, scales=of.scales)
    return Judged(
        replace(scored, score=scored.score[rows], right=scored.right[rows]),
        Outcome(exits, left.right, left.spent),
        left.exits,
        seen.views.fired,
        without.leave(looked.plain.chosen.thresholds, of.macs),
    )


def told(looked: Looked, found: Judged, macs: Sequence[int]) -> dict[str, Any]:
    """What report.json says of the calibrated rules, on test images.

    rules: sentences, and of each how many images it fired for, among those that got there, and how
    many of these left by it; with, without: part that leaves at each exit, parts right and lost,
    multiplications of a mean image.
    """
    rows = []
    for number, (place, listed) in enumerate(() if looked.rules is None else looked.rules.lists):
        there = found.looked >= number
        for k, rule in enumerate(listed):
            here = there & (found.fired[number] == k)
            rows.append(
                {
                    "place": place,
                    "text": room.sentence(rule),
                    "fired": int(here.sum()),
                    "left": int((here & (found.looked == number)).sum()),
                }
            )
    assert found.scores.kept is not None
    sides = {}
    for name, left in (("with", found.left), ("without", found.plain)):
        sides[name] = {
            "rates": np.bincount(left.exits, minlength=len(macs)) / len(left.exits),
            "right": float(left.right.mean()),
            "lost": float((found.scores.kept & ~left.right).mean()),
            "multiplies": float(left.spent.mean()),
        }
    return {
        **sides,
        "looks": looked.looks,
        "thresholds": list(looked.calibration.chosen.thresholds[: looked.looks + 1]),
        "look_reach": list(looked.calibration.chosen.reach[1 : looked.looks + 1]),
        "rules": rows,
        "images": len(found.looked),
        "share_of_a_look": macs[0] / macs[-1],
    }


def pictured(
    config: Config,
    run_dir: Path,
    trained: nn.Module,
    network: IntegerNetwork,
    images: Labelled,
    looked: Looked,
    found: Judged,
) -> None:
    """What the report's pictures of the calibrated rules are made of.

    A network that attribution has no rule for goes without.
    """
    of = evidence.subject(network, config.calibrate.criterion)
    with suppress(InputError):
        write_examples(run_dir, trained, of, images, looked.rules, found.looked, found.fired)
