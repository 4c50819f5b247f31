"""The section of report.html about the same network without exits: what each costs at its best."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exeunt.report.page import Part, number, section, table

NONE = "-"


def speedups(report: Mapping[str, Any]) -> list[tuple[str, float, str]]:
    """What is equal, how many times as fast the design is, and what both have of it."""
    equal = (report.get("hardware") or {}).get("equal") or {}
    found = []
    for name, (label, spent) in _KINDS.items():
        entry = equal.get(name) or {}
        if entry.get("speedup"):
            both = f"{number(spent(entry['ours']))} and {number(spent(entry['baseline']))} {label}"
            found.append((label, float(entry["speedup"]), both))
    return found


def tiles(report: Mapping[str, Any]) -> list[dict[str, str]]:
    """The speedups as figures at the top of the page."""
    return [
        {
            "label": f"faster, equal {label}",
            "value": f"{ratio:.1f} x",
            "note": both,
            "mood": "",
        }
        for label, ratio, both in speedups(report)
    ]


def equal(report: Mapping[str, Any]) -> Part | None:
    """A row for each thing that was made equal."""
    entries = (report.get("hardware") or {}).get("equal") or {}
    rows = [_row(label, spent, entries[name]) for name, (label, spent) in _KINDS.items()
            if entries.get(name)]  # fmt: skip
    if not rows:
        return None
    head = ("equal", "spent, ours", "without exits", "cycles per image, ours", "without exits",
            "times as fast")  # fmt: skip
    text = (
        "The same backbone with the last head alone, folded by the same search for the fewest "
        "cycles that the budget allows. At equal LUT all multipliers of both are made of LUT, so "
        "that nothing else is spent, both are counted by Yosys, and the cycles without exits are "
        "those of the cycle reference. At equal predicted resources the network without exits is "
        "folded for the fewest cycles at no more LUT, DSP and BRAM18 than are predicted of the "
        "design; their multipliers differ."
    )
    return section("equal", "Against the network without exits", table(head, rows), text=text)


def _row(label: str, spent: Any, entry: Mapping[str, Any]) -> tuple[str, ...]:
    ours, base = entry["ours"], entry.get("baseline")
    speedup = entry.get("speedup")
    return (
        label,
        number(spent(ours)),
        number(spent(base)) if base else "no folding is so small",
        number(ours.get("cycles_per_image")),
        number((base or {}).get("cycles_per_image")),
        f"{speedup:.1f}" if speedup else NONE,
    )


_KINDS = {
    "multipliers": ("multipliers", lambda side: side.get("multipliers")),
    "resources": ("predicted resources (multipliers)", lambda side: side.get("multipliers")),
    "lut": ("LUT", lambda side: (side.get("resources") or {}).get("lut")),
}
