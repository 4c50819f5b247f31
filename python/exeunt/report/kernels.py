"""The section of report.html about layers that skip zeros or share weights: what, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exeunt.report.page import Part, number, section, table

WORDS = {  # by kernel, and whether it skips zeros
    ("dense", False): "all weights",
    ("scheduled", True): "zeros left out",
    ("codebook", False): "shared weights",
    ("codebook", True): "shared weights, zeros left out",
}


def kernels(report: Mapping[str, Any]) -> Part | None:
    """Every matrix that has a choice, what was chosen, and the best of every other kernel."""
    found = (report.get("compile") or {}).get("kernels")
    if not isinstance(found, Mapping):
        return None
    rows = []
    for chain, entries in found.items():
        for entry in entries:
            dense, chosen = entry["dense"], entry["kernel"]
            others = [o for o in entry["others"] if o["kernel"] != chosen]
            others += [] if dense is None or chosen == "dense" else [dense]
            rows.append(
                (
                    f"{chain}, {entry['layer']}",
                    _built(entry),
                    number(entry["cycles"]),
                    number(entry["lut"]),
                    number(entry["bram18"]),
                    "; ".join(f"{_built(o)}: {number(o['lut'])} LUT" + _blocks(o) for o in others)
                    or "none is fast enough",
                )
            )
    if not rows:
        return None
    head = ("layer", "built as", "cycles a frame", "LUT", "BRAM18", "in its place")
    return section(
        "kernels", "Zeros and shared weights", table(head, rows),
        text="Of each matrix the kernel that is predicted to take the fewest LUT, with windows, "
        "converters and thresholds, where all of them are fast enough. Products are in LUTs; a "
        "BRAM18 counts as 129 LUT.",
    )  # fmt: skip


def _built(entry: Mapping[str, Any]) -> str:
    text = WORDS[entry["kernel"], entry["skips"]]
    return f"{text}, PE {entry['pe']}, SIMD {entry['simd']}"


def _blocks(entry: Mapping[str, Any]) -> str:
    return f", {entry['bram18']} BRAM18" if entry["bram18"] else ""
