"""What report.html and search/front.html say of a search: the front, and the networks on it."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from typing import Any

from exeunt.report import figures
from exeunt.report.page import KINDS, Part, number, percent, section, table

Row = Mapping[str, Any]


def search(report: Mapping[str, Any], *, folder: str = "search/") -> Part | None:
    """The front as a picture and a table; links lead to its configs.

    Args:
        report: report.json.
        folder: of the search, seen from the page.
    """
    found = report.get("search")
    if not found:
        return None
    rows = found["networks"]
    front = [row for row in rows if row["front"]]
    front.sort(key=lambda row: _cost(found, row))
    drawn = {
        "svg": _plot(found, folder),
        "caption": "Every network that was trained to its end: validation accuracy with early exit "
        "against predicted cost, those far below the front left out. Hover over a point for its "
        "choices; a point of the front leads to its config. Crosses: as the RTL has it.",
    }
    return section(
        "search", "Networks that were searched", drawn, table(HEAD, map(_cells, front)),
        text=" ".join(_text(found)),
    )  # fmt: skip


def lines(report: Mapping[str, Any]) -> list[str]:
    """The front as text, and what it says."""
    found = report.get("search") or {}
    front = [row for row in found.get("networks", []) if row["front"]]
    return [
        *(
            f"trial {row['trial']:4d}: {percent(row['accuracy'], 2)} of the validation images, "
            f"{number(row['throughput_fps'])} images per second, {_counted(found, row)}"
            f"{number(row['lut'])} LUT, "
            f"{len(row['rates'])} exit{'s' * (len(row['rates']) > 1)}{_proved(row)}"
            for row in sorted(front, key=lambda row: _cost(found, row))
        ),
        *_text(found),
    ]


def _proved(row: Row) -> str:
    rtl = row["rtl"]
    if not rtl:
        return ""
    return f", {number(rtl['images'])} images through the RTL, {rtl['mismatches']} mismatches"


WHAT = {  # by which networks are compared, in words
    "throughput_fps": "the images per second", "latency_us": "the latency", "lut": "the LUT",
    "nanojoules": "the energy of an image",
}  # fmt: skip
AXES = {
    "throughput_fps": "images per second (predicted)", "latency_us": "latency in us (predicted)",
    "lut": "LUT (predicted)", "nanojoules": "energy of an image in nJ (an estimate)",
}  # fmt: skip


def _cost(found: Mapping[str, Any], row: Row) -> float:
    """What is to be small."""
    return -float(row[found["cost"]]) if found["cost"] == "throughput_fps" else row[found["cost"]]


def _counted(found: Mapping[str, Any], row: Row) -> str:
    """A part of a line, where latency or energy is what counts."""
    if found["cost"] == "nanojoules":
        return f"{number(row['nanojoules'], 1)} nJ an image, "
    if found["cost"] != "latency_us":
        return ""
    return f"{row['latency_us']:.2f} us of latency ({found['percentile']}% of the frames), "


HEAD = (
    "network", "exits leave (%)", "validation (%)", "test (%)", "images per second",
    "cycles", "latency (us)", "nJ an image", "LUT", "DSP", "BRAM18", "cycles of test images",
    "cycles in RTL", "latency in RTL (us)", "LUT by Yosys", "mismatches", "choices",
)  # fmt: skip


def _cells(row: Row) -> list[str]:
    rtl = row["rtl"] or {}
    return [
        f"trial {row['trial']}",
        ", ".join(f"{100 * rate:.1f}" for rate in row["rates"]),
        f"{100 * row['accuracy']:.2f}",
        f"{100 * rtl['test_accuracy']:.2f}" if rtl else "-",
        number(row["throughput_fps"]),
        number(row["cycles"], 1),
        number(row.get("latency_us"), 2),
        number(row.get("nanojoules"), 1),
        *(number(row[key]) for key in ("lut", "dsp", "bram18")),
        number(rtl.get("cycles_foreseen"), 1),
        number(rtl.get("cycles_per_image"), 1),
        number(rtl.get("latency_us"), 2),
        number(rtl.get("lut_counted")),
        f"{rtl['mismatches']} of {number(rtl['images'])}" if rtl else "-",
        _choices(row),
    ]


def _choices(row: Row) -> str:
    return ", ".join(f"{name} {value}" for name, value in row["choices"].items())


def _text(found: Mapping[str, Any]) -> list[str]:
    budget = ", ".join(f"{number(v)} {KINDS[k]}" for k, v in found["budget"].items())
    tried = found["trials"]
    said = [
        f"{number(tried)} networks drawn by {found['sampler']} (seed {found['seed']}), "
        f"{number(found['stopped'])} of them ended early, did not fit or were no network."
    ]
    if budget:
        said.append(f"Each was folded for at most {budget}.")
    said += _cycles(found["networks"])
    gain = found["gain"]
    if gain is None:
        said.append("No network with one exit was as accurate as one of the front with more.")
    else:
        more = found["cost"] == "throughput_fps"
        factor = gain["factor"] if more else 1 / gain["factor"]
        said.append(
            f"Trial {gain['trial']} ({percent(gain['accuracy'], 2)}) has {factor:.2f} times "
            f"{WHAT[found['cost']]} "
            f"of trial {gain['single']}, the cheapest network with one exit that is as accurate "
            f"({percent(gain['accuracy_single'], 2)})."
        )
    return said


def _cycles(rows: Sequence[Row]) -> list[str]:
    """What the columns of cycles are, and how well the RTL's were foreseen."""
    said = [
        "Cycles are those between validation images once the accelerator is full, by their exits "
        "and the design that the compiler would make."
    ]
    known = [row["rtl"] for row in rows if (row["rtl"] or {}).get("cycles_foreseen")]
    if known:
        off = max(abs(r["cycles_foreseen"] / r["cycles_per_image"] - 1) for r in known)
        said.append(
            "Those of test images are of whole runs, filled and drained: that design with the "
            f"exits that they took, at most {percent(off, 2)} off those in the RTL."
        )
    return said


