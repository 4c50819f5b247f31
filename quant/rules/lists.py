"""The lists of one network, learned on training images: the first look's, then those of others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from exeunt.config.rules import Rules
from exeunt.progress import Progress, part, silent
from exeunt.quant.exits import search
from exeunt.quant.exits.calibration import Scores, options, scores
from exeunt.quant.rules import learn
from exeunt.quant.rules.candidates import candidates
from exeunt.quant.rules.evidence import EDGE, INK, Images, IntArray, Subject
from exeunt.rules import NONE, Modification, Rule
from exeunt.rules import apply as modified
from exeunt.splits import Labels

_SHARE = 3  # one image in so many is held back
_FAR = 1000  # images far from staying that a list of the first look is tried on
_COARSE = 96
_BETTER = 0.99  # of the price, which a list for the first look must reach


@dataclass(frozen=True)
class Lists:
    """What was learned: rules of the first look, of each further one, and what they cost.

    prices: of a mean image, held back: without rules, with those of the first look, and with each
    further look; with the tail of the config, at the thresholds for the same loss. oracle: see
    `learn.oracle`.
    """

    rules: tuple[Rule, ...]
    looks: tuple[tuple[Rule, ...], ...]
    prices: tuple[float, ...]
    images: int
    oracle: tuple[float, float]


def learned(
    of: Subject,
    section: Rules,
    images: Images,
    labels: Labels,
    thresholds: Sequence[int],
    *,
    progress: Progress = silent,
) -> Lists:
    """Learn all lists on training images uint8 (N, H, W, C).

    Args:
        of: the network.
        section: of the config.
        images: of the training set.
        labels: int64 (N,).
        thresholds: of the exits without rules: they say which images stay, and what is lost.
        progress: told of every step.
    """
    shape = of.network.image.shape
    modifications = candidates(shape, section.families)
    progress(0, 100, f"{len(labels):,} training images")
    whole = of.network.logits(images)
    before = scores(whole, labels, criterion=of.criterion, scales=of.scales)
    budget = _lost(before, thresholds, of.macs)
    order = np.random.default_rng([section.seed, len(labels)]).permutation(len(labels))
    cut = len(labels) - len(labels) // _SHARE
    parts = []
    for number, half in enumerate((np.sort(order[:cut]), np.sort(order[cut:]))):
        told = partial(_told, part(progress, 10 + 30 * number, 40 + 30 * number), modifications)
        parts.append(
            learn.part(
                of,
                modifications,
                images[half],
                labels[half],
                [x[half] for x in whole],
                thresholds[0],
                far=_FAR if section.first else 0,
                seed=section.seed,
                told=told,
            )
        )
    learner = learn.Learner(of, section, modifications, parts[0], parts[1], budget)
    bound = learn.oracle(learner, thresholds[0])
    rules: tuple[Rule, ...] = ()
    if section.first:
        progress(70, 100, "first look")
        held = np.sort(order[cut:])
        price = _Held(of, section, images[held], labels[held], [x[held] for x in whole], budget)
        rules = learn.rules_of(learn.first(learner, thresholds[0]), modifications, shape)
        if section.learner != "random" and price(rules) > _BETTER * price(()):
            rules = ()
    if rules:  # later looks see the images that the first one keeps
        learner.learning, learner.holding = (
            _again(of, rules, p, images[half])
            for p, half in zip(parts, (np.sort(order[:cut]), np.sort(order[cut:])), strict=True)
        )
    found = learn.looks(learner, progress=part(progress, 80, 100))
    looks = tuple(learn.rules_of(choices, modifications, shape) for choices in found)
    return Lists(rules, looks, tuple(learner.prices), len(labels), bound)


def _told(progress: Progress, modifications: Sequence[Modification], done: int) -> None:
    """Say how many modifications were tried."""
    progress(done, len(modifications), "trying modifications")


def _again(of: Subject, rules: Sequence[Rule], images: learn.Part, frames: Images) -> learn.Part:
    """The images of a part whose first look has rules."""
    shown, _ = modified(np.ascontiguousarray(frames[images.which]), rules, ink=INK, edge=EDGE)
    logits = of.network.logits(shown)
    return replace(images, logits=(*logits[:-1], images.logits[-1]))


def _lost(found: Scores, thresholds: Sequence[int], macs: Sequence[int]) -> float:
    taken = found.leave(thresholds, macs).exits
    return float(found.lost[taken, np.arange(len(taken))].mean())


@dataclass(frozen=True)
class _Held:
    """Images that are held back, on which a list for the first look must pay."""

    of: Subject
    section: Rules
    images: Images
    labels: Labels
    logits: Sequence[IntArray]
    budget: float

    def __call__(self, rules: Sequence[Rule]) -> float:
        """Cost of a mean image at the cheapest thresholds that lose no more than the budget."""
        logits = [x.copy() for x in self.logits]
        shown, fired = modified(self.images, rules, ink=INK, edge=EDGE)
        here = fired != NONE
        for whole, new in zip(logits, self.of.network.logits(shown[here]), strict=True):
            whole[here] = new
        found = replace(
            scores(logits, self.labels, criterion=self.of.criterion, scales=self.of.scales),
            kept=self.logits[-1].argmax(axis=1) == self.labels,
        )
        more = round(self.section.tail * self.of.macs[-1])
        costs = [m + (more if k else 0) for k, m in enumerate(self.of.macs)]
        table = options(found, costs).coarse(_COARSE)
        best = search.best(table, [int(self.budget * len(found))])[0]
        return float(found.leave(best, costs).spent.mean())
