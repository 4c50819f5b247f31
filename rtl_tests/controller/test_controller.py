"""The rendered core and its AXI shell with stub segments and heads, under every exit schedule."""

import importlib
import re

import pytest
from controller.design import DESIGNS, HERE, describe, sources
from lib.bench import BUILD, build_and_test, rtl_sources


@pytest.mark.sim
@pytest.mark.parametrize("name", DESIGNS)
def test_controller(name: str) -> None:
    design = DESIGNS[name]
    block = f"controller_{name}"
    folder = BUILD / block
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for file, text in sources(design).items():
        path = folder / file
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
        files.append(path)
    blocks = sorted({p for module in describe(design).modules for p in rtl_sources(module)})
    stubs = [HERE / "stub_segment.sv", HERE / "stub_head.sv"]
    build_and_test(
        "bench",
        [*blocks, *stubs, *files],
        block=block,
        test_module="controller.controller_cocotb",
        data=design,
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
