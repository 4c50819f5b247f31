"""What a Vivado build says of itself: result.txt of our script, and Vivado's own reports."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from exeunt.errors import ToolError

RESULT = "result.txt"
SLACKS = ("wns_ns", "tns_ns", "whs_ns", "ths_ns", "tpws_ns")
WORST = ("wns_ns", "whs_ns", "tpws_ns")
"""Slack of the worst path: setup, hold, pulse width."""
_ROWS = {  # as the report of 7-series and of UltraScale+ calls them
    "lut": ("Slice LUTs", "CLB LUTs"),
    "ff": ("Slice Registers", "CLB Registers"),
    "dsp": ("DSPs",),
    "bram18": ("Block RAM Tile",),
}
_POWER = {
    "total_w": "Total On-Chip Power (W)",
    "dynamic_w": "Dynamic (W)",
    "static_w": "Device Static (W)",
}


@dataclass(frozen=True)
class Result:
    """result.txt: Vivado's version, the design, and its timing in ns (negative: violated)."""

    vivado: str
    design_hash: str
    period_ns: float
    slack: Mapping[str, float]

    @property
    def clock_mhz(self) -> float:
        """The clock that was asked for, as the processing system can make it."""
        return 1000.0 / self.period_ns

    @property
    def fmax_mhz(self) -> float:
        """The clock at which the worst path would just do."""
        return 1000.0 / (self.period_ns - self.slack["wns_ns"])


def result(folder: Path) -> Result:
    """Read result.txt in `folder`.

    Raises:
        ToolError: it is not what our script writes.
    """
    path = folder / RESULT
    rows = dict(
        line.partition(" ")[::2] for line in path.read_text(encoding="utf-8").splitlines() if line
    )
    try:
        slack = {name: float(rows[name]) for name in SLACKS}
        return Result(rows["vivado"], rows["design_hash"], float(rows["period_ns"]), slack)
    except (KeyError, ValueError) as error:
        raise ToolError(
            f"{path} must be what the build script writes, got none or no number for "
            f"{error.args[0]!r}: delete it and build again"
        ) from None


def _cells(text: str) -> dict[str, str]:
    """First and second column of a report's tables; the first row of a name counts."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) > 3:
            found.setdefault(cells[1].rstrip("*"), cells[2])
    return found


def resources(path: Path) -> dict[str, int]:
    """LUT, FF, DSP and BRAM18 of the whole design, with processor interface and DMA.

    Raises:
        ToolError: the report has no such rows.
    """
    cells = _cells(path.read_text(encoding="utf-8", errors="replace"))
    found: dict[str, int] = {}
    for kind, names in _ROWS.items():
        value = next((cells[name] for name in names if name in cells), None)
        if value is None or not re.fullmatch(r"\d+(\.\d+)?", value):
            raise ToolError(
                f"{path} must have a row {' or '.join(names)} with a count, got {value!r}: "
                "report this with the file"
            )
        found[kind] = round(float(value) * (2 if kind == "bram18" else 1))
    return found


def power(path: Path) -> dict[str, float] | None:
    """Vivado's estimate in watts (total, dynamic, static), None when the report has none."""
    cells = _cells(path.read_text(encoding="utf-8", errors="replace"))
    try:
        return {key: float(cells[name]) for key, name in _POWER.items()}
    except (KeyError, ValueError):
        return None
