"""One benchmark: device, processor, energy and self-test of one network in one run.

This is what `exeunt bench` and the `bench.py` of a deploy package both do; NumPy alone.
"""

from __future__ import annotations

import csv
import io
import json
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from exeunt import __version__
from exeunt.bench import energy as energies
from exeunt.bench import maps, measure, processor
from exeunt.bench.network import Network
from exeunt.errors import InputError
from exeunt.progress import Progress, part, silent
from exeunt.reference import network as reference
from exeunt.runtime import Accelerator, golden

SCHEMA = 1
NO_ENERGY = "nothing is drawn from a board here"
COLUMNS = (
    "chosen",
    "accuracy",
    "images_per_second",
    "throughput",
    "latency_loaded_p50",
    "energy",
    "energy_above_idle",
    "mismatches",
)


@dataclass(frozen=True)
class Options:
    """What a user can ask for.

    `images` of the test set (0: all); `repeats`, `alone`, `seconds`: see `measure.Plan`; `sweep`
    over the calibration curve; `energy` None: where the board can; `watts` and `idle_watts` from a
    meter outside; `threads` of onnxruntime (0: one a core).
    """

    images: int = 0
    repeats: int = 3
    alone: int = 200
    seconds: float = 2.0
    sweep: bool = True
    energy: bool | None = None
    watts: float | None = None
    idle_watts: float | None = None
    threads: int = 0


def meter(
    options: Options, *, unit: str, sensors: Mapping[str, Any], board: str
) -> tuple[energies.Meter | None, str]:
    """What measures the power, and why nothing does ("" when something does).

    Args:
        options: energy, watts, idle_watts.
        unit: of the transport; in cycles there is nothing to measure.
        sensors: the board's `total` and `rails`.
        board: its name.

    Raises:
        InputError: energy was asked for where it cannot be measured.
        ToolError: the board has sensors and PYNQ is not here to read them.
    """
    if options.idle_watts is not None and options.watts is None:
        raise InputError(
            f"--idle-watts must come with --watts, got {options.idle_watts:g} alone: give both"
        )
    asked = options.energy is True or options.watts is not None
    if unit == "cycles":
        if asked:
            raise InputError(
                f"energy must be measured on a board, got {board} ({NO_ENERGY}): leave --energy "
                "and --watts away"
            )
        return None, NO_ENERGY
    if options.energy is False:
        return None, "it was not asked for"
    if options.watts is not None:
        return energies.External(options.watts, options.idle_watts), ""
    if not sensors.get("total") and not sensors.get("rails"):
        if asked:
            energies.rails_of(sensors, where=board)
        return None, f"board {board} has no power sensors; --watts takes an external meter's value"
    return energies.rails_of(sensors, where=board), ""


