"""Figures of report.html: matplotlib drawings as inline SVG whose text takes the page's colour."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

# Okabe and Ito's palette: told apart without colour vision, on white and on black
EXIT_COLOURS = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#D55E00",
    "#7A7A7A",
    "#B8A800",
)
INK = "#010203"  # stands for the page's text colour until the SVG is written

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]


def colour(exit_index: int) -> str:
    """The colour that exit has in every figure."""
    return EXIT_COLOURS[exit_index % len(EXIT_COLOURS)]


def new(width: float, height: float, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure of that many inches in the page's style, and its axes side by side."""
    import matplotlib
    from matplotlib.figure import Figure as MplFigure

    matplotlib.rcParams.update(
        {
            "svg.fonttype": "path",
            "svg.hashsalt": "exeunt",
            "font.size": 9,
            "text.color": INK,
            "axes.labelcolor": INK,
            "axes.edgecolor": INK,
            "axes.titlesize": 10,
            "xtick.color": INK,
            "ytick.color": INK,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.axisbelow": True,
            "grid.color": "#808080",
            "grid.alpha": 0.25,
            "legend.frameon": False,
        }
    )
    figure = MplFigure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(1, columns, squeeze=False)[0]
    return figure, list(axes)


def svg(figure: Figure, label: str) -> str:
    """The figure as an SVG element; the same figure gives the same text. `label` is read aloud."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = text.replace(INK, "currentColor")
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', "", text, count=1)
    return text.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)


def training(history: Sequence[Mapping[str, Any]]) -> str:
    """Loss, and validation accuracy of every exit, against the epoch.

    Each entry has `epoch`, `loss`, and `accuracy` (list of fractions, one per exit).
    """
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    figure, (left, right) = new(8.6, 2.9, columns=2)
    epochs = [entry.get("epoch", i) for i, entry in enumerate(history)]
    left.plot(epochs, [float(entry.get("loss") or 0) for entry in history], color=colour(0))
    left.set(title="training loss", xlabel="epoch")
    left.set_yscale("log")
    left.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 4, 5, 7)))
    left.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    left.yaxis.set_minor_formatter(NullFormatter())
    table = [entry.get("accuracy") or [] for entry in history]
    for i in range(max(map(len, table), default=0)):
        values = [100 * row[i] if i < len(row) else np.nan for row in table]
        right.plot(epochs, values, color=colour(i), label=f"exit {i}")
    right.set(title="validation accuracy (%)", xlabel="epoch")
    settled = [100 * v for row in table[len(table) // 5 :] for v in row]
    if settled:  # the first epochs would flatten the rest
        right.set_ylim(max(0.0, min(settled) - 2), min(100.5, max(settled) + 2))
    figure.legend(loc="outside upper center", ncols=8)
    return svg(figure, "training loss and validation accuracy against the epoch")


def exits(rows: Sequence[Mapping[str, Any]]) -> str:
    """How many images leave at each exit, and how many of those are right."""
    figure, (axes,) = new(8.6, 0.5 + 0.42 * len(rows))
    names = [f"exit {row.get('index', i)}" for i, row in enumerate(rows)]
    rates = [100 * (row.get("rate") or 0.0) for row in rows]
    right = [r * (row.get("accuracy") or 0.0) for r, row in zip(rates, rows, strict=True)]
    place = np.arange(len(rows))
    axes.barh(place, rates, color=[colour(i) + "55" for i in range(len(rows))], height=0.7)
    axes.barh(place, right, color=[colour(i) for i in range(len(rows))], height=0.7)
    for i, (rate, row) in enumerate(zip(rates, rows, strict=True)):
        accuracy = row.get("accuracy")
        told = f"{rate:.1f}%" + (f", {100 * accuracy:.1f}% of them right" if accuracy else "")
        axes.text(rate + 0.8, i, told, va="center")
    axes.set_yticks(place, names)
    axes.invert_yaxis()
    axes.set_xlim(0, 130)
    axes.spines.bottom.set_bounds(0, 100)
    axes.set_xticks(range(0, 101, 20), [f"{v}%" for v in range(0, 101, 20)])
    axes.grid(axis="y", visible=False)
    return svg(figure, "share of images that leaves at each exit")


def cost(
    curve: Sequence[Mapping[str, Any]],
    chosen: Mapping[str, Any] | None,
    fixed: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Accuracy against multiplications per image: what the thresholds trade.

    `curve` and `chosen` have `macs` and `accuracy`; `fixed` is each exit used alone.
    """
    figure, (axes,) = new(8.6, 3.2)
    points = sorted((p["macs"], 100 * p["accuracy"]) for p in curve if p.get("macs"))
    if points:
        x, y = zip(*points, strict=True)
        axes.plot(x, y, ".-", color=colour(0), linewidth=1, markersize=4, label="thresholds")
    for i, point in enumerate(fixed):
        if point.get("macs") and point.get("accuracy") is not None:
            x1, y1 = point["macs"], 100 * point["accuracy"]
            axes.plot([x1], [y1], "s", color=colour(i), label=f"exit {i} alone")
    if chosen and chosen.get("macs"):
        x2, y2 = chosen["macs"], 100 * chosen["accuracy"]
        axes.plot([x2], [y2], "*", color=INK, markersize=13, label="chosen", markeredgewidth=0)
    axes.set(xlabel="multiplications per image", ylabel="validation accuracy (%)")
    costs = [p["macs"] for p in (*curve, *fixed) if p.get("macs")]
    if costs and max(costs) > 10 * min(costs):
        axes.set_xscale("log")
    else:
        axes.set_xlim(left=0)
    figure.legend(loc="outside upper center", ncols=8)
    return svg(figure, "accuracy against multiplications")


