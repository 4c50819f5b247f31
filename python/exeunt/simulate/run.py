"""The simulate step: the test set through the RTL, every answer against the reference."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from exeunt import manifest as manifests
from exeunt.errors import CheckFailed
from exeunt.graph import Accelerator, IntArray
from exeunt.kernels import registry
from exeunt.manifest import Manifest
from exeunt.progress import Progress, silent
from exeunt.reference import network, system
from exeunt.report import store
from exeunt.scheduler import HERE, Machines, Task
from exeunt.simulate import apart, bulk, following, maps, traffic, verilator, waves
from exeunt.simulate.answers import (
    BLOCK_FRAMES,
    Answers,
    Images,
    answer,
    check_blocks,
    check_cycles,
    load_images,
    mismatch_sentence,
)
from exeunt.simulate.library import Cycles
from exeunt.synth import equal

if TYPE_CHECKING:
    from exeunt.config.tree import Config

OUTPUT = "simulation.json"
BASELINE = "baseline"
CACHE = ".sim"
TIMELINE = 48
BASELINE_IMAGES = 2000
MAP_IMAGES = 200  # for the maps of each method but the first


def simulate(
    config: Config,
    run_dir: Path,
    *,
    progress: Progress = silent,
    wave_kind: str = "",
    frame: int | None = None,
    machines: Machines = HERE,
) -> None:
    """Put the test images through the RTL of `run_dir` and compare every answer.

    Args:
        config: `simulate.images`, `simulate.processes`, `compile.clock_mhz`.
        run_dir: the run folder, with manifest.json, rtl/ and splits.npz.
        progress: told of images done.
        wave_kind: "vcd" or "fst" to write the waves of one frame instead.
        frame: that frame (default 0).
        machines: do the tasks: slices of the images, which are as many as without other machines.

    Raises:
        InputError: an input is missing or was changed by hand.
        CheckFailed: an answer differs, or results stayed out.
        ToolError: a tool is missing or failed.
    """
    manifest = manifests.read(run_dir)
    test, chosen = load_images(run_dir, manifest, config.simulate.images)
    images, labels = test.images, test.labels
    cache = run_dir / CACHE
    if wave_kind or frame is not None:
        waves.write(manifest, images, kind=wave_kind or "vcd", frame=frame or 0, cache=cache)
        return
    machines.agree(apart.needs())
    processes = config.simulate.processes or os.cpu_count() or 1
    clock = config.compile.clock_mhz
    twin = run_dir / BASELINE
    base = manifests.read(twin) if (twin / manifests.NAME).is_file() else None
    base_images = test.some(BASELINE_IMAGES).images if base else images[:0]
    whole = len(images) + len(base_images)

    def tell(done: int, total: int, text: str = "") -> None:
        progress(done, whole, text)

    def tell_base(done: int, total: int, text: str = "") -> None:
        progress(len(images) + done, whole, text)

    library, outputs, seconds = _prepare(manifest, images, cache, tell, processes, machines)
    logits, accelerator = outputs.logits, manifest.accelerator()
    asked = maps.wanted(manifest, accelerator)
    answers = answer(
        manifest, library, images, logits, processes=processes, looks=outputs.looks,
        maps=asked[0] if asked else None, progress=tell, machines=machines,
    )  # fmt: skip
    reported: dict[str, Any] = {"simulation": summary(manifest, answers, seconds)}
    if len(answers.wrong):
        store.update(run_dir, reported)
        raise CheckFailed(mismatch_sentence(manifest, images, answers, cache=cache))
    ahead, points = traffic.ahead(
        manifest, accelerator, answers, run_dir=run_dir, machines=machines
    )
    cycles, predictions = check_cycles(manifest, accelerator, answers, ahead)
    cycles |= check_blocks(manifest, accelerator, library, test.some(BLOCK_FRAMES).images)
    reported["cycle_reference"] = cycles
    if asked:
        reported["simulation"]["maps"] = explain(
            manifest, library, asked, images, outputs, answers, processes, run_dir
        )
    before = store.read(run_dir)
    reported |= traffic.told(
        manifest, accelerator, library, images, logits, answers, run_dir=run_dir,
        promise=promised(before), points=points, machines=machines,
    )  # fmt: skip
    followed = following.told(
        manifest, accelerator, library, images, labels, logits, answers, run_dir=run_dir
    )
    if followed is not None:
        reported["hold"] = followed
    found = network_part(before, manifest, answers, logits, labels)
    reported["simulation"] |= found.pop("simulation")
    reported |= found
    reported["hardware"] = hardware(clock, manifest, answers)
    if base is not None:
        library, outputs, _ = _prepare(base, base_images, cache, tell_base, processes, machines)
        plain = answer(
            base, library, base_images, outputs.logits, processes=processes, progress=tell_base,
            machines=machines,
        )  # fmt: skip
        if len(plain.wrong):
            raise CheckFailed(mismatch_sentence(base, base_images, plain, cache=cache))
        reported["hardware"] |= compare(clock, manifest, answers, base, plain)
    store.write_text(run_dir / OUTPUT, timeline(answers, predictions, chosen))
    store.update(run_dir, reported)
    equal.settle(run_dir)
    cycles_each = answers.cycles / len(images)
    text = f"{len(images):,} images through the RTL, 0 mismatches, {cycles_each:,.0f} cycles"
    progress(whole, whole, f"{text} per image")


def explain(
    manifest: Manifest,
    library: Path,
    asked: Sequence[maps.Maps],
    images: Images,
    outputs: network.Outputs,
    answers: Answers,
    processes: int,
    run_dir: Path,
) -> list[dict[str, Any]]:
    """The heat maps that came with the answers, then those of every other method, as a report.

    Raises:
        CheckFailed: one is not that of the reference.
    """
    found = []
    for k, wanted in enumerate(asked):
        some = answers
        if k:
            few = images[:MAP_IMAGES]
            some = answer(
                manifest, library, few, [part[:MAP_IMAGES] for part in outputs.logits],
                processes=processes, looks=outputs.looks, maps=wanted,
            )  # fmt: skip
        parts = []
        for part in some.slices:
            here = {name: column[part.first : part.end] for name, column in some.got.items()}
            mine = images[part.first : part.end]
            parts.append(maps.check(wanted, mine, part.trace, here))
            if parts[-1].wrong:
                raise CheckFailed(maps.sentence(parts[-1].wrong, part.first))
        found.append(maps.summary(wanted, parts))
    return found


def promised(report: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The latency that `compile` promised, if it did."""
    found = ((report.get("compile") or {}).get("optimiser") or {}).get("latency")
    return found if isinstance(found, Mapping) else None


