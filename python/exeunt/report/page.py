"""The pieces that a page of the report is made of, and how values read on it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

Part = dict[str, Any]
KINDS = {"lut": "LUT", "ff": "FF", "dsp": "DSP", "bram18": "BRAM18"}


def percent(value: float | None, digits: int = 1) -> str:
    """A fraction as text in percent."""
    return "-" if value is None else f"{100 * value:.{digits}f}%"


def number(value: float | None, digits: int = 0) -> str:
    """A number with thousands apart."""
    return "-" if value is None else f"{value:,.{digits}f}"


def read_json(path: Path) -> Any:
    """The JSON in `path`, None when there is no such file or it cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], **more: Any) -> Part:
    """A table; `title`, and `total` when its last row sums the others."""
    return {"head": list(head), "rows": [list(map(str, row)) for row in rows], **more}


def section(name: str, title: str, *parts: Part | None, text: str = "") -> Part:
    """A section with the parts that there are."""
    return {"id": name, "title": title, "text": text, "parts": [p for p in parts if p]}


def counted(report: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What `exeunt synth` counted; the bitstreams in the same list are not among them."""
    return [entry for entry in report.get("synthesis", []) if "target" in entry]
