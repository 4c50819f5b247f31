"""Further looks at frames that would stay at exit 0: what is added up, and where they leave then.

The order in time is the hardware's (hls/rtl/ex_rules.sv, ex_looks.sv, ex_again.sv): look after look
for as long as the score of the sum stays below that look's threshold. What goes on to segment 1
are the features of the first look, which ex_look_buffer.sv keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from exeunt import criteria
from exeunt.criteria.criterion import NEVER
from exeunt.rules.rule import NONE, RuleSet

Images = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]
Stage = Callable[[Images], Integers]


@dataclass(frozen=True)
class Looks:
    """What the further looks at N frames would give, whether they are made or not.

    sums: of each look int64 (N, classes), the logits of exit 0 added up to there.
    there: bool (looks, N), whether a rule of that look fires and changes the frame.
    thresholds: one per look.
    """

    sums: tuple[Integers, ...]
    there: npt.NDArray[np.bool_]
    thresholds: tuple[int, ...]

    def some(self, chosen: npt.NDArray[np.integer] | slice) -> Looks:
        """Those of some of the frames."""
        return Looks(tuple(s[chosen] for s in self.sums), self.there[:, chosen], self.thresholds)


@dataclass(frozen=True)
class Made:
    """How often N frames were looked at again, and how often they might have been: int64 (N,)."""

    made: Integers
    most: Integers

    def some(self, first: int, end: int) -> Made:
        """Those of frames `first` to `end` - 1."""
        return Made(self.made[first:end], self.most[first:end])


def there(rules: RuleSet, images: Images) -> npt.NDArray[np.bool_]:
    """Bool (looks, N): whether a rule of each further look fires and changes the image."""
    chosen = rules.chosen(images)[1:]
    found = np.zeros(chosen.shape, bool)
    for row, which, rules_ in zip(found, chosen, rules.looks, strict=True):
        changes = [not rule.modification.nothing for rule in rules_]
        row[:] = (which != NONE) & np.array([*changes, False])[which]
    return found


def seen(rules: RuleSet, images: Images, number: int) -> Images:
    """The images as they are seen after so many looks before: uint8 (N, H, W, C).

    Images that are not looked at as often are as the last look has them.
    """
    found, _ = rules.look(images, 0)
    made = np.zeros(len(images), np.int64)
    for k, here in enumerate(there(rules, images)):
        made[here] += 1
        now = here & (made <= number)
        found[now] = rules.look(images[now], k + 1)[0]
    return found


def run(rules: RuleSet, images: Images, stage: Stage, first: Integers) -> Looks:
    """The further looks at images.

    Args:
        rules: with `looks`.
        images: uint8 (N, H, W, C), as they came.
        stage: images to the logits of exit 0, int64 (n, classes).
        first: int64 (N, classes), these logits in the first look.
    """
    found, total = [], first
    which = there(rules, images)
    for k, here in enumerate(which):
        total = total.copy()
        if here.any():
            total[here] += stage(rules.look(images[here], k + 1)[0])
        found.append(total)
    return Looks(tuple(found), which, rules.thresholds)


def decide(
    looks: Looks,
    exits: Integers,
    *,
    criterion: str,
    scales: Sequence[float] = (),
    offsets: Sequence[Sequence[int]] = (),
) -> tuple[Made, npt.NDArray[np.bool_], Integers, Integers]:
    """What the looks change for frames that leave at `exits` without them.

    Args:
        looks: of N frames.
        exits: int64 (N,).
        criterion: what the exits go by.
        scales: what a logit of 1 stands for at each exit.
        offsets: per exit, of each class.

    Returns:
        how often each was looked at, bool (N,) those that leave at exit 0 by a further look, and
        their classes and scores, int64 (N,), of no account for the others.
    """
    rule = criteria.get(criterion)
    count = len(exits)
    made = np.zeros(count, np.int64)
    gone = np.zeros(count, bool)
    classes, scores = np.zeros(count, np.int64), np.zeros(count, np.int64)
    for here, sums, limit in zip(looks.there, looks.sums, looks.thresholds, strict=True):
        seen = np.flatnonzero(here & (exits > 0) & ~gone)
        made[seen] += 1
        scored = rule.values(sums[seen], scale=scales[0] if len(scales) else 1.0)
        score = scored.scores - (np.array(offsets[0])[scored.classes] if len(offsets) else 0)
        leave = (score >= limit) & (limit != NEVER)
        at = seen[leave]
        gone[at] = True
        classes[at], scores[at] = scored.classes[leave], score[leave]
    return Made(made, looks.there.sum(axis=0).astype(np.int64)), gone, classes, scores
