"""The Vivado project: golden scripts, and a run of them against stand-ins for Vivado's commands.

`EXEUNT_GOLDEN=1 pytest ...` writes the golden files anew; look at the diff.
"""

from __future__ import annotations

import difflib
import math
import os
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from exeunt import samples
from exeunt.boards import targets, vivado, vivado_project
from exeunt.errors import InputError
from exeunt.graph import Accelerator, Dataflow, Integer, Stream
from exeunt.hls.back import stitch
from exeunt.kernels.pool import Pool
from exeunt.kernels.reduce import Reduce
from exeunt.manifest import Manifest
from exeunt.simulate import verilator

HERE = Path(__file__).parent
GOLDEN = HERE / "golden"
STAND_IN = HERE / "vivado_stand_in.tcl"
TCLSH = shutil.which("tclsh")
needs_tclsh = pytest.mark.skipif(TCLSH is None, reason="needs tclsh: apt-get install tcl")
BOARDS = [name for name in targets.names() if targets.load(name).flow == "vivado"]


def pooling(lanes: int, bits: int) -> Accelerator:
    """Two exits without weights, whose input words have `lanes` elements of `bits` bits."""
    streams = [Stream((n, n, lanes), Integer(bits), lanes) for n in (8, 4, 2)]
    segments, heads = [], []
    for i, (x, y) in enumerate(pairwise(streams)):
        segments.append(Dataflow(f"seg{i}", x, (Pool(f"seg{i}_pool", x, y),), (2,)))
        logits = Stream((1, 1, lanes), Integer(bits + 6, signed=True), lanes)
        total = Reduce(f"head{i}_sum", y, logits, function="sum", count=y.shape[0] * y.shape[1])
        heads.append(Dataflow(f"head{i}", y, (total,), (2,)))
    return Accelerator("pooling", tuple(segments), tuple(heads), (1.0, 1.0), {})


NETWORKS = {  # bytes a word, of the DMA's stream
    "convolution": (lambda: samples.accelerator(sized=False), 1, 1),
    "rgb": (lambda: pooling(3, 8), 3, 4),
    "nine": (lambda: pooling(9, 8), 9, 16),
}


