"""Thresholds that follow a rate or a latency, through the RTL: images of which ever more stay.

The first half of the images leave as those of the validation set do; of the second half twice as
many go on. They go through the RTL with thresholds that stay, with thresholds that hold the rates,
and with thresholds that hold the latency. Rates depend on the order of the images alone, so every
answer is foretold; a latency depends on cycles, so each decision is done again from the cycles in
which results left.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from exeunt import criteria
from exeunt.criteria.criterion import ALWAYS, NEVER
from exeunt.errors import CheckFailed
from exeunt.graph import Accelerator, IntArray
from exeunt.hold import COUNTED, Held, Hold, start
from exeunt.manifest import Manifest
from exeunt.reference.frames import pace
from exeunt.simulate import bulk, traffic
from exeunt.simulate.answers import (
    Answers,
    Images,
    answer,
    check_cycles,
    counts,
    mismatch_sentence,
    writes,
)
from exeunt.simulate.library import Trace, decode

FACTOR = 2.0  # times as many frames go on in the second half
LATE = 0.1  # of the images of the first half: later than the latency that is held
BEHIND = 2  # cycles from that in which a result leaves to that in which it may count


def picked(exits: IntArray, wanted: IntArray) -> IntArray:
    """Images, in turn, that leave where it is wanted, or at the nearest exit where some do.

    Args:
        exits: int64 (N,), where the images leave.
        wanted: int64 (M,).
    """
    there = np.unique(exits)
    turn = dict.fromkeys(there.tolist(), 0)
    by_exit = {e: np.flatnonzero(exits == e) for e in turn}
    found = np.empty(len(wanted), np.int64)
    for n, asked in enumerate(wanted.tolist()):
        exit_ = int(there[np.abs(there - asked).argmin()])
        found[n] = by_exit[exit_][turn[exit_] % len(by_exit[exit_])]
        turn[exit_] += 1
    return found


def told(
    manifest: Manifest,
    accelerator: Accelerator,
    library: Path,
    images: Images,
    labels: IntArray,
    logits: Sequence[IntArray],
    answers: Answers,
    *,
    run_dir: Path,
) -> dict[str, Any] | None:
    """`hold` of report.json; None for an accelerator without.

    Raises:
        CheckFailed: an answer, an offset or a count of changes is not the reference's.
    """
    hold = manifest.hold
    if hold is None:
        return None
    calm = traffic.sequence(run_dir, answers)
    half = len(calm) // 2
    harder = traffic.drifted(calm[half:], FACTOR, len(accelerator.heads))
    chosen = picked(answers.want["exit"], np.concatenate([calm[:half], harder]))
    some, parts = images[chosen], [part[chosen] for part in logits]
    seen, runs = {}, {}
    for name, followed in (("off", None), ("on", hold)):
        seen[name] = answered = answer(manifest, library, some, parts, hold=followed)
        if len(answered.wrong):
            raise CheckFailed(mismatch_sentence(manifest, some, answered))
        if followed is not None:
            check_counts(answered.held, answered.slices[0].trace)
        cycles, _ = check_cycles(manifest, accelerator, answered)
        runs[name] = _run(answered, labels[chosen], half, hold.window, len(parts))
        runs[name]["frames_exact"] = cycles["frames_exact"]
    found: dict[str, Any] = {
        "images": len(some),
        "half": half,
        "factor": FACTOR,
        "window": hold.window,
        "exits": _exits(manifest, hold, seen["on"]),
        **runs,
    }
    if criteria.get(manifest.criterion).fixed:
        found["latency"] = _latency(manifest, library, some, parts, seen["off"], half)
    return found


def _exits(manifest: Manifest, hold: Hold, answers: Answers) -> list[dict[str, Any]]:
    """What each exit held, and from which image on which offset was in force."""
    found = []
    for e, (band, held) in enumerate(zip(hold.bands, answers.held, strict=True)):
        reached = np.flatnonzero(answers.want["exit"] >= e)
        ends = [*reached.tolist(), len(answers.want["exit"])]
        found.append(
            {
                "threshold": manifest.thresholds[e],
                "limits": [1 - band.high / hold.window, 1 - band.low / hold.window],
                "step": band.step,
                "floor": band.floor,
                "ceiling": band.ceiling,
                "offset": held.offset,
                "raised": held.raised,
                "lowered": held.lowered,
                "path": [(ends[event], offset) for event, offset in held.path],
            }
        )
    return found


def _run(answers: Answers, labels: IntArray, half: int, window: int, stages: int) -> dict[str, Any]:
    """Rates of windows at each exit, cycles and accuracy of both halves."""
    exits, accepts = answers.got["exit"], answers.slices[0].trace.accepts
    right = answers.got["class"] == labels
    parts = (slice(0, half), slice(half, None))
    windows = []
    for e in range(stages - 1):
        reached = np.flatnonzero(exits >= e)
        whole = len(reached) // window * window
        rows = reached[:whole].reshape(-1, window)
        rates = (exits[rows] == e).mean(axis=1)
        windows.append({"at": rows[:, -1].tolist(), "rate": rates.tolist()})
    return {
        "mismatches": len(answers.wrong),
        "windows": windows,
        "rates": [
            [float((exits[p] == e).sum() / max(1, (exits[p] >= e).sum())) for p in parts]
            for e in range(stages)
        ],
        "cycles_per_image": [pace(accepts[p]) for p in parts],
        "accuracy": [float(right[p].mean()) for p in parts],
    }


def check_counts(held: Sequence[Held], trace: Trace) -> None:
    """Compare the offsets and counts of changes that the RTL ends with.

    Raises:
        CheckFailed: one differs.
    """
    want = [h.offset & 0xFFFFFFFF for h in held]
    want += [h.lowered % COUNTED << 16 | h.raised % COUNTED for h in held]
    for i, (seen, expected) in enumerate(zip(trace.reads, want, strict=True)):
        if seen != expected:
            what = "offset" if i < len(held) else "changes"
            raise CheckFailed(
                f"The register hold_{what} of exit {i % len(held)} must read {expected:#010x} "
                f"behind the last image and reads {seen:#010x}: look at ex_hold with `--waves vcd`"
            )


def _latency(
    manifest: Manifest,
    library: Path,
    images: Images,
    logits: Sequence[IntArray],
    off: Answers,
    half: int,
) -> dict[str, Any]:
    """The same images while the latency is held that a tenth of the first half exceed."""
    base = manifest.hold
    assert base is not None, "or nothing is held"
    limit = int(np.percentile(off.latency[:half], 100 * (1 - LATE), method="higher"))
    low, high = ceil(LATE / 2 * base.window), int(1.5 * LATE * base.window)
    bands = tuple(dataclasses.replace(band, low=low, high=high) for band in base.bands)
    hold = Hold(base.window, bands, limit)
    (part,) = bulk.run(manifest, library, images, more=writes(hold), reads=counts(hold))
    found, held = replayed(manifest, logits, hold, part.trace)
    check_counts(held, part.trace)
    latency = np.empty(len(images), np.int64)
    table = decode(part.trace.results)
    latency[table["id"]] = table["latency"]
    late = [[float((x[p] > limit).mean()) for p in (slice(0, half), slice(half, None))]
            for x in (off.latency, latency)]  # fmt: skip
    return {
        "limit": limit,
        "limits": [low / hold.window, high / hold.window],
        "late_off": late[0],
        "late_on": late[1],
        "offsets": [h.offset for h in held],
        "raised": [h.raised for h in held],
        "lowered": [h.lowered for h in held],
        **found,
    }


def replayed(
    manifest: Manifest, logits: Sequence[IntArray], hold: Hold, trace: Trace
) -> tuple[dict[str, int], tuple[Held, ...]]:
    """Every decision of a run that held a latency, done again from the cycles of its results.

    When an exit judges a frame is known from when it tells of it, but for frames that waited
    behind another one: these are judged in one of several cycles. Where the offset is the same in
    all of them the decision is exact, else it must be that of one of them.

    Args:
        manifest: of the design; its criterion gives scores that no threshold changes.
        logits: (N, classes) per exit.
        hold: what is held.
        trace: of the run.

    Returns:
        `decisions`, those of them `exact`; and the offsets at the end.

    Raises:
        CheckFailed: a decision or an answer differs.
    """
    assert hold.limit is not None, "or nothing depends on cycles"
    table = decode(trace.results)
    late = table["latency"] > hold.limit
    held = start(hold)
    scored = criteria.every(manifest.criterion, logits, scales=manifest.logit_scales)
    inside = np.arange(len(logits[0]))
    exits = np.full(len(inside), len(logits) - 1)
    exact = total = 0
    for e, following in enumerate(held):
        since, offsets = [-(1 << 40)], [0]  # from which cycle on which offset is in force
        for cycle, hit in zip(trace.result_cycles.tolist(), late.tolist(), strict=True):
            following.event(int(hit))
            if following.offset != offsets[-1]:
                since.append(cycle + BEHIND)
                offsets.append(following.offset)
        told, takes = trace.decides[e], trace.takes[e]
        before = np.concatenate([[-(1 << 40)], told[:-1]])  # when the token in front left
        first = np.searchsorted(since, before, side="right") - 1
        last = np.searchsorted(since, told - 1, side="right") - 1
        scores, threshold = _scores(manifest, scored[e], e)[inside], manifest.thresholds[e]
        may = np.zeros((2, len(inside)), bool)
        for n, (a, b) in enumerate(zip(first.tolist(), last.tolist(), strict=True)):
            for offset in offsets[a : b + 1]:
                may[_takes(int(scores[n]), threshold, offset), n] = True
        wrong = np.flatnonzero(~may[takes.astype(int), np.arange(len(inside))])
        if len(wrong):
            frame = int(inside[wrong[0]])
            raise CheckFailed(
                f"Exit {e} must decide as the latencies of the results before say and differs for "
                f"{len(wrong)} frames, first frame {frame}: look at ex_hold with `--waves vcd`"
            )
        total += len(inside)
        exact += int((~may.all(axis=0)).sum())
        exits[inside[takes]] = e
        inside = inside[~takes]
    rows = table["id"]
    for name, values in (
        ("exit", exits[rows]),
        ("class", np.stack([s.classes for s in scored])[exits, np.arange(len(exits))][rows]),
    ):
        if len(rows) != len(exits) or (table[name] != values).any():
            raise CheckFailed(
                f"The results must have the {name} that the decisions say and differ: look at "
                "ex_merge with `--waves vcd`"
            )
    return {"decisions": total, "exact": exact}, held


def _scores(manifest: Manifest, scored: criteria.Scored, exit_index: int) -> npt.NDArray[np.int64]:
    """What is compared with the threshold of an exit."""
    scores: npt.NDArray[np.int64] = scored.scores
    if manifest.offsets:
        scores = scores - np.array(manifest.offsets[exit_index])[scored.classes]
    return scores


def _takes(score: int, threshold: int, offset: int) -> int:
    return int(threshold == ALWAYS or (threshold != NEVER and score >= threshold + offset))