def collect(
    network: Network,
    device: Accelerator,
    *,
    now: Callable[[], float],
    transport: str,
    board: Mapping[str, Any],
    options: Options,
    vectors: golden.Golden | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Everything that one run measures, as plain data; see the module `measure` for the units.

    Args:
        network: the compiled network and its images.
        device: opened, with that network's bitstream.
        now: the transport's clock.
        transport: its name.
        board: `name`, `clock_mhz`, `sensors`.
        options: what was asked for.
        vectors: for the self-test.
        progress: told what is being done.

    Raises:
        CheckFailed: the self-test fails, or an answer is not the reference's.
        InputError: energy was asked for where it cannot be measured.
        DeviceError: the device did not answer.
    """
    when = device.explanations.when if device.explains else maps.NOTHING
    if device.explains:
        device.explanations.when = maps.NOTHING  # answers first, by themselves
    try:
        return _collect(network, device, now, transport, board, options, vectors, progress)
    finally:
        if device.explains:
            device.explanations.when = when


def _collect(
    network: Network,
    device: Accelerator,
    now: Callable[[], float],
    transport: str,
    board: Mapping[str, Any],
    options: Options,
    vectors: golden.Golden | None,
    progress: Progress,
) -> dict[str, Any]:
    power, why = meter(
        options, unit=device.unit, sensors=board.get("sensors", {}), board=board["name"]
    )
    clock = float(board["clock_mhz"])
    progress(0, 100, "self-test")
    tested = None
    if vectors is not None:
        tested = int(device.selftest(vectors).images)
    outputs = reference.run(network.accelerator, network.images)
    subject = measure.Subject(
        network.images, network.labels, outputs.logits, network.thresholds, clock,
        network.accelerator.criterion, network.accelerator.logit_scales,
        network.accelerator.offsets, outputs.looks,
    )  # fmt: skip
    plan = measure.Plan(
        repeats=options.repeats,
        alone=options.alone,
        curve=network.curve if options.sweep else (),
        seconds=options.seconds,
    )
    passes = part(progress, 5, 70)
    found = measure.measure(device, subject, plan, now=now, meter=power, progress=passes)
    measure.check(found)
    data = measure.summary(found)
    explained = _explained(network, device, found, now, progress)
    return {
        "schema": SCHEMA,
        "version": __version__,
        "name": network.manifest.data["name"],
        "manifest": network.manifest.hash,
        "board": board["name"],
        "transport": transport,
        "machine": f"{platform.machine()}, Python {platform.python_version()}, "
        f"NumPy {np.__version__}",
        "clock_mhz": clock,
        "clock": "assumed" if data["unit"] == "cycles" else "of the bitstream",
        "selftest_images": tested,
        **data,
        **({} if explained is None else {"maps": explained}),
        "energy": data["energy"] or {"source": None, "why": why},
        "cpu_baseline": _processor(network, subject, data, options, part(progress, 70, 100)),
    }


def _explained(
    network: Network,
    device: Accelerator,
    found: measure.Measured,
    now: Callable[[], float],
    progress: Progress,
) -> dict[str, Any] | None:
    """What heat maps cost, under the calibrated thresholds; None: there are none."""
    if not device.explains:
        return None
    progress(70, 100, "heat maps")
    before, clock = device.thresholds, found.subject.clock_mhz
    device.thresholds = measure.registers_of(found.subject.thresholds)
    try:
        return maps.measure(
            device, network.images, found.chosen.results, now=now,
            scale=1.0 if found.unit == "seconds" else 1e-6 / clock,
        )  # fmt: skip
    finally:
        device.thresholds = list(before)


def _processor(
    network: Network,
    subject: measure.Subject,
    device: Mapping[str, Any],
    options: Options,
    progress: Progress,
) -> dict[str, Any]:
    """The same network here: the fastest engine, all of them, and the device against it."""
    found, why = processor.engines(
        network.accelerator,
        network.folder,
        scales=network.exits.get("logit_scales", ()),
        threads=options.threads,
    )
    classes, _ = found[0].classify(subject.images, subject.thresholds)
    rows = []
    for number, engine in enumerate(found):
        progress(number, len(found), f"the processor, {engine.name}")
        measured = processor.measure(
            engine, subject.images, subject.thresholds, expected=classes, labels=subject.labels
        )
        rows.append(measured.to_json())
    best = max(rows, key=lambda row: row["images_per_second"])
    quick = min(rows, key=lambda row: row["latency"]["p50"])
    seconds = 1.0 if device["unit"] == "seconds" else 1e-6 / subject.clock_mhz
    return {
        **best,
        "engines": rows,
        "no_onnxruntime": why,
        "throughput_ratio": device["images_per_second"] / best["images_per_second"],
        "latency_ratio": quick["latency"]["p50"] / (device["latency"]["p50"] * seconds),
        "ratio_assumes": ""
        if device["unit"] == "seconds"
        else f"cycles at an assumed clock of {subject.clock_mhz:g} MHz",
    }


def to_csv(data: Mapping[str, Any]) -> str:
    """The threshold sweep, one set a row; the unit of time is a column."""
    rows = data["sweep"]
    exits = len(data["thresholds"])
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    head = [f"threshold{i}" for i in range(exits)] + [f"rate{i}" for i in range(exits + 1)]
    writer.writerow(["board", "transport", "unit", *head, *COLUMNS])
    for row in rows:
        values = ["" if row[c] is None else row[c] for c in COLUMNS]
        where = (data["board"], data["transport"], data["unit"])
        writer.writerow([*where, *row["thresholds"], *row["rates"], *values])
    return out.getvalue()


def write(folder: Path, name: str, data: Mapping[str, Any]) -> tuple[Path, Path]:
    """Write `folder`/`name`.json and .csv; returns their paths.

    Raises:
        InputError: the folder cannot be written.
    """
    paths = folder / f"{name}.json", folder / f"{name}.csv"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        paths[0].write_text(json.dumps(data, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        paths[1].write_text(to_csv(data), encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"folder {folder} must be writable, got {error.strerror or error}: choose another"
        ) from None
    return paths


def text(data: Mapping[str, Any]) -> str:
    """The figures for a terminal."""
    unit = data["unit"]
    lines = [
        f"{data['name']} on {data['board']} ({data['transport']}): {data['images']} images, "
        f"{data['mismatches']} mismatches, accuracy {100 * data['accuracy']:.2f}%"
    ]
    if unit == "cycles":
        lines.append(
            f"{data['time_per_image']:,.1f} cycles per image; at an assumed clock of "
            f"{data['clock_mhz']:g} MHz that is {data['images_per_second']:,.0f} images a second"
        )
    else:
        lines.append(f"{data['images_per_second']:,.0f} images a second")
    lines.append(f"latency of one image alone ({unit}): {_spread(data['latency'])}")
    for row in data["exits"]:
        lines.append(
            f"  exit {row['index']}: {100 * row['rate']:.1f}% leave; {_spread(row['latency'])}"
        )
    lines.append(f"latency at full rate ({unit}): {_spread(data['latency_loaded'])}")
    lines += maps.text(data["maps"], unit) if "maps" in data else []
    used = data["energy"]
    if used["source"] is None:
        lines.append(f"energy: not measured, {used['why']}")
    else:
        above = used["above_idle"]
        told = "idle power not known" if above is None else f"{1e3 * above:,.4g} mJ above idle"
        lines.append(
            f"energy an inference: {1e3 * used['total']:,.4g} mJ ({told}), by {used['source']}"
        )
    base = data["cpu_baseline"]
    lines.append(
        f"processor: {base['images_per_second']:,.0f} images a second, {base['engine']} "
        f"({base['graph']}), batch {base['batch']}, {base['threads']} threads"
    )
    against = f" ({base['ratio_assumes']})" if base["ratio_assumes"] else ""
    lines.append(
        f"device against processor: {base['throughput_ratio']:.3g} x the images a second, "
        f"{base['latency_ratio']:.3g} times shorter for one image{against}"
    )
    return "\n".join(lines)


def _spread(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "no image"
    return ", ".join(f"{p} {_short(found[p])}" for p in ("p50", "p95", "p99"))


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value * 1e6:,.2f}e-6"
