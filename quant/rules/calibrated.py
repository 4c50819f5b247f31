"""Thresholds of looks and exits together, for a network whose images rules modify.

Training images lay the path, validation images say how far it is gone, see
`exeunt.quant.exits.laid`. Rules that cost more multiplications than they save are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from exeunt.errors import InputError
from exeunt.files import writing
from exeunt.quant.exits.calibration import Calibration, Point, Scores, scores
from exeunt.quant.exits.guarantee import Wanted
from exeunt.quant.exits.laid import laid, matched, walked
from exeunt.quant.rules.evidence import (
    Images,
    IntArray,
    Subject,
    Views,
    views,
    virtual_macs,
    virtual_scales,
)
from exeunt.rules import Rule, RuleSet
from exeunt.splits import Labels

LAYING = "rules.npz"


@dataclass(frozen=True)
class Seen:
    """Images of one kind with rules: views, and which of them the network without rules gets right.

    logits of `virtual` are sums over looks; labels, right: (N,); plain: logits of every exit
    without rules.
    """

    views: Views
    labels: Labels
    right: npt.NDArray[np.bool_]
    plain: tuple[IntArray, ...]

    def lost(self, of: Subject, thresholds: Sequence[int]) -> int:
        """Images that thresholds of the exits lose without rules."""
        found = scores(self.plain, self.labels, criterion=of.criterion, scales=of.scales)
        return int((self.right & ~found.leave(thresholds, of.macs).right).sum())

    def scored(self, of: Subject, looks: int) -> Scores:
        """Scores of the looks up to `looks` and of the later exits."""
        whole = self.views.virtual()
        given = len(self.views.looks)
        logits = [*whole[: looks + 1], *whole[given:]]
        found = scores(
            logits, self.labels, criterion=of.criterion, scales=virtual_scales(of.scales, looks)
        )
        return replace(found, kept=self.right)


@dataclass(frozen=True)
class Looked:
    """Calibrated rules: `rules` with thresholds of its looks, and what they give.

    calibration: of looks and exits as if all were exits; looks: how many were kept; criterion,
    scales: of exit 0; plain: the calibration without rules.
    """

    calibration: Calibration
    looks: int
    rules: RuleSet | None
    criterion: str
    scales: tuple[float, ...]
    plain: Calibration

    @property
    def exits(self) -> tuple[int, ...]:
        """Thresholds of the exits but the last."""
        return exit_thresholds(self.calibration.chosen.thresholds, self.looks)

    @property
    def point(self) -> Point:
        """The chosen point by exits: who leaves at a look leaves at exit 0."""
        return folded(self.calibration.chosen, self.looks)


def exit_thresholds(thresholds: Sequence[int], looks: int) -> tuple[int, ...]:
    """Those of exits, of thresholds for looks and exits."""
    return (thresholds[0], *thresholds[looks + 1 :])


def folded(point: Point, looks: int) -> Point:
    """A point of looks and exits by exits alone: a frame that leaves at a look leaves at exit 0."""
    rates = (sum(point.rates[: looks + 1]), *point.rates[looks + 1 :])
    reach = (1.0, *point.reach[looks + 1 :])
    return Point(exit_thresholds(point.thresholds, looks), point.accuracy, point.macs, rates, reach)


def seen(
    of: Subject,
    images: Images,
    labels: Labels,
    rules: RuleSet | None,
    *,
    plain: Sequence[IntArray] | None = None,
) -> Seen:
    """Images uint8 (N, H, W, C) as the network with rules sees them.

    `plain`: the logits of every exit without rules, where they are known.
    """
    known = of.network.logits(images) if plain is None else plain
    right = np.asarray(known[-1].argmax(axis=1) == labels)
    first: tuple[Rule, ...] = rules.rules if rules is not None else ()
    looks = rules.looks if rules is not None else ()
    made = views(of, images, first, looks, plain=known)
    return Seen(made, labels, right, tuple(known))


def calibrated(
    of: Subject,
    rules: RuleSet | None,
    laying: Seen,
    testing: Seen,
    *,
    plain: Calibration,
    drop: float,
    tail: float,
    wanted: Wanted | None = None,
    points: int = 24,
) -> Looked:
    """Thresholds for the rules, or no rules where they do not pay on the images that test.

    What pays has fewer multiplications there, at thresholds that lose no more training images than
    those without rules, see `exeunt.quant.exits.laid.matched`. With a promise nothing is chosen on
    the images that test it: how many looks there are, and that they pay, is what training images
    said.

    Args:
        of: the network.
        rules: with thresholds that do not matter; None: no rules.
        laying: training images, which lay the path.
        testing: validation images, which say how far it is gone.
        plain: the calibration without rules, on the images that test.
        drop: permitted loss of accuracy against the last exit without rules.
        tail: see [rules].
        wanted: what is to be promised.
        points: of the curve.
    """
    without = Looked(plain, 0, None, of.criterion, of.scales[:1], plain)
    if rules is None:
        return without
    looks = len(rules.looks)
    macs = virtual_macs(of.macs, looks)
    more = round(tail * of.macs[-1])
    priced = [m + (more if k > looks else 0) for k, m in enumerate(macs)]
    scored = testing.scored(of, looks)
    laid_by = laying.scored(of, looks)
    sets = laid(laid_by, priced, drop)
    found = walked(sets, scored, macs, drop, wanted=wanted, points=points)
    if not found.promise.holds:
        allowed = laying.lost(of, plain.chosen.thresholds)
        found = replace(
            matched(sets, laid_by, scored, macs, drop, allowed, points=points),
            promise=found.promise,
        )
        if found.chosen.macs >= plain.chosen.macs:
            return without
    chosen = found.chosen
    kept = replace(rules, thresholds=tuple(map(int, chosen.thresholds[1 : looks + 1])))
    return Looked(found, looks, kept, of.criterion, of.scales[:1], plain)


def save(path: Path, laying: Seen) -> None:
    """Keep what training images say, for the calibration; read back by `load`."""
    with writing(path) as stream:
        np.savez_compressed(
            stream,
            looks=np.stack(laying.views.looks).astype(np.int32),
            later=np.stack(laying.views.later).astype(np.int32),
            fired=laying.views.fired.astype(np.int8),
            labels=laying.labels,
            right=laying.right,
            plain=np.stack(laying.plain).astype(np.int32),
        )


def load(path: Path) -> Seen:
    """What `save` kept.

    Raises:
        InputError: the file is absent or damaged.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
            looks, later, plain = (
                tuple(data[k].astype(np.int64)) for k in ("looks", "later", "plain")
            )
            made = Views(looks, later, data["fired"].astype(np.int64))
            return Seen(made, data["labels"], data["right"], plain)
    except Exception as error:  # zip, pickle and key errors have no common base
        raise InputError(
            f"{path} must hold what `exeunt rules` saw of training images, got "
            f"{type(error).__name__}: do `exeunt rules` again"
        ) from None
