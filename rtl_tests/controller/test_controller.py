"""The rendered core and its AXI shell with stub segments and heads, under every exit schedule."""

import importlib
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from controller.design import DESIGNS, HERE, describe, sources
from lib.bench import BUILD, build_and_test, rtl_sources
from lib.yosys import yosys


def written(name: str, folder: Path) -> list[Path]:
    """All sources of the design; those that are made lie in `folder`, the bench is the last one."""
    folder.mkdir(parents=True, exist_ok=True)
    design, files = DESIGNS[name], []
    for file, text in sources(design).items():
        path = folder / file
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
        files.append(path)
    blocks = sorted({p for module in describe(design).modules for p in rtl_sources(module)})
    assert files[-1].name == "bench.sv"
    return [*blocks, HERE / "stub_segment.sv", HERE / "stub_head.sv", *files]


@pytest.mark.sim
@pytest.mark.parametrize("name", DESIGNS)
def test_controller(name: str) -> None:
    block = f"controller_{name}"
    build_and_test(
        "bench",
        written(name, BUILD / block),
        block=block,
        test_module="controller.controller_cocotb",
        data=DESIGNS[name],
    )


def netlist(folder: Path, files: Sequence[Path]) -> Path:
    """What Yosys understands of `exeunt_top`, written back as Verilog, before any mapping."""
    names = " ".join(path.name for path in files)
    for path in files:
        if path.parent != folder:
            shutil.copyfile(path, folder / path.name)
    (folder / "netlist.ys").write_text(
        f"read_verilog -defer -sv {names}\n"
        "hierarchy -check -top exeunt_top\n"
        "prep -flatten -top exeunt_top\n"
        "write_verilog -noattr netlist.v\n"
    )
    done = yosys("-q", "netlist.ys", folder=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "netlist.v"


@pytest.mark.sim
@pytest.mark.synth
def test_controller_as_yosys_reads_it() -> None:
    """What boards get behaves as what is simulated: the two front ends agree on every line."""
    block = "controller_netlist"
    *files, bench = written("early", BUILD / block)
    build_and_test(
        "bench",
        [netlist(BUILD / block, files), bench],
        block=block,
        test_module="controller.controller_cocotb",
        data=DESIGNS["early"],
        build_args=["-Wno-WIDTH", "-Wno-UNOPTFLAT"],
    )


@pytest.mark.parametrize("name", DESIGNS)
def test_module_list_is_complete(name: str) -> None:
    texts = sources(DESIGNS[name])
    text = texts["exeunt_core.sv"] + texts["exeunt_top.sv"]
    used = re.findall(r"^  (ex_\w+) ", text, re.MULTILINE)
    assert set(used) == set(describe(DESIGNS[name]).modules)


def test_rendering_is_deterministic() -> None:
    core = importlib.import_module("exeunt.hls.back.stitch_core")
    description = describe(DESIGNS["early"])
    assert core.render_core(description) == core.render_core(description)
    text = core.render_core(description)
    assert "ex_frame_buffer" in text
    assert text.count("ex_decide #(") == 3
    assert all(len(line) <= 100 for line in text.splitlines())
