"""Every block of ours with the corners that its test declares."""

from __future__ import annotations

import importlib
from pathlib import Path

from lib.bench import RTL, Corner, blocks_of, rtl_sources

HERE = Path(__file__).resolve().parents[1]


def corners() -> dict[str, list[Corner]]:
    """Block -> corners, from every `rtl_tests/<block>/corners.py`, in order of name."""
    found = {}
    for path in sorted(HERE.glob("*/corners.py")):
        module = importlib.import_module(f"{path.parent.name}.corners")
        found[path.parent.name] = list(module.CORNERS)
    return found


def untested() -> list[str]:
    """Modules in `hls/rtl` that no corner instantiates, directly or inside."""
    tested = {m for block in corners().values() for c in block for m in blocks_of(c)}
    covered = {p.stem for module in tested for p in rtl_sources(module)}
    return sorted({p.stem for p in RTL.glob("*.sv")} - covered)
