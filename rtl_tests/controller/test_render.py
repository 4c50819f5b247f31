"""The rendered core and top at their corners: lint is silent, Yosys takes them, no X is left."""

import dataclasses
import shutil
import subprocess
from pathlib import Path

import pytest
from lib.bench import RTL, rtl_sources, tools
from lib.yosys import yosys

from exeunt.hls.back.stitch_core import (
    CoreDescription,
    ExitDescription,
    render_core,
    render_top,
)

ONE = ExitDescription(
    segment_width=16, segment_words=9, logits_lanes=1, logits_bits=14, buffer_depth=36
)
WIDE = ExitDescription(
    segment_width=70, segment_words=300, logits_lanes=5, logits_bits=20, buffer_depth=1200
)
TINY = ExitDescription(
    segment_width=1, segment_words=1, logits_lanes=16, logits_bits=31, buffer_depth=1,
    decision_depth=1, segment_depth=0,
)  # fmt: skip
CORES = {
    "one": CoreDescription("one", 9, 1, 2, (ONE,), in_flight=2),
    "three": CoreDescription(
        "three", 8, 64, 10, (WIDE, dataclasses.replace(ONE, logits_lanes=10), ONE)
    ),
    "eight": CoreDescription("eight", 1, 784, 256, (TINY,) * 8, in_flight=1024, hash=0xFFFFFFFF),
}
CHAIN = """`default_nettype none
module {name} (
    input wire clk, input wire rst,
    input wire s_valid, output wire s_ready, input wire [{a}:0] s_data,
    output wire m_valid, input wire m_ready, output wire [{b}:0] m_data
);
  assign m_valid = s_valid;
  assign s_ready = m_ready;
  assign m_data = {{{w}{{^s_data}}}};
  wire unused = &{{1'b0, clk, rst}};
endmodule
`default_nettype wire
"""


def write(core: CoreDescription, folder: Path) -> list[str]:
    """The core, the top, empty segments and heads, and the blocks; the names of all files."""
    texts = {"exeunt_core.sv": render_core(core), "exeunt_top.sv": render_top(core)}
    width = core.input_width
    for i, e in enumerate(core.exits):
        logits = e.logits_lanes * e.logits_bits
        for name, a, b in (
            (f"seg{i}", width, e.segment_width), (f"head{i}", e.segment_width, logits),
        ):  # fmt: skip
            texts[f"{name}.sv"] = CHAIN.format(name=name, a=a - 1, b=b - 1, w=b)
        width = e.segment_width
    for name, text in texts.items():
        (folder / name).write_text(text)
    blocks = sorted({path for module in core.modules for path in rtl_sources(module)})
    for path in blocks:
        shutil.copyfile(path, folder / path.name)
    return [*texts, *(path.name for path in blocks)]


@pytest.mark.sim
@pytest.mark.parametrize("name", CORES)
def test_lint_is_silent(name: str, tmp_path: Path) -> None:
    tools()
    files = write(CORES[name], tmp_path)
    command = ["verilator", "--lint-only", "-Wall", "--quiet", "--no-timing"]
    done = subprocess.run(
        [*command, "--top-module", "exeunt_top", *files],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.synth
@pytest.mark.parametrize("name", CORES)
def test_yosys_takes_it_and_keeps_the_buffers_in_memory(name: str, tmp_path: Path) -> None:
    core = CORES[name]
    files = write(core, tmp_path)
    script = (
        f"read_verilog -sv {' '.join(files)}; hierarchy -check -top exeunt_top; proc; "
        "check -assert; opt; memory -nomap; opt_clean; flatten; stat; log EXEUNT_END; "
        "select -list t:$mem_v2"
    )
    done = yosys("-p", script, folder=tmp_path)
    log = done.stdout + done.stderr
    assert done.returncode == 0, log[-2000:]
    assert "EXEUNT_END" in log
    assert "Warning" not in log, [line for line in log.splitlines() if "Warning" in line]
    for i, e in enumerate(core.exits[:-1]):
        if e.buffer_depth > 1:
            assert f"u_buffer{i}.memory" in log, f"frame buffer {i} is not a memory"


@pytest.mark.parametrize("name", CORES)
def test_no_offset_is_typed_in_the_rtl(name: str) -> None:
    """The addresses reach the RTL from the register map alone."""
    text = (RTL / "ex_registers.sv").read_text()
    assert "12'h" not in text
    assert render_core(CORES[name]).count(".A_") == len(
        [line for line in text.splitlines() if "] A_" in line]
    )
