"""What report.html says of widths: bits chosen layer by layer, and codebooks of shared weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exeunt._sections import Part, number, table

_FIGURES = (
    ("weight_bits", "bits of weights"),
    ("lut", "predicted LUT of the kernels, multipliers in LUTs"),
    ("bram18", "predicted BRAM18"),
    ("cycles", "predicted cycles an image"),
)


def parts(entry: Mapping[str, Any]) -> list[Part | None]:
    """The tables of one pass of compression.json; none for passes of other kinds."""
    if entry.get("kind") == "precision":
        return _precision(entry)
    return _sharing(entry) if entry.get("kind") == "sharing" else []


def _precision(entry: Mapping[str, Any]) -> list[Part | None]:
    before, after = entry["uniform"], entry["chosen"]
    costs = [(label, number(before[key]), number(after[key])) for key, label in _FIGURES]
    widths = [(key, str(bits)) for key, bits in sorted(entry["bits"].items())]
    said = f"by {entry.get('criterion', '?')}"
    return [
        table(("", "before", "chosen"), costs, title=f"Mixed precision {said}: cost"),
        table(("key in [model]", "bits"), widths, title=f"Mixed precision {said}: widths"),
    ]


def _sharing(entry: Mapping[str, Any]) -> list[Part | None]:
    body = [
        (
            str(layer["name"]),
            number(layer["count"]),
            ", ".join(str(value) for value in layer["codebook"]),
            number(layer["index_bits"]),
        )
        for layer in entry.get("layers") or []
    ]
    head = ("layer", "weights", "codebook", "bits of an index")
    return [table(head, body, title=f"Shared weights by {entry.get('criterion', '?')}")]
