"""What report.html says of the accelerator's own heat maps: pictures, faithfulness, cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from exeunt.report import figures, heatmaps
from exeunt.report import images as pictures
from exeunt.report.page import Part, number, percent, read_json, section, table

NAME = "heatmaps"


def maps(run_dir: Path, report: Mapping[str, Any]) -> Part | None:
    """What `exeunt simulate` and `exeunt explain --hardware` found, None without such a design."""
    simulated = report.get("simulation", {}).get("maps") or []
    drawn = read_json(run_dir / f"{NAME}.json")
    found = drawn if isinstance(drawn, Mapping) else {}
    if not simulated and not found:
        return None
    parts = [_pictures(run_dir, found)] if found else []
    if found.get("figures"):
        parts += [_faithful(found["figures"]), _costs(found["figures"], found["clock_mhz"])]
        parts.append({"notes": _NOTES})
    if found.get("trade"):
        parts.append(_trade(found))
    if simulated:
        parts.append(_simulated(simulated))
    return section("maps", "Heat maps from the accelerator", *parts)


_NOTES = [
    "Without rounding: the same method on the same network in floating point.",
    "Flip AUC: probability of the answer while the most relevant pixels become those of the mean "
    "image first; below that in random order the map knows what matters.",
    "Shuffled: rank correlation with the maps of the same network with its weights in another "
    "order; near 0 where the map depends on what was learned.",
]


def _pictures(run_dir: Path, found: Mapping[str, Any]) -> Part | None:
    try:
        with np.load(run_dir / f"{NAME}.npz", allow_pickle=False) as file:
            images = file["images"]
            heat = {method: file[f"heat {method}"] for method in found["methods"]}
    except (OSError, ValueError, KeyError):
        return None
    names, rows = pictures.class_names(run_dir), []
    for k, row in enumerate(found["images"]):
        exit, wrong = int(row["exit"]), row["label"] != row["answer"]
        cells: list[dict[str, Any]] = [
            {
                "source": pictures.source(heatmaps.plain(images[k])),
                "title": f"exit {exit}",
                "text": pictures.verdict(names, row["label"], row["answer"]),
                "wrong": wrong,
                "frame": figures.colour(exit),
            }
        ]
        for method, maps_ in heat.items():
            text = f"{row['cycles'][method]:,} cycles, {row['bits'][method]:,} bits"
            picture = heatmaps.overlay(images[k], maps_[k])
            cells.append({"source": pictures.source(picture), "title": method, "text": text})
        rows.append({"cells": cells})
    caption = (
        "Test images, and the maps that the RTL gave of them, word for word those of the "
        "reference: cycles from the request to the last word of the packet, and its bits. The "
        "frame has the colour of the exit where the image left."
    )
    return {"pictures": rows, "scale": pictures.SCALE, "caption": caption}


def _faithful(rows: Sequence[Mapping[str, Any]]) -> Part:
    head = (
        "method", "exit", "images", "rank correlation", "top tenth shared", "flip AUC",
        "without rounding", "in random order", "shuffled",
    )  # fmt: skip
    cells = [
        (
            row["method"], row["exit"], row["images"], f"{row['spearman']:.3f}",
            percent(row["top10"]), f"{row['flip_auc']:.3f}", f"{row['flip_auc_float']:.3f}",
            f"{row['flip_auc_random']:.3f}", f"{row['randomised_spearman']:.3f}",
        )
        for row in rows
    ]  # fmt: skip
    return table(head, cells, title="Against the maps without rounding")


def _costs(rows: Sequence[Mapping[str, Any]], clock: float) -> Part:
    head = (
        "method", "exit", "cycles", f"maps a second at {clock:g} MHz", "cycles if nothing were 0",
        "bits", "smaller than 8 bits a value", "gradients clipped",
    )  # fmt: skip
    cells = [
        (
            row["method"], row["exit"], number(row["cycles"]), number(row["maps_per_second"]),
            f"{number(row['dense_cycles'])} ({row['dense_cycles'] / row['busy']:.1f} x)",
            number(row["bits"]), f"{row['dense_bits'] / row['bits']:.1f} x",
            number(row["clipped"], 2),
        )
        for row in rows
    ]  # fmt: skip
    return table(head, cells, title="What a map costs")


def _trade(found: Mapping[str, Any]) -> Part:
    rows, bits = found["trade"], found["bits"]
    figure, (left, right) = figures.new(8.6, 2.9, columns=2)
    widths = [r for r in rows if r["prune"] == 0]
    shares = sorted((r for r in rows if r["bits"] == bits), key=lambda r: r["prune"])
    for axes, some, key, scale in ((left, widths, "bits", 1), (right, shares, "prune", 100)):
        places = [scale * r[key] for r in some]
        for k, (name, told) in enumerate((("spearman", "rank correlation"),
                                          ("top10", "top tenth shared"))):  # fmt: skip
            axes.plot(places, [r[name] for r in some], "o-", color=figures.colour(k), label=told)
        for place, row in zip(places, some, strict=True):
            axes.annotate(
                f"{row['size']:,.0f}", (place, row["spearman"]), textcoords="offset points",
                xytext=(0, 6), ha="center", fontsize=7,
            )  # fmt: skip
        axes.set_ylim(0.0, 1.12)
    left.set(title="bits of a gradient", xticks=[r["bits"] for r in widths])
    right.set(title=f"pruned, % of the largest gradient, {bits} bits")
    left.legend(loc="lower right")
    return {
        "svg": figures.svg(figure, "faithfulness of the maps against bits and pruning"),
        "caption": f"{found['methods'][0]} at the last exit that images left at: how far the maps "
        "are those without rounding. The numbers are bits of a map.",
    }


def _simulated(rows: Sequence[Mapping[str, Any]]) -> Part:
    head = ("method", "explained", "maps", "no slot", "mismatches", "exit: maps, cycles, bits")
    cells = []
    for row in rows:
        every = {0: "ids asked for", 1: "all"}.get(row["every"], f"one in {row['every']}")
        exits = "; ".join(
            f"{e['exit']}: {e['maps']:,}, {e['cycles']:,.0f}, {e['bits']:,.0f}"
            for e in row["exits"]
        )
        cells.append(
            (row["method"], every, number(row["maps"]), number(row["missed"]), row["mismatches"],
             exits)
        )  # fmt: skip
    return table(head, cells, title="Of the images that went through the RTL")
