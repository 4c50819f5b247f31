"""What the RTL answered, beside what the reference expects: fields, cycles, streams."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from exeunt import criteria, registers
from exeunt.errors import InputError
from exeunt.graph import Accelerator, IntArray
from exeunt.hold import Held, Hold, start
from exeunt.manifest import Manifest
from exeunt.progress import Progress, silent
from exeunt.reference import controller, system
from exeunt.reference.looks import Looks, Made
from exeunt.scheduler import HERE, Machines
from exeunt.simulate import bulk, localise
from exeunt.simulate.library import Cycles, decode
from exeunt.simulate.maps import Maps
from exeunt.splits import SPLITS, Labelled, read_split, stratified

BLOCK_FRAMES = 12
ALONE = 1000  # images below which processes do not pay
BANK_FLAG = controller.FLAG_BANK

Images = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Answers:
    """What the RTL answered for N images, in the order of the images, and what was expected.

    `got`, `want`: int64 (N,) by field: class, exit, score, flags, and count, the number of results
    that carry the image's id; an image without a result has -1 in the others.
    `latency`: int64 (N,), the results' own field.
    `left`: int64 (N,), cycle of each result in its slice.
    `slices`: the raw runs. `seconds`: wall time of the simulation alone.
    `looks`: how often each was looked at again. `held`: what thresholds followed, for each exit.
    """

    got: Mapping[str, IntArray]
    want: Mapping[str, IntArray]
    latency: Cycles
    left: Cycles
    slices: tuple[bulk.Slice, ...]
    seconds: float
    looks: Made | None = None
    held: tuple[Held, ...] = ()

    @property
    def wrong(self) -> Cycles:
        """Images whose answer differs in any field."""
        differ = np.zeros(len(self.latency), bool)
        for name in self.want:
            differ |= self.got[name] != self.want[name]
        return np.flatnonzero(differ).astype(np.int64)

    @property
    def cycles(self) -> int:
        """Cycles of all slices together, from the first beat to the last result."""
        return sum(
            int(self.left[s.first : s.end].max() - s.trace.accepts[0]) + 1 for s in self.slices
        )


def load_images(
    run_dir: Path, manifest: Manifest, count: int
) -> tuple[Labelled, npt.NDArray[np.int64]]:
    """`count` of the test images over all classes (0: all), and which they are, int64 (N,).

    Raises:
        InputError: no test images, fewer than `count`, or images that do not fit the accelerator.
    """
    path = run_dir / SPLITS
    test = read_split(path, "test")
    shape = tuple(manifest.data["input"]["shape"])
    if test.images.shape[1:] != shape or not len(test.labels):
        raise InputError(
            f"the test images in {path} must be of shape {shape}, as the accelerator takes them, "
            f"got {len(test.labels)} of {test.images.shape[1:]}: do `exeunt compile` again"
        )
    if count > len(test.labels):
        raise InputError(
            f"simulate.images must be 0 (all) to {len(test.labels)}, the test images there are, "
            f"got {count}: lower it"
        )
    chosen = stratified(test.labels, count)
    images = np.ascontiguousarray(test.images[chosen])
    return Labelled(images, test.labels[chosen]), chosen


def answer(
    manifest: Manifest,
    library: Path,
    images: Images,
    logits: Sequence[IntArray],
    *,
    processes: int = 1,
    thresholds: Sequence[int] | None = None,
    settings: bulk.Settings = bulk.CONTINUOUS,
    looks: Looks | None = None,
    maps: Maps | None = None,
    hold: Hold | None = None,
    progress: Progress = silent,
    machines: Machines = HERE,
) -> Answers:
    """Put images through the RTL and set its answers beside the reference's.

    Args:
        manifest: a verified run folder.
        library: its compiled model.
        images: uint8 (N, H, W, C).
        logits: integers (N, classes) per exit, of the reference.
        processes: simulators side by side; one where exits remember the images before, or
            thresholds follow them.
        thresholds: one per exit, if not the manifest's.
        settings: idle and stalled cycles, result order.
        looks: further looks at the images, of the reference.
        maps: heat maps that are asked for meanwhile; None: none.
        hold: a rate that thresholds follow; None: they do not.
        progress: told of images done.
        machines: each simulator is a task for them.

    Raises:
        CheckFailed: an assertion of the RTL failed.
        ToolError: a simulator process died.
    """
    limits = manifest.thresholds if thresholds is None else tuple(thresholds)
    rule = criteria.get(manifest.criterion)
    held = () if hold is None else start(hold)
    if held:
        processes = 1
    if rule.history is not None:
        processes = 1
    started = time.perf_counter()

    def tell(done: int, cycles: int) -> None:
        rate = cycles / max(1e-9, time.perf_counter() - started)
        progress(done, len(images), f"{rate / 1e6:.2f} M cycles a second")

    slices = bulk.run(
        manifest, library, images, processes=processes, thresholds=limits, settings=settings,
        progress=tell, more=[*(maps.writes if maps else ()), *(writes(hold) if hold else ())],
        reads=counts(hold) if hold else (), linger=maps.linger if maps else 0, machines=machines,
    )  # fmt: skip
    seconds = time.perf_counter() - started
    expected = controller.decide(
        logits, limits, criterion=manifest.criterion, scales=manifest.logit_scales,
        offsets=manifest.offsets, looks=looks, follows=held,
    )  # fmt: skip
    want = {"class": expected.classes, "exit": expected.exits, "score": expected.scores}
    want["flags"] = np.zeros(len(images), np.int64)
    want["count"] = np.ones(len(images), np.int64)
    got = {name: np.full(len(images), -1, np.int64) for name in want}
    got["count"][:] = 0
    latency, left = np.zeros(len(images), np.int64), np.zeros(len(images), np.int64)
    for part in slices:
        table = decode(part.trace.results)
        inside = table["id"] < part.end - part.first
        index = table["id"][inside] + part.first
        np.add.at(got["count"], index, 1)
        for name in ("class", "exit", "score"):
            got[name][index] = table[name][inside]
        got["flags"][index] = table["flags"][inside] & ~BANK_FLAG  # the bank is not an answer
        latency[index] = table["latency"][inside]
        left[index] = part.trace.result_cycles[inside]
    return Answers(got, want, latency, left, tuple(slices), seconds, expected.looks, held)


def writes(hold: Hold) -> list[tuple[int, int]]:
    """Register writes that turn it on: (byte address, 32-bit value)."""
    return [(registers.address(name, i), value) for name, i, value in hold.writes()]


def counts(hold: Hold) -> list[int]:
    """Addresses of the offsets of each exit, then of the counts of their changes."""
    names = ("hold_offset", "hold_changes")
    return [registers.address(name, i) for name in names for i in range(len(hold.bands))]


def parts_of(answers: Answers) -> list[tuple[IntArray, Made | None]]:
    """Of every slice, where its images leave and how often they are looked at again."""
    return [
        (
            answers.want["exit"][s.first : s.end],
            answers.looks and answers.looks.some(s.first, s.end),
        )
        for s in answers.slices
    ]


def _predictions(
    manifest: Manifest, accelerator: Accelerator, answers: Answers
) -> list[system.Prediction]:
    """The cycle reference for every slice, in a process each when there is enough to do."""
    parts = parts_of(answers)
    sizes = system.Sizes.of(manifest.data)
    alone = len(parts) < 2 or len(answers.latency) < ALONE
    if alone or multiprocessing.current_process().daemon:  # which may not start others
        return [
            system.predict(accelerator, exits, sizes=sizes, looks=looks) for exits, looks in parts
        ]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(len(parts), mp_context=context) as pool:
        waiting = [
            pool.submit(system.predict, accelerator, exits, sizes=sizes, looks=looks, gives=False)
            for exits, looks in parts
        ]
        return [w.result() for w in waiting]


def check_cycles(
    manifest: Manifest,
    accelerator: Accelerator,
    answers: Answers,
    predictions: list[system.Prediction] | None = None,
) -> tuple[dict[str, Any], list[system.Prediction]]:
    """How far the cycle reference is from a continuous simulation.

    Args:
        manifest: of the design.
        accelerator: the compiled graph.
        answers: of all slices.
        predictions: what the reference says of each slice, where that is known.

    Returns:
        `cycle_reference` of report.json: `max_relative_error` of the slices' total cycles and mean
        latencies, `max_frame_error` of a single frame's latency, both totals, the frames whose
        accept, result and latency are exact; and the prediction of every slice.
    """
    predictions = predictions or _predictions(manifest, accelerator, answers)
    worst, single = 0.0, 0.0
    exact, total, predicted = 0, 0, 0
    for part, found in zip(answers.slices, predictions, strict=True):
        begin = part.trace.accepts[0]
        left = answers.left[part.first : part.end]
        cycles = int(left.max() - begin) + 1
        total, predicted = total + cycles, predicted + found.cycles
        seen = answers.latency[part.first : part.end]
        errors = abs(found.reported - seen) / np.maximum(seen, 1)
        mean = abs(found.reported.sum() - seen.sum()) / max(1, seen.sum())
        worst = max(worst, abs(found.cycles - cycles) / cycles, float(mean))
        single = max(single, float(errors.max()))
        same = (left - begin == found.results - found.accepts[0]) & (errors == 0)
        same &= part.trace.accepts - begin == found.accepts - found.accepts[0]
        exact += int(same.sum())
    return {
        "max_relative_error": worst,
        "max_frame_error": single,
        "cycles_total": total,
        "cycles_predicted": predicted,
        "frames_exact": exact,
        "frames_total": len(answers.latency),
    }, predictions


def check_blocks(
    manifest: Manifest, accelerator: Accelerator, library: Path, images: Images
) -> dict[str, Any]:
    """Every transfer of every kernel for these images against the cycle reference.

    Returns:
        `blocks_exact`, `blocks_total`, and the names of the `blocks_inexact`.
    """
    sizes = system.Sizes.of(manifest.data)
    taps = localise.expected(accelerator, images, manifest.thresholds, sizes=sizes)
    slices = bulk.run(
        manifest, library, images, taps=len(taps.names),
        windows=localise.windows(taps, keep=max(map(len, taps.frames))),
    )  # fmt: skip
    found = system.predict(accelerator, taps.exits, sizes=sizes, looks=taps.looks)
    shift = slices[0].trace.accepts[0] - found.accepts[0]
    inexact = []
    for i, name in enumerate(taps.names):
        if name in found.gives:
            seen = slices[0].taps[i][1] - shift
            if not np.array_equal(seen, found.gives[name][: len(seen)]):
                inexact.append(name)
    return {
        "blocks_exact": len(found.gives) - len(inexact),
        "blocks_total": len(found.gives),
        "blocks_inexact": inexact,
    }


def mismatch_sentence(
    manifest: Manifest,
    images: Images,
    answers: Answers,
    *,
    cache: Path | None = None,
    thresholds: Sequence[int] | None = None,
    settings: bulk.Settings = bulk.CONTINUOUS,
) -> str:
    """What differs: the first image with its fields, and the first word of the first stream."""
    wrong = answers.wrong
    frame = int(wrong[0])
    fields = ", ".join(
        f"{name} {answers.got[name][frame]} (expected {answers.want[name][frame]})"
        for name in answers.want
        if answers.got[name][frame] != answers.want[name][frame]
    )
    first = next(s.first for s in answers.slices if s.first <= frame < s.end)
    found = localise.locate(
        manifest, images, frame, first=first, thresholds=thresholds, settings=settings, cache=cache
    )
    where = (
        f"the first difference is {found.sentence()}"
        if found
        else "every kernel's stream agrees, so it arises in the controller behind them"
    )
    return (
        f"The RTL must answer as the reference for all {len(images)} images and differs for "
        f"{len(wrong)}: first frame {frame} gave {fields}; {where}; look at it with "
        f"`exeunt simulate --waves vcd --frame {frame}`."
    )
