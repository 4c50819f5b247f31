"""Yosys' own front end takes every block, and the result has neither latch nor second driver."""

from __future__ import annotations

import pytest
from lib.bench import BUILD, Corner
from lib.blocks import corners
from lib.yosys import findings, synthesize

BLOCKS = corners()


def spread(found: list[Corner], count: int) -> list[Corner]:
    """`count` corners, evenly spread over the list (which pairwise selection has ordered)."""
    step = max(1, len(found) // count)
    return found[::step][:count]


@pytest.mark.synth
def test_yosys_takes_every_block() -> None:
    """Three corners of every block in one process."""
    chosen = [c for found in BLOCKS.values() for c in spread(found, 3)]
    log, modules = synthesize(BUILD / "synth", chosen)
    assert findings(log) == []
    assert len(modules) > len(BLOCKS)


@pytest.mark.synth
@pytest.mark.slow
@pytest.mark.parametrize("target", ["xc7", "ecp5"])
@pytest.mark.parametrize("block", BLOCKS)
def test_yosys_takes_every_corner(block: str, target: str) -> None:
    log, _ = synthesize(BUILD / f"synth_{target}_{block}", BLOCKS[block], target=target)
    assert findings(log) == []


@pytest.mark.synth
def test_a_latch_is_found(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("latch")
    corner = Corner("latch", "ex_fork", {"WIDTH": 1}, BLOCKS["fork"][0].ports)
    text = """module ex_fork #(parameter int WIDTH = 1) (input wire clk, input wire rst,
      input wire s_valid, output wire s_ready, input wire [WIDTH-1:0] s_data,
      output wire m0_valid, input wire m0_ready, output logic [WIDTH-1:0] m0_data,
      output wire m1_valid, input wire m1_ready, output wire [WIDTH-1:0] m1_data);
      always @* if (s_valid) m0_data = s_data;
    endmodule"""
    with pytest.MonkeyPatch.context() as patch:
        source = folder / "source" / "ex_fork.sv"
        source.parent.mkdir()
        source.write_text(text)
        patch.setattr("lib.bench.rtl_sources", lambda module: [source])
        log, _ = synthesize(folder / "run", [corner])
    assert any("Latch inferred" in line for line in findings(log))
