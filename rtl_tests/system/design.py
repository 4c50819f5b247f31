"""The whole small accelerator for cocotb: three exits, convolutions, pools, linear heads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from lib.bench import BUILD

from exeunt import samples
from exeunt.criteria import margin
from exeunt.graph import Accelerator, IntArray
from exeunt.hls.back import stitch
from exeunt.manifest import Manifest
from exeunt.reference import network

FRAMES = 40


@dataclass(frozen=True)
class Case:
    """What the simulation needs: packed images, the reference's logits, sets of thresholds."""

    folder: Path
    images: npt.NDArray[np.uint8]
    beats: int  # a frame
    logits: tuple[IntArray, ...]
    thresholds: tuple[tuple[int, int], ...]


def accelerator() -> Accelerator:
    """The network under test."""
    return samples.accelerator()


def write(folder: Path) -> tuple[Manifest, Case]:
    """Stitch it, and choose thresholds with which images leave at every exit."""
    whole = accelerator()
    images = samples.images(FRAMES, seed=5)
    logits = network.run(whole, images).logits
    scores = [np.sort(margin.values(x).scores) for x in logits]
    sets = tuple(
        (int(scores[0][int(a * FRAMES)]), int(scores[1][int(b * FRAMES)]))
        for a, b in ((0.5, 0.5), (0.2, 0.8), (0.8, 0.3))
    )
    manifest = stitch.write(whole, folder, thresholds=[*sets[0], None])
    case = Case(folder / "rtl", images, whole.segments[0].input.words, logits, sets)
    return manifest, case


def bench(width: int) -> str:
    """A top with an active-high reset and visible ports around exeunt_top."""
    inputs = {
        "s_axis_tvalid": 1, "s_axis_tdata": width, "s_axis_tlast": 1, "m_axis_tready": 1,
        "s_axil_awvalid": 1, "s_axil_awaddr": 12, "s_axil_awprot": 3, "s_axil_wvalid": 1,
        "s_axil_wdata": 32, "s_axil_wstrb": 4, "s_axil_bready": 1, "s_axil_arvalid": 1,
        "s_axil_araddr": 12, "s_axil_arprot": 3, "s_axil_rready": 1,
    }  # fmt: skip
    outputs = {
        "s_axis_tready": 1, "m_axis_tvalid": 1, "m_axis_tdata": 128, "m_axis_tkeep": 16,
        "m_axis_tlast": 1, "s_axil_awready": 1, "s_axil_wready": 1, "s_axil_bvalid": 1,
        "s_axil_bresp": 2, "s_axil_arready": 1, "s_axil_rvalid": 1, "s_axil_rdata": 32,
        "s_axil_rresp": 2,
    }  # fmt: skip
    public = "/* verilator public_flat_rw */"
    lines = [f"  input wire {name} {public}" for name in ("clk", "rst")]
    for kind, group in (("input", inputs), ("output", outputs)):
        for name, bits in group.items():
            size = f"[{bits - 1}:0] " if bits > 1 else ""
            lines.append(f"  {kind} wire {size}{name} {public}")
    wires = ", ".join(f".{name}({name})" for name in (*inputs, *outputs))
    return (
        "module bench (\n" + ",\n".join(lines) + "\n);\n"
        f"  exeunt_top u (.aclk(clk), .aresetn(!rst), {wires});\nendmodule\n"
    )


def prepare() -> tuple[Manifest, Case, list[Path]]:
    """Everything in `build/rtl_tests/system`: manifest, case, sources with the bench last."""
    home = BUILD / "system"
    manifest, case = write(home / "run")
    top = home / "bench.sv"
    text = bench(manifest.data["input"]["width"])
    if not top.exists() or top.read_text() != text:
        top.write_text(text)
    return manifest, case, [*manifest.sources, top]


def memories(case: Case) -> dict[str, str]:
    """Memory-init files for the simulation's working folder."""
    files = [p for p in sorted(case.folder.iterdir()) if p.suffix not in (".sv", ".svh", ".npz")]
    return {p.name: p.read_text() for p in files}