def _prepare(
    manifest: Manifest,
    images: Images,
    cache: Path,
    progress: Progress,
    processes: int,
    machines: Machines,
) -> tuple[Path, network.Outputs, float]:
    """Compile the model while the reference computes its logits."""
    started = time.perf_counter()
    progress(0, len(images), f"compiling {manifest.data['name']}")
    accelerator = manifest.accelerator()
    with ThreadPoolExecutor(1) as pool:
        building = pool.submit(verilator.build, manifest, cache=cache)
        if machines.here or (accelerator.rules is not None and accelerator.rules.looks):
            outputs = network.run(accelerator, images)
        else:
            tasks = [
                Task(f"reference {first} to {end}", Path(), (accelerator, images[first:end]))
                for first, end in bulk.split(len(images), processes)
            ]
            parts = machines.map(_logits, tasks)
            columns = zip(*parts, strict=True)
            outputs = network.Outputs(tuple(np.concatenate(part) for part in columns), {})
        library = building.result()
    return library, outputs, time.perf_counter() - started


def _logits(
    folder: Path, accelerator: Accelerator, images: Images, *, progress: Progress
) -> tuple[IntArray, ...]:
    """The reference on some images, as a task."""
    del folder
    found = network.run(accelerator, images).logits
    progress(1, 1)
    return found


def summary(manifest: Manifest, answers: Answers, build_seconds: float) -> dict[str, Any]:
    """`simulation` of report.json."""
    images = len(answers.latency)
    simulated = sum(s.trace.cycles for s in answers.slices)
    longest = max(s.seconds for s in answers.slices)
    busy = sum(s.processor for s in answers.slices)
    return {
        "engine": "verilator",
        "images": images,
        "mismatches": len(answers.wrong),
        "compared": list(answers.want),
        "cycles_total": answers.cycles,
        "cycles_per_image": answers.cycles / images,
        "images_per_second": images / longest,
        "cycles_per_second": simulated / longest,
        "processes": len(answers.slices),
        "per_core": {  # by processor time, whatever else the machine does
            "images_per_second": images / busy,
            "cycles_per_second": simulated / busy,
        },
        "seconds": answers.seconds,
        "build_seconds": build_seconds,
        "manifest": manifest.hash,
    }


