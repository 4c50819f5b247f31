"""Pictures for the report: why images stay, and what rules do to them.

Only what a picture is made of is written, the report draws it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import nn

from exeunt.files import writing
from exeunt.quant.attribution import attribute
from exeunt.quant.rules.evidence import IntArray, Subject
from exeunt.quant.rules.why import METHOD, Maps, why
from exeunt.report.store import EXAMPLES, REASONS
from exeunt.rules import RuleSet
from exeunt.splits import Labelled, turns

_REASONS = 8  # images that stay, and half as many that leave
_EACH = 2  # images of a rule


def write_reasons(
    run_dir: Path,
    network: nn.Module,
    of: Subject,
    images: Labelled,
    stays: npt.NDArray[np.bool_],
) -> None:
    """Some images that stay at exit 0 and some that leave, with their maps at both ends."""
    chosen = np.concatenate(
        [_few(images, np.flatnonzero(here), count) for here, count in
         ((stays, _REASONS), (~stays, _REASONS // 2))]
    )  # fmt: skip
    some = np.ascontiguousarray(images.images[chosen])
    logits = of.network.logits(some)
    found = why(network, some, target=logits[-1].argmax(axis=1))
    with writing(run_dir / REASONS) as stream:
        np.savez_compressed(
            stream,
            images=some,
            maps=np.stack([found.first, found.last], axis=1).astype(np.float32),
            overlap=found.overlap,
            labels=images.labels[chosen],
            answers=np.stack([logits[0].argmax(axis=1), logits[-1].argmax(axis=1)], axis=1),
            stays=stays[chosen],
        )


def _few(images: Labelled, members: IntArray, count: int) -> IntArray:
    """Up to `count` of `members`, whose classes take turns."""
    order = np.argsort(turns(images.labels[members]), kind="stable")
    return np.asarray(members[order[:count]])


def write_examples(
    run_dir: Path,
    network: nn.Module,
    of: Subject,
    images: Labelled,
    rules: RuleSet | None,
    left: IntArray,
    fired: IntArray,
) -> None:
    """For each rule some images that leave by it, before and after, with their maps at exit 0.

    Args:
        run_dir: to write into; an older file is removed where there are no rules.
        network: whose answers are explained.
        of: the same in integers.
        images: that rules were applied to, (N, H, W, C).
        rules: with their thresholds; None: there are none.
        left: int64 (N,), after how many further looks each image leaves at exit 0, or more.
        fired: int64 (1 + looks, N), the rule of each list.
    """
    chosen: list[tuple[int, int, int]] = []  # list, rule, image
    for number, (_, listed) in enumerate(() if rules is None else rules.lists):
        for k in range(len(listed)):
            members = np.flatnonzero((left == number) & (fired[number] == k))
            chosen += [(number, k, int(i)) for i in _few(images, members, _EACH)]
    if rules is None or not chosen:
        (run_dir / EXAMPLES).unlink(missing_ok=True)
        return
    lists, numbers, which = (np.array(column, np.int64) for column in zip(*chosen, strict=True))
    before = np.ascontiguousarray(images.images[which])
    after = np.concatenate(
        [rules.look(before[n : n + 1], int(lists[n]))[0] for n in range(len(which))]
    )
    target = of.network.logits(before)[-1].argmax(axis=1)
    views = [of.head.logits(seen)[0] for seen in (before, after)]
    with writing(run_dir / EXAMPLES) as stream:
        np.savez_compressed(
            stream,
            before=before,
            after=after,
            maps=np.stack([_map(network, seen, target) for seen in (before, after)], axis=1),
            labels=images.labels[which],
            answers=np.stack([view.argmax(axis=1) for view in views], axis=1),
            lists=lists,
            rules=numbers,
        )


def _map(network: nn.Module, images: npt.NDArray[np.uint8], target: IntArray) -> Maps:
    """Attribution at exit 0, float32 (N, H, W)."""
    found = attribute(METHOD, network, images, target=target, exit=0)
    return np.asarray(found.maps.sum(axis=3), np.float32)
