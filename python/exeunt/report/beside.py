"""The section of report.html about what stands beside the kernels, and what it takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exeunt.report.page import KINDS, Part, counted, number, section, table

WIDE = ("lut", "dsp", "bram18")
WORDS = {
    "explanations": "explanations",
    "rules": "rules and further looks",
    "hold": "what holds a rate or a latency",
}
BLOCKS = {"explanations": "explain", "rules": "rules", "hold": "hold"}  # in the core


def beside(report: Mapping[str, Any]) -> Part | None:
    """What is predicted of each, and what Yosys counts of its largest block."""
    found = (report.get("compile") or {}).get("beside")
    if not isinstance(found, Mapping) or not found:
        return None
    entries = [entry for entry in counted(report) if entry["target"] == "xc7"]
    blocks = {b["name"]: b for b in (entries[0]["blocks"] if entries else ()) if b["level"] == 1}
    rows = []
    for name, size in found.items():
        block = blocks.get(BLOCKS[name])
        taken = "-" if block is None else ", ".join(f"{block[k]:,} {KINDS[k]}" for k in WIDE)
        rows.append((WORDS[name], *(number(size[kind]) for kind in WIDE), taken))
    head = ("beside the kernels", *(KINDS[kind] for kind in WIDE), "its block by Yosys (xc7)")
    return section(
        "beside", "Beside the kernels", table(head, rows),
        text="Predicted before synthesis, and within the resources that were asked for. Some of "
        "each is in other blocks: edges in quantizers, sums of logits, offsets of thresholds.",
    )  # fmt: skip
