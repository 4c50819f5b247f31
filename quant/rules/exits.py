"""The calibration of a network with rules: what goes into exits.json, and the figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from exeunt import criteria
from exeunt import rules as room
from exeunt.config.tree import Config
from exeunt.qonnx.integers import IntegerNetwork
from exeunt.quant.exits.calibration import Calibration, Outcome, Scores, calibrate_exits
from exeunt.quant.exits.guarantee import Wanted
from exeunt.quant.rules import calibrated as thresholds
from exeunt.quant.rules import evidence, form
from exeunt.quant.rules.calibrated import Looked, Seen
from exeunt.registers import NEVER
from exeunt.splits import Labelled, Labels


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


def judged(
    config: Config, network: IntegerNetwork, images: Labelled, looked: Looked
) -> tuple[Seen, Scores, Outcome]:
    """What becomes of images with the calibrated rules: views, scores and outcome by exits."""
    section = config.rules
    assert section is not None
    of = evidence.subject(network, config.calibrate.criterion)
    seen = thresholds.seen(of, images.images, images.labels, looked.rules)
    looks = looked.looks
    whole = seen.scored(of, looks)
    macs = evidence.virtual_macs(of.macs, looks)
    left = whole.leave(looked.calibration.chosen.thresholds, macs)
    rows = [0, *range(looks + 1, len(whole.score))]
    exits = np.maximum(left.exits - looks, 0).astype(np.int64)
    scores = replace(whole, score=whole.score[rows], right=whole.right[rows])
    return seen, scores, Outcome(exits, left.right, left.spent)


def told(looked: Looked, seen: Seen, labels: Labels, macs: Sequence[int]) -> dict[str, Any]:
    """What report.json says of the calibrated rules, on test images.

    `rules`: sentences, and of each how many images it fired for, among those that got there.
    """
    of_looks = looked.calibration.chosen.thresholds[: looked.looks + 1]
    rows = []
    inside = np.ones(len(labels), bool)
    sums = seen.views.virtual()
    if looked.rules is not None:
        for number, (place, listed) in enumerate(looked.rules.lists[: looked.looks + 1]):
            which = seen.views.fired[number]
            for k, rule in enumerate(listed):
                rows.append(
                    {
                        "place": place,
                        "text": room.sentence(rule),
                        "fired": int(np.sum(inside & (which == k))),
                    }
                )
            score = criteria.every(looked.criterion, [sums[number]], scales=looked.scales)[0].scores
            inside = inside & ~((score >= of_looks[number]) & (of_looks[number] != NEVER))
    return {
        "looks": looked.looks,
        "thresholds": list(of_looks),
        "look_reach": list(looked.calibration.chosen.reach[1 : looked.looks + 1]),
        "rules": rows,
        "images": len(labels),
        "share_of_a_look": macs[0] / macs[-1],
    }
