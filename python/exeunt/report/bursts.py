"""Sections of report.html about frames that wait: room for bursts, latency, drift of the exits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from exeunt.report import figures
from exeunt.report.page import Part, number, percent, section, table

STEADY = 100  # images from which on their pace is drawn: of fewer it is that of filling
WORST = {
    "hard": "every frame stays to the end",
    "bursts": "each hundred frames come by their exits, the early ones first",
}


def bursts(report: Mapping[str, Any]) -> Part | None:
    """What frames wait in, why so much, and what happens in the worst case and under drift."""
    found = (report.get("compile") or {}).get("bursts")
    drift = report.get("drift")
    if not isinstance(found, Mapping) or not found.get("buffers"):
        return None
    parts: list[Part] = [_room(found), _worst(found)]
    if isinstance(drift, Mapping):
        parts += [_drawn(drift, found), _drift(drift)]
        if drift.get("checked"):
            parts.append(_checked(drift["checked"]))
    return section("bursts", "Bursts and drift", *parts, text=_text(found, report.get("pace")))


def _text(found: Mapping[str, Any], seen: Mapping[str, Any] | None) -> str:
    if found["found"]:
        origin = (
            "Head room, buffers, queues and the frames in flight are the least with which the "
            "exits of the validation images, in their order, pass at that pace"
        )
    else:
        origin = "Nothing is known of the order in which frames leave, so sizes are the usual ones"
    rtl = ""
    if seen:
        rtl = (
            f" In the RTL {seen['images']:,} test images take {seen['cycles_per_image']:,.1f}, "
            f"{percent(seen['of_ideal'])} of theirs."
        )
    return (
        f"{origin}. By the cycle reference {found['frames']:,} frames take "
        f"{found['cycles_per_image']:,.1f} cycles each, {percent(found['of_ideal'])} of the pace "
        "that the slowest stage would allow if no frame ever waited." + rtl
    )


def _room(found: Mapping[str, Any]) -> Part:
    rows = []
    for i, interval in enumerate(found["intervals"]):
        spare = found["headroom"][i]
        rows.append(
            (
                f"stage {i}",
                number(interval),
                "-" if spare is None else f"{spare:.2f}",
                number(found["queues"][i - 1]) if i else "-",
                number(found["buffers"][i]) if i < len(found["buffers"]) else "-",
            )
        )
    head = ("", "cycles of a frame", "times as fast as its frames need",
            "frames that wait before it", "frames in the buffer behind it")  # fmt: skip
    return table(head, rows, title=f"Room; {found['in_flight']} frames in flight at most")


def _worst(found: Mapping[str, Any]) -> Part:
    rows = [
        (WORST[name], number(case["frames"]), f"{case['cycles_per_image']:,.1f}",
         f"{case['ideal']:,.1f}")
        for name, case in (found.get("worst") or {}).items()
    ]  # fmt: skip
    head = ("", "frames", "cycles per image", "if none waited")
    return table(head, rows, title="The worst")


def _drift(drift: Mapping[str, Any]) -> Part:
    rows = []
    for point in drift["points"]:
        reach = ", ".join(percent(r) for r in point["reach"][1:])
        rows.append(
            (
                f"{point['factor']:g}", reach, number(point["frames"]),
                f"{point['cycles_per_image']:,.1f}",
                *(number(point["latency"][p]) for p in ("p50", "p95", "p99")),
            )
        )  # fmt: skip
    head = ("times as many go on", "that reach exit 1, ...", "frames", "cycles per image",
            "latency p50", "p95", "p99")  # fmt: skip
    return table(head, rows, title="Drift, by the cycle reference; frames as quickly as taken")


def _checked(checked: Sequence[Mapping[str, Any]]) -> Part:
    rows = [
        (
            f"{point['factor']:g}", number(point["images"]), number(point["mismatches"]),
            number(point["frames_exact"]), f"{point['cycles_per_image']:,.1f}",
            f"{point['predicted']:,.1f}",
        )
        for point in checked
    ]  # fmt: skip
    head = ("times as many go on", "images through the RTL", "mismatches",
            "frames in the predicted cycle", "cycles per image", "predicted")  # fmt: skip
    return table(head, rows, title="Points of it in the RTL")


def _drawn(drift: Mapping[str, Any], found: Mapping[str, Any]) -> Part:
    """Throughput and latency over the factor."""
    points = drift["points"]
    factors = [p["factor"] for p in points]
    here = min(points, key=lambda p: abs(p["factor"] - 1))
    figure, (left, right) = figures.new(8.6, 2.9, columns=2)
    pace = [100 * here["cycles_per_image"] / p["cycles_per_image"] for p in points]
    left.plot(factors, pace, "o-", color=figures.colour(0), label="by the cycle reference")
    seen = [p for p in drift.get("checked") or () if p["images"] >= STEADY]
    if seen:
        left.plot(
            [p["factor"] for p in seen],
            [100 * here["cycles_per_image"] / p["cycles_per_image"] for p in seen],
            "s", color=figures.colour(5), fillstyle="none", markersize=9,
            label="RTL, fewer frames",
        )  # fmt: skip
    left.set(
        xlabel="times as many frames go on", ylabel="throughput in percent",
        ylim=(0, max(110.0, max(pace) * 1.1)),
    )  # fmt: skip
    left.legend(loc="lower left")
    for k, name in enumerate(("p50", "p95", "p99")):
        right.plot(
            factors, [p["latency"][name] for p in points], "o-", color=figures.colour(k), label=name
        )
    right.set(xlabel="times as many frames go on", ylabel="latency in cycles", yscale="log")
    figures.logarithmic(right.yaxis)
    right.legend(loc="lower right")
    return {
        "svg": figures.svg(figure, "throughput and latency when more or fewer frames go on"),
        "caption": "When more or fewer frames go on than were measured (1): frames of the same "
        f"order of which some, chosen at random, go further or less far; {found['in_flight']} in "
        "flight at most, each comes as soon as it is taken.",
    }


def latency(report: Mapping[str, Any]) -> Part | None:
    """How long frames take, by the exit where they leave, as the RTL showed it."""
    found = report.get("latency")
    if not isinstance(found, Mapping):
        return None
    clock = (report.get("hardware") or {}).get("clock_mhz")
    parts: list[Part] = [_curves(found), _percentiles(found, clock)]
    if isinstance(found.get("spaced"), Mapping):
        parts.append(_promised(found["spaced"], clock))
    text = (
        "From a frame's first beat to its result, as the RTL wrote it into each result; frames "
        "come one behind the other, each as soon as it is taken, so the time that they wait for "
        "one another inside is part of it."
    )
    return section("latency", "Latency", *parts, text=text)


def _rows(found: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    named = [(f"exit {row['index']}", row) for row in found["exits"]]
    return [*named, ("all", found["all"])]


def _percentiles(found: Mapping[str, Any], clock: float | None) -> Part:
    rows = []
    for name, row in _rows(found):
        values = [row.get(p) for p in ("p50", "p95", "p99", "max")]
        rows.append((name, number(row["images"]), *(_both(v, clock) for v in values)))
    unit = "cycles (us)" if clock else "cycles"
    head = (f"latency in {unit}", "images", "p50", "p95", "p99", "longest")
    return table(head, rows, title="By exit")


def _both(cycles: float | None, clock: float | None) -> str:
    if cycles is None:
        return "-"
    return f"{cycles:,.0f}" + (f" ({cycles / clock:,.2f})" if clock else "")


def _promised(seen: Mapping[str, Any], clock: float | None) -> Part:
    """What compile promised, beside what the RTL shows for validation images."""
    rows = [
        (p, _both(seen["promised"][p], clock), _both(seen["all"].get(p), clock))
        for p in ("p50", "p95", "p99")
    ]
    head = ("", "promised", f"{seen['all']['images']:,} validation images through the RTL")
    title = f"Promised for a frame every {seen['spacing']:,} cycles"
    if seen["alone"]:
        title = f"Promised for frames alone (one every {seen['spacing']:,} cycles)"
    return table(head, rows, title=title)


def _curves(found: Mapping[str, Any]) -> Part:
    figure, (axes,) = figures.new(8.6, 3.0)
    for name, row in _rows(found):
        if not row["images"]:
            continue
        levels = np.linspace(0, 100, len(row["curve"]))
        alone = name == "all"
        axes.step(
            row["curve"], levels, where="post", label=f"{name} ({row['images']:,})",
            color=figures.INK if alone else figures.colour(row["index"]),
            linestyle="--" if alone else "-", linewidth=1.0 if alone else 1.6,
        )  # fmt: skip
    axes.set(xlabel="latency in cycles", ylabel="percent of the frames", xscale="log")
    figures.logarithmic(axes.xaxis)
    figure.legend(loc="outside upper center", ncols=6)
    return {
        "svg": figures.svg(figure, "distribution of the latency by exit"),
        "caption": "How many percent of the frames that leave at an exit have left after so many "
        "cycles (images in brackets).",
    }
