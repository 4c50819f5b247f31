"""Memory contents in the sources of a Vivado project: all of them, each once."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from exeunt import samples
from exeunt.boards import contents, targets, vivado_project
from exeunt.hls.back import stitch
from exeunt.manifest import Manifest, write
from exeunt.reference import controller, network
from exeunt.runtime import Accelerator
from exeunt.simulate import verilator
from exeunt.simulate.simulated import Simulated

READER = """module reader #(parameter TABLE_FILE = "", parameter NAMES_FILE = "");
  logic [7:0] table_q[2];
  initial $readmemh(TABLE_FILE, table_q);
  for (genvar i = 0; i < 2; i++) begin : g_i
    logic [3:0] names[1];
    initial $readmemh({NAMES_FILE, "_", 8'(48 + i)}, names);
  end
endmodule
"""
TOP = """module top;
  reader #(.TABLE_FILE("a.hex"), .NAMES_FILE("b")) u_0 ();
  reader #(
      .TABLE_FILE( "c.hex" )
  ) u_1 ();
endmodule
"""
FILES = {"a.hex": "0f\n00\n", "c.hex": "ff\n1\n", "b_0": "7\n", "b_1": "8\n", "b2_0": "9\n"}


@pytest.fixture
def weights(tmp_path) -> Manifest:
    return stitch.write(samples.accelerator(sized=False), tmp_path / "run")


def test_words_become_assignments_under_the_name_of_their_file():
    texts, left = contents.inline({"reader.sv": READER, "top.sv": TOP}, FILES)
    assert left == ("b2_0",)  # begins with b, and is another's
    assert texts["top.sv"] == TOP
    lines = texts["reader.sv"].splitlines()
    assert lines[2:18] == [
        "  /* verilator lint_off WIDTHEXPAND */",
        '  if (TABLE_FILE == "a.hex") begin : g_0',
        "    initial begin",
        "      table_q[0] = 4'hf;",
        "      table_q[1] = 1'h0;",
        "    end",
        '  end else if (TABLE_FILE == "c.hex") begin : g_1',
        "    initial begin",
        "      table_q[0] = 8'hff;",
        "      table_q[1] = 1'h1;",
        "    end",
        "  end else begin : g_none",
        '    $error("a memory has no contents");',
        "  end",
        "  /* verilator lint_on WIDTHEXPAND */",
        "  for (genvar i = 0; i < 2; i++) begin : g_i",
    ]
    assert '    if (NAMES_FILE == "b") begin : g_0' in lines
    assert """      if ({NAMES_FILE, "_", 8'(48 + i)} == "b_1") begin : g_0""" not in lines
    assert """      end else if ({NAMES_FILE, "_", 8'(48 + i)} == "b_1") begin : g_1""" in lines
    assert "$readmem" not in texts["reader.sv"]


@pytest.mark.parametrize(
    "line",
    [
        'initial $readmemh("a.hex", table_q);',
        "initial begin $readmemh(TABLE_FILE, table_q); end",
        "initial $readmemh(TABLE_FILE, table_q, 0);",
    ],
)
def test_another_way_of_reading_is_left_alone(line):
    text = f"module m;\n  {line}\nendmodule\n"
    assert contents.inline({"m.sv": text}, {"a.hex": "0\n"}) == ({"m.sv": text}, ("a.hex",))


def test_memories_stand_in_the_sources(weights, tmp_path):
    vivado_project.write(weights, targets.load("pynq-z2"), tmp_path / "project")
    source = tmp_path / "project" / "ip" / "src"
    assert {path.suffix for path in source.iterdir()} == {".sv", ".v"}
    assert not [path for path in source.iterdir() if "$readmem" in path.read_text()]
    assert "Memory Initialization" not in (tmp_path / "project" / "package.tcl").read_text()
    words = [
        w for p in sorted((weights.folder / "rtl").glob("*.hex")) for w in p.read_text().split()
    ]
    written = re.findall(
        r"^ *\w+\[\d+\] = (\d+)'h(\w+);$",
        "".join(
            (source / name).read_text() for name in ("ex_mvu.sv", "ex_rom.sv", "ex_threshold.sv")
        ),
        re.MULTILINE,
    )
    assert sorted(int(value, 16) for _, value in written) == sorted(int(w, 16) for w in words)
    assert all(int(value, 16) < 1 << int(bits) for bits, value in written)


@pytest.mark.sim
def test_project_without_files_answers_as_the_reference(weights, tmp_path):
    """The RTL of the project, with no memory file beside it, in the simulator."""
    project = tmp_path / "project"
    vivado_project.write(weights, targets.load("pynq-z2"), project)
    rtl = weights.folder / "rtl"
    for path in rtl.glob("*.hex"):
        path.unlink()
    for path in weights.sources:
        shutil.copyfile(project / "ip" / "src" / path.name, path)
    files = [name for name in weights.data["files"] if not name.endswith(".hex")]
    write(weights.folder, {**weights.data, "files": files})
    images = samples.images(40)
    with Accelerator(weights.folder, Simulated(weights.folder)) as device:
        found = device.classify(images)
    logits = network.run(weights.accelerator(), images).logits
    want = controller.decide(logits, weights.thresholds)
    assert found.classes.tolist() == want.classes.tolist()
    assert found.exits.tolist() == want.exits.tolist()
    assert found.scores.tolist() == want.scores.tolist()


@pytest.mark.sim
def test_memory_without_contents_ends_the_elaboration(weights, tmp_path):
    project = tmp_path / "project"
    vivado_project.write(weights, targets.load("pynq-z2"), project)
    source = project / "ip" / "src"
    assert "no contents" not in elaborated(source)
    broken = source / "ex_rom.sv"
    broken.write_text(broken.read_text().replace('ROM_FILE == "head0', 'ROM_FILE == "tail0'))
    assert "a memory has no contents" in elaborated(source)


def elaborated(source: Path) -> str:
    """What Verilator says of the sources in a folder."""
    tool = verilator.find()
    names = sorted(path.name for path in source.glob("*.*v"))
    done = subprocess.run(
        [tool.program, "--lint-only", "-Wno-fatal", "--top-module", "exeunt_ip", *names],
        cwd=source,
        capture_output=True,
        text=True,
        env={"VERILATOR_ROOT": str(tool.root)},
    )
    return done.stderr


@pytest.mark.parametrize("path", sorted(stitch.library().glob("*.sv")), ids=lambda p: p.stem)
def test_every_memory_of_our_blocks_is_read_so_that_it_can_stand_in_the_source(path):
    code = "\n".join(line.split("//")[0] for line in path.read_text().splitlines())
    assert code.count("$readmemh") == len(contents.READ.findall(code))
    assert all(contents.PARAMETER.search(name) for _, name, _ in contents.READ.findall(code))


def test_a_name_that_begins_with_a_parameter_nobody_gives_is_no_file():
    """As the edges of a quantizer that has none."""
    text = 'module m;\n  initial $readmemh({EDGE_FILE, "_", LANE, ".hex"}, memory);\nendmodule\n'
    texts, left = contents.inline({"m.sv": text}, {"a.hex": "0\n"})
    assert texts == {"m.sv": f"module m;\n  {contents.EMPTY}\nendmodule\n"}
    assert left == ("a.hex",)
