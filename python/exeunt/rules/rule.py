"""Rules, ordered lists of them, and the set that a network's rule unit is built with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from exeunt.errors import InputError
from exeunt.rules.modification import NOTHING, Modification
from exeunt.rules.statistics import STATISTICS, Frames, Shape, Values, measure

MAX_RULES = 8  # of a list
MAX_CONDITIONS = 4  # of a rule
MAX_LOOKS = 2  # after the first one
NONE = -1  # no rule
BELOW, FROM = "<", ">="


@dataclass(frozen=True)
class Condition:
    """`statistic` is below (`<`) or not below (`>=`) the integer `value`.

    Raises:
        InputError: no such statistic, or another comparison.
    """

    statistic: str
    sign: str
    value: int

    def __post_init__(self) -> None:
        """Refuse what is no condition."""
        if self.statistic not in STATISTICS:
            raise InputError(
                f"the statistic of a condition must be one of {', '.join(STATISTICS)}, got "
                f"{self.statistic}: choose one of them"
            )
        if self.sign not in (BELOW, FROM):
            raise InputError(
                f"a condition must compare by {BELOW} or {FROM}, got {self.sign}: use one of them"
            )

    def holds(self, values: Values) -> npt.NDArray[np.bool_]:
        """For which frames it holds, bool (N,), by the statistic of each."""
        return values < self.value if self.sign == BELOW else values >= self.value


@dataclass(frozen=True)
class Rule:
    """If all conditions hold, then the modification; without conditions: always.

    Raises:
        InputError: too many conditions, or some that contradict each other.
    """

    conditions: tuple[Condition, ...] = ()
    modification: Modification = NOTHING

    def __post_init__(self) -> None:
        """Refuse rules that can never match."""
        if len(self.conditions) > MAX_CONDITIONS:
            raise InputError(
                f"a rule must have at most {MAX_CONDITIONS} conditions, got "
                f"{len(self.conditions)}: prune it"
            )
        for name in {c.statistic for c in self.conditions}:
            mine = [c for c in self.conditions if c.statistic == name]
            least = max((c.value for c in mine if c.sign == FROM), default=None)
            limit = min((c.value for c in mine if c.sign == BELOW), default=None)
            if least is not None and limit is not None and least >= limit:
                raise InputError(
                    f"the conditions of a rule must agree, {name} >= {least} and {name} < {limit} "
                    "contradict each other: leave one of them out"
                )


@dataclass(frozen=True)
class RuleSet:
    """Everything a rule unit does: for frames of one shape, for one network.

    shape: (H, W, C) of the frames.
    rules: before the first look; the first that matches is applied, none: unchanged.
    looks: up to two further lists for a frame that would stay at exit 0: the frame as it came is
        modified by the first rule of the list that matches and looked at once more; the logits of
        exit 0 are added up. Where no rule matches or it changes nothing, that look is left out.
    thresholds: of exit 0 after each of these looks, for the score of the sum.
    ink, edge: see `statistics.measure`.
    network: what the rules were made for; empty: unknown.

    Raises:
        InputError: no rule at all, too many, one that is never reached, a threshold outside of its
            statistic's range, or a modification that does not fit the shape.
    """

    shape: Shape
    rules: tuple[Rule, ...] = ()
    looks: tuple[tuple[Rule, ...], ...] = ()
    thresholds: tuple[int, ...] = ()
    ink: int = 128
    edge: int = 32
    network: str = field(default="")

    def __post_init__(self) -> None:
        """Refuse sets that cannot be meant."""
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise InputError(
                f"the shape of a rule set must be three numbers from 1 on, got {self.shape}: give "
                "height, width and channels"
            )
        if not self.rules and not self.looks:
            raise InputError("a rule set must have a rule, got none: leave the rules out")
        if len(self.looks) > MAX_LOOKS:
            raise InputError(
                f"a rule set must have at most {MAX_LOOKS} looks after the first, got "
                f"{len(self.looks)}: keep the first {MAX_LOOKS}"
            )
        if len(self.thresholds) != len(self.looks):
            raise InputError(
                f"a rule set must have a threshold for each of its {len(self.looks)} looks, got "
                f"{len(self.thresholds)}: calibrate again"
            )
        for threshold in self.thresholds:
            if not -(1 << 31) <= threshold < 1 << 31:
                raise InputError(
                    f"the threshold of a look must fit in 32 signed bits, got {threshold}: "
                    "calibrate again"
                )
        for name in ("ink", "edge"):
            if not 1 <= getattr(self, name) <= 255:
                raise InputError(
                    f"{name} of a rule set must be 1 to 255, got {getattr(self, name)}: choose a "
                    "level there"
                )
        for place, found in self.lists:
            self._check_list(place, found)

    def _check_list(self, place: str, found: tuple[Rule, ...]) -> None:
        if place != "rules" and not found:
            raise InputError(f"{place} must have a rule, got none: leave that look out")
        if len(found) > MAX_RULES:
            raise InputError(
                f"{place} must have at most {MAX_RULES} rules, got {len(found)}: prune them"
            )
        for k, rule in enumerate(found):
            if not rule.conditions and k + 1 < len(found):
                raise InputError(
                    f"rule {k + 2} of {place} must be reached by some image, and rule {k + 1} has "
                    "no condition, so that it takes them all: put that one last"
                )
            rule.modification.check(self.shape)
            for c in rule.conditions:
                low, high = STATISTICS[c.statistic].bounds(self.shape)
                if not low < c.value <= high:
                    raise InputError(
                        f"rule {k + 1} of {place} must compare {c.statistic} with {low + 1} to "
                        f"{high} in images of {'x'.join(map(str, self.shape))}, got {c.value}: "
                        "nothing would pass, or everything"
                    )

    @property
    def lists(self) -> tuple[tuple[str, tuple[Rule, ...]], ...]:
        """The rules of each look from the first on, with a name for people."""
        looks = tuple((f"look {k + 1}", found) for k, found in enumerate(self.looks))
        return (("rules", self.rules), *looks)

    @property
    def every(self) -> tuple[Rule, ...]:
        """All rules, those before the first look first."""
        return tuple(rule for _, found in self.lists for rule in found)

    @property
    def statistics(self) -> tuple[str, ...]:
        """The statistics that some condition asks for, in the order of `STATISTICS`."""
        used = {c.statistic for rule in self.every for c in rule.conditions}
        return tuple(name for name in STATISTICS if name in used)

    def check(self, shape: Sequence[int], *, network: str = "") -> None:
        """Refuse images or a network that these rules were not made for.

        Args:
            shape: (H, W, C) of the images.
            network: what they are for; empty: unknown, as an empty one of the set is.

        Raises:
            InputError: another shape or another network.
        """
        if tuple(shape) != tuple(self.shape):
            raise InputError(
                f"images must be {'x'.join(map(str, self.shape))} for these rules, got "
                f"{'x'.join(map(str, shape))}: use the rules of this network"
            )
        if network and self.network and network != self.network:
            raise InputError(
                f"the rules must be those of the network {network}, they are of {self.network}: "
                "do `exeunt rules` for this one"
            )

    def measured(self, frames: Frames) -> dict[str, Values]:
        """The statistics that the rules ask for, int64 (N,) by name.

        Raises:
            InputError: frames of another shape.
        """
        self.check(frames.shape[1:])
        return measure(frames, ink=self.ink, edge=self.edge, names=self.statistics)

    def chosen(self, frames: Frames) -> Values:
        """The rule of each list that fires for each frame, int64 (1 + looks, N); `NONE`: none."""
        values = self.measured(frames)
        return np.stack([fired(found, values, len(frames)) for _, found in self.lists])

    def look(self, frames: Frames, number: int) -> tuple[Frames, Values]:
        """The frames as look `number` sees them, 0 the first one, and the rules that fired.

        Args:
            frames: uint8 (N, H, W, C), as they came.
            number: 0 to the number of `looks`.
        """
        return apply(frames, self.lists[number][1], ink=self.ink, edge=self.edge)


def fired(rules: Sequence[Rule], values: Mapping[str, Values], count: int) -> Values:
    """The first rule that matches each of `count` frames, int64 (N,); `NONE` where none does.

    Args:
        rules: in their order.
        values: int64 (N,) of each statistic that they ask for.
        count: N.
    """
    found = np.full(count, NONE, np.int64)
    for k, rule in enumerate(rules):
        match = found == NONE
        for condition in rule.conditions:
            match &= condition.holds(values[condition.statistic])
        found[match] = k
    return found


def apply(
    frames: Frames, rules: Sequence[Rule], *, ink: int = 128, edge: int = 32
) -> tuple[Frames, Values]:
    """Every frame modified by the first rule that matches it.

    Args:
        frames: uint8 (N, H, W, C).
        rules: in their order.
        ink: see `statistics.measure`.
        edge: likewise.

    Returns:
        uint8 (N, H, W, C), and which rule fired, int64 (N,), `NONE` where none did.
    """
    names = {c.statistic for rule in rules for c in rule.conditions}
    which = fired(rules, measure(frames, ink=ink, edge=edge, names=names), len(frames))
    found = frames.copy()
    for k in _once(which):
        found[which == k] = rules[k].modification.apply(frames[which == k])
    return found, which


def _once(which: Values) -> Iterator[int]:
    return (int(k) for k in np.unique(which) if k != NONE)
