"""The serial shell around an accelerator that gives heat maps, as Yosys reads it for a board."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from exeunt.boards import ecp5, pll, targets, uart
from exeunt.explain import hardware
from exeunt.hls.back import stitch
from exeunt.synth import yosys

GRAPHS = Path(__file__).parents[1] / "explain"


@pytest.mark.synth
def test_yosys_finds_every_port(tmp_path):
    """The hierarchy of the whole bitstream holds together, and every net has a driver."""
    sys.path.insert(0, str(GRAPHS))
    graphs = importlib.import_module("explained_graphs")
    sys.path.remove(str(GRAPHS))
    whole = graphs.straight(graphs.GRAPHS["three exits"]())
    found = hardware.calibrated(whole, graphs.frames(whole, 8), methods=["saliency"])
    design = stitch.write(whole, tmp_path / "run", explained=found)
    board, work = targets.load("ulx3s-85f"), tmp_path / "work"
    work.mkdir()
    sources, top = ecp5._collect(design, board, work)
    values = ecp5.parameters(design, pll.solve(25.0, 50.0), uart.fastest(50.0))
    lines = ecp5.script(sources, top, values, dsp=True, maps=True).splitlines()
    script = []
    for line in lines:
        if line.startswith("hierarchy"):
            script.append("read_verilog -lib +/ecp5/cells_bb.v")
        if line.startswith("synth_ecp5"):  # minutes, and nothing of the ports
            script += ["proc", "check -assert", "select -assert-any t:ex_map_ring"]
        elif not line.startswith("write_json"):
            script.append(line)
    (work / yosys.SCRIPT).write_text("\n".join(script) + "\n")
    ran = yosys.run(ecp5.program("yosys"), work, told=lambda share, text: None)
    assert ran.code == 0, ran.said or ran.printed
    assert yosys.END in (ran.said or ran.printed)