def network_part(
    report: Mapping[str, Any],
    manifest: Manifest,
    answers: Answers,
    logits: Sequence[IntArray],
    labels: Cycles,
) -> dict[str, Any]:
    """`simulation.accuracy`, `accuracy` and `exits` of report.json as the RTL answered.

    Where the calibration has told accuracies and rates of more test images than went through the
    RTL, these stay: only latencies and thresholds are added to them.
    """
    exits, right = answers.got["exit"], answers.got["class"] == labels
    old = {row.get("index", i): row for i, row in enumerate(report.get("exits", []))}
    accuracy = {
        "early_exit": float(right.mean()),
        "quantized_last_exit": float((logits[-1].argmax(axis=1) == labels).mean()),
        "images": len(labels),
    }
    stays = (report.get("accuracy") or {}).get("images", 0) > len(labels)
    rows = []
    for i, entry in enumerate(manifest.data["exits"]):
        here = exits == i
        answered = {
            "rate": float(here.mean()),
            "accuracy": float(right[here].mean()) if here.any() else None,
            "images": int(here.sum()),
            "reach": float((exits >= i).mean()),
        }
        rows.append(
            {
                **answered,
                **old.get(i, {}),
                **({} if stays else answered),
                "index": i,
                "macs": int(entry["multiplies_to_here"]),
                "threshold": int(entry["threshold"]),
                "latency_cycles": float(np.median(answers.latency[here])) if here.any() else None,
                "latency_images": int(here.sum()),
            }
        )
    return {
        "simulation": {"accuracy": accuracy},
        "exits": rows,
        **({} if stays else {"accuracy": accuracy}),
    }


def lanes(manifest: Manifest) -> int:
    """Multipliers at work at once: PE x SIMD of all matrix-vector units."""
    return sum(registry.of(n).effort(n).multipliers for n in manifest.nodes)


def hardware(clock_mhz: float, manifest: Manifest, answers: Answers) -> dict[str, Any]:
    """Throughput at the clock, from the cycles that the RTL took, and its multipliers."""
    return {
        "clock_mhz": clock_mhz,
        "throughput_fps": clock_mhz * 1e6 * len(answers.latency) / answers.cycles,
        "lanes": lanes(manifest),
    }


def compare(
    clock_mhz: float, manifest: Manifest, answers: Answers, base: Manifest, plain: Answers
) -> dict[str, Any]:
    """`hardware.baseline`: the same backbone without exits, and what the exits gain over it."""
    without = hardware(clock_mhz, base, plain)
    whole = int(base.data["exits"][-1]["multiplies_to_here"])
    table = np.array([e["multiplies_to_here"] for e in manifest.data["exits"]])
    spent = float(table[answers.got["exit"]].mean())
    per_image = answers.cycles / len(answers.latency)
    base_per_image = plain.cycles / len(plain.latency)
    return {
        "baseline": {
            "throughput_fps": without["throughput_fps"],
            "images": len(plain.latency),
            "mismatches": len(plain.wrong),
            "cycles_per_image": base_per_image,
            "latency_cycles": float(np.median(plain.latency)),
            "multiplies_per_image": whole,
            "lanes": without["lanes"],
        },
        "multiplies_per_image": spent,
        "multiplies_saved": 1.0 - spent / whole if whole else 0.0,
        "speedup_equal_resources": base_per_image / per_image,
        "equal": {
            base.data.get("equal", "multipliers"): {
                "speedup": base_per_image / per_image,
                "ours": {"multipliers": lanes(manifest), "cycles_per_image": per_image},
                "baseline": {
                    "multipliers": without["lanes"],
                    "cycles_per_image": base_per_image,
                    "images": len(plain.latency),
                },
            }
        },
    }


def timeline(
    answers: Answers, predictions: Sequence[system.Prediction], images: npt.NDArray[np.int64]
) -> str:
    """simulation.json: every answer, and which of the first frames is where.

    `images` are the indices of the answered test images in splits.npz. Cycles count from the first
    accepted beat; `decides[i]` lists the frames that reach exit i.
    """
    part = answers.slices[0]
    start = int(part.trace.accepts[0])
    count = min(TIMELINE, part.end)
    exits = answers.got["exit"][:count]
    decides = [
        (cycles[: int((exits >= i).sum())] - start).tolist()
        for i, cycles in enumerate(part.trace.decides)
    ]
    found = predictions[0]
    data = {
        "schema": 1,
        "answers": {
            "index": images.tolist(),
            **{name: answers.got[name].tolist() for name in ("class", "exit", "score")},
        },
        "frames": count,
        "exits": exits.tolist(),
        "accepts": (part.trace.accepts[:count] - start).tolist(),
        "decides": decides,
        "leaves": (answers.left[:count] - start).tolist(),
        "leaves_predicted": (found.results[:count] - found.accepts[0]).tolist(),
    }
    return json.dumps(data, sort_keys=True) + "\n"
