"""What the integer network says of images, as they are and modified: all that rules learn from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from exeunt import criteria
from exeunt.errors import InputError
from exeunt.qonnx.integers import IntegerNetwork
from exeunt.rules import NONE, STATISTICS, Modification, Rule, RuleSet, measure
from exeunt.rules import apply as modified

IntArray = npt.NDArray[np.int64]
Images = npt.NDArray[np.uint8]

INK, EDGE = 128, 32  # levels of the statistics, for images of 0..255


@dataclass(frozen=True)
class Subject:
    """A network whose images rules may modify, and what its first exit costs.

    head: the network up to exit 0; macs: cumulative multiplications of every exit.
    """

    network: IntegerNetwork
    head: IntegerNetwork
    criterion: str
    macs: tuple[int, ...]

    @property
    def scales(self) -> tuple[float, ...]:
        """What a logit of 1 stands for at each exit."""
        return tuple(self.network.scales)

    def scored(self, logits: npt.NDArray[np.integer]) -> criteria.Scored:
        """Classes and scores of exit 0 for its logits (N, classes), or for sums of them."""
        return criteria.every(self.criterion, [logits], scales=self.scales[:1])[0]


def subject(network: IntegerNetwork, criterion: str) -> Subject:
    """A network and its first exit.

    Raises:
        InputError: one exit alone, or a criterion whose score is not one of the logits alone.
    """
    if len(network.exits) < 2:
        raise InputError(
            "rules must have a network of two exits or more, since they make images leave earlier, "
            "got one exit: add a stage, or exits with `exeunt attach`"
        )
    if not criteria.get(criterion).by_class:
        known = [name for name in criteria.names() if criteria.get(name).by_class]
        raise InputError(
            "rules must go with a criterion that goes by the logits of one image alone "
            f'({", ".join(known)}), got "{criterion}": change calibrate.criterion'
        )
    behind = network.behind(network.exits[0].logits.name)
    operations = tuple(o for o in network.operations if o.result.name in behind)
    head = dataclasses.replace(network, operations=operations, exits=network.exits[:1])
    return Subject(network, head, criterion, tuple(network.multiplies()))


def statistics(images: Images, *, ink: int = INK, edge: int = EDGE) -> IntArray:
    """All statistics of images uint8 (N, H, W, C), int64 (N, S) in the order of STATISTICS."""
    found = []
    for start in range(0, len(images), 2048):
        values = measure(images[start : start + 2048], ink=ink, edge=edge)
        found.append(np.stack([values[name] for name in STATISTICS], axis=1))
    return np.concatenate(found) if found else np.zeros((0, len(STATISTICS)), np.int64)


def tried(
    of: Subject,
    images: Images,
    modifications: Sequence[Modification],
    *,
    told: Callable[[int], None] = lambda _: None,
) -> npt.NDArray[np.int32]:
    """Logits of exit 0, int32 (M, N, classes), for each modification of images (N, H, W, C)."""
    found = []
    for number, modification in enumerate(modifications):
        found.append(of.head.logits(modification.apply(images))[0].astype(np.int32))
        told(number + 1)
    return np.stack(found)


@dataclass(frozen=True)
class Views:
    """N images through a network with rules, as if no look ended the matter.

    looks: of the first look and of each further one the logits of exit 0 for what it sees,
        int64 (N, classes); later: of every later exit, for what the first look sees.
    fired: int64 (1 + looks, N), the rule of each list, NONE where none.
    """

    looks: tuple[IntArray, ...]
    later: tuple[IntArray, ...]
    fired: IntArray

    def virtual(self) -> list[IntArray]:
        """Logits (N, classes) of exits that stand for the looks (sums) and for the later exits."""
        return [*np.cumsum(np.stack(self.looks), axis=0), *self.later]


def views(
    of: Subject,
    images: Images,
    rules: Sequence[Rule],
    looks: Sequence[Sequence[Rule]],
    *,
    plain: Sequence[IntArray] | None = None,
) -> Views:
    """What the network says of images uint8 (N, H, W, C) with these rules.

    `plain`: what it says of them as they are, where that is known: logits of every exit.
    """
    found, fired, later = [], [], []
    for number, listed in enumerate([tuple(rules), *map(tuple, looks)]):
        seen, which = modified(images, listed, ink=INK, edge=EDGE)
        fired.append(which)
        if number or plain is None:
            logits = (of.head if number else of.network).logits(seen)
        else:
            logits = _instead(of, plain, seen, which != NONE)
        found.append(logits[0])
        later += [] if number else logits[1:]
    return Views(tuple(found), tuple(later), np.stack(fired))


def _instead(
    of: Subject, plain: Sequence[IntArray], seen: Images, here: npt.NDArray[np.bool_]
) -> list[IntArray]:
    """Known logits of every exit, and in their place those of images that were modified."""
    found = [logits.copy() for logits in plain]
    if here.any():
        for whole, new in zip(found, of.network.logits(seen[here]), strict=True):
            whole[here] = new
    return found


def virtual_macs(macs: Sequence[int], looks: int) -> list[int]:
    """Multiplications of an image that leaves at the first look, at each further one, or later.

    Every look goes through stage 0.
    """
    first = [macs[0] * (k + 1) for k in range(looks + 1)]
    return [*first, *(m + looks * macs[0] for m in macs[1:])]


def virtual_scales(scales: Sequence[float], looks: int) -> list[float]:
    """What a logit of 1 stands for at the exits of `Views.virtual`."""
    return [scales[0]] * (looks + 1) + list(scales[1:])


def counts(fired: IntArray, rules: RuleSet) -> list[list[int]]:
    """How often each rule of each list fired, by `Views.fired`."""
    return [
        [int(np.sum(which == k)) for k in range(len(listed))]
        for which, (_, listed) in zip(fired, rules.lists, strict=True)
    ]


def unchanged(fired: IntArray) -> int:
    """Images that no rule of one list applied to, by a row of `Views.fired`."""
    return int(np.sum(fired == NONE))
