"""The Vivado project of an accelerator that gives heat maps: their DMA, and its scripts run."""

from __future__ import annotations

import difflib
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from exeunt.boards import targets, vivado_project
from exeunt.explain import hardware
from exeunt.hls.back import stitch
from exeunt.manifest import Manifest
from exeunt.simulate import verilator

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parent / "explain"))
project = importlib.import_module("test_vivado_project")
graphs = importlib.import_module("explained_graphs")
sys.path.remove(str(HERE))
sys.path.remove(str(HERE.parent / "explain"))


@pytest.fixture(scope="module")
def mapped(tmp_path_factory) -> Manifest:
    """A design with a stream of maps."""
    whole = graphs.straight(graphs.GRAPHS["three exits"]())
    found = hardware.calibrated(whole, graphs.frames(whole, 8), methods=["saliency"])
    return stitch.write(whole, tmp_path_factory.mktemp("mapped"), explained=found)


def test_golden_differences_with_maps():
    """Everything of it as differences from the project without."""
    plain = project.small()
    with_maps = Manifest(plain.folder, {**plain.data, "explain": {}})
    board = targets.load("pynq-z2")
    first, other = (vivado_project.render(m, board) for m in (plain, with_maps))
    lines: list[str] = []
    for name in sorted(first):
        pair = (first[name].splitlines(), other[name].splitlines())
        lines += difflib.unified_diff(*pair, name, f"{name} with maps", n=0, lineterm="")
    project.check_golden("pynq-z2.maps.diff", "\n".join(lines) + "\n")


@project.needs_tclsh
@pytest.mark.parametrize("board", project.BOARDS)
def test_scripts_run(mapped, board, tmp_path):
    vivado_project.write(mapped, targets.load(board), tmp_path / "project")
    code, said = project.simulate(tmp_path / "project")
    assert (code, said.splitlines()[-1]) == (0, vivado_project.END), said


FAULTS = [
    ("design.tcl", "connect_bd_intf_net [get_bd_intf_pins exeunt_0/m_axis_map] "
     "[get_bd_intf_pins maps_0/S_AXIS_S2MM]\n", "",
     "interface maps_0/S_AXIS_S2MM is not connected"),
    ("design.tcl", "  [get_bd_pins maps_0/m_axi_s2mm_aclk] \\\n", "",
     "pin maps_0/m_axi_s2mm_aclk is not connected"),
    ("design.tcl", "  [get_bd_pins maps_0/axi_resetn] \\\n", "",
     "pin maps_0/axi_resetn is not connected"),
    ("design.tcl", "c_include_mm2s {0}", "c_include_mm2s {1}",
     "pin maps_0/m_axi_mm2s_aclk is not connected"),
    ("design.tcl", "NUM_MI {4}", "NUM_MI {3}", "interface control_0/M03_AXI does not exist"),
    ("design.tcl", "NUM_SI {3}", "NUM_SI {2}", "interface memory_0/S02_AXI does not exist"),
    ("design.tcl", "NUM_PORTS {3}", "NUM_PORTS {4}", "pin concat_0/In3 is not connected"),
    ("design.tcl", "-offset 0x40410000", "-offset 0x40400000", "overlap in ps_0/Data"),
    ("design.tcl", "get_bd_addr_spaces maps_0/Data_S2MM", "get_bd_addr_spaces dma_0/Data_S2MM",
     "has no address in maps_0/Data_S2MM"),
    ("package.tcl", "foreach bus {s_axis m_axis m_axis_map s_axil}",
     "foreach bus {s_axis m_axis s_axil}", "exeunt: the IP must pass ipx::check_integrity"),
    ("ip/src/exeunt_ip.v", "[31:0] m_axis_map_tdata", "[63:0] m_axis_map_tdata",
     "ports of exeunt_ip and exeunt_top differ"),
    ("ip/src/exeunt_ip.v", "m_axis_map TLAST", "m_axis TLAST",
     "port m_axis_map_tlast is said to be"),
]  # fmt: skip


@project.needs_tclsh
@pytest.mark.parametrize(("name", "old", "new", "noticed"), FAULTS)
def test_stand_ins_notice_faults(mapped, tmp_path, name, old, new, noticed):
    vivado_project.write(mapped, targets.load("pynq-z2"), tmp_path / "project")
    path = tmp_path / "project" / name
    text = path.read_text()
    assert old in text
    if "maps_0/Data_S2MM" in old:  # the last of them is where it is mapped
        head, _, rest = text.rpartition(old)
        path.write_text(head + new + rest)
    else:
        path.write_text(text.replace(old, new, 1))
    code, said = project.simulate(tmp_path / "project")
    assert code == 1
    assert noticed in said


@project.needs_tclsh
def test_segments_that_no_dma_uses_are_excluded(mapped, tmp_path):
    vivado_project.write(mapped, targets.load("kv260"), tmp_path / "project")
    path = tmp_path / "project" / "design.tcl"
    path.write_text(path.read_text().replace("exclude_bd_addr_seg", "list"))
    code, said = project.simulate(tmp_path / "project")
    assert code == 1
    assert "ps_0/SAXIGP2/HP0_LPS_OCM is not mapped into maps_0/Data_S2MM" in said


def test_every_byte_of_a_map_counts(mapped):
    """A DMA leaves out bytes without TKEEP; all words of a map go out as they come."""
    top = (mapped.folder / "rtl" / "exeunt_top.sv").read_text()
    assert "assign m_axis_map_tkeep = 4'hf;" in top
    for inner in ("valid", "ready", "data", "last"):
        assert f".map_{inner}(m_axis_map_t{inner})" in top


@pytest.mark.sim
def test_wrapper_is_legal_verilog(mapped, tmp_path):
    vivado_project.write(mapped, targets.load("pynq-z2"), tmp_path / "project")
    tool = verilator.find()
    names = [path.name for path in mapped.sources]
    done = subprocess.run(
        [tool.program, "--lint-only", "-Wall", "-Wno-PINCONNECTEMPTY", "-Wno-DECLFILENAME",
         "--top-module", "exeunt_ip", *names, "exeunt_ip.v"],
        cwd=tmp_path / "project" / "ip" / "src", capture_output=True, text=True,
        env={"VERILATOR_ROOT": str(tool.root)},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