def timeline(
    accepts: Labels, decided: Labels, leaves: Labels, exits: Labels, *, first: int = 0
) -> str:
    """Which frame is where: from its first beat to each decision, and to its result.

    Args:
        accepts: int64 (N,), cycle of each frame's first input beat.
        decided: int64 (N, exits), cycle of each exit's decision; not looked at past the last one.
        leaves: int64 (N,), cycle in which the frame's result left.
        exits: int64 (N,), the exit each frame took.
        first: number of the first frame shown.
    """
    count = len(accepts)
    figure, (axes,) = new(8.6, 1.2 + 0.15 * count)
    for n in range(count):
        start = int(accepts[n])
        for stage in range(int(exits[n]) + 1):
            end = int(decided[n, stage])
            axes.barh(n, end - start, left=start, color=colour(stage), height=0.75)
            start = end
        axes.plot([int(leaves[n])], [n], "|", color=INK, markersize=5)
    for stage in range(decided.shape[1]):
        axes.barh([0], [0], color=colour(stage), label=f"until exit {stage} has decided")
    axes.plot([], [], "|", color=INK, label="result leaves")
    axes.set_yticks(range(0, count, 4), [str(first + n) for n in range(0, count, 4)])
    axes.set(xlabel="cycle", ylabel="frame")
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    figure.legend(loc="outside upper center", ncols=3)
    return svg(figure, "which frame is where in the pipeline, against cycles")


def resources(blocks: Sequence[tuple[str, float]], unit: str) -> str:
    """A bar for each block: what it takes of one resource."""
    figure, (axes,) = new(8.6, 0.6 + 0.2 * len(blocks))
    names = [name for name, _ in blocks]
    axes.barh(names, [value for _, value in blocks], color=colour(0), height=0.7)
    for i, (_, value) in enumerate(blocks):
        axes.text(value, i, f" {value:,.0f}", va="center", fontsize=8)
    axes.invert_yaxis()
    axes.set(xlabel=unit)
    axes.margins(x=0.12)
    axes.grid(axis="y", visible=False)
    return svg(figure, f"{unit} of each block")


def logarithmic(axis: Axis) -> None:
    """Numbers as they are written elsewhere, at 1, 2 and 5 of each power of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=20))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axis.set_minor_formatter(NullFormatter())
