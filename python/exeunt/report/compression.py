"""What report.html says of compression: what went where, and the criteria side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from exeunt.report import figures
from exeunt.report.page import Part, number, percent, read_json, section, table

_COST = (
    ("macs", "multiplies of the full path"),
    ("weight_bits", "bits of weights"),
    ("predicted_cycles", "predicted cycles per image"),
)
Rows = Sequence[Mapping[str, Any]]

_FIGURES = (
    ("weight_bits", "bits of weights"),
    ("lut", "predicted LUT of the kernels, multipliers in LUTs"),
    ("bram18", "predicted BRAM18"),
    ("cycles", "predicted cycles per image"),
)


def compression(run_dir: Path, report: Mapping[str, Any]) -> Part | None:
    """What the passes did to the network, and the comparison of criteria."""
    done = read_json(run_dir / "compression.json")
    found = report.get("compression") or {}
    rows = found.get("criteria") or []
    parts: list[Part | None] = []
    if isinstance(done, Mapping) and done.get("passes"):
        parts += _passes(done)
    if rows:
        parts += _criteria(rows, found.get("statistics") or [])
    return section("compression", "Compression", *parts) if parts else None


def _passes(done: Mapping[str, Any]) -> list[Part | None]:
    parts: list[Part | None] = []
    head = ("", "with early exit", "last exit", "multiplies", "by weights left", "weight bits")
    body = [
        (
            name,
            percent(entry["accuracy"]["early_exit"], 2),
            percent(entry["accuracy"]["last"], 2),
            number(entry["macs"]),
            number(entry.get("macs_effective")),
            number(entry["weight_bits"]),
        )
        for name, entry in (("trained", done["original"]), ("compressed", done["compressed"]))
    ]
    parts.append(table(head, body, title="Before and behind, on validation images"))
    for entry in done["passes"]:
        parts += _widths(entry)
        bars = _bars(entry.get("layers") or [])
        if bars:
            told = f"{entry['kind']} by {entry.get('criterion', '?')}"
            caption = f"{told}: what is left of every layer (full colour) and what went."
            parts.append({"svg": where(bars, told), "caption": caption})
    return parts


def _bars(layers: Rows) -> list[tuple[str, int, int]]:
    """Name, what there was and what is left, of every layer that a pass tells of."""
    found = []
    for entry in layers:
        for before, after in (("filters_before", "filters"), ("weights", "nonzero")):
            if entry.get(before):
                found.append((str(entry["name"]), int(entry[before]), int(entry[after])))
                break
    return found


def _criteria(rows: Rows, statistics: Rows) -> list[Part | None]:
    parts: list[Part | None] = []
    seeds = sorted({row["seed"] for row in rows})
    several = sorted({row["epochs"] for row in rows})
    epochs = f"{' or '.join(map(str, several))} epoch{'' if several == [1] else 's'}"
    parts.append(
        {
            "notes": [
                "Budget: the multiplies of the full path (all segments and heads) that may stay; "
                "for weights the share of weights that stays.",
                f"Every criterion is followed by the same fine-tuning of {epochs}; seeds "
                f"{', '.join(map(str, seeds))}; accuracies of the test images (report split).",
                "Multiplies: of the full path; per image: with early exit, on average, after "
                "fine-tuning. In the table of differences they are relative to the original's.",
                "Level: the paired 95% interval (Student's t over seeds) of the difference "
                "includes zero.",
            ]
        }
    )
    head = (
        *("criterion", "budget", "early exit: before", "after", "lost"),
        *("last exit: before", "after", "lost", "multiplies", "per image", "cycles"),
    )
    body = []
    for (kind, budget, criterion), group in _groups(rows).items():
        body.append(
            (
                f"{criterion} ({kind})",
                f"{budget:g}",
                _spread(group, "accuracy_before"),
                _spread(group, "accuracy_after"),
                _points(group, "accuracy_original", "accuracy_after"),
                _spread(group, "last_before"),
                _spread(group, "last_after"),
                _points(group, "last_original", "last_after"),
                number(float(np.mean([r["macs"] for r in group]))),
                _mean(group, "macs_mean_after"),
                _mean(group, "predicted_cycles"),
            )
        )
    parts.append(table(head, body, title="Criteria, mean and standard deviation over seeds (%)"))
    for key, label in _COST:
        if all(row.get(key) is not None for row in rows):
            caption = f"Accuracy with early exit against {label}; hollow: before fine-tuning, "
            caption += (
                "full: behind it; bars: standard deviation over seeds; criteria beside each other."
            )
            parts.append({"svg": against(rows, key, label), "caption": caption})
    told = [
        (
            f"{s['criterion']} - {s['against']}",
            f"{s['kind']} {s['budget']:g}",
            s["key"].replace("accuracy", "early exit").replace("_", ", "),
            f"{100 * s['mean']:+.2f}",
            "-" if s["interval"] is None else "{:+.2f} to {:+.2f}".format(*_percent(s["interval"])),
            s["verdict"] or "-",
        )
        for s in statistics
        if s["criterion"] in ("deeplift", "lrp") and s["against"] not in ("deeplift", "lrp")
    ]
    if told:
        names = ("difference", "pass", "accuracy", "points", "95% interval", "verdict")
        parts.append(table(names, told, title="Paired over seeds"))
    return parts


def lines(report: Mapping[str, Any]) -> list[str]:
    """The table of criteria as text."""
    found = []
    rows = (report.get("compression") or {}).get("criteria") or []
    for (kind, budget, criterion), group in _groups(rows).items():
        found.append(
            f"{kind} {budget:g} {criterion:9s} early exit {_spread(group, 'accuracy_before')} -> "
            f"{_spread(group, 'accuracy_after')} (lost "
            f"{_points(group, 'accuracy_original', 'accuracy_after')}), last exit "
            f"{_spread(group, 'last_before')} -> {_spread(group, 'last_after')} (lost "
            f"{_points(group, 'last_original', 'last_after')}), multiplies per image "
            f"{_mean(group, 'macs_mean_after')}, {len({row['seed'] for row in group})} seeds"
        )
    return found


def _groups(rows: Rows) -> dict[tuple[str, float, str], list[Mapping[str, Any]]]:
    found: dict[tuple[str, float, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault((row["kind"], row["budget"], row["criterion"]), []).append(row)
    return found


def _percent(values: Sequence[float]) -> list[float]:
    return [100 * v for v in values]


def _spread(group: Rows, key: str) -> str:
    values = _percent([row[key] for row in group])
    spread = f" ± {np.std(values, ddof=1):.2f}" if len(values) > 1 else ""
    return f"{np.mean(values):.2f}{spread}"


def _points(group: Rows, whole: str, key: str) -> str:
    return f"{np.mean(_percent([row[whole] - row[key] for row in group])):.2f}"


def _mean(group: Rows, key: str) -> str:
    values = [row.get(key) for row in group]
    return "-" if None in values else number(float(np.mean([float(v or 0) for v in values])))


def against(rows: Rows, key: str, label: str) -> str:
    """Accuracy before and behind fine-tuning against a cost, mean and spread over seeds."""
    from matplotlib.ticker import EngFormatter

    figure, (axes,) = figures.new(8.6, 3.4)
    criteria = list(dict.fromkeys(row["criterion"] for row in rows))
    widest = max(float(row.get(f"{key}_original") or row[key]) for row in rows)
    wholes = [
        (row[f"{key}_original"], row["accuracy_original"])
        for row in rows
        if f"{key}_original" in row
    ]
    if wholes:
        x, y = np.mean(wholes, axis=0)
        axes.plot([x], [100 * y], "*", color=figures.INK, markersize=11, label="original")
    for i, criterion in enumerate(criteria):
        named = False
        for (_, _, name), group in _groups(rows).items():
            if name != criterion:
                continue
            shift = (i - (len(criteria) - 1) / 2) * 0.012 * widest
            x = float(np.mean([row[key] for row in group])) + shift
            for when, face in (("accuracy_before", "none"), ("accuracy_after", figures.colour(i))):
                values = _percent([row[when] for row in group])
                axes.errorbar(
                    [x],
                    [float(np.mean(values))],
                    yerr=[float(np.std(values, ddof=1)) if len(values) > 1 else 0.0],
                    fmt="o",
                    color=figures.colour(i),
                    markerfacecolor=face,
                    capsize=3,
                    label=criterion if face != "none" and not named else None,
                )
            named = True
    axes.set(xlabel=label, ylabel="accuracy (%)")
    axes.set_xlim(0, 1.08 * widest)
    axes.xaxis.set_major_formatter(EngFormatter())
    figure.legend(loc="outside upper center", ncols=len(criteria) + 1)
    return figures.svg(figure, f"accuracy against {label}")


def where(bars: Sequence[tuple[str, int, int]], label: str) -> str:
    """What is left of every layer and what went."""
    figure, (axes,) = figures.new(8.6, 0.6 + 0.32 * len(bars))
    place = np.arange(len(bars))
    left = [100 * after / before for _, before, after in bars]
    axes.barh(place, [100] * len(bars), color=figures.colour(0) + "44", height=0.7)
    axes.barh(place, left, color=figures.colour(0), height=0.7)
    for i, (_, before, after) in enumerate(bars):
        axes.text(101, i, f"{after:,} of {before:,}", va="center")
    axes.set_yticks(place, [name for name, _, _ in bars])
    axes.invert_yaxis()
    axes.set_xlim(0, 125)
    axes.set_xticks(range(0, 101, 20), [f"{v}%" for v in range(0, 101, 20)])
    axes.grid(axis="y", visible=False)
    return figures.svg(figure, f"what is left of every layer, {label}")


def _widths(entry: Mapping[str, Any]) -> list[Part | None]:
    """The tables of one pass of compression.json; none for passes of other kinds."""
    if entry.get("kind") == "precision":
        return _precision(entry)
    return _sharing(entry) if entry.get("kind") == "sharing" else []


def _precision(entry: Mapping[str, Any]) -> list[Part | None]:
    before, after = entry["uniform"], entry["chosen"]
    costs = [(label, number(before[key]), number(after[key])) for key, label in _FIGURES]
    widths = [(key, str(bits)) for key, bits in sorted(entry["bits"].items())]
    said = f"by {entry.get('criterion', '?')}"
    return [
        table(("", "before", "chosen"), costs, title=f"Mixed precision {said}: cost"),
        table(("key in [model]", "bits"), widths, title=f"Mixed precision {said}: widths"),
    ]


def _sharing(entry: Mapping[str, Any]) -> list[Part | None]:
    body = [
        (
            str(layer["name"]),
            number(layer["count"]),
            ", ".join(str(value) for value in layer["codebook"]),
            number(layer["index_bits"]),
        )
        for layer in entry.get("layers") or []
    ]
    head = ("layer", "weights", "codebook", "bits of an index")
    return [table(head, body, title=f"Shared weights by {entry.get('criterion', '?')}")]
