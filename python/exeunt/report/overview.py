"""What report.html says of the network itself: exits, training, cost, blocks, identity."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from exeunt import criteria, promise, registers
from exeunt.report import figures, images, store
from exeunt.report.page import KINDS, Part, counted, number, percent, read_json, section, table

SHOWN_FRAMES = 32


def lead(report: Mapping[str, Any]) -> str:
    """The run in one or two sentences."""
    accuracy, simulation = report.get("accuracy", {}), report.get("simulation", {})
    exits = report.get("exits", [])
    said = []
    if accuracy.get("early_exit") is not None:
        early = sum(row.get("rate") or 0.0 for row in exits[:-1])
        said.append(
            f"{percent(accuracy['early_exit'])} of {number(accuracy.get('images'))} test images "
            "are answered right; "
            f"{percent(early)} of them leave before the last of {len(exits)} exits."
        )
    if simulation.get("images"):
        wrong = simulation.get("mismatches") or 0
        verdict = (
            "every answer matches the reference"
            if not wrong
            else f"{number(wrong)} answers differ from the reference"
        )
        said.append(f"{number(simulation['images'])} images went through the RTL: {verdict}.")
    return " ".join(said) or "Nothing has been measured yet."


def tiles(report: Mapping[str, Any]) -> list[dict[str, str]]:
    """The figures at the top."""
    accuracy, simulation = report.get("accuracy", {}), report.get("simulation", {})
    hardware = report.get("hardware", {})
    found: list[dict[str, str]] = []

    def tile(label: str, value: str, note: str = "", mood: str = "") -> None:
        found.append({"label": label, "value": value, "note": note, "mood": mood})

    if accuracy.get("early_exit") is not None:
        last = accuracy.get("quantized_last_exit")
        note = f"last exit alone {percent(last, 2)}, " if last is not None else ""
        note += f"{number(accuracy.get('images'))} test images"
        tile("accuracy with early exit", percent(accuracy["early_exit"], 2), note)
    if simulation.get("mismatches") is not None:
        wrong = simulation["mismatches"]
        of = f"of {number(simulation.get('images'))} images through RTL"
        tile("mismatches", number(wrong), of, "good" if not wrong else "bad")
    if simulation.get("cycles_per_image") is not None:
        fps, clock = hardware.get("throughput_fps"), hardware.get("clock_mhz")
        note = f"{number(fps)} images/s at {clock:g} MHz" if fps and clock else ""
        tile("cycles per image", number(simulation["cycles_per_image"]), note)
    if hardware.get("multiplies_saved") is not None:
        spent = number(hardware.get("multiplies_per_image"))
        saved = percent(hardware["multiplies_saved"])
        tile("multiplications saved", saved, f"{spent} per image")
    for entry in counted(report):
        total = entry.get("resources", {})
        rest = [(name, total.get(kind)) for kind, name in KINDS.items() if kind != "lut"]
        note = ", ".join(f"{number(value)} {name}" for name, value in rest)
        tile(f"LUT, {entry.get('target', '')}", number(total.get("lut")), note)
    return found


def exits(report: Mapping[str, Any]) -> Part | None:
    """Rates, accuracy and cost of every exit."""
    rows = report.get("exits", [])
    if not rows:
        return None
    head = (
        *("exit", "leaves", "images", "right of these", "reached by", "multiplications"),
        "AUROC of the score",
    )
    latency = ("latency (cycles)", "of images")
    body = [
        (
            row.get("index", i),
            percent(row.get("rate"), 2),
            number(row.get("images")),
            percent(row.get("accuracy"), 2),
            percent(row.get("reach"), 2),
            number(row.get("macs")),
            "-" if row.get("auroc") is None else f"{row['auroc']:.3f}",
            number(row.get("latency_cycles")),
            number(row.get("latency_images")),
        )
        for i, row in enumerate(rows)
    ]
    drawn = {
        "svg": figures.exits(rows),
        "caption": f"Share of {number((report.get('accuracy') or {}).get('images'))} test images "
        "that leaves at each exit; the full colour is right. AUROC: how likely a right answer "
        "of the exit has a higher score than a wrong one, were all images to leave there.",
    }
    return section("exits", "Exits", drawn, table((*head, *latency), body))


def training(run_dir: Path) -> Part | None:
    """Training curves of training.json."""
    history = read_json(run_dir / "training.json")
    if isinstance(history, Mapping):
        history = history.get("history") or history.get("epochs")
    if not isinstance(history, list) or not history:
        return None
    drawn = {
        "svg": figures.training(history),
        "caption": f"{len(history)} epochs; the joint loss of all exits on training images.",
    }
    return section("training", "Training", drawn)


def cost(run_dir: Path) -> Part | None:
    """Accuracy against cost, of exits.json."""
    data = read_json(run_dir / "exits.json")
    if not isinstance(data, Mapping) or not data.get("curve"):
        return None
    chosen = data.get("chosen")
    if not isinstance(chosen, Mapping):
        chosen = None
    drawn = {
        "svg": figures.cost(data["curve"], chosen, data.get("exits_alone", ())),
        "caption": f"On {number(data.get('images'))} validation images, in the integers of the "
        "hardware; every point is one set of thresholds.",
    }
    thresholds = ["always" if t is None else t for t in data.get("thresholds", [])]
    rows = [(f"exit {i}", value) for i, value in enumerate(thresholds)]
    rule = criteria.get(data.get("criterion", criteria.DEFAULT)).rule
    told = table((f"leaves when {rule}", "threshold"), rows)
    return section(
        "cost", "Accuracy against cost", drawn, told, _by_class(data, run_dir), _skipped(run_dir),
        _promise(run_dir),
    )  # fmt: skip


def _by_class(data: Mapping[str, Any], run_dir: Path) -> Part | None:
    """The threshold of every class at every exit, where classes have their own."""
    offsets = data.get("offsets")
    if not offsets:
        return None
    known = images.class_names(run_dir)
    names = known if len(known) == len(offsets[0]) else [str(c) for c in range(len(offsets[0]))]
    early = [*zip(data["thresholds"], offsets, strict=True)][:-1]
    rows = [
        (name, *(registers.threshold_text(_above(t, row[c])) for t, row in early))
        for c, name in enumerate(names)
    ]
    return table(("class", *(f"threshold of exit {i}" for i in range(len(early)))), rows)


def _skipped(run_dir: Path) -> Part | None:
    """What is counted where classes that are excluded are not, if any."""
    report = read_json(run_dir / store.JSON)
    found = (report if isinstance(report, Mapping) else {}).get("calibration") or {}
    counted, everything = found.get("macs_mean"), found.get("macs_mean_all")
    if counted is None or everything is None or counted == everything:
        return None
    return {
        "notes": [
            "Calibration counts the last layer of a head for the classes that are left alone, as a "
            f"processor may compute it: {number(counted)} multiplications per image on the test "
            f"images. The hardware computes the logits of all classes: {number(everything)}, "
            f"{percent((everything - counted) / counted, 2)} more."
        ]
    }


def _above(threshold: int, offset: int) -> int:
    """The threshold of a class: never and always are so for every class."""
    code = threshold in (registers.NEVER, registers.ALWAYS)
    return threshold if code else threshold + offset


def _promise(run_dir: Path) -> Part | None:
    """What the calibration promises, and what the test images say to it."""
    report = read_json(run_dir / store.JSON)
    calibration = (report if isinstance(report, Mapping) else {}).get("calibration") or {}
    made = promise.from_json(calibration.get(promise.KEY))
    if not made.text:
        return None
    said = [f"{made.text[:1].upper()}{made.text[1:]}."]
    test = (calibration.get(promise.KEY) or {}).get("test")
    if test:
        said.append(
            f"Of {number(test['images'])} test images {number(test['lost'])} do so, "
            f"{percent(test['lost'] / test['images'], 2)}; of {number(made.tested)} validation "
            f"images on which the thresholds were tested {number(made.lost)}, where "
            f"{number(made.allowed)} were allowed."
        )
    return {"notes": said}


def timeline(run_dir: Path) -> Part | None:
    """Which frame is where, for the first frames of the simulation."""
    found = read_json(run_dir / "simulation.json") or {}
    if not found.get("accepts"):
        return None
    count = min(SHOWN_FRAMES, len(found["accepts"]))
    left = np.array(found["exits"], np.int64)
    decided = np.full((len(left), len(found["decides"])), -1, np.int64)
    for i, cycles in enumerate(found["decides"]):  # of the frames that got there, in order
        decided[np.flatnonzero(left >= i)[: len(cycles)], i] = cycles
    drawn = {
        "svg": figures.timeline(
            np.array(found["accepts"][:count], np.int64),
            decided[:count],
            np.array(found["leaves"][:count], np.int64),
            left[:count],
        ),
        "caption": f"The first {count} frames in the RTL simulation. A frame that leaves early "
        "frees the later stages for others.",
    }
    return section("timeline", "Which frame is where", drawn)


def summary(report: Mapping[str, Any], manifest: Mapping[str, Any]) -> Part | None:
    """What identifies this accelerator."""
    facts: list[tuple[str, Any]] = []
    if report.get("config_hash"):
        facts.append(("config hash", report["config_hash"]))
    if manifest.get("hash"):
        facts.append(("manifest hash", manifest["hash"]))
        facts.append(("files guarded", len(manifest.get("files", {}))))
    for key in ("input", "output"):
        stream = (manifest.get("streams") or {}).get(key)
        if isinstance(stream, Mapping):
            facts.append((f"{key} stream", ", ".join(f"{k} {v}" for k, v in stream.items())))
    for key in ("s_axis", "m_axis", "clock_mhz", "kernels", "in_flight"):
        if key in manifest and not isinstance(manifest[key], Mapping | list):
            facts.append((key, manifest[key]))
    count = len(manifest.get("exits", []))
    if count:
        codes = {registers.ALWAYS: "always", registers.NEVER: "never"}
        told = ", ".join(str(codes.get(v := e.get("threshold"), v)) for e in manifest["exits"])
        facts.append(("threshold registers at start", told))
    return section("identity", "Identity", {"facts": facts}) if facts else None


def config(run_dir: Path) -> Part | None:
    """The resolved config of the run."""
    path = run_dir / "config.toml"
    if not path.is_file():
        return None
    return section(
        "config",
        "Config",
        {"fold": path.name, "parts": [{"raw": path.read_text(encoding="utf-8")}]},
    )


def _cycle_reference(reference: Mapping[str, Any]) -> list[str]:
    """Whether the predicted cycles can be relied on."""
    exact, total = reference.get("frames_exact"), reference.get("frames_total")
    if exact is None or total is None:
        return []
    if exact == total:
        return [
            "The cycle reference, which needs no simulation, predicts the cycles of all "
            f"{total:,} images exactly."
        ]
    return [
        f"The cycle reference is off on this network: {exact:,} of {total:,} images are exact, "
        "total cycles and mean latency are wrong by up to "
        f"{percent(reference.get('max_relative_error'), 2)}. The figures here are the "
        "simulation's; where cycles are only predicted (the modelled transport), they are "
        "estimates."
    ]


def notes(report: Mapping[str, Any]) -> Part:
    """What was not run, and how far the figures carry."""
    said = []
    simulation, hardware = report.get("simulation", {}), report.get("hardware", {})
    if simulation:
        said.append(
            "Cycles and answers come from simulating the RTL with Verilator"
            + (f" ({simulation['engine']})" if simulation.get("engine") else "")
            + ", not from a board."
        )
        said += _cycle_reference(report.get("cycle_reference", {}))
    else:
        said.append("The RTL has not been simulated: exeunt simulate.")
    routed = [e for e in report.get("synthesis", []) if e.get("board") and e.get("fmax_mhz")]
    if hardware.get("clock_mhz") and not routed:
        said.append(
            f"The clock of {hardware['clock_mhz']:g} MHz is assumed; nothing was placed, routed "
            "or timed, so images per second are cycles at that clock."
        )
    if counted(report):
        said.append(
            "Resources are Yosys's counts after technology mapping, before place and route."
        )
    else:
        said.append("Resources have not been counted: exeunt synth.")
    if not (hardware.get("baseline") or {}).get("throughput_fps"):
        said.append("There is no comparison with the network without exits.")
    told = (report.get("data") or {}).get("notes", [])
    said += [f"{note[:1].upper()}{note[1:]}." for note in told]
    if not ((report.get("bench") or {}).get("energy") or {}).get("source"):
        said.append("No energy was measured.")
    return section("notes", "What this does not say", {"notes": said})
