"""A way to make images leave earlier, and what it gives at a permitted loss.

Rules, their competitors and no rules at all are compared as scores of exits, some of which stand
for further looks. Thresholds are chosen on training and validation images, the figures are of test
images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from exeunt.quant.exits.calibration import Outcome, Scores, best, scores
from exeunt.quant.exits.laid import laid, matched
from exeunt.quant.rules import calibrated
from exeunt.quant.rules.evidence import Images, IntArray, Subject, virtual_macs
from exeunt.rules import RuleSet
from exeunt.splits import Labelled, Labels


@dataclass(frozen=True)
class Known:
    """Images uint8 (N, H, W, C), labels (N,), and what a network says of them at every exit."""

    images: Images
    labels: Labels
    logits: tuple[IntArray, ...]

    @classmethod
    def of(cls, subject: Subject, images: Labelled) -> Known:
        """What the network says of these."""
        return cls(images.images, images.labels, tuple(subject.network.logits(images.images)))

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        """Which of them the last exit answers rightly."""
        return np.asarray(self.logits[-1].argmax(axis=1) == self.labels)

    def seen(self, subject: Subject, rules: RuleSet | None) -> calibrated.Seen:
        """The same with rules."""
        return calibrated.seen(subject, self.images, self.labels, rules, plain=self.logits)


@dataclass(frozen=True)
class Sets:
    """The images of a comparison: those that lay paths, that choose thresholds, that judge.

    allowed: images that lay paths which the thresholds without rules lose.
    """

    laying: Known
    validation: Known
    test: Known
    allowed: int = 0


@dataclass(frozen=True)
class Way:
    """One way, by the scores of exits; the first `looks` + 1 of them stand for looks.

    macs: cumulative multiplications; laying: scores of the images that lay the path of thresholds,
    None: validation images choose them alone; allowed: how many of those that lay may be lost.
    views: how often stage 0 sees an image before it is judged; built: whether there is hardware.
    """

    name: str
    macs: tuple[int, ...]
    validation: Scores
    test: Scores
    looks: int = 0
    laying: Scores | None = None
    allowed: int = 0
    views: int = 1
    built: bool = True

    def seen(self, left: Outcome) -> list[float]:
        """How often each stage sees a mean image, more than once for the first with looks."""
        sees = [float((left.exits >= k).mean()) for k in range(len(self.macs))]
        return [self.views * sum(sees[: self.looks + 1]), *sees[self.looks + 1 :]]

    def thresholds(self, drop: float, tail: float = 0.0) -> tuple[int, ...]:
        """Those for a permitted loss, as the calibration chooses them."""
        if self.laying is None:
            (chosen,) = best(
                self.validation, self.macs, [int(drop / 2 * len(self.validation) + 1e-9)]
            )
            return chosen
        more = round(tail * self.macs[-1])
        priced = [m + (more if k > self.looks else 0) for k, m in enumerate(self.macs)]
        sets = laid(self.laying, priced, drop)
        return matched(
            sets, self.laying, self.validation, self.macs, drop, self.allowed, points=1
        ).chosen.thresholds


def plain(of: Subject, sets: Sets, name: str = "no rules") -> Way:
    """The network as it is."""
    return by_logits(name, of, sets, sets.validation.logits, sets.test.logits)


def by_logits(
    name: str,
    of: Subject,
    sets: Sets,
    validation: Sequence[IntArray],
    test: Sequence[IntArray],
    *,
    more: Sequence[int] = (),
    views: int = 1,
    built: bool = True,
) -> Way:
    """A way that gives these logits (N, classes) at every exit of every image.

    `more`: multiplications that it adds, cumulative, per exit; views, built: see `Way`.
    """
    added = more or [0] * len(of.macs)
    macs = tuple(m + a for m, a in zip(of.macs, added, strict=True))
    scored = [
        replace(
            scores(logits, known.labels, criterion=of.criterion, scales=of.scales),
            kept=known.right,
        )
        for logits, known in ((validation, sets.validation), (test, sets.test))
    ]
    return Way(name, macs, scored[0], scored[1], views=views, built=built)


def by_rules(name: str, of: Subject, sets: Sets, rules: RuleSet) -> Way:
    """Rules of the first look and further ones."""
    looks = len(rules.looks)
    asked = [sets.validation, sets.test, *([sets.laying] if looks else [])]
    found = [known.seen(of, rules).scored(of, looks) for known in asked]
    macs = tuple(virtual_macs(of.macs, looks))
    lays = found[2] if looks else None
    return Way(name, macs, found[0], found[1], looks, lays, sets.allowed)


@dataclass(frozen=True)
class Judged:
    """Thresholds of a way, and what becomes of the test images."""

    thresholds: tuple[int, ...]
    left: Outcome


def judged(way: Way, drop: float, tail: float = 0.0) -> Judged:
    """The way at the thresholds for a permitted loss, on test images."""
    chosen = way.thresholds(drop, tail)
    return Judged(chosen, way.test.leave(chosen, way.macs))


def row(way: Way, found: Judged, reach: float, whole: int) -> dict[str, Any]:
    """The figures of a way.

    Args:
        way: with its scores.
        found: of `judged`.
        reach: part of the test images that get to stage 1 without rules.
        whole: multiplications of the whole network without rules.

    Returns:
        name; reach: part of the test images that get to stage 1; fewer: by which part of `reach` it
        is lower; right, lost: parts of the test images; multiplies: of a mean test image;
        added: what the way adds to an image that gets to the end, of the whole network's; of
        validation images: validation_reach, validation_lost, seen (see `Way`); images,
        images_validation.
    """
    figures = {}
    for name, scored in (("test", way.test), ("validation", way.validation)):
        left = found.left if name == "test" else scored.leave(found.thresholds, way.macs)
        kept = scored.right[-1] if scored.kept is None else scored.kept
        figures[name] = {
            "reach": float((left.exits > way.looks).mean()),
            "lost": float((kept & ~left.right).mean()),
            "right": float(left.right.mean()),
            "multiplies": float(left.spent.mean()),
        }
        seen = way.seen(left)  # the last are those of validation images
    test = figures["test"]
    return {
        "name": way.name,
        **test,
        "fewer": 1.0 - test["reach"] / reach if reach else 0.0,
        "added": way.macs[-1] / whole - 1.0,
        "validation_reach": figures["validation"]["reach"],
        "validation_lost": figures["validation"]["lost"],
        "seen": seen,
        "images": len(way.test),
        "images_validation": len(way.validation),
    }
