"""From a quantizer to its stores, by the blocks that keep a context."""

from pathlib import Path

import pytest
from explain_kept.quantizers import CORNERS
from lib.bench import rtl_sources, run_bench

BLOCKS = ("ex_threshold", "ex_explain_pool", "ex_explain_tap")


@pytest.mark.sim
def test_explain_kept() -> None:
    found = sorted({path for block in BLOCKS for path in rtl_sources(block)})
    top = Path(__file__).with_name("kept_quantizer.sv")
    run_bench("explain_kept", CORNERS, "explain_kept.explain_kept_cocotb", sources=[*found, top])
