"""The section of report.html about thresholds that follow a rate or a latency."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exeunt.report import figures
from exeunt.report.page import Part, number, percent, section, table


def hold(report: Mapping[str, Any]) -> Part | None:
    """The same images with thresholds that stay, and with thresholds that follow."""
    found = report.get("hold")
    if not isinstance(found, Mapping):
        return None
    text = (
        f"{found['images']:,} test images go through the RTL twice, with thresholds that stay and "
        f"with thresholds that hold the rate of each exit, each window of {found['window']:,} "
        f"decisions within its limits. From image {found['half']:,} on {found['factor']:g} times "
        "as many go on as in the validation set. Every answer, every offset and every count of "
        "changes is the reference's."
    )
    parts = [_drawn(found), _table(found), _exits(found)]
    if isinstance(found.get("latency"), Mapping):
        parts.append(_latency(found["latency"]))
    return section("hold", "Thresholds that follow", *parts, text=text)


def _table(found: Mapping[str, Any]) -> Part:
    rows = []
    for name, label in (("off", "thresholds stay"), ("on", "thresholds follow")):
        run = found[name]
        for k, half in enumerate(("first half", "second half")):
            rates = ", ".join(percent(rate[k]) for rate in run["rates"][:-1])
            rows.append(
                (
                    f"{label}, {half}", rates, f"{run['cycles_per_image'][k]:,.1f}",
                    percent(run["accuracy"][k]), number(run["mismatches"]),
                )
            )  # fmt: skip
    head = ("", "leave at exit 0, ... of those that get there", "cycles per image", "accuracy",
            "mismatches")  # fmt: skip
    return table(head, rows, title="When more images stay")


def _exits(found: Mapping[str, Any]) -> Part:
    rows = []
    for e, row in enumerate(found["exits"]):
        low, high = (percent(limit) for limit in row["limits"])
        rows.append(
            (
                f"exit {e}", f"{low} to {high}", number(row["threshold"]), number(row["step"]),
                f"{row['floor']:,} to {row['ceiling']:,}", number(row["offset"]),
                number(row["raised"]), number(row["lowered"]),
            )
        )  # fmt: skip
    head = ("", "rate held", "threshold", "step", "offset may be", "offset at the end",
            "times raised", "times lowered")  # fmt: skip
    return table(head, rows, title="What is held, and the changes")


def _latency(found: Mapping[str, Any]) -> Part:
    changes = ", ".join(
        f"{up:,} and {down:,}" for up, down in zip(found["raised"], found["lowered"], strict=True)
    )
    rows = [
        ("later than the limit, thresholds stay", *map(percent, found["late_off"])),
        ("later than the limit, thresholds follow", *map(percent, found["late_on"])),
    ]
    low, high = (percent(limit) for limit in found["limits"])
    return table(
        ("", "first half", "second half"),
        rows,
        title=f"{low} to {high} of the results later than {found['limit']:,} cycles; raised and "
        f"lowered by exit {changes}; {found['exact']:,} of {found['decisions']:,} decisions done "
        "again exactly, the others within the cycles in which they may have been made",
    )


def _drawn(found: Mapping[str, Any]) -> Part:
    """Rates of windows and offsets over the images."""
    exits = found["exits"]
    figure, (left, right) = figures.new(8.6, 3.0, columns=2)
    for e, row in enumerate(exits):
        colour = figures.colour(e)
        left.axhspan(*(100 * limit for limit in row["limits"]), color=colour, alpha=0.12, lw=0)
        for name, style in (("off", ":"), ("on", "-")):
            points = found[name]["windows"][e]
            left.plot(
                points["at"], [100 * rate for rate in points["rate"]], style, color=colour,
                label=f"exit {e}, {'follow' if name == 'on' else 'stay'}",
            )  # fmt: skip
        path = [*row["path"], [found["images"], row["path"][-1][1]]]
        right.step(
            [at for at, _ in path], [offset for _, offset in path], where="post", color=colour,
            label=f"exit {e}",
        )  # fmt: skip
    for axes in (left, right):
        axes.axvline(found["half"], color=figures.INK, linewidth=0.8, alpha=0.5)
        axes.set(xlabel="image")
        axes.legend(loc="best", fontsize=8)
    left.set(ylabel="percent that leave", ylim=(0, 100))
    right.set(ylabel="offset of the threshold")
    return {
        "svg": figures.svg(figure, "rate of each exit and offset of its threshold over the images"),
        "caption": "Left: of the images that get to an exit, how many leave there, window by "
        "window; dotted where thresholds stay; shaded what is held. Right: what is added to the "
        "thresholds.",
    }
