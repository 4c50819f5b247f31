"""How frames fare: latency by exit as it was simulated, and what happens when exits drift.

A drifted sequence is one in which more or fewer frames go on than were measured; it is played by
the cycle reference, and some of it by the RTL, with images that leave where they are to leave.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from exeunt import criteria
from exeunt.errors import CheckFailed
from exeunt.graph import Accelerator, IntArray
from exeunt.manifest import Manifest
from exeunt.progress import Progress
from exeunt.reference import frames, network, system
from exeunt.reference.frames import pace
from exeunt.scheduler import HERE, Machines, Task
from exeunt.simulate import apart, bulk, verilator
from exeunt.simulate.answers import (
    Answers,
    Images,
    answer,
    check_cycles,
    mismatch_sentence,
    parts_of,
)
from exeunt.splits import SPLITS, read_split

FACTORS = (0.5, 0.75, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0)  # of the frames that go on
CHECKED = (0.5, 2.0)  # of these, through the RTL
FRAMES = 2000  # of the sequence that is drifted, at most
LEAST = 1000  # of them
STEADY = 150  # images from which on the pace in the RTL is told
WORK = 1 << 20  # words that the cycle reference solves, for each point
SHOWN = 200_000  # cycles of each further run of the RTL, or a quarter of those of all answers
PERCENTILES = (50, 95, 99)
CURVE = 101  # points of a distribution

Exits = IntArray


def drifted(exits: Exits, factor: float, stages: int, *, seed: int = 0) -> Exits:
    """A sequence in which `factor` times as many frames reach each later exit, all at the most.

    As few frames as possible go further or less far, chosen at random.

    Args:
        exits: int64 (N,), where frames leave, in order.
        factor: above 0.
        stages: number of exits.
        seed: of the choice.
    """
    random = np.random.default_rng([seed, round(1000 * factor)])
    found = np.zeros_like(exits)
    inside = np.ones(len(exits), bool)  # those that reach the exit before
    for i in range(1, stages):
        reach = (exits >= i) & inside
        missing = min(round(factor * int((exits >= i).sum())), int(inside.sum())) - int(reach.sum())
        from_ = np.flatnonzero(inside & ~reach if missing > 0 else reach)
        reach[random.choice(from_, abs(missing), replace=False)] = missing > 0
        found[reach] = i
        inside = reach
    return found


def latency(exits: Exits, cycles: IntArray, stages: int) -> dict[str, Any]:
    """Latencies by exit and of all frames: percentiles, and the curve of the distribution.

    Args:
        exits: int64 (N,), where frames left.
        cycles: int64 (N,), from the first beat to the result.
        stages: number of exits.
    """
    rows = [{"index": i, **_distribution(cycles[exits == i])} for i in range(stages)]
    return {"exits": rows, "all": _distribution(cycles)}


def _distribution(cycles: IntArray) -> dict[str, Any]:
    if not len(cycles):
        return {"images": 0}
    levels = np.linspace(0, 100, min(CURVE, len(cycles)))
    return {
        "images": len(cycles),
        **{f"p{p}": int(np.percentile(cycles, p, method="higher")) for p in PERCENTILES},
        "max": int(cycles.max()),
        "mean": float(cycles.mean()),
        "curve": np.percentile(cycles, levels, method="higher").astype(int).tolist(),
    }


def shown(accelerator: Accelerator, answers: Answers) -> dict[str, Any]:
    """Cycles between images in the RTL, and those if no image ever waited."""
    part = answers.slices[0]
    exits = answers.want["exit"][part.first : part.end]
    ideal = frames.ideal(frames.stages(accelerator), exits[len(exits) // 4 :])  # as `pace` counts
    seen = pace(part.trace.accepts)
    return {
        "images": len(exits),
        "cycles_per_image": seen,
        "ideal": ideal,
        "of_ideal": ideal / seen if seen else 1.0,
    }


def sequence(run_dir: Path, answers: Answers) -> Exits:
    """The exits of the validation images in order if calibration left them, else of the answers.

    A short sequence is repeated.
    """
    path = run_dir / "exits.json"
    text = ""
    if path.is_file():
        text = str(json.loads(path.read_text(encoding="utf-8")).get("sequence") or "")
    found = np.array([int(c) for c in text], np.int64) if text else answers.want["exit"]
    return np.resize(found, max(len(found), LEAST))[:FRAMES]


def curve(manifest: Manifest, accelerator: Accelerator, exits: Exits) -> list[dict[str, Any]]:
    """Throughput and latency by the cycle reference when that many times as many frames go on.

    Frames come as quickly as they are taken. Each point: `factor`, `reach` of each exit, `frames`,
    `cycles_per_image`, and the percentiles of the latency.
    """
    sizes, known = system.Sizes.of(manifest.data), system.Known()
    stages = len(accelerator.heads)
    found = []
    for factor in FACTORS:
        wanted = drifted(exits, factor, stages)
        played = system.predict(
            accelerator, wanted, sizes=sizes, gives=False, known=known, words=WORK
        )
        some = wanted[: len(played.accepts)]
        found.append(
            {
                "factor": factor,
                "reach": [float((some >= i).mean()) for i in range(stages)],
                "frames": len(some),
                "cycles_per_image": pace(played.accepts),
                "latency": {
                    f"p{p}": int(np.percentile(played.reported, p, method="higher"))
                    for p in PERCENTILES
                },
            }
        )
    return found


def checked(
    manifest: Manifest,
    accelerator: Accelerator,
    library: Path,
    images: Images,
    logits: Sequence[IntArray],
    answers: Answers,
    exits: Exits,
    points: Sequence[Mapping[str, Any]],
    cycles: int,
    *,
    machines: Machines = HERE,
) -> list[dict[str, Any]]:
    """Some `points` of the curve through the RTL, with test images that leave as is wanted.

    Each point: `factor`, `images`, `mismatches`, `frames_exact`, `cycles_per_image` and the
    `predicted` ones. A point for which no image leaves at some exit is left out. Each is a task for
    `machines`.

    Raises:
        CheckFailed: an answer differs.
    """
    stages = len(accelerator.heads)
    by_exit = [np.flatnonzero(answers.want["exit"] == i) for i in range(stages)]
    given = []
    for point in (p for p in points if p["factor"] in CHECKED):
        count = max(1, int(cycles / point["cycles_per_image"]))
        wanted = drifted(exits, point["factor"], stages)[:count]
        if not all(len(by_exit[i]) for i in np.unique(wanted)):
            continue
        turn = np.zeros(stages, int)
        chosen = np.empty(len(wanted), np.int64)
        for n, exit_ in enumerate(wanted.tolist()):
            chosen[n] = by_exit[exit_][turn[exit_] % len(by_exit[exit_])]
            turn[exit_] += 1
        given.append((point["factor"], images[chosen], [part[chosen] for part in logits]))
    if machines.here:
        return [_point(manifest, accelerator, library, *some) for some in given]
    with apart.packed(manifest, library) as design:
        tasks = [
            Task(
                f"{some[0]:g} times the frames",
                design,
                (manifest, accelerator, some, verilator.processor()),
                apart.READS,
            )
            for some in given
        ]
        return machines.map(_point_apart, tasks)


def _point(
    manifest: Manifest,
    accelerator: Accelerator,
    library: Path,
    factor: float,
    images: Images,
    logits: Sequence[IntArray],
) -> dict[str, Any]:
    """One point of `checked`."""
    seen = answer(manifest, library, images, logits)
    if len(seen.wrong):
        raise CheckFailed(mismatch_sentence(manifest, images, seen))
    reference, predictions = check_cycles(manifest, accelerator, seen)
    return {
        "factor": factor,
        "images": len(images),
        "mismatches": len(seen.wrong),
        "frames_exact": reference["frames_exact"],
        "cycles_per_image": pace(seen.slices[0].trace.accepts),
        "predicted": pace(predictions[0].accepts),
    }


def _point_apart(
    folder: Path,
    manifest: Manifest,
    accelerator: Accelerator,
    some: tuple[float, Images, Sequence[IntArray]],
    processor: str,
    *,
    progress: Progress,
) -> dict[str, Any]:
    """As `_point`, as a task."""
    mine, library = apart.unpacked(manifest, folder, processor)
    found = _point(mine, accelerator, library, *some)
    progress(1, 1)
    return found


def ahead(
    manifest: Manifest,
    accelerator: Accelerator,
    answers: Answers,
    *,
    run_dir: Path,
    machines: Machines,
) -> tuple[list[system.Prediction] | None, list[dict[str, Any]] | None]:
    """What the cycle reference says of every slice, and the points of `curve`, done side by side.

    None each where it is not asked for, or where there is but this process.
    """
    if machines.here:
        return None, None
    sizes = system.Sizes.of(manifest.data)
    works: list[tuple[str, tuple[Any, ...]]] = []
    drifts = answers.looks is None and len(accelerator.heads) > 1
    if drifts:  # the longest first
        works.append(("drift", (manifest, sequence(run_dir, answers))))
    works += [(f"cycles of slice {i}", (sizes, *p)) for i, p in enumerate(parts_of(answers))]
    tasks = [Task(name, Path(), (accelerator, arguments)) for name, arguments in works]
    found = machines.map(_reference, tasks)
    return (found[1:], found[0]) if drifts else (found, None)


def _reference(
    folder: Path, accelerator: Accelerator, arguments: tuple[Any, ...], *, progress: Progress
) -> Any:
    """A part of `ahead` as a task: the curve, or the prediction of a slice."""
    del folder
    if len(arguments) == 2:
        manifest, exits = arguments
        return curve(manifest, accelerator, exits)
    sizes, exits, looks = arguments
    found = system.predict(accelerator, exits, sizes=sizes, looks=looks, gives=False)
    progress(1, 1)
    return found


def spaced(
    manifest: Manifest,
    accelerator: Accelerator,
    library: Path,
    images: Images,
    spacing: int,
    cycles: int,
) -> dict[str, Any]:
    """Latencies of images that come every `spacing` cycles, by the RTL, and how many are exact.

    They take `cycles` in all, about.

    Raises:
        CheckFailed: an answer differs.
    """
    few = images[: max(1, cycles // spacing)]
    logits = network.run(accelerator, few).logits
    settings = bulk.Settings(spacing=spacing)
    seen = answer(manifest, library, few, logits, settings=settings)
    if len(seen.wrong):
        raise CheckFailed(mismatch_sentence(manifest, few, seen, settings=settings))
    predicted = system.predict(
        accelerator, seen.want["exit"], sizes=system.Sizes.of(manifest.data), gives=False,
        spacing=spacing,
    )  # fmt: skip
    return {
        "spacing": spacing,
        "mismatches": len(seen.wrong),
        "frames_exact": int((seen.latency == predicted.reported).sum()),
        **latency(seen.want["exit"], seen.latency, len(accelerator.heads)),
    }


def told(
    manifest: Manifest,
    accelerator: Accelerator,
    library: Path,
    images: Images,
    logits: Sequence[IntArray],
    answers: Answers,
    *,
    run_dir: Path,
    promise: Mapping[str, Any] | None,
    points: list[dict[str, Any]] | None = None,
    machines: Machines = HERE,
) -> dict[str, Any]:
    """`latency`, `pace` and `drift` of report.json; `points` are those of `curve`, if known.

    Where `compile` promised a latency (`compile.optimiser.latency`), validation images, for which
    it is, go through the RTL in their order: as often as it is promised for, or where that is a
    frame alone, so far apart that none meets another one.

    Raises:
        CheckFailed: an answer differs.
    """
    stages = len(accelerator.heads)
    found: dict[str, Any] = {
        "latency": {"spacing": 0, **latency(answers.want["exit"], answers.latency, stages)},
    }
    part = answers.slices[0]
    if part.end - part.first >= STEADY:
        found["pace"] = shown(accelerator, answers)
    if answers.looks is not None or stages == 1:
        return found
    cycles = max(SHOWN, answers.cycles // 4)
    if promise is not None:
        spacing = int(promise.get("spacing") or max(promise["exits"]))
        validation = read_split(run_dir / SPLITS, "validation").images
        found["latency"]["spaced"] = {
            **spaced(manifest, accelerator, library, validation, spacing, cycles),
            "promised": promise["spaced" if "spaced" in promise else "alone"],
            "alone": "spaced" not in promise,
        }
    exits = sequence(run_dir, answers)
    points = points or curve(manifest, accelerator, exits)
    found["drift"] = {"points": points}
    if criteria.get(manifest.criterion).history is None:
        found["drift"]["checked"] = checked(
            manifest, accelerator, library, images, logits, answers, exits, points, cycles,
            machines=machines,
        )  # fmt: skip
    return found
