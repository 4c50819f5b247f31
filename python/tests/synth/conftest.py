"""A small design in SystemVerilog, a mapped netlist of it, and a stand-in for Yosys."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from exeunt import manifest
from exeunt.synth import yosys

TOP = """
module exeunt_top (input wire clk, input wire [7:0] d, output wire [7:0] q);
  exeunt_core u_core (.clk(clk), .d(d), .q(q));
endmodule
"""
CORE = """
module exeunt_core (input wire clk, input wire [7:0] d, output wire [7:0] q);
  wire [7:0] x;
  seg0 u_seg0 (.clk(clk), .d(d), .q(x));
  ex_delay #(.WIDTH(8)) u_last (.clk(clk), .d(x), .q(q));
endmodule
"""
SEG = """
module seg0 (input wire clk, input wire [7:0] d, output wire [7:0] q);
  wire [7:0] x;
  ex_rom #(.FILE("seg0.hex")) u_rom (.clk(clk), .a(d), .q(x));
  ex_delay #(.WIDTH(8)) u_delay (.clk(clk), .d(x ^ d), .q(q));
endmodule
"""
DELAY = """
module ex_delay #(parameter int WIDTH = 1) (
    input wire clk, input wire [WIDTH-1:0] d, output logic [WIDTH-1:0] q);
  always_ff @(posedge clk) q <= d;
endmodule
"""
ROM = """
module ex_rom #(parameter FILE = "") (input wire clk, input wire [7:0] a, output logic [7:0] q);
  logic [7:0] memory[256];
  initial if (FILE != "") $readmemh(FILE, memory);
  always_ff @(posedge clk) q <= memory[a];
endmodule
"""


@pytest.fixture
def make() -> Callable[[Path], Path]:
    """Writes the small design into a folder, as a run folder."""
    return _make


def _make(folder: Path) -> Path:
    (folder / "rtl").mkdir(parents=True)
    names = {"ex_delay": DELAY, "ex_rom": ROM, "seg0": SEG, "exeunt_core": CORE, "exeunt_top": TOP}
    for name, text in names.items():
        (folder / "rtl" / f"{name}.sv").write_text(text)
    (folder / "rtl" / "seg0.hex").write_text("".join(f"{(37 * i) % 251:02x}\n" for i in range(256)))
    sources = [f"rtl/{name}.sv" for name in names]
    manifest.write(folder, {"sources": sources, "files": [*sources, "rtl/seg0.hex"]})
    return folder


@pytest.fixture
def design(tmp_path):
    return _make(tmp_path / "run")


@pytest.fixture
def netlist() -> Callable[..., str]:
    """JSON of a mapped netlist; its argument are cells that the segment has beside others."""
    return _netlist


def _netlist(cells: dict) -> str:
    modules = {
        "exeunt_top": {"attributes": {}, "cells": {"u_core": {"type": "exeunt_core"}}},
        "exeunt_core": {
            "attributes": {},
            "cells": {
                "u_seg0": {"type": "seg0"},
                "u_a": {"type": "$paramod$77\\ex_delay"},
                "u_b": {"type": "$paramod$77\\ex_delay"},
                "x": {"type": "LUT2"},
            },
        },
        "seg0": {"attributes": {}, "cells": {"u_d": {"type": "$paramod$77\\ex_delay"}, **cells}},
        "$paramod$77\\ex_delay": {
            "attributes": {},
            "cells": {"q": {"type": "FDRE"}, "l": {"type": "LUT6"}, "g": {"type": "GND"}},
        },
        "LUT2": {"attributes": {"blackbox": "1"}, "cells": {}},
    }
    return json.dumps({"creator": "Yosys 0.99 (git x)", "modules": modules})


@pytest.fixture
def fake(monkeypatch, tmp_path):
    """Puts a shell script in Yosys's place; `fake.calls()` says how often it ran a script."""
    calls = tmp_path / "calls"

    def install(body: str) -> None:
        path = tmp_path / "fake-yosys"
        text = f'#!/bin/sh\n[ "$1" = --version ] && echo "Yosys 0.99" && exit\necho >> {calls}\n'
        path.write_text(text + body)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setattr(yosys, "find", lambda: path)

    install.calls = lambda: len(calls.read_text()) if calls.exists() else 0
    return install