def _plot(found: Mapping[str, Any], folder: str) -> str:
    """Accuracy against cost; each point has a title, those of the front a link."""
    figure, (axes,) = figures.new(8.6, 3.8)
    cost = found["cost"]
    rows: Sequence[Row] = found["networks"]
    for row in rows:
        single = row["single_exit"]
        colour = figures.colour(1 if single else 0)
        (mark,) = axes.plot(
            [row[cost]], [100 * row["accuracy"]],
            "s" if single else "o", color=colour, markersize=7 if row["front"] else 4,
            alpha=1.0 if row["front"] else 0.45,
        )  # fmt: skip
        mark.set_gid(f"trial{row['trial']}")
        shown = _measured(cost, row)
        if shown:
            axes.plot([shown], [100 * row["accuracy"]], "x", color=figures.INK, markersize=6)
    front = sorted((r for r in rows if r["front"]), key=lambda r: _cost(found, r))
    xs = [r[cost] for r in front]
    axes.plot(xs, [100 * r["accuracy"] for r in front], color=figures.INK, linewidth=0.7, zorder=0)
    for label, kind, number_ in (("several exits", "o", 0), ("one exit", "s", 1)):
        axes.plot([], [], kind, color=figures.colour(number_), label=label)
    axes.set_xscale("log")
    figures.logarithmic(axes.xaxis)
    low, high = (100 * f(r["accuracy"] for r in front) for f in (min, max))
    room = max(0.5, high - low)  # networks far below the front would flatten it
    axes.set_ylim(low - room, high + 0.15 * room)
    axes.set(
        xlabel=AXES[cost],
        ylabel="validation accuracy (%)",
    )
    figure.legend(loc="outside upper center", ncols=4)
    drawn = figures.svg(figure, "accuracy against cost of every network")
    for row in rows:
        drawn = _titled(drawn, row, folder)
    return drawn


def _measured(cost: str, row: Row) -> float | None:
    """What the RTL has in place of the predicted cost."""
    rtl = row["rtl"] or {}
    if cost == "throughput_fps":
        cycles = rtl.get("cycles_per_image")
        return row["throughput_fps"] * row["cycles"] / cycles if cycles else None
    return rtl.get({"lut": "lut_counted", "latency_us": "latency_us"}.get(cost))


def _titled(drawn: str, row: Row, folder: str) -> str:
    """The drawing with a title on a point, and a link where it is on the front."""
    text = f"trial {row['trial']}: {100 * row['accuracy']:.2f}%, {number(row['throughput_fps'])} "
    text += f"images per second, {number(row['lut'])} LUT; {_choices(row)}"
    gid = f"trial{row['trial']}"
    found = re.search(rf'<g id="{gid}">(.*?)</g>\s*</g>', drawn, flags=re.DOTALL)
    assert found is not None, "every point is drawn"
    inner = f"<title>{html.escape(text)}</title>{found[0]}"
    if row["config"]:
        inner = f'<a href="{html.escape(folder + row["config"])}">{inner}</a>'
    return drawn[: found.start()] + f"<g>{inner}</g>" + drawn[found.end() :]
