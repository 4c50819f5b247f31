"""The section of report.html about bitstreams: what was built, for which board, how full."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exeunt.report.page import KINDS, Part, number, section, table


def bitstreams(report: Mapping[str, Any]) -> Part | None:
    """A row for each board, and a table of what the device holds where that is known."""
    entries = [entry for entry in report.get("synthesis", []) if "board" in entry]
    if not entries:
        return None
    head = ("board", "tool", "clock, MHz", "Fmax, MHz", "slack, ns", "power, W", "file", "sha256")
    rows = [
        (
            entry["board"],
            entry.get("tool") or "-",
            number(entry.get("clock_mhz"), 1),
            number(entry.get("fmax_mhz"), 1),
            number((entry.get("timing") or {}).get("worst_slack_ns"), 2),
            number((entry.get("power") or {}).get("total_w"), 2),
            entry.get("bitstream") or ("none" if entry.get("tool") else "project only"),
            (entry.get("sha256") or "-")[:16],
        )
        for entry in entries
    ]
    used = [
        (entry["board"], *(_share(entry, kind) for kind in KINDS))
        for entry in entries
        if entry.get("resources")
    ]
    return section(
        "bitstreams",
        "Bitstreams",
        table(head, rows),
        table(("board", *KINDS.values()), used, title="Placed") if used else None,
        text="Placed, routed and timed; a design that misses its clock has none.",
    )


def _share(entry: Mapping[str, Any], kind: str) -> str:
    value = entry["resources"].get(kind)
    there = (entry.get("available") or {}).get(kind)
    share = (
        f" of {number(there)} ({100 * value / there:.1f}%)" if there and value is not None else ""
    )
    return number(value) + share
