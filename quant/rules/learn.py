"""Rules for the first look and for further looks, learned on training images alone.

Two thirds of the images say what each modification is worth to each image, and a learner makes a
list of that; the other third prunes the list and says whether it pays at all. Labels are used for
learning, as in any training; a rule itself asks for nothing but statistics of the image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from exeunt.config.rules import Rules
from exeunt.progress import Progress, silent
from exeunt.quant.exits import search
from exeunt.quant.exits.calibration import Scores, options, scores
from exeunt.quant.rules import learners
from exeunt.quant.rules.evidence import (
    Images,
    IntArray,
    Subject,
    statistics,
    tried,
    virtual_macs,
    virtual_scales,
)
from exeunt.quant.rules.learners import Choice, Limits
from exeunt.quant.rules.refinement import refined
from exeunt.rules import STATISTICS, Condition, Modification, Rule
from exeunt.splits import Labels, stratified

_MARGIN = 2  # so many times the images that stay are looked at, those nearest to staying
_COARSE = 48  # thresholds of an exit that a price tries
_ROUNDS = 2  # a list is learned again at the thresholds that it leads to
_LOSS = 7.0  # what a lost image costs, in images that get past exit 0: the exchange rate of
# thresholds at usual drops (see docs/rules.md)
REFINED = ("tree", "covering")  # learners whose lists are refined; the others stand for no learning
_AROUND = (0.5, 0.65, 0.8, 1.0, 1.2, 1.5)  # a modification is judged at so many times the threshold
# in force, since at that one alone too few images are lost to tell modifications apart


@dataclass(frozen=True)
class Part:
    """The images of one part that are near to staying at exit 0, and what is said of them.

    which: int64 (n,), their indices; statistics (n, S); labels (n,); logits: of every exit,
    (n, classes), for what the first look sees; views: int32 (M, n, classes), exit 0 for each
    modification of the image as it came; others, others_lost: images of the part beside them, which
    leave at exit 0, and those of them that this loses; far: some of the others, if any.
    """

    which: IntArray
    statistics: IntArray
    labels: Labels
    logits: tuple[IntArray, ...]
    views: npt.NDArray[np.int32]
    others: int
    others_lost: int
    far: Part | None = None

    @property
    def kept(self) -> npt.NDArray[np.bool_]:
        """Which images the last exit answers rightly."""
        return np.asarray(self.logits[-1].argmax(axis=1) == self.labels)


@dataclass
class Learner:
    """What is needed to learn lists for one network.

    budget: images that may be lost, as a fraction: what the thresholds without rules lose here.
    """

    subject: Subject
    section: Rules
    modifications: tuple[Modification, ...]
    learning: Part
    holding: Part
    budget: float
    prices: list[float] = field(default_factory=list)

    @property
    def limits(self) -> Limits:
        """Of a list."""
        return Limits(self.section.rules, self.section.conditions)

    def seen(self, part: Part, lists: Sequence[Sequence[Choice]]) -> list[IntArray]:
        """Logits of exits that stand for the looks (sums of logits) and for the later exits."""
        total, found = part.logits[0].astype(np.int64), [part.logits[0]]
        for choices in lists:
            given = learners.assigned(choices, part.statistics)
            total = total + part.views[given, np.arange(len(given))]
            found.append(total)
        return [*found, *part.logits[1:]]

    def judged(self, part: Part, lists: Sequence[Sequence[Choice]]) -> Scores:
        """Scores of the images of a part, exits that stand for looks included."""
        return scores(
            self.seen(part, lists), part.labels, criterion=self.subject.criterion,
            scales=virtual_scales(self.subject.scales, len(lists)),
        )  # fmt: skip

    def thresholds(self, part: Part, lists: Sequence[Sequence[Choice]]) -> tuple[int, ...]:
        """The cheapest thresholds that lose no more than the budget."""
        found = self.judged(part, lists)
        table = options(found, self.costs(len(lists))).coarse(_COARSE)
        budget = int(self.budget * (len(found) + part.others)) - part.others_lost
        return search.best(table, [max(0, budget)])[0]

    def costs(self, looks: int, *, tail: bool = True) -> list[int]:
        """Cumulative multiplications of looks and exits; past the looks the config's tail is added.

        Without `tail`: multiplications alone.
        """
        macs = virtual_macs(self.subject.macs, looks)
        more = round(self.section.tail * self.subject.macs[-1]) if tail else 0
        return [m + (more if k > looks else 0) for k, m in enumerate(macs)]

    def price(self, part: Part, lists: Sequence[Sequence[Choice]], *, tail: bool = True) -> float:
        """Cost of a mean image of a part at the cheapest thresholds for the budget."""
        thresholds = self.thresholds(part, lists)
        costs = self.costs(len(lists), tail=tail)
        spent = self.judged(part, lists).leave(thresholds, costs).spent
        return float((spent.sum() + part.others * costs[0]) / (len(spent) + part.others))

    def together(self, lists: Sequence[Sequence[Choice]]) -> float:
        """The price on all images of both parts."""
        counts = [len(p.labels) + p.others for p in (self.learning, self.holding)]
        prices = [self.price(p, lists) for p in (self.learning, self.holding)]
        return float(np.average(prices, weights=counts))

    def worth(
        self, part: Part, lists: Sequence[Sequence[Choice]], thresholds: Sequence[int]
    ) -> npt.NDArray[np.float64]:
        """What each modification is worth to each image in the next look, float64 (n, M).

        1: the image leaves there, and nothing is lost; -_LOSS: it leaves with a wrong answer where
        the last exit has the right one; 0: it stays, or has left before. Judged at the threshold of
        that look and at some above and below it, which is steadier.
        """
        looks = self.judged(part, lists)
        number = len(lists)
        stays = np.ones(len(part.labels), bool)
        for k in range(number + 1):
            stays &= looks.score[k] < thresholds[k]
        here = np.flatnonzero(stays)
        sums = self.seen(part, lists)[number][here].astype(np.int64)
        kept = part.kept[here]
        found = np.zeros((len(part.labels), len(self.modifications)))
        for m in range(len(self.modifications)):
            said = self.subject.scored(sums + part.views[m, here])
            lost = kept & (said.classes != part.labels[here])
            gains = np.where(lost, -_LOSS, 1.0)
            for factor in _AROUND:
                found[here, m] += gains * (said.scores >= factor * thresholds[number + 1])
        found /= len(_AROUND)
        found[:, learners.NONE] = -1.0  # a look at the same image again says nothing new
        return found


def near(score: IntArray, threshold: int) -> IntArray:
    """Indices of the images that stay at exit 0, and of as many again that leave most narrowly."""
    order = np.argsort(score, kind="stable")
    stay = int(np.sum(score < threshold))
    return np.sort(order[: max(_MARGIN * stay, min(len(score), 64))])


def part(
    of: Subject,
    modifications: Sequence[Modification],
    images: Images,
    labels: Labels,
    logits: Sequence[IntArray],
    threshold: int,
    *,
    far: int = 0,
    seed: int = 0,
    told: Callable[[int], None] = lambda _: None,
) -> Part:
    """What there is to know of images uint8 (N, H, W, C) near to staying, see `Part`."""
    said = of.scored(logits[0])
    which = near(said.scores, threshold)
    others = np.setdiff1d(np.arange(len(labels)), which)
    lost = (logits[-1].argmax(axis=1) == labels) & (said.classes != labels)
    some = others[stratified(labels[others], far, seed=seed)] if far else others[:0]
    both = np.concatenate([which, some])
    shown = np.ascontiguousarray(images[both])
    known, seen = statistics(shown), tried(of, shown, modifications, told=told)
    made = []
    for place in (slice(len(which), None), slice(0, len(which))):
        at = both[place]
        made.append(
            Part(
                at,
                known[place],
                labels[at],
                tuple(x[at] for x in logits),
                seen[:, place],
                len(others),
                int(lost[others].sum()),
            )
        )
    return replace(made[1], far=made[0] if len(some) else None)


def looks(learner: Learner, *, progress: Progress = silent) -> list[list[Choice]]:
    """Lists of further looks, one after the other, as long as each lowers the price.

    A look pays when, on the images that were held back, neither the price with its tail nor the
    multiplications alone rise.
    """
    found: list[list[Choice]] = []
    learner.prices[:] = [learner.price(learner.holding, found)]
    for number in range(learner.section.looks):
        progress(number, learner.section.looks, f"look {number + 1}")
        choices = _look(learner, found)
        if not choices:
            break
        price = learner.price(learner.holding, [*found, choices])
        plain = [learner.price(learner.holding, x, tail=False) for x in ([*found, choices], found)]
        if price >= learner.prices[-1] or plain[0] > plain[1]:
            break
        found.append(choices)
        learner.prices.append(price)
    if found and learner.section.learner in REFINED:
        found = refined(
            found, learner.together, modifications=len(learner.modifications),
            cuts=learners.cuts_of(learner.learning.statistics),
            told=lambda done: progress(round(100 * done), 100, "refining the rules"),
        )  # fmt: skip
        learner.prices[1:] = [
            learner.price(learner.holding, found[: k + 1]) for k in range(len(found))
        ]
    return found


def _look(learner: Learner, before: list[list[Choice]]) -> list[Choice]:
    """The list of one more look."""
    learning, holding, limits = learner.learning, learner.holding, learner.limits
    # the threshold of the look is not known yet: that of the best single modification
    single = [[Choice((), m)] for m in range(1, len(learner.modifications))]
    prices = [learner.price(learning, [*before, one]) for one in single]
    choices = single[int(np.argmin(prices))]
    make = learners.LEARNERS[learner.section.learner]
    if make is learners.single:
        return choices
    best, least = choices, learner.price(holding, [*before, choices])
    for _ in range(_ROUNDS):
        thresholds = learner.thresholds(learning, [*before, choices])
        worth = learner.worth(learning, before, thresholds)
        active = worth[:, 1:].any(axis=1)
        if not active.any():
            break
        choices = make(learning.statistics[active], worth[active], limits)
        choices = complete(choices, worth[active], limits)
        if make is learners.random:
            return choices
        choices = learners.pruned(choices, lambda c: _with(learner, before, c))
        if not choices:
            break
        price = learner.price(holding, [*before, choices])
        if price < least:
            best, least = choices, price
    return best


def _with(learner: Learner, before: list[list[Choice]], choices: Sequence[Choice]) -> float:
    """The price of one more list, on the images that were held back; it must take every image."""
    if not choices or choices[-1].tests:
        return np.inf
    return learner.price(learner.holding, [*before, choices])


def complete(
    choices: Sequence[Choice], worth: npt.NDArray[np.float64], limits: Limits
) -> list[Choice]:
    """The list with a last rule for all other images: the best single modification."""
    if choices and not choices[-1].tests:
        return list(choices)
    return [*choices[: limits.rules - 1], Choice((), int(worth[:, 1:].sum(axis=0).argmax()) + 1)]


def first(learner: Learner, threshold: int) -> list[Choice]:
    """A list for the first look, pruned by the images that are held back."""
    known, worth = _changes(learner, learner.learning, threshold)
    choices = learners.LEARNERS[learner.section.learner](known, worth, learner.limits)
    if learner.section.learner in ("single", "random"):
        return choices
    held, value = _changes(learner, learner.holding, threshold)
    return learners.pruned(choices, lambda c: -learners.total(c, held, value))


def least_harm(learner: Learner, threshold: int) -> int:
    """The modification, not the one that changes nothing, that is best at the first look for all.

    `threshold`: of exit 0.
    """
    _, worth = _changes(learner, learner.learning, threshold)
    return int(worth[:, 1:].sum(axis=0).argmax()) + 1


def _changes(
    learner: Learner, images: Part, threshold: int
) -> tuple[IntArray, npt.NDArray[np.float64]]:
    """Statistics of images, and what each modification is worth at the first look, (n, M).

    It is what it changes: an image that leaves now is 1, one that stays now -1, one that is lost
    now -`_LOSS`. The images far from staying stand for all the others.
    """
    parts = [images] if images.far is None else [images, images.far]
    found = []
    for one in parts:
        kept = one.kept

        def value(
            logits: npt.NDArray[np.integer], one: Part = one, kept: npt.NDArray[np.bool_] = kept
        ) -> npt.NDArray[np.float64]:
            said = learner.subject.scored(logits)
            gains = np.where(kept & (said.classes != one.labels), -_LOSS, 1.0)
            at = [gains * (said.scores >= factor * threshold) for factor in _AROUND]
            return np.asarray(np.mean(at, axis=0))

        before = value(one.logits[0])
        weight = 1.0 if one is images else images.others / max(len(one.labels), 1)
        found.append(weight * np.stack([value(view) - before for view in one.views], axis=1))
    return np.concatenate([p.statistics for p in parts]), np.concatenate(found)


def oracle(learner: Learner, threshold: int) -> tuple[float, float]:
    """What an oracle does for the held images that stay: the bound that no rule can pass.

    It knows the label and chooses the best modification for each image. Parts of those that stay:
    that leave with the right answer under it, and that leave so under the best single modification.
    """
    part_ = learner.holding
    stays = np.flatnonzero(learner.subject.scored(part_.logits[0]).scores < threshold)
    if not len(stays):
        return 0.0, 0.0
    right = []
    for view in part_.views:
        said = learner.subject.scored(view[stays])
        right.append((said.scores >= threshold) & (said.classes == part_.labels[stays]))
    table = np.array(right)
    return float(table.any(axis=0).mean()), float(table.mean(axis=1).max())


def rules_of(
    choices: Sequence[Choice], modifications: Sequence[Modification], shape: tuple[int, int, int]
) -> tuple[Rule, ...]:
    """The rules that choices stand for, in images (H, W, C).

    A condition that every image of such a shape meets is left out, a rule that none meets as well.
    """
    found: list[Rule] = []
    for choice in choices:
        conditions, never = [], False
        for test in choice.tests:
            name = list(STATISTICS)[test.statistic]
            low, high = STATISTICS[name].bounds(shape)
            if low < test.threshold <= high:
                conditions.append(Condition(name, "<" if test.below else ">=", test.threshold))
            else:
                never |= test.below == (test.threshold <= low)
        if not never:
            found.append(Rule(tuple(conditions), modifications[choice.modification]))
            if not conditions:
                break
    return tuple(found)
