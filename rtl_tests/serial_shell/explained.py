"""The shell around a compiled accelerator that explains its images."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
from lib.bench import BUILD, ROOT, SHELL
from serial_shell.design import DIVISOR, HOLD_BITS, IDLE_BITS, PUBLIC, STORE

from exeunt import registers
from exeunt.explain import hardware
from exeunt.hls.back import stitch
from exeunt.manifest import Manifest

IMAGES = 4


def design() -> tuple[Manifest, np.ndarray]:
    """Three exits and one method, and images of which some leave at each exit."""
    folder = str(ROOT / "python" / "tests" / "explain")
    sys.path.insert(0, folder)
    try:
        graphs = importlib.import_module("explained_graphs")
    finally:
        sys.path.remove(folder)
    whole = graphs.straight(graphs.GRAPHS["three exits"]())
    images = graphs.frames(whole, 20)
    found = hardware.calibrated(whole, images, methods=["gradient-x-input"], every=0)
    run = BUILD / "serial_explained" / "run"
    return stitch.write(whole, run, thresholds=[60, 60, None], explained=found), images[:IMAGES]


def sources(made: Manifest) -> list[Path]:
    """Everything to build, the bench last."""
    stream = made.data["input"]
    path = BUILD / "serial_explained" / "bench.sv"
    path.write_text(f"""module bench (
  input wire clk {PUBLIC}, input wire rst {PUBLIC}, input wire rx {PUBLIC},
  output wire tx {PUBLIC}, output wire [7:0] led {PUBLIC}
);
  ex_serial_shell #(
    .DIVISOR({DIVISOR}), .WIDTH({stream["width"]}), .FRAME({stream["words"]}),
    .EXITS({len(made.data["exits"])}), .A_CONTROL(16'd{registers.address("control")}),
    .STORE({STORE}), .IDLE_BITS({IDLE_BITS}), .HOLD_BITS({HOLD_BITS})
  ) u (.clk(clk), .rst(rst), .rx(rx), .tx(tx), .led(led));
endmodule
""")
    core = [p for p in made.sources if p.name != "exeunt_top.sv"]
    return [*sorted(SHELL.glob("*.sv")), *core, path]


def memories(made: Manifest) -> dict[str, str]:
    """Contents of its memories."""
    return {p.name: p.read_text() for p in (made.folder / "rtl").glob("*.hex")}
