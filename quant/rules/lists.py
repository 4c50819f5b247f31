"""The lists of one network, learned on training images: the first look's, then those of others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from exeunt.config.rules import Rules
from exeunt.progress import Progress, part, silent
from exeunt.quant.exits import search
from exeunt.quant.exits.calibration import Scores, best, options, scores
from exeunt.quant.modified.candidates import candidates
from exeunt.quant.rules import learn
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
    `learn.oracle`. thresholds: of the exits without rules, for the permitted loss on these images.
    """

    rules: tuple[Rule, ...]
    looks: tuple[tuple[Rule, ...], ...]
    prices: tuple[float, ...]
    images: int
    oracle: tuple[float, float]
    thresholds: tuple[int, ...]


@dataclass(frozen=True)
class Evidence:
    """All that lists are learned from: modifications tried on training images.

    images: uint8 (N, H, W, C), labels int64 (N,), whole: logits of every exit.
    parts: two thirds of them, on which lists are learned, and those that prune; halves: their
        indices. thresholds, budget: see `Lists` and `learn.Learner`.
    """

    of: Subject
    images: Images
    labels: Labels
    whole: Sequence[IntArray]
    modifications: tuple[Modification, ...]
    parts: tuple[learn.Part, learn.Part]
    halves: tuple[IntArray, IntArray]
    thresholds: tuple[int, ...]
    budget: float

    def learner(self, section: Rules) -> learn.Learner:
        """A learner of this section, which may have fewer families of modifications."""
        fitting = set(candidates(self.of.network.image.shape, section.families))
        kept = [k for k, m in enumerate(self.modifications) if m in fitting]
        chosen = tuple(self.modifications[k] for k in kept)
        parts = [_of(images, kept) for images in self.parts]
        return learn.Learner(self.of, section, chosen, parts[0], parts[1], self.budget)


def _of(images: learn.Part, kept: Sequence[int]) -> learn.Part:
    """A part with some of the modifications."""
    far = None if images.far is None else _of(images.far, kept)
    return replace(images, views=images.views[list(kept)], far=far)


def gathered(
    of: Subject,
    section: Rules,
    images: Images,
    labels: Labels,
    drop: float,
    *,
    progress: Progress = silent,
) -> Evidence:
    """Try every modification on training images uint8 (N, H, W, C).

    Args:
        of: the network.
        section: of the config.
        images: of the training set.
        labels: int64 (N,).
        drop: permitted loss: the thresholds for it without rules, on these images, say which stay.
        progress: told of every step.
    """
    modifications = candidates(of.network.image.shape, section.families)
    progress(0, 100, f"{len(labels):,} training images")
    whole = of.network.logits(images)
    before = scores(whole, labels, criterion=of.criterion, scales=of.scales)
    (thresholds,) = best(before, of.macs, [int(drop * len(labels))], coarse=True)
    budget = _lost(before, thresholds, of.macs)
    order = np.random.default_rng([section.seed, len(labels)]).permutation(len(labels))
    cut = len(labels) - len(labels) // _SHARE
    halves = np.sort(order[:cut]), np.sort(order[cut:])
    parts = []
    for number, half in enumerate(halves):
        told = partial(_told, part(progress, 15 + 50 * number, 65 + 35 * number), modifications)
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
    return Evidence(
        of, images, labels, whole, modifications, (parts[0], parts[1]), halves, thresholds, budget
    )


def learned(found: Evidence, section: Rules, *, progress: Progress = silent) -> Lists:
    """Learn all lists on training images, and on nothing else."""
    of, shape = found.of, found.of.network.image.shape
    learner = found.learner(section)
    bound = learn.oracle(learner, found.thresholds[0])
    rules: tuple[Rule, ...] = ()
    if section.first:
        progress(0, 100, "first look")
        held = found.halves[1]
        price = _Held(
            of, section, found.images[held], found.labels[held], [x[held] for x in found.whole],
            found.budget,
        )  # fmt: skip
        choices = learn.first(learner, found.thresholds[0])
        rules = learn.rules_of(choices, learner.modifications, shape)
        if section.learner != "random" and price(rules) > _BETTER * price(()):
            rules = ()
    if rules:  # later looks see the images that the first one keeps
        learner.learning, learner.holding = (
            _again(of, rules, p, found.images[half])
            for p, half in zip((learner.learning, learner.holding), found.halves, strict=True)
        )
    listed = learn.looks(learner, progress=part(progress, 30, 100))
    looks = tuple(learn.rules_of(choices, learner.modifications, shape) for choices in listed)
    return Lists(rules, looks, tuple(learner.prices), len(found.labels), bound, found.thresholds)


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
        (chosen,) = search.best(table, [int(self.budget * len(found))])
        return float(found.leave(chosen, costs).spent.mean())
