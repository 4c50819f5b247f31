"""The benchmark in report.html: figures and tables of every board that was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from exeunt.report import figures
from exeunt.report.page import Part, number, percent, read_json, section, table

FOLDER = "bench"
SHOWN_SETS = 24


def short(value: float | None, unit: str = "") -> str:
    """A number in few digits: whole above ten, with a prefix below one."""
    if value is None:
        return "-"
    if value >= 10:
        return f"{value:,.0f} {unit}".rstrip()
    for scale, prefix in ((1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n")):
        if value >= scale or prefix == "n":
            break
    return f"{value / scale:.3g} {prefix}{unit}".rstrip()


def _unit(data: Mapping[str, Any]) -> str:
    return "s" if data["unit"] == "seconds" else ""


def _times(found: Mapping[str, Any] | None, unit: str) -> tuple[str, ...]:
    keys = ("p50", "p95", "p99")
    return tuple("-" if found is None else short(found[k], unit) for k in keys)


def latencies(data: Mapping[str, Any]) -> str:
    """Cumulative share of the images against latency at full rate, exit by exit, as SVG."""
    figure, (axes,) = figures.new(8.6, 2.9)
    share = list(range(0, 101, 2))
    values: list[float] = []
    for row in data["exits"]:
        i, curve = row["index"], row["quantiles_loaded"]
        if curve:
            axes.step(curve, share, where="post", color=figures.colour(i), label=f"exit {i}")
            values += curve
        if row["latency"] is not None:
            alone = row["latency"]["p50"]
            axes.axvline(alone, color=figures.colour(i), linestyle=":", linewidth=1)
            values.append(alone)
    axes.axvline(values[0], alpha=0, label="dotted: sent alone, median", color="none")
    _scale(axes, values, _unit(data))
    axes.set(xlabel=f"latency ({data['unit']})", ylabel="images of this exit (%)")
    count = len(data["exits"]) + 1
    figure.legend(loc="outside upper center", ncols=count)
    return figures.svg(figure, "cumulative latency of the images of each exit")


def sweep(data: Mapping[str, Any]) -> str:
    """Accuracy against throughput, and against energy where it was measured, as SVG."""
    rows = data["sweep"]
    measured = [r for r in rows if r["energy"] is not None]
    figure, axes = figures.new(8.6, 3.2, columns=2 if measured else 1)
    cycles = data["unit"] == "cycles"
    key = "cycles per image" if cycles else "images per second"

    def x(row: Mapping[str, Any]) -> float:
        return 1 / row["throughput"] if cycles else float(row["throughput"])

    _curve(axes[0], [(x(r), 100 * r["accuracy"], r["chosen"]) for r in rows], key)
    if not cycles:
        for i, engine in enumerate(data["cpu_baseline"]["engines"]):
            label = f"{engine['engine']}, {engine['graph']}"
            place = [engine["images_per_second"]], [100 * engine["accuracy"]]
            axes[0].plot(*place, "s", color=figures.colour(3 + i), label=label)
        paces = [e["images_per_second"] for e in data["cpu_baseline"]["engines"]]
        _scale(axes[0], [*paces, *(x(r) for r in rows)])
    axes[0].set(ylabel="test accuracy (%)")
    if measured:
        points = [(1e3 * r["energy"], 100 * r["accuracy"], r["chosen"]) for r in measured]
        _curve(axes[1], points, "millijoules per inference")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4)
    return figures.svg(figure, f"accuracy against {key}")


def _curve(axes: Any, points: Sequence[tuple[float, float, bool]], label: str) -> None:
    ordered = sorted((a, b) for a, b, _ in points)
    xs, ys = [a for a, _ in ordered], [b for _, b in ordered]
    axes.plot(xs, ys, ".-", color=figures.colour(0), linewidth=1, label="thresholds")
    for a, b, chosen in points:
        if chosen:
            mark = {"markersize": 13, "markeredgewidth": 0, "label": "as calibrated"}
            axes.plot([a], [b], "*", color=figures.INK, **mark)
    _scale(axes, xs)
    axes.set(xlabel=label)


def _scale(axes: Any, values: Sequence[float], unit: str = "") -> None:
    """A logarithmic axis with plain numbers where the values are far apart."""
    low, high = min(values), max(values)
    if low <= 0 or high < 5 * low:
        return
    axes.set_xscale("log")
    steps = [s * 10.0**k for k in range(-9, 10) for s in (1, 2, 5)]
    if high > 30 * low:
        steps = [10.0**k for k in range(-9, 10)]
    ticks = [t for t in steps if low / 1.5 <= t <= high * 1.5]
    axes.set_xticks(ticks, [short(t, unit) for t in ticks])
    axes.set_xticks([], minor=True)


def _exits(data: Mapping[str, Any]) -> Part:
    unit = data["unit"]
    head = ["exit", "leaves", "right of these"]
    head += [f"alone {p}" for p in ("p50", "p95", "p99")]
    head += [f"full rate {p}" for p in ("p50", "p95", "p99")]
    rows = [
        (
            row["index"],
            percent(row["rate"]),
            percent(row["accuracy"], 2),
            *_times(row["latency"], _unit(data)),
            *_times(row["latency_loaded"], _unit(data)),
        )
        for row in data["exits"]
    ]
    rows.append(
        (
            "all",
            "",
            percent(data["accuracy"], 2),
            *_times(data["latency"], _unit(data)),
            *_times(data["latency_loaded"], _unit(data)),
        )
    )
    return table(head, rows, title=f"Latency by exit, in {unit}", total=True)


def _engines(data: Mapping[str, Any]) -> Part:
    head = ("processor", "graph", "images/s", "batch", "threads", "one image", "accuracy", "agrees")
    rows = [
        (
            engine["engine"],
            engine["graph"],
            number(engine["images_per_second"]),
            engine["batch"],
            engine["threads"],
            short(engine["latency"]["p50"], "s"),
            percent(engine["accuracy"], 2),
            percent(engine["agreement"], 2),
        )
        for engine in data["cpu_baseline"]["engines"]
    ]
    return table(head, rows, title="The same network on the processor, in the same run")


def _facts(data: Mapping[str, Any], current: str) -> Part:
    cycles = data["unit"] == "cycles"
    rate = (
        f"{data['time_per_image']:,.1f} cycles per image"
        if cycles
        else f"{data['images_per_second']:,.0f} images per second"
    )
    facts = [
        ("transport", data["transport"]),
        ("images, mismatches", f"{number(data['images'])}, {data['mismatches']}"),
        ("throughput", rate),
        ("clock", f"{data['clock_mhz']:g} MHz, {data['clock']}"),
    ]
    base = data["cpu_baseline"]
    against = (
        f"{base['throughput_ratio']:.3g} x the images per second, "
        f"{base['latency_ratio']:.3g} times shorter for one image, "
        f"against {base['engine']} ({base['graph']})"
    )
    if base["ratio_assumes"]:
        against += f"; the device's time is {base['ratio_assumes']}"
    facts.append(("against the processor", against))
    used = data["energy"]
    if used["source"] is None:
        facts.append(("energy", f"not measured: {used['why']}"))
    else:
        told = f"{1e3 * used['total']:.4g} mJ per inference at {used['watts']:.3g} W"
        if used["above_idle"] is None:
            told += ", idle power not known"
        else:
            told += f"; {1e3 * used['above_idle']:.4g} mJ above the idle {used['idle_watts']:.3g} W"
        facts.append(("energy", f"{told}, by {used['source']}"))
    facts.append(("measured on", data["machine"]))
    if current and data["manifest"] != current:
        facts.append(("note", "measured with another compile of this network"))
    return {"facts": facts}


def _sets(data: Mapping[str, Any]) -> Part:
    cycles = data["unit"] == "cycles"
    head = ["thresholds", "accuracy", "leave at each exit"]
    head += ["cycles per image" if cycles else "images/s", "median latency", "mJ per inference"]
    rows = []
    for row in data["sweep"][:SHOWN_SETS]:
        told = ", ".join("never" if t == 0x7FFFFFFF else str(t) for t in row["thresholds"])
        pace = 1 / row["throughput"] if cycles else row["throughput"]
        joules = "-" if row["energy"] is None else f"{1e3 * row['energy']:.4g}"
        rates = " ".join(percent(r) for r in row["rates"])
        rows.append(
            (
                told + (" (calibrated)" if row["chosen"] else ""),
                percent(row["accuracy"], 2),
                rates,
                number(pace, 1 if cycles else 0),
                short(row["latency_loaded_p50"], _unit(data)),
                joules,
            )
        )
    return table(head, rows, title="Thresholds: accuracy against speed")


def _maps(data: Mapping[str, Any]) -> list[Part]:
    """Heat maps a second by method and exit, where the device explains."""
    found = data.get("maps")
    if not found:
        return []
    rows = [
        (
            row["method"],
            where,
            number(one["maps"]),
            short(one["time_per_map"], _unit(data)),
            number(one["maps_per_second"]),
        )
        for row in found["methods"]
        for where, one in [("all", row), *((f"exit {e['index']}", e) for e in row["exits"])]
        if one["maps"]
    ]
    head = ["method", "images that leave at", "maps", "time per map", "maps per second"]
    title = (
        f"Heat maps; with one image in {found['every']} explained "
        f"{percent(found['throughput_kept'])} of the images per second are left"
    )
    return [table(head, rows, title=title)]


def bench(run_dir: Path, manifest: Mapping[str, Any]) -> list[Part]:
    """A section for each file in bench/ that `exeunt bench` or `bench.py` wrote."""
    found = []
    for path in sorted((run_dir / FOLDER).glob("*.json")):
        data = read_json(path)
        if not isinstance(data, Mapping) or data.get("schema") != 1 or "cpu_baseline" not in data:
            continue
        drawn = [
            {
                "svg": latencies(data),
                "caption": "Share of the images of each exit answered within that latency, frames "
                f"following each other at full rate; times in {data['unit']}.",
            },
            {
                "svg": sweep(data),
                "caption": "Every point is one set of thresholds from the calibration curve, "
                f"{number(data['images'])} test images each.",
            },
        ]
        parts = (_facts(data, str(manifest.get("hash", ""))), drawn[0], _exits(data), drawn[1])
        title = f"Benchmark: {data['board']}"
        name = f"bench-{path.stem}"
        found.append(section(name, title, *parts, _sets(data), *_maps(data), _engines(data)))
    return found


def packages(report: Mapping[str, Any]) -> Part | None:
    """The deploy packages that were made."""
    rows = [
        (
            entry["board"],
            entry["archive"],
            f"{entry['bytes'] / 1e6:.2f} MB",
            entry["bitstream"] or "none",
            entry["images"],
            entry["sha256"],
        )
        for entry in report.get("deploy", [])
    ]
    head = ("board", "archive", "size", "bitstream", "test images", "sha256")
    return section("deploy", "Deploy packages", table(head, rows)) if rows else None
