"""What report.html says of rules beside what people would do instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from exeunt.report.page import Part, number, percent, section, table

Row = Mapping[str, Any]
_BOUND = " (a bound, no method)"


def compared(report: Mapping[str, Any]) -> Part | None:
    """The tables of `exeunt rules --compare`."""
    found = (report.get("rules") or {}).get("compared")
    if not found or not found["rows"]:
        return None
    rows = found["rows"]
    parts: list[Part | None] = [table(HEAD, _ways(rows), title="At the same permitted loss")]
    if found["first"]:
        parts.append(table(_FIRST_HEAD, _first(found["first"]), title="Rules for the first look"))
    if found["transfer"]:
        parts.append(
            table(HEAD, _ways(found["transfer"]), title="Rules of the network of another seed")
        )
    if found["stability"]:
        parts.append(table(_STABLE_HEAD, _stable(found["stability"]), title="Stability"))
    if found["shifted"]:
        parts.append(table(_SHIFT_HEAD, _shifted(found["shifted"]), title="Changed images"))
    return section("rules-compared", "Rules and what is done instead", *parts, text=_text(rows))


def _text(rows: Sequence[Row]) -> str:
    """How the figures were made."""
    seeds = sorted({row["seed"] for row in rows})
    first = next(row for row in rows if not row.get("bound"))
    return (
        f"Thresholds are chosen on {number(first['images_validation'])} validation images and on "
        f"training images, the figures are of {number(first['images'])} test images, mean and "
        f"standard deviation over seeds {', '.join(map(str, seeds))}. Fewer: by which part of the "
        "images that get to stage 1 without rules. Lost: answered wrongly where the last exit "
        "without rules is right. Multiplications are of a mean image, those of looks included. "
        "Cycles between images and LUT are those of exeunt.cost at compile.target_cycles, without "
        "DSP and without the rule unit, for stages folded for the validation images."
    )


HEAD = (
    "way", "reach stage 1 (%)", "fewer (%)", "right (%)", "lost (%)", "multiplications",
    "added at most (%)", "validation: reach, lost (%)", "cycles", "LUT",
)  # fmt: skip


def _ways(rows: Sequence[Row]) -> list[list[str]]:
    """A row for each way, over all seeds."""
    found = []
    for name, group in grouped(rows, "name").items():
        bound = bool(group[0].get("bound"))
        values = {
            key: "-" if bound and key not in ("reach", "fewer", "right") else _spread(group, key, d)
            for key, d in (
                ("reach", 2), ("fewer", 0), ("right", 2), ("lost", 2), ("added", 1),
                ("validation_reach", 2), ("validation_lost", 2),
            )
        }  # fmt: skip
        spent = "-" if bound else number(float(np.mean([row["multiplies"] for row in group])))
        both = "-" if bound else f"{values['validation_reach']}, {values['validation_lost']}"
        found.append(
            [
                name + (_BOUND if bound else ""), values["reach"], values["fewer"],
                values["right"], values["lost"], spent, values["added"], both,
                _mean(group, "cycles"), _mean(group, "lut"),
            ]
        )  # fmt: skip
    return found


def _mean(rows: Sequence[Row], key: str) -> str:
    """Of what may be unknown."""
    if any(row.get(key) is None for row in rows):
        return "-"
    return number(float(np.mean([row[key] for row in rows])))


_FIRST_HEAD = (
    "modifications", "learner", "rules", "reach stage 1 (%)", "fewer (%)", "right (%)", "lost (%)",
    "multiplications",
)  # fmt: skip


def _first(rows: Sequence[Row]) -> list[list[str]]:
    found = []
    for (families, learner), group in grouped(
        [{**row, "which": (", ".join(row["families"]), row["learner"])} for row in rows], "which"
    ).items():
        found.append(
            [
                families, learner, f"{np.mean([row['rules'] for row in group]):.1f}",
                _spread(group, "reach", 2), _spread(group, "fewer", 0), _spread(group, "right", 2),
                _spread(group, "lost", 2),
                number(float(np.mean([row["multiplies"] for row in group]))),
            ]
        )  # fmt: skip
    return found


_STABLE_HEAD = ("seeds", "images looked at again", "same modification, look 1", "look 2", "rules")


def _stable(pairs: Sequence[Row]) -> list[list[str]]:
    return [
        [
            " and ".join(map(str, pair["networks"])), f"{pair['images']:.2f}",
            *(f"{x:.2f}" for x in (*pair["looks"], np.nan, np.nan)[:2]), str(pair["rules"]),
        ]
        for pair in pairs
    ]  # fmt: skip


_SHIFT_HEAD = (
    "change", "severity", "leave at exit 0, without and with rules", "right", "last exit alone",
    "multiplications",
)  # fmt: skip


def _shifted(rows: Sequence[Row]) -> list[list[str]]:
    found = []
    for (kind, severity), group in grouped(
        [{**row, "which": (row["kind"], row["severity"])} for row in rows], "which"
    ).items():
        ways = list(grouped(group, "name").values())
        cells = [
            ", ".join(percent(float(np.mean([row[key] for row in way]))) for way in ways)
            for key in ("first", "right")
        ]
        last = percent(float(np.mean([row["last"] for row in ways[0]])))
        spent = ", ".join(
            number(float(np.mean([row["multiplies"] for row in way]))) for way in ways
        )
        found.append([kind, str(severity or "-"), *cells, last, spent])
    return found


def lines(report: Mapping[str, Any]) -> list[str]:
    """The tables as text."""
    found = (report.get("rules") or {}).get("compared")
    if not found:
        return []
    said = []
    for head, body in (
        (HEAD, _ways(found["rows"])),
        (_FIRST_HEAD, _first(found["first"])),
        (HEAD, _ways(found["transfer"])),
        (_STABLE_HEAD, _stable(found["stability"])),
        (_SHIFT_HEAD, _shifted(found["shifted"])),
    ):
        if body:
            said += ["", " | ".join(head), *(" | ".join(row) for row in body)]
    return said[1:]


def grouped(rows: Sequence[Row], key: str) -> dict[Any, list[Row]]:
    """The rows by what they have under a key, in order of their first."""
    found: dict[Any, list[Row]] = {}
    for row in rows:
        found.setdefault(row[key], []).append(row)
    return found


def _spread(rows: Sequence[Row], key: str, digits: int) -> str:
    """Mean of fractions in percent, with the standard deviation over seeds."""
    values = [100 * row[key] for row in rows]
    spread = f" ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{np.mean(values):.{digits}f}{spread}"
