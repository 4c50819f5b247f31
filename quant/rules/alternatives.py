"""What people would do instead of rules: the competitors, and bounds that no method reaches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from exeunt.config.rules import Rules
from exeunt.quant.exits.calibration import scores
from exeunt.quant.network.logits import as_tensor
from exeunt.quant.rules import converter, learn, learners
from exeunt.quant.rules.evidence import Images, IntArray, Subject, virtual_macs, virtual_scales
from exeunt.quant.rules.lists import Evidence
from exeunt.quant.rules.ways import Judged, Known, Sets, Way, by_logits, by_rules
from exeunt.rules import Modification, Rule, RuleSet

_STEPS, _STEP = 4, 8  # of the gradient perturbation: steps, and by how much a value changes in each


def in_looks(found: Evidence, section: Rules, sets: Sets) -> Iterator[Way]:
    """Looks without learned rules: the best modification for all, and drawn rules."""
    of, learner = found.of, found.learner(section)
    shape = of.network.image.shape
    fixed = _fixed(learner, section.looks)
    yield by_rules("one modification for all, in each look", of, sets, _set(shape, fixed))
    drawn = []
    for number in range(section.looks):
        choices = learners.random(
            learner.learning.statistics,
            np.zeros((1, len(learner.modifications))),
            learner.limits,
            seed=section.seed + number,
        )
        drawn.append(learn.rules_of(choices, learner.modifications, shape))
    yield by_rules("drawn rules, in each look", of, sets, _set(shape, drawn))
    yield averaged(of, sets, [listed[0].modification for listed in fixed])


def _fixed(learner: learn.Learner, looks: int) -> list[tuple[Rule, ...]]:
    """For each look the modification that costs least if all images get it, on training images."""
    lists: list[list[learners.Choice]] = []
    for _ in range(looks):
        single = [[learners.Choice((), m)] for m in range(1, len(learner.modifications))]
        prices = [learner.price(learner.learning, [*lists, one]) for one in single]
        lists.append(single[int(np.argmin(prices))])
    return [(Rule((), learner.modifications[one[0].modification]),) for one in lists]


def _set(shape: tuple[int, int, int], looks: Sequence[tuple[Rule, ...]]) -> RuleSet:
    return RuleSet(shape=shape, looks=tuple(looks), thresholds=(0,) * len(looks))


def averaged(of: Subject, sets: Sets, modifications: Sequence[Modification]) -> Way:
    """Test-time augmentation: exit 0 goes by the sum of its logits over all views of every image.

    The views are the image as it came and under each modification; later exits see it as it came.
    """
    count = len(modifications)
    whole = []
    for known in (sets.validation, sets.test):
        views = [of.head.logits(m.apply(known.images))[0] for m in modifications]
        total = known.logits[0] + np.sum(views, axis=0)
        whole.append((total, *known.logits[1:]))
    more = [count * of.macs[0]] * len(of.macs)
    name = f"test-time augmentation, {count + 1} views of every image"
    return by_logits(name, of, sets, whole[0], whole[1], more=more, views=count + 1)


def converted(of: Subject, sets: Sets, threshold: int, *, seed: int = 0) -> Iterator[Way]:
    """A learned converter in front of the network, and one for images that would stay alone.

    It is trained on the images that lay paths in this comparison; `threshold`: of exit 0, at which
    these leave.
    """
    known = sets.laying
    easy = of.scored(known.logits[0]).scores >= threshold
    made = converter.fitted(known.images, known.labels, easy, seed=seed)
    cost = made.multiplies
    seen = [of.network.logits(made(k.images)) for k in (sets.laying, sets.validation, sets.test)]
    yield by_logits(
        "learned converter, for every image", of, sets, seen[1], seen[2],
        more=[cost] * len(of.macs), built=False,
    )  # fmt: skip
    macs = [m + (cost if k else 0) for k, m in enumerate(virtual_macs(of.macs, 1))]
    scored = []
    for known, logits in zip((sets.laying, sets.validation, sets.test), seen, strict=True):
        looked = [known.logits[0], known.logits[0] + logits[0], *known.logits[1:]]
        scored.append(_scored(of, looked, known))
    name = "learned converter, in a second look"
    yield Way(name, tuple(macs), scored[1], scored[2], 1, scored[0], sets.allowed, built=False)


def _scored(of: Subject, logits: Sequence[IntArray], known: Known) -> Any:
    found = scores(
        logits, known.labels, criterion=of.criterion, scales=virtual_scales(of.scales, 1)
    )
    return replace(found, kept=known.right)


def oracle(of: Subject, found: Evidence, test: Known, without: Judged) -> dict[str, float]:
    """The best modification for each image that stays, chosen by its label; see `_bound`."""
    stay = np.flatnonzero(without.left.exits > 0)
    helped = np.zeros(len(stay), bool)
    for modification in found.modifications[1:]:
        shown = modification.apply(np.ascontiguousarray(test.images[stay]))
        helped |= _leaves(of, of.head.logits(shown)[0], test.labels[stay], without.thresholds[0])
    return _bound(stay, helped, test, without)


def gradient(network: nn.Module, of: Subject, test: Known, without: Judged) -> dict[str, float]:
    """Each image that stays is changed along the gradient of exit 0 for its label; see `_bound`.

    A value changes by at most 32 of 255. It is no method: it knows the label, and has gone through
    the first stage and back four times.
    """
    stay = np.flatnonzero(without.left.exits > 0)
    labels = test.labels[stay]
    shown = pushed(network, np.ascontiguousarray(test.images[stay]), labels)
    helped = _leaves(of, of.head.logits(shown)[0], labels, without.thresholds[0])
    return _bound(stay, helped, test, without)


def pushed(network: nn.Module, images: Images, labels: npt.NDArray[np.int64]) -> Images:
    """Images uint8 (N, H, W, C) along the gradient of the margin of their label at exit 0."""
    found = images.copy()
    network.eval()
    for start in range(0, len(images), 256):
        here = slice(start, start + 256)
        target = torch.from_numpy(labels[here])[:, None]
        values = as_tensor(images[here]).float()
        for _ in range(_STEPS):
            values = values.detach().requires_grad_()
            logits = network(values)[0]
            others = logits.scatter(1, target, -torch.inf).amax(1)
            margin = logits.gather(1, target)[:, 0] - others
            (slope,) = torch.autograd.grad(margin.sum(), values)
            values = (values + _STEP * slope.sign()).clamp(0, 255)
        changed = values.detach().round().to(torch.uint8)
        found[here] = changed.permute(0, 2, 3, 1).numpy()
    return found


def _leaves(
    of: Subject, logits: IntArray, labels: npt.NDArray[np.int64], threshold: int
) -> npt.NDArray[np.bool_]:
    """Which images leave at exit 0 with the right answer."""
    said = of.scored(logits)
    return np.asarray((said.scores >= threshold) & (said.classes == labels))


def _bound(
    stay: IntArray, helped: npt.NDArray[np.bool_], test: Known, without: Judged
) -> dict[str, float]:
    """What a bound gives at the thresholds without rules, on test images: reach, fewer, right."""
    right = without.left.right.copy()
    right[stay[helped]] = True
    reach = float((~helped).sum() / len(test.labels))
    return {
        "reach": reach,
        "fewer": float(helped.mean()) if len(stay) else 0.0,
        "right": float(right.mean()),
    }
