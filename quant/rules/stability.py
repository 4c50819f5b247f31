"""Whether rules that were learned for other networks, of other seeds, are the same."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from exeunt.rules import RuleSet

BoolArray = npt.NDArray[np.bool_]
Images = npt.NDArray[np.uint8]


def jaccard(one: BoolArray, other: BoolArray) -> float:
    """What two sets of images share, of what either has; bool (N,) each, 1 for two empty sets."""
    either = int((one | other).sum())
    return float((one & other).sum() / either) if either else 1.0


def alike(one: RuleSet, other: RuleSet, images: Images, number: int) -> float:
    """How far two sets do the same to images (N, H, W, C) in look `number`, 0..1.

    The Jaccard index of pairs of an image and the modification that it gets; an image that gets
    none is in no pair.
    """
    done = []
    for rules in (one, other):
        listed = rules.lists[number][1]
        known = {rule.modification for rule in listed if not rule.modification.nothing}
        which = rules.chosen(images)[number]
        done.append(
            {m: np.isin(which, [k for k, r in enumerate(listed) if r.modification == m])
             for m in known}
        )  # fmt: skip
    every = set(done[0]) | set(done[1])
    none = np.zeros(len(images), bool)
    if not every:
        return 1.0
    pairs = [np.stack([d.get(m, none) for m in every]).ravel() for d in done]
    return jaccard(pairs[0], pairs[1])


def stability(
    rules: Sequence[RuleSet], looked: Sequence[BoolArray], images: Images
) -> list[dict[str, Any]]:
    """Every two networks of other seeds beside each other.

    Args:
        rules: of each network.
        looked: bool (N,), the images that each network looks at again.
        images: uint8 (N, H, W, C).

    Returns:
        for each pair: networks, images (Jaccard index of those that are looked at again), and
        looks: of each further look, see `alike`, over the images that either looks at again.
    """
    found = []
    for a, b in combinations(range(len(rules)), 2):
        either = looked[a] | looked[b]
        some = np.ascontiguousarray(images[either])
        shared = min(len(rules[a].looks), len(rules[b].looks))
        found.append(
            {
                "networks": [a, b],
                "images": jaccard(looked[a], looked[b]),
                "looks": [alike(rules[a], rules[b], some, k + 1) for k in range(shared)],
                "rules": len({*rules[a].every} & {*rules[b].every}),
            }
        )
    return found
