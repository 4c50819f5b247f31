"""`m_edge` of `ex_threshold` and `ex_mvu` against the masks of `exeunt.explain`."""

import pytest
from edges.corners import CORNERS
from lib.bench import run_bench


@pytest.mark.sim
def test_edges() -> None:
    run_bench("edges", CORNERS, "edges.edges_cocotb")