@pytest.fixture(scope="module", params=NETWORKS)
def design(request, tmp_path_factory) -> tuple[Manifest, int, int]:
    make, word, stream = NETWORKS[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    return stitch.write(make(), folder), word, stream


@pytest.fixture(scope="module")
def rgb(tmp_path_factory) -> Manifest:
    return stitch.write(pooling(3, 8), tmp_path_factory.mktemp("rgb"))


def simulate(project: Path, release: str = "2023.2", **machine: Any) -> tuple[int, str]:
    """Run build.tcl against the stand-ins: exit code, and what was said.

    `machine` is what the stand-ins take from the environment, without EXEUNT_.
    """
    given = {f"EXEUNT_{name.upper()}": str(value) for name, value in machine.items()}
    done = subprocess.run(
        [TCLSH, STAND_IN, release, "build.tcl"],
        cwd=project,
        capture_output=True,
        text=True,
        env={**os.environ, **given},
    )
    return done.returncode, done.stdout + done.stderr


# --- golden scripts


def small() -> Manifest:
    data = {
        "name": "small",
        "design_hash": 0x1234ABCD,
        "input": {"width": 24},
        "sources": ["rtl/ex_fifo.sv", "rtl/exeunt_core.sv", "rtl/exeunt_top.sv"],
        "files": {"rtl/seg0_weights.hex": "", "rtl/exeunt_top.sv": ""},
    }
    return Manifest(Path("/run"), data)


def check_golden(name: str, text: str) -> None:
    path = GOLDEN / name
    if os.environ.get("EXEUNT_GOLDEN"):
        GOLDEN.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text(), f"{name} differs from its golden file"


@pytest.mark.parametrize("name", ["build.tcl", "package.tcl", "design.tcl", "exeunt_ip.v"])
def test_golden_of_zynq(name):
    texts = vivado_project.render(small(), targets.load("pynq-z2"))
    check_golden(f"pynq-z2.{name}", texts[name])


@pytest.mark.parametrize("board", ["kv260", "pynq-z1", "ultra96-v2", "zcu104"])
def test_golden_differences_of_the_others(board):
    """Their block designs as differences from PYNQ-Z2's."""
    first, other = (
        vivado_project.render(small(), targets.load(b))["design.tcl"].splitlines()
        for b in ("pynq-z2", board)
    )
    lines = difflib.unified_diff(first, other, "pynq-z2", board, n=0, lineterm="")
    check_golden(f"{board}.design.diff", "\n".join(lines) + "\n")


def test_project_is_the_same_twice(rgb, tmp_path):
    for name in ("a", "b"):
        vivado_project.write(rgb, targets.load("zcu104"), tmp_path / name)
    a, b = (
        {p.relative_to(tmp_path / n): p.read_bytes() for p in (tmp_path / n).rglob("*.*")}
        for n in ("a", "b")
    )
    assert a == b
    assert {"build.tcl", "design.tcl", "package.tcl", "preset.tcl"} <= {str(p) for p in a}


# --- widths


def test_every_width_has_a_dma():
    powers = (1, 2, 4, 8, 16, 32, 64, 128)
    for word in range(1, vivado_project.MOST_CONVERTER_BYTES + 1):
        dma = vivado_project.dma_of(word, 64)
        assert dma.memory_bits >= max(64, 8 * dma.stream_bytes)
        assert dma.stream_bytes in powers
        assert math.lcm(word, dma.stream_bytes) <= vivado_project.MOST_CONVERTER_BYTES
        if word in powers:
            assert dma.stream_bytes == word
        if word <= 16:  # the DMA keeps pace with the accelerator
            assert dma.stream_bytes >= word, word


def test_too_wide_input():
    with pytest.raises(InputError) as error:
        vivado_project.dma_of(513, 64)
    assert str(error.value) == (
        "an input beat must have at most 512 bytes for the DMA, got 513: fold the first layer to "
        "fewer inputs at a time"
    )


# --- the scripts, run


@needs_tclsh
@pytest.mark.parametrize("board", BOARDS)
def test_scripts_run(design, board, tmp_path):
    manifest, word, stream = design
    target = targets.load(board)
    vivado_project.write(manifest, target, tmp_path / "project")
    assert vivado_project.word_bytes_of(manifest) == word
    code, said = simulate(tmp_path / "project")
    marks = "".join(f"exeunt at: {name}\n" for name in vivado.SHARES)
    assert (code, said) == (0, f"{marks}{vivado_project.END}\n")
    text = (tmp_path / "project" / "design.tcl").read_text()
    assert f"c_m_axis_mm2s_tdata_width {{{8 * stream}}}" in text
    assert ("axis_dwidth_converter" in text) == (word != stream)
    results = tmp_path / "project" / "results"
    assert {"exeunt.bit", "exeunt.hwh", "result.txt"} <= {p.name for p in results.iterdir()}


@needs_tclsh
def test_scripts_run_again_over_what_they_left(rgb, tmp_path):
    vivado_project.write(rgb, targets.load("pynq-z1"), tmp_path / "project")
    for _ in range(2):
        assert simulate(tmp_path / "project")[0] == 0


@needs_tclsh
def test_new_board_is_one_folder(rgb, tmp_path):
    folder = tmp_path / "mine"
    shutil.copytree(targets.load("zcu104").folder, folder)
    toml = (folder / "board.toml").read_text()
    toml = toml.replace("xczu7ev-ffvc1156-2-e", "xczu9eg-ffvb1156-2-e")
    (folder / "board.toml").write_text(toml.replace("clock_mhz = 150.0", "clock_mhz = 187.5"))
    vivado_project.write(rgb, targets.load(folder), tmp_path / "project")
    assert simulate(tmp_path / "project")[0] == 0
    assert "xczu9eg-ffvb1156-2-e" in (tmp_path / "project" / "build.tcl").read_text()
    assert "period_ns 5.333" in (tmp_path / "project" / "results" / "result.txt").read_text()


@needs_tclsh
@pytest.mark.parametrize("release", ["2021.1", "2025.1"])
def test_other_releases_are_refused(rgb, tmp_path, release):
    vivado_project.write(rgb, targets.load("pynq-z1"), tmp_path / "project")
    code, said = simulate(tmp_path / "project", release)
    assert code == 1
    assert f"Vivado must be one of 2022.2, 2023.1, 2023.2, 2024.1, 2024.2, got {release}" in said
    assert simulate(tmp_path / "project", "2024.1.2")[0] == 0


FAULTS = [  # file, what stands there, what instead, what must be noticed
    ("design.tcl", "connect_bd_intf_net [get_bd_intf_pins control_0/M02_AXI] "
     "[get_bd_intf_pins intc_0/s_axi]\n", "", "interface intc_0/s_axi is not connected"),
    ("design.tcl", "dma_0/M_AXIS_MM2S]", "dma_0/M_AXIS_MMS2]",
     "interface dma_0/M_AXIS_MMS2 does not exist"),
    ("design.tcl", "  [get_bd_pins exeunt_0/aresetn] \\\n", "",
     "pin exeunt_0/aresetn is not connected"),
    ("design.tcl", "  [get_bd_pins dma_0/m_axi_s2mm_aclk] \\\n", "",
     "pin dma_0/m_axi_s2mm_aclk is not connected"),
    ("design.tcl", "get_bd_pins exeunt_0/aclk", "get_bd_pins exeunt_0/clk",
     "pin exeunt_0/clk does not exist"),
    ("design.tcl", "get_bd_pins dma_0/mm2s_introut", "get_bd_pins dma_0/axi_resetn",
     "is connected twice"),
    ("design.tcl", "[get_bd_pins rst_0/ext_reset_in]", "[get_bd_pins rst_0/peripheral_reset]",
     "has drivers"),
    ("design.tcl", "connect_bd_net [get_bd_pins concat_0/dout] \\\n  [get_bd_pins intc_0/intr]\n",
     "", "pin intc_0/intr is not connected"),
    ("design.tcl", "NUM_MI {3}", "NUM_MI {4}", "interface control_0/M03_AXI is not connected"),
    ("design.tcl", "NUM_MI {3}", "NUM_MI {2}", "interface control_0/M02_AXI does not exist"),
    ("design.tcl", "NUM_MI", "NUM_MASTERS", "has no property NUM_MASTERS"),
    ("design.tcl", "c_sg_length_width {26}", "c_sg_length_width {27}",
     "c_sg_length_width must match"),
    ("design.tcl", "c_sg_length_width {26}", "c_sg_length_width {14}",
     "must be in simple mode with lengths of 26 bits"),
    ("design.tcl", "c_include_sg {0}", "c_include_sg {1}", "m_axi_sg_aclk is not connected"),
    ("design.tcl", "M_TDATA_NUM_BYTES {3}", "M_TDATA_NUM_BYTES {4}",
     "width_0/M_AXIS is axis:4, exeunt_0/s_axis is axis:3"),
    ("design.tcl", "CONFIG.M_TDATA_NUM_BYTES {3}",
     "CONFIG.HAS_TKEEP {1} CONFIG.M_TDATA_NUM_BYTES {3}", "has no property HAS_TKEEP"),
    ("design.tcl", "S_TDATA_NUM_BYTES 4 M_TDATA", "S_TDATA_NUM_BYTES 8 M_TDATA",
     "S_TDATA_NUM_BYTES of width_0 must be 8 in the block design, got '4'"),
    ("design.tcl", "HAS_TLAST 1}", "HAS_TLAST 0}",
     "HAS_TLAST of width_0 must be 0 in the block design, got '1'"),
    ("design.tcl", "create_bd_cell -type ip -vlnv [newest xlconcat]",
     "create_bd_cell -type inline_hdl -vlnv [newest xlconcat]", "of type inline_hdl cannot be"),
    ("design.tcl", "c_m_axi_s2mm_data_width {128}", "c_m_axi_s2mm_data_width {64}",
     "exeunt_0/m_axis is wider than its memory port"),
    ("design.tcl", "newest axi_intc", "newest axi_intr", "must have the IP axi_intr, got none"),
    ("design.tcl", "exeunt_top:1.0", "exeunt_top:1.1", "is not in the catalog"),
    ("design.tcl", "lindex $found end", "lindex $found 0", "is an old"),
    ("design.tcl", "-offset {exeunt}", "-offset {dma}", "overlap in ps_0/Data"),
    ("design.tcl", "-offset {exeunt}", "-offset 0x10000000", "is outside of ps_0/Data"),
    ("design.tcl", "-range 4K", "-range 8K", "has a range of 8192"),
    ("design.tcl", "exeunt_0/s_axil/reg0", "intc_0/S_AXI/Reg",
     "exeunt_0/s_axil has no address in ps_0/Data"),
    ("design.tcl", "get_bd_addr_spaces dma_0/Data_S2MM", "get_bd_addr_spaces dma_0/Data_MM2S",
     "has no address in dma_0/Data_S2MM"),
    ("package.tcl", "  ip/src/ex_tag.sv \\\n", "  ip/src/ex_tags.sv \\\n", "ex_tags.sv does not"),
    ("package.tcl", "version 1.0", "version 1.1", "is not in the catalog"),
    ("package.tcl", "set_property range 4096", "set_property range 8192", "has a range of 4096"),
    ("package.tcl", "-busif $bus -clock aclk", "-busif $bus -clock clk", "cannot associate s_axis"),
    ("package.tcl", "top exeunt_ip", "top exeunt_top", "ipx::package_project"),
    ("package.tcl", "value_resolve_type user", "value_resolve_type immediate",
     "FREQ_HZ of exeunt_0 (100000000) is not the clock's"),
    ("package.tcl", "[ipx::add_bus_parameter FREQ_HZ $clock]", "{}", "set_property of nothing"),
    ("package.tcl", "set_property value 100000000 $frequency\n", "",
     "exeunt: the IP must pass ipx::check_integrity"),
    ("preset.tcl", "CRYSTAL_PERIPHERAL", "CHRYSTAL_PERIPHERAL", "has no property PCW_CHRYSTAL"),
    ("preset.tcl", "MIO 14 .. 15", "MIO14..15", "PCW_UART0_UART0_IO must match"),
    ("ip/src/exeunt_ip.v", "s_axis TLAST", "s_axis TUSER", "port s_axis_tlast is said to be"),
    ("ip/src/exeunt_ip.v", ".m_axis_tkeep(m_axis_tkeep)", ".m_axis_tkeep()", "is not passed on"),
    ("ip/src/exeunt_ip.v", "[127:0] m_axis_tdata", "[63:0] m_axis_tdata",
     "ports of exeunt_ip and exeunt_top differ"),
    ("ip/src/exeunt_ip.v", "PROTOCOL AXI4LITE", "PROTOCOL AXI4", "s_axil is not AXI4-Lite"),
    ("build.tcl", "file normalize ip]", "file normalize .]", "is not in the catalog"),
    ("build.tcl", "clk_fpga_0", "clk_pl_0", "clock clk_pl_0 does not exist"),
    ("build.tcl", "top exeunt_wrapper", "top exeunt_ip", "launch_runs synth_1"),
    ("build.tcl", "launch_runs synth_1 -jobs [jobs]", "launch_runs synth_1 -jobs 4",
     "4 runs at once, 5 are right for the machine"),
    ("build.tcl", "-to_step write_bitstream -jobs [jobs]", "-to_step write_bitstream -jobs 16",
     "16 runs at once, 5 are right for the machine"),
    ("build.tcl", "config_ip_cache -disable_cache\n", "", "the IP may come out of a cache"),
    ("build.tcl", "glob -nocomplain vivado/exeunt.runs", "glob -nocomplain vivado/exeunt_runs",
     "synthesis must leave its logs in vivado/exeunt.runs, got none"),
]  # fmt: skip


@needs_tclsh
@pytest.mark.parametrize(("name", "old", "new", "noticed"), FAULTS)
def test_stand_ins_notice_faults(rgb, tmp_path, name, old, new, noticed):
    vivado_project.write(rgb, targets.load("pynq-z2"), tmp_path / "project")
    path = tmp_path / "project" / name
    text = path.read_text()
    for word, base in (("{exeunt}", "0x43C00000"), ("{dma}", "0x40400000")):
        old, new = old.replace(word, base), new.replace(word, base)
    assert old in text
    path.write_text(text.replace(old, new, 1))
    code, said = simulate(tmp_path / "project")
    assert code == 1
    assert noticed in said


@needs_tclsh
@pytest.mark.parametrize("way", ["says", "returns"])
def test_failed_integrity_check_ends_the_build(rgb, tmp_path, way):
    """However it shows: by a message, or as a value."""
    vivado_project.write(rgb, targets.load("pynq-z2"), tmp_path / "project")
    assert simulate(tmp_path / "project", integrity=way)[0] == 0
    path = tmp_path / "project" / "package.tcl"
    line = "  ipx::associate_bus_interfaces -busif $bus -clock aclk $core\n"
    text = path.read_text()
    assert line in text
    path.write_text(text.replace(line, ""))
    code, said = simulate(tmp_path / "project", integrity=way)
    assert code == 1
    verdict = {"says": "", "returns": "0"}[way]
    assert f"exeunt: the IP must pass ipx::check_integrity, got '{verdict}' and messages" in said


@needs_tclsh
@pytest.mark.parametrize("board", ["kv260", "ultra96-v2", "zcu104"])
def test_segments_that_the_dma_does_not_use_are_excluded(rgb, tmp_path, board):
    vivado_project.write(rgb, targets.load(board), tmp_path / "project")
    path = tmp_path / "project" / "design.tcl"
    text = path.read_text()
    assert "exclude_bd_addr_seg" in text
    path.write_text(text.replace("exclude_bd_addr_seg", "list"))
    code, said = simulate(tmp_path / "project")
    assert code == 1
    for space in ("MM2S", "S2MM"):
        assert f"ps_0/SAXIGP2/HP0_LPS_OCM is not mapped into dma_0/Data_{space}" in said
    path.write_text(text.replace("set used {", "set used {} ;# {"))
    code, said = simulate(tmp_path / "project")
    assert code == 1
    assert "ps_0/SAXIGP2/HP0_DDR_LOW is mapped and excluded" in said


@needs_tclsh
@pytest.mark.parametrize(
    ("processors", "gigabytes", "runs"),
    [(8, 32, 5), (2, 64, 2), (16, 8, 1), (16, 4, 1), (1, 99, 1)],
)
def test_as_many_runs_as_the_machine_has_room_for(rgb, tmp_path, processors, gigabytes, runs):
    vivado_project.write(rgb, targets.load("pynq-z2"), tmp_path / "project")
    machine = {"processors": processors, "kilobytes": gigabytes << 20}
    assert simulate(tmp_path / "project", **machine)[0] == 0
    path = tmp_path / "project" / "build.tcl"
    path.write_text(path.read_text().replace("[jobs]", "99"))
    _, said = simulate(tmp_path / "project", **machine)
    assert f"99 runs at once, {runs} are right" in said


@needs_tclsh
def test_vivado_without_xlconcat_has_its_successor(rgb, tmp_path):
    vivado_project.write(rgb, targets.load("pynq-z2"), tmp_path / "project")
    assert simulate(tmp_path / "project", absent="xlconcat")[0] == 0
    path = tmp_path / "project" / "design.tcl"
    path.write_text(path.read_text().replace("inline_hdl:ilconcat:1.0", "inline_hdl:xlconcat:1.0"))
    code, said = simulate(tmp_path / "project", absent="xlconcat")
    assert code == 1
    assert "IP xilinx.com:inline_hdl:xlconcat:1.0 is not in the catalog" in said


# --- memory contents


@pytest.fixture
def weights(tmp_path) -> Manifest:
    return stitch.write(samples.accelerator(sized=False), tmp_path / "run")


@needs_tclsh
def test_log_of_a_memory_that_stays_empty_ends_the_build(weights, tmp_path):
    project, sources = tmp_path / "project", weights.folder / "rtl"
    vivado_project.write(weights, targets.load("pynq-z2"), project)
    path = project / "ip" / "src" / "ex_threshold.sv"
    good = path.read_text()
    path.write_text((sources / "ex_threshold.sv").read_text())
    code, said = simulate(project)
    assert code == 1
    assert (
        "exeunt: every memory must have its contents, got 'CRITICAL WARNING: [Synth 8-4445] could "
        "not open $readmem data file '{THRESHOLD_FILE, " in said
    )
    assert "in vivado/exeunt.runs/exeunt_exeunt_0_0_synth_1/runme.log" in said
    path.write_text(re.sub(r"memory\[\d+\] = .*;", ";", good))
    code, said = simulate(project)
    assert code == 1
    assert "got 'WARNING: [Synth 8-3848] Net memory in module/entity ex_threshold does not" in said
    path.write_text(good)
    assert simulate(project)[0] == 0


@needs_tclsh
def test_memory_that_is_read_in_another_way_keeps_its_file(weights, tmp_path):
    """As FINN's own kernels do it: the file travels, and the log says whether it was found."""
    source = weights.folder / "rtl" / "ex_rom.sv"
    text = source.read_text()
    line = "initial $readmemh(ROM_FILE, memory);"
    instances = "".join(path.read_text() for path in weights.sources)
    project, names = tmp_path / "project", re.findall(r'ROM_FILE\(\s*"(\w+.hex)"', instances)
    assert line in text
    assert names
    for new, code in (
        (f"initial begin {line[8:]} end", 1),
        ("initial " + f'$readmemh("{names[0]}", memory);', 0),
    ):
        source.write_text(text.replace(line, new))
        shutil.rmtree(project, ignore_errors=True)
        vivado_project.write(weights, targets.load("pynq-z2"), project)
        assert {p.name for p in (project / "ip" / "src").glob("*.hex")} == set(names)
        assert simulate(project)[0] == code
    path = project / "package.tcl"
    text = path.read_text()
    path.write_text(text.replace(f"  ip/src/{names[0]} \\\n", "").replace(names[0], ""))
    code, said = simulate(project)
    assert code == 1
    assert f"memory {names[0]} is not in the IP" in said
    path.write_text(text.replace("{Memory Initialization Files}", "{Unknown}"))
    code, said = simulate(project)
    assert code == 1
    assert f"memory {names[0]} is of type 'Unknown'" in said


@pytest.mark.sim
def test_wrapper_is_legal_verilog(design, tmp_path):
    manifest, _, _ = design
    vivado_project.write(manifest, targets.load("pynq-z2"), tmp_path / "project")
    tool = verilator.find()
    names = [path.name for path in manifest.sources]
    done = subprocess.run(
        [tool.program, "--lint-only", "-Wall", "-Wno-PINCONNECTEMPTY", "-Wno-DECLFILENAME",
         "--top-module", "exeunt_ip", *names, "exeunt_ip.v"],
        cwd=tmp_path / "project" / "ip" / "src", capture_output=True, text=True,
        env={"VERILATOR_ROOT": str(tool.root)},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
