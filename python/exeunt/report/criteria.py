"""What report.html says of exit criteria side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from exeunt import promise
from exeunt.report import figures
from exeunt.report.page import Part, number, section, table

Rows = Sequence[Mapping[str, Any]]


def criteria(report: Mapping[str, Any]) -> Part | None:
    """The table of `exeunt calibrate --compare`, and accuracy against multiplications."""
    rows = (report.get("calibration") or {}).get("criteria") or []
    if not rows:
        return None
    seeds = sorted({row["seed"] for row in rows})
    last = np.mean([row["accuracy_last"] for row in rows])
    count = rows[0]["images_validation"]
    lost = [str(int(p / 2 * count + 1e-9)) for p in sorted({row["permitted"] for row in rows})]
    said = (
        f"Thresholds are chosen on {number(count)} validation images, {_spent(rows, lost)}. "
        f"{_asked(rows)}The figures are of "
        f"{number(rows[0]['images'])} test images (report split), mean and standard deviation over "
        f"seeds {', '.join(map(str, seeds))}. The last exit alone has {100 * last:.2f}%."
    )
    head = ("criterion", "permitted (points)", "multiplications saved (%)", "right (%)", "lost")
    body = [
        (
            name,
            f"{100 * permitted:g}",
            _spread([100 * row["saved"] for row in group]),
            _spread([100 * row["accuracy"] for row in group], 2),
            f"{_lost(group):.2f}",
        )
        for (name, permitted), group in groups(rows).items()
    ]
    drawn = {
        "svg": _plot(rows),
        "caption": "Accuracy with early exit on the test images against multiplications per image, "
        "for the permitted losses; bars: standard deviation over seeds.",
    }
    return section("criteria", "Exit criteria", drawn, table(head, body), text=said)


def lines(report: Mapping[str, Any]) -> list[str]:
    """The table as text."""
    rows = (report.get("calibration") or {}).get("criteria") or []
    return [
        f"{name:9s} permitted {100 * permitted:g} points: "
        f"{_spread([100 * row['saved'] for row in group])}% of the multiplications saved, "
        f"{_spread([100 * row['accuracy'] for row in group], 2)}% right, {_lost(group):.2f} points "
        f"lost, seeds {', '.join(str(row['seed']) for row in group)}"
        for (name, permitted), group in groups(rows).items()
    ]


def groups(rows: Rows) -> dict[tuple[str, float], list[Mapping[str, Any]]]:
    """The rows of all seeds, by criterion and permitted loss."""
    found: dict[tuple[str, float], list[Mapping[str, Any]]] = {}
    for name in dict.fromkeys(row["criterion"] for row in rows):
        for row in rows:
            if row["criterion"] == name:
                found.setdefault((name, row["permitted"]), []).append(row)
    return found


def _spent(rows: Rows, lost: Sequence[str]) -> str:
    """How much of the permitted loss the thresholds may spend."""
    half = (
        f"for half of the permitted loss against the last exit: {', '.join(lost)} of them may be "
        "lost"
    )
    kinds = {row.get("guarantee", promise.NONE) for row in rows} - {promise.NONE}
    if not kinds:
        return half
    short = [row for row in rows if row["guarantee"] != promise.NONE and not row["promised"]]
    points = {row["permitted"]: row["images_needed"] for row in short}
    told = "".join(
        f"; for {100 * permitted:g} points the promise needs {promise.needed(images)}"
        for permitted, images in sorted(points.items())
    )
    rest = sorted({row["criterion"] for row in rows if row["guarantee"] == promise.NONE})
    left = f"; {', '.join(rest)} can have none" if rest else ""
    return f'with the promise "{kinds.pop()}" where there is one, else {half}{told}{left}'


def _asked(rows: Rows) -> str:
    """What else the config asks of the thresholds."""
    shift = rows[0].get("shift", 0)
    own = sorted({row["criterion"] for row in rows if row.get("per_class")})
    return (
        f"Copies moved by {shift} pixel{'s' if shift > 1 else ''} count too. " if shift else ""
    ) + (f"Classes may have thresholds of their own by {', '.join(own)}. " if own else "")


def _lost(group: Rows) -> float:
    return float(np.mean([100 * (row["accuracy_last"] - row["accuracy"]) for row in group]))


def _spread(values: Sequence[float], digits: int = 1) -> str:
    spread = f" ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{np.mean(values):.{digits}f}{spread}"


def _plot(rows: Rows) -> str:
    figure, (axes,) = figures.new(8.6, 3.4)
    names = list(dict.fromkeys(row["criterion"] for row in rows))
    for i, name in enumerate(names):
        found = [group for (n, _), group in groups(rows).items() if n == name]
        columns = [
            [[scale * row[key] for row in group] for group in found]
            for key, scale in (("multiplies", 1.0), ("accuracy", 100.0))
        ]
        x, y = ([float(np.mean(v)) for v in column] for column in columns)
        dx, dy = (
            [float(np.std(v, ddof=1)) if len(v) > 1 else 0.0 for v in column] for column in columns
        )
        axes.errorbar(x, y, xerr=dx, yerr=dy, fmt="o-", color=figures.colour(i), label=name,
                      linewidth=1, markersize=5, elinewidth=0.8)  # fmt: skip
    last = 100 * float(np.mean([row["accuracy_last"] for row in rows]))
    axes.axhline(last, color=figures.INK, linewidth=0.8, linestyle=":", label="last exit")
    axes.set(xlabel="multiplications per image", ylabel="accuracy (%)")
    axes.set_xlim(left=0)
    figure.legend(loc="outside upper center", ncols=len(names) + 1)
    return figures.svg(figure, "accuracy against multiplications, by exit criterion")
